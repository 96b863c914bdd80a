"""An array that another process has opened is not found by its key.

Problem:
    `maybe_open_shm_ndarray` makes a token from the key and then does not use it: with a dtype it
    goes on to open the array anew, which is `FileExistsError` where another process, or the one
    that was restarted, has it.

Fix:
    It attaches with that token first, and opens what is not there: so its documentation says, and
    piker's own function of that kind does.

Repro:
    Open by key what is there already under that key.

Upstream:
    Not reported.

Remove when:
    Upstream's function attaches by the token that it makes.
"""

from __future__ import annotations

import ast
import inspect
from contextlib import suppress
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function, nodes

from ._repro import KEY, array_segments, upstream

MAYBE_OPEN = "maybe_open_shm_ndarray"
_ATTACH = "attach_shm_ndarray"


def diagnose(source: Source) -> Diagnosis:
    maybe_open = function(source.tree, MAYBE_OPEN)
    if maybe_open is None:
        return not_needed("it opens nothing by key")
    choices = [one for one in nodes(maybe_open, ast.If) if ast.unparse(one.test) == "dtype"]
    if len(choices) != 1:
        return unknown(f"{MAYBE_OPEN} does not look as it used to")
    (choice,) = choices
    if any(calls(statement, _ATTACH) for statement in choice.body):
        return not_needed(f"{MAYBE_OPEN} attaches before it opens")
    return needed(f"line {choice.lineno} makes a token and does not attach with it")


def install(module: ModuleType, changes: Changes) -> None:
    def attach_first(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        bound = inspect.signature(wrapped).bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        if given["key"] not in module._known_tokens and given.get("dtype") is not None:
            token = module._make_token(**{name: given[name] for name in ("key", "size", "dtype")})
            attach, readonly = getattr(module, _ATTACH), given.get("readonly", True)
            with suppress(FileNotFoundError):  # nobody has opened it yet
                return attach(token=token, readonly=readonly), False
        return wrapped(*args, **kwargs)

    changes.wrap(module, MAYBE_OPEN, attach_first)


def repro() -> None:
    module = upstream()
    with array_segments(module):
        try:
            getattr(module, MAYBE_OPEN)(key=KEY, size=2, dtype=[("index", "i8")])
        except FileExistsError:
            raise
        except Exception:  # attached, and then there was no actor to close it
            pass
        finally:
            module._known_tokens.pop(KEY, None)
