"""Keys are longer than the names that macOS has room for, and segments larger than asked for.

Problem:
    A key becomes a segment's name as it is, and its index segments' names are longer still. XNU
    takes 30 bytes (31 on newer systems), slash included: `ENAMETOOLONG`. It rounds a segment up
    to a page, so `.size` and `.buf` are not what was asked for. It does not look past a slash:
    segments are created as `/key` and unlinked as `key`, so none is ever unlinked. And one that is
    attached before its creator has sized it is `EINVAL`, upon which the standard library unlinks
    it.

Fix:
    At the boundary: the module's `SharedMemory`, `ShareableList` and `shm_unlink` become those of
    `macfix.darwin.shared_memory`, which take any key, show it as `.name`, and are else the same.
    How upstream keeps the resource tracker out stays as it is, `track=False` included.

Repro:
    Create a segment under a key of 60 characters, look at its size, unlink it by its name.

Upstream:
    https://github.com/goodboy/tractor/commit/1b76d1e1 (2026-02-27) shortens keys, to 31
    characters and a slash, so that array and indexes share one name: see `shm-shortening`.

Remove when:
    Upstream maps every key to at most 30 bytes, keeps sizes and unlinks under the kernel's name.
"""

from __future__ import annotations

import os
from functools import partial
from types import ModuleType
from typing import Any

from macfix.engine import Changes, Patch, Source, Verdict, hookimpl, needed, not_needed, unknown

from . import _shm
from ._shapes import calls


def _needed(source: Source) -> Verdict:
    if not calls(source.tree, "SharedMemory"):
        return not_needed("it opens no shared memory")
    stock = _shm.stock_import(source.tree)
    if stock is None:
        return unknown("its SharedMemory is not the standard library's")
    return needed(f"line {getattr(stock, 'lineno', 0)} takes SharedMemory as it comes")


def _install(module: ModuleType, changes: Changes) -> None:
    from macfix.darwin import journal, races, shared_memory

    changes.set(module, "SharedMemory", _in_the_place_of(module.SharedMemory))
    if hasattr(module, "shm_unlink"):
        changes.set(module, "shm_unlink", shared_memory.shm_unlink)
    lists = getattr(module, "ShmList", None)
    if lists is not None:
        _rebase(lists, shared_memory.ShareableList, changes)
    _join_tree(changes, journal)
    if _leave_note not in races.observers:
        races.observers.append(_leave_note)
        changes.on_revert(partial(races.observers.remove, _leave_note))


def _in_the_place_of(stock: Any) -> Any:
    """Return our class, with the arguments that upstream has bound to the standard library's."""
    from macfix.darwin.shared_memory import SharedMemory

    if isinstance(stock, partial):
        return partial(SharedMemory, *stock.args, **stock.keywords)
    return SharedMemory


def _rebase(lists: type, base: type, changes: Changes) -> None:
    """Have upstream's list, whose own `super()` calls go by its bases, derive from ours."""
    before = lists.__bases__
    lists.__bases__ = tuple(base if issubclass(base, old) else old for old in before)
    changes.on_revert(partial(setattr, lists, "__bases__", before))


def _join_tree(changes: Changes, journal: Any) -> None:
    before = os.environ.get(journal.TREE_VARIABLE)
    journal.join_tree()
    if before is None and journal.TREE_VARIABLE in os.environ:
        changes.on_revert(partial(_unset, journal.TREE_VARIABLE))


def _unset(variable: str) -> None:
    os.environ.pop(variable, None)


def _leave_note(key: str, count: int) -> None:
    from macfix.engine._activate import note

    note(
        "shared memory teardown races",
        f"{count}, last at {key!r}: it was gone already when this process unlinked it",
    )


def _repro() -> None:
    module = _shm.upstream()
    key = f"macfix.repro.{os.getpid()}.".ljust(60, "x")
    segment = module.SharedMemory(name=key, create=True, size=4)
    try:
        assert segment.name == key, f"the segment {key!r} calls itself {segment.name!r}"
        assert segment.size == 4, f"a segment of 4 bytes says that it has {segment.size}"
    finally:
        segment.close()
        module.shm_unlink(segment.name)


PATCH = Patch(
    name="shm-names",
    targets=_shm.TARGETS,
    summary="keys are used as segment names, which have 30 bytes on macOS, and sizes are pages",
    upstream="https://github.com/goodboy/tractor/commit/1b76d1e1",
    remove_when="upstream maps every key to at most 30 bytes and keeps the sizes asked for",
    needed=_needed,
    install=_install,
    repro=_repro,
)


@hookimpl
def macfix_patches() -> list[Patch]:
    return [PATCH]
