"""The second process to destroy an array crashes with `FileNotFoundError`, half-way.

Problem:
    An array is unlinked by each process that destroys it, and again when the actor ends. The
    second one meets `FileNotFoundError`, and because it is raised in the middle, what comes after
    it (both indexes, the rest of the actor's lifetime stack) is never unlinked at all.

Fix:
    Unlinking what is gone already is a warning that names the key, in the module's own log, as
    upstream's own fix has it. (`shm-names` counts them.)

Repro:
    Unlink a segment, then destroy it through `ShmArray`.

Upstream:
    https://github.com/goodboy/tractor/commit/1b76d1e1 (2026-02-27) for arrays;
    https://github.com/pikers/piker/commit/1b38628b (2022-05-24) for piker's indexes

Remove when:
    Every unlink of upstream's tolerates that the segment is gone.
"""

from __future__ import annotations

import ast
import logging
from functools import partial
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, guarded_by_except

from ._repro import KEY, upstream


def diagnose(source: Source) -> Diagnosis:
    if not calls(source.tree, "shm_unlink"):
        return not_needed("it unlinks nothing")
    careless = sorted(_careless(source.tree))
    if not careless:
        return not_needed("every unlink stands in a try")
    lines = ", ".join(str(line) for line in careless)
    return needed(f"line {lines} crashes on what is unlinked already")


def _careless(tree: ast.Module) -> set[int]:
    """Return the lines that unlink, or have the lifetime stack unlink, without a safeguard."""
    called = {
        call.lineno for call in calls(tree, "shm_unlink") if not guarded_by_except(tree, call)
    }
    handed_over = {
        argument.lineno
        for call in calls(tree, "callback")
        for argument in call.args
        if isinstance(argument, ast.Attribute) and argument.attr == "unlink"
    }
    return called | handed_over


def install(module: ModuleType, changes: Changes) -> None:
    report = partial(_report, module)

    def tolerant(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> None:
        try:
            wrapped(*args, **kwargs)
        except FileNotFoundError:
            report(*args, *kwargs.values())

    def tolerant_list(wrapped: Wrapped, instance: Any, args: Args, kwargs: Kwargs) -> None:
        wrapped(*args, **kwargs)
        if hasattr(instance.shm, "on_missing"):
            instance.shm.on_missing = report

    if hasattr(module, "shm_unlink"):
        changes.wrap(module, "shm_unlink", tolerant)
    if hasattr(module, "ShmList"):
        changes.wrap(module.ShmList, "__init__", tolerant_list)


def _report(module: ModuleType, key: str) -> None:
    log = getattr(module, "log", None) or logging.getLogger(module.__name__)
    log.warning(
        f"the shared memory of {key!r} is already unlinked: by another process, or it was "
        f"destroyed twice"
    )


def repro() -> None:
    module = upstream()
    module.SharedMemory(name=KEY, create=True, size=64).close()
    module.shm_unlink(KEY)
    module.shm_unlink(KEY)
