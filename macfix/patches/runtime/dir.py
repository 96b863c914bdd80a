"""The directory for sockets is missing, too long for macOS, or unsafe.

Problem:
    `get_rt_dir()` is where all sockets of the default bindspace go. First it was below
    `XDG_RUNTIME_DIR`, which macOS does not set; from 2026-03-08 it is the runtime directory of
    `platformdirs`, on macOS `~/Library/Caches/TemporaryItems/tractor`, which takes up most of the
    104 bytes of a socket's path, and is used without a look at its owner and mode.

Fix:
    `get_rt_dir()` gives `/tmp/tractor-<uid>`, as upstream itself does since 2026-08-13: short,
    owner-only, and refused when it is a link or somebody else's. A program that runs with macfix
    and one that runs with a newer tractor meet there.

Repro:
    `get_rt_dir()`

Upstream:
    https://github.com/goodboy/tractor/pull/480 (commit 634d9141, 2026-08-13)

Remove when:
    No tractor before 2026-08-13 is in use any more.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.sockets.runtime_dir import runtime_dir
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import Function, calls, contains, function, mentions
from macfix.patches._modules import first_module

OWN_FOLDER = "tractor"
"""What the oldest `get_rt_dir()` takes for a subdir: the folder that is tractor's own."""


def diagnose(source: Source) -> Diagnosis:
    get_rt_dir = function(source.tree, "get_rt_dir")
    if get_rt_dir is None:
        return not_needed("it has no get_rt_dir()")
    if contains(get_rt_dir, "sys.platform == 'darwin'"):
        if _looks_at_owner(source, get_rt_dir):
            return not_needed("it has a short folder on macOS, and looks at its owner")
        return unknown("it has a folder of its own on macOS, and whose it is does not matter")
    if contains(get_rt_dir, "_rtdir / subdir"):
        return needed(f"line {get_rt_dir.lineno}: get_rt_dir() is below XDG_RUNTIME_DIR")
    if calls(get_rt_dir, "user_runtime_dir"):
        return needed(f"line {get_rt_dir.lineno}: get_rt_dir() is what platformdirs says")
    return unknown("where its get_rt_dir() is, is not known")


def _looks_at_owner(source: Source, get_rt_dir: Function) -> bool:
    called = {node.id for node in ast.walk(get_rt_dir) if isinstance(node, ast.Name)}
    bodies = [get_rt_dir, *filter(None, (function(source.tree, name) for name in called))]
    return any(calls(body, "lstat") and mentions(body, "st_uid") for body in bodies)


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module, "get_rt_dir", _short_and_private)


def _short_and_private(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Path:
    bound = inspect.signature(wrapped).bind(*args, **kwargs)
    bound.apply_defaults()
    appname = bound.arguments.get("appname", OWN_FOLDER)
    subdir = bound.arguments["subdir"]
    return runtime_dir(appname, None if subdir == OWN_FOLDER else subdir)


def repro() -> None:
    seen = first_module("tractor.runtime._state", "tractor._state").get_rt_dir()
    assert seen == runtime_dir(), f"sockets go to {seen}, not to {runtime_dir()}"
