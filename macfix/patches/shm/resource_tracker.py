"""`multiprocessing` cannot spawn once tractor's shared memory is imported, and macOS spawns.

Problem:
    So that its segments are not tracked, upstream replaces the process's resource tracker by one
    that never runs. A spawned process inherits the tracker's descriptor, now None: `Process`,
    `Pool` and `Manager` die of `TypeError`. Linux forks by default and does not notice. And the
    program's own `SharedMemory`, of the standard library, stays when the program is killed.

Fix:
    The tracker that was there before is put back, and upstream's segments, which `shm-names` makes
    macfix's, have `track=False` as their default.

Repro:
    Spawn a process.

Upstream:
    https://github.com/goodboy/tractor/commit/5021514a (2025-08-18): before Python 3.13 only
    https://github.com/goodboy/tractor/commit/0b6a7aa1 (2026-06-09): on every Python again

Remove when:
    Upstream passes `track=False`, also for its lists, and leaves the tracker alone.
"""

from __future__ import annotations

import ast
import sys
from functools import partialmethod
from multiprocessing import get_context, resource_tracker
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.segments.shared_memory import SharedMemory
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import around, has_constant, imports_from, nodes

from ._repro import upstream

_STARTING = ("_resource_tracker", "ensure_running", "getfd")
_TRACKING = ("register", "unregister")


def _current() -> dict[str, Any]:
    """Return the tracker in use; a new one if an upstream that nobody patched has replaced it."""
    owner: Any = resource_tracker
    if type(owner._resource_tracker).__name__ == "ManTracker":
        owner = resource_tracker.ResourceTracker()
    return {name: getattr(owner, name, owner) for name in (*_STARTING, *_TRACKING)}


_before = _current()  # a patch is loaded before its target is executed


def diagnose(source: Source) -> Diagnosis:
    imports = imports_from(source.tree, "multiprocessing")
    if not any(name.name == "resource_tracker" for node in imports for name in node.names):
        return not_needed("it leaves the resource tracker alone")
    functions = nodes(source.tree, ast.FunctionDef)
    method = next((node for node in functions if node.name == "ensure_running"), None)
    if method is None or not isinstance(method.body[0], ast.Pass):
        return unknown("what it does with the resource tracker is new")
    conditions = [node.test for node in around(source.tree, method) if isinstance(node, ast.If)]
    if sys.version_info >= (3, 13) and any(has_constant(test, "13") for test in conditions):
        return not_needed("it replaces the resource tracker before Python 3.13 only")
    return needed(f"the resource tracker of line {method.lineno} never runs")


def install(module: ModuleType, changes: Changes) -> None:
    used = getattr(module, "SharedMemory", SharedMemory)
    tracking = _TRACKING if issubclass(used, SharedMemory) else ()  # without shm-names: none
    changes.set(SharedMemory, "__init__", partialmethod(SharedMemory.__init__, track=False))
    for name in (*_STARTING, *tracking):
        changes.set(resource_tracker, name, _before[name])
    if hasattr(module, "disable_mantracker"):
        changes.wrap(module, "disable_mantracker", _keeping_the_tracker)


def _keeping_the_tracker(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    before = _current()
    result = wrapped(*args, **kwargs)
    for name, value in before.items():
        setattr(resource_tracker, name, value)
    return result


def repro() -> None:
    upstream()
    process = get_context("spawn").Process(target=int)
    process.start()
    process.join()
    assert process.exitcode == 0, f"a spawned process ended with {process.exitcode}"
