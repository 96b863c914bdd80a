"""A chart with many markets needs more open files than macOS allows a process.

Problem:
    Each market takes three segments a time frame, and each segment, as each socket, is a file.
    macOS gives a process 256: `Too many open files`.

Fix:
    When tractor is imported, hence in every actor, `pikerd` and the root included, the soft limit
    is raised to what the kernel allows, and `macfix status` says from how many to how many.

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
from importlib import import_module
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed
from macfix.darwin.limits import allowed_open_files, raise_open_files
from macfix.engine.syntax import calls


def diagnose(source: Source) -> Diagnosis:
    if calls(source.tree, "setrlimit"):
        return not_needed("it sets a limit itself")
    return needed("each segment and each socket is a file, and it does not raise the limit of them")


def install(module: ModuleType, changes: Changes) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    outcome = raise_open_files()
    if outcome.after != outcome.before:  # else it was another target's import that raised it
        changes.note("open files", str(outcome))
        changes.on_revert(
            partial(resource.setrlimit, resource.RLIMIT_NOFILE, (outcome.before, hard))
        )


def repro() -> None:
    import_module("tractor")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = allowed_open_files()
    enough = soft == resource.RLIM_INFINITY or soft >= allowed
    assert enough, f"{soft} files may be open where {allowed} are allowed"
