"""Keys are too long for the names of segments on macOS, and sizes are rounded up to a page.

Problem:
    A key becomes a segment's name as it is, and those of its indexes are longer still. XNU takes 30
    bytes (31 on newer systems), slash included: `ENAMETOOLONG`. `.size` and `.buf` are not what was
    asked for. Segments are created as `/key` and unlinked as `key`, which are two names there, so
    none is ever unlinked. And one that is attached before its creator has sized it is `EINVAL`,
    upon which the standard library unlinks it.

Fix:
    At the boundary: the module's `SharedMemory`, `ShareableList` and `shm_unlink` become those of
    `macfix.darwin.segments.shared_memory`, which take any key, show it as `.name`, and are else
    the same. How upstream keeps the resource tracker out stays as it is, `track=False` included.
    The process is registered as a member of its tree, so that what it leaves can be freed.

Repro:
    Create a segment under a key of 60 characters, look at its size, unlink it by its name.

Upstream:
    https://github.com/goodboy/tractor/commit/1b76d1e1 (2026-02-27) shortens keys, to 31
    characters and a slash, so that array and indexes share one name: see `shm-shortening`.

Remove when:
    Upstream maps every key to at most 30 bytes, keeps sizes and unlinks under the kernel's name.
"""

from __future__ import annotations

import ast
import os
from functools import partial
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.segments import registry
from macfix.darwin.segments.shared_memory import (
    ShareableList,
    SharedMemory,
    observers,
    shm_unlink,
)
from macfix.engine.syntax import calls

from ._repro import upstream


def diagnose(source: Source) -> Diagnosis:
    if not calls(source.tree, "SharedMemory"):
        return not_needed("it opens no shared memory")
    stock = _stock_import(source.tree)
    if stock is None:
        return unknown("its SharedMemory is not the standard library's")
    return needed(f"line {stock.lineno} takes SharedMemory as it comes")


def _stock_import(module: ast.Module) -> ast.stmt | None:
    """Return where the module takes `SharedMemory` straight from the standard library, or None.

    Directly, or (tractor since 2025-08) through its function that switches the tracker off.
    """
    for node in module.body:
        match node:
            case ast.ImportFrom("multiprocessing.shared_memory", names):
                if any((name.name, name.asname) == ("SharedMemory", None) for name in names):
                    return node
            case ast.Assign() if ast.unparse(node) == "SharedMemory = disable_mantracker()":
                return node
    return None


def install(module: ModuleType, changes: Changes) -> None:
    stock, ours = module.SharedMemory, SharedMemory
    bound = partial(ours, *stock.args, **stock.keywords) if isinstance(stock, partial) else ours
    changes.set(module, "SharedMemory", bound)
    if hasattr(module, "shm_unlink"):
        changes.set(module, "shm_unlink", shm_unlink)
    if hasattr(module, "ShmList"):
        # the class stays upstream's, whose own `super()` calls go by its bases
        before = module.ShmList.__bases__
        module.ShmList.__bases__ = tuple(
            ShareableList if issubclass(ShareableList, base) else base for base in before
        )
        changes.on_revert(partial(setattr, module.ShmList, "__bases__", before))
    if (leave := registry.join()) is not None:
        changes.on_revert(leave)
    observer = partial(_note_race, changes)
    observers.append(observer)
    changes.on_revert(partial(observers.remove, observer))


def _note_race(changes: Changes, key: str, count: int) -> None:
    changes.note(
        "shared memory teardown races",
        f"{count}, last at {key!r}: it was gone already when this process unlinked it",
    )


def repro() -> None:
    module = upstream()
    key = f"macfix.repro.{os.getpid()}.".ljust(60, "x")
    segment = module.SharedMemory(name=key, create=True, size=4)
    try:
        assert segment.name == key, f"the segment {key!r} calls itself {segment.name!r}"
        assert segment.size == 4, f"a segment of 4 bytes says that it has {segment.size}"
    finally:
        segment.close()
        module.shm_unlink(segment.name)
