"""A failed open of an array leaks the segments that it had already created.

Problem:
    Opening an array makes three segments and then asks for the current actor. If a later step fails
    (no memory, no files left, no actor, an unfit dtype), the earlier segments stay, and on macOS
    nobody can see them: the key is taken until the machine restarts.

Fix:
    If opening fails, what it created is unlinked, and the key is forgotten again. A size that
    cannot be is refused with the key, before numpy is asked for so many rows.

Repro:
    Open an array where there is no actor; the same key must be free afterwards.

Upstream:
    Not reported.

Remove when:
    Upstream undoes what a failing open has done.
"""

from __future__ import annotations

import ast
import inspect
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.segments.kernel import probe
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.shared_memory import undone_on_error
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls

from ._arrays import OPENERS, first_function, first_name
from ._repro import KEY, upstream

_SEGMENTS = 3


def diagnose(source: Source) -> Diagnosis:
    opener = first_function(source, OPENERS)
    if opener is None:
        return not_needed("it opens no arrays")
    if len(calls(opener, "SharedMemory")) != _SEGMENTS:
        return unknown(f"{opener.name} does not make {_SEGMENTS} segments")
    if any(isinstance(node, (ast.Try, ast.With)) for node in ast.walk(opener)):
        return unknown(f"{opener.name} has safeguards that are not known")
    return needed(f"{opener.name} (line {opener.lineno}) has no safeguard at all")


def install(module: ModuleType, changes: Changes) -> None:
    def undone(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        given = inspect.signature(wrapped).bind(*args, **kwargs).arguments
        size, key = given.get("size", 1), given.get("key")
        if isinstance(size, int) and size <= 0:
            raise ValueError(f"an array needs at least one row, and {key!r} has {size}")
        known = set(module._known_tokens)
        try:
            with undone_on_error():
                return wrapped(*args, **kwargs)
        except BaseException:
            for new in module._known_tokens.keys() - known:
                del module._known_tokens[new]
            raise

    for name in (*OPENERS, "open_shm_list"):
        if hasattr(module, name):
            changes.wrap(module, name, undone)


def repro() -> None:
    module = upstream()
    opener = getattr(module, first_name(module, OPENERS))
    left = None
    try:
        opener(size=2, key=KEY, dtype=[("index", "i8")])
    except Exception:  # there is no actor, whatever upstream says about that
        left = probe(kernel_name(KEY))
    if left is not None:
        for name in (KEY, f"{KEY}_first", f"{KEY}_last"):
            module.shm_unlink(name)
        raise AssertionError(f"opening {KEY!r} failed, and {left.length} bytes of it are left")
