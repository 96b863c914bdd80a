"""An array that cannot be opened leaves what it had opened so far.

Problem:
    Opening an array makes three segments, one after the other, and then asks for the current
    actor. If a later step fails (no memory, no files left, no actor, an unfit dtype), the earlier
    segments stay, and on macOS nobody can see them: the key is taken until the machine restarts.

Fix:
    If opening fails, what it created is unlinked, and the key is forgotten again. A size that
    cannot be is refused with the key, before numpy is asked for so many rows.

Repro:
    Open an array where there is no actor; the same key must be free afterwards.

Upstream:
    not reported

Remove when:
    Upstream undoes what a failing open has done.
"""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from macfix.engine import Changes, Patch, Source, Verdict, hookimpl, needed, not_needed, unknown

from . import _shm
from ._shapes import calls

_SEGMENTS = 3


def _needed(source: Source) -> Verdict:
    opener = _shm.first_function(source, _shm.OPENERS)
    if opener is None:
        return not_needed("it opens no arrays")
    if len(calls(opener, "SharedMemory")) != _SEGMENTS:
        return unknown(f"{opener.name} does not make {_SEGMENTS} segments")
    if any(isinstance(node, (ast.Try, ast.With)) for node in ast.walk(opener)):
        return unknown(f"{opener.name} has safeguards that are not known")
    return needed(f"{opener.name} (line {opener.lineno}) has no safeguard at all")


def _install(module: ModuleType, changes: Changes) -> None:
    for name in (*_shm.OPENERS, "open_shm_list"):
        if hasattr(module, name):
            signature = inspect.signature(getattr(module, name))
            changes.wrap(module, name, partial(_undone_on_error, module, signature))


def _undone_on_error(
    module: ModuleType,
    signature: inspect.Signature,
    wrapped: Callable[..., Any],
    instance: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    from macfix.darwin.shared_memory import undone_on_error

    _check_size(signature.bind(*args, **kwargs).arguments)
    known = dict(module._known_tokens)
    try:
        with undone_on_error():
            return wrapped(*args, **kwargs)
    except BaseException:
        for key in [key for key in module._known_tokens if key not in known]:
            del module._known_tokens[key]
        raise


def _check_size(given: dict[str, Any]) -> None:
    size = given.get("size", 1)
    if isinstance(size, int) and size <= 0:
        raise ValueError(f"an array needs at least one row, and {given.get('key')!r} has {size}")


def _repro() -> None:
    from macfix.darwin.segment_names import kernel_name
    from macfix.darwin.segments import probe

    module = _shm.upstream()
    opener = getattr(module, _shm.first_name(module, _shm.OPENERS) or "")
    key = f"mf.{os.getpid()}"
    try:
        opener(size=2, key=key, dtype=[("index", "i8")])
    except Exception:  # there is no actor, whatever upstream says about that
        left = probe(kernel_name(key))
    if left is not None:
        for name in (key, f"{key}_first", f"{key}_last"):
            module.shm_unlink(name)
        raise AssertionError(f"opening {key!r} failed, and {left.length} bytes of it are left")


PATCH = Patch(
    name="shm-half-open",
    targets=_shm.TARGETS,
    summary="an array that cannot be opened leaves the segments that it had made",
    upstream="not reported",
    remove_when="upstream undoes what a failing open has done",
    needed=_needed,
    install=_install,
    repro=_repro,
)


@hookimpl
def macfix_patches() -> list[Patch]:
    return [PATCH]
