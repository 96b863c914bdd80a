"""A chart with many markets needs more files than macOS gives it.

Problem:
    Each market takes three segments a time frame, and each segment, as each socket, is a file.
    macOS gives a process 256: `Too many open files`.

Fix:
    When a module that shares arrays is imported, the soft limit is raised to what the kernel
    allows, and the ledger says to how many. Children inherit it.

Repro:
    Look at the limit.

Upstream:
    https://github.com/pikers/piker/commit/55772efb (2022-06-03) tries three times instead

Remove when:
    Upstream raises the limit itself.
"""

from __future__ import annotations

import resource
from functools import partial
from types import ModuleType

from macfix.engine import Changes, Patch, Source, Verdict, hookimpl, needed, not_needed

from . import _shm
from ._shapes import calls


def _needed(source: Source) -> Verdict:
    if calls(source.tree, "setrlimit"):
        return not_needed("it sets a limit itself")
    if not calls(source.tree, "SharedMemory"):
        return not_needed("it opens no shared memory")
    return needed("each of its segments is a file, and it does not raise the limit of open files")


def _install(module: ModuleType, changes: Changes) -> None:
    from macfix.darwin.limits import raise_open_files
    from macfix.engine._activate import note

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    outcome = raise_open_files()
    note("open files", str(outcome))
    if outcome.after != outcome.before:
        changes.on_revert(
            partial(resource.setrlimit, resource.RLIMIT_NOFILE, (outcome.before, hard))
        )


def _repro() -> None:
    from macfix.darwin.limits import allowed_open_files

    _shm.upstream()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = allowed_open_files()
    enough = soft == resource.RLIM_INFINITY or soft >= allowed
    assert enough, f"{soft} files may be open where {allowed} are allowed"


PATCH = Patch(
    name="shm-open-files",
    targets=_shm.TARGETS,
    summary="a chart with many markets needs more files than macOS gives a process",
    upstream="https://github.com/pikers/piker/commit/55772efb",
    remove_when="upstream raises the limit of open files itself",
    needed=_needed,
    install=_install,
    repro=_repro,
)


@hookimpl
def macfix_patches() -> list[Patch]:
    return [PATCH]
