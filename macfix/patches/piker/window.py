"""piker's window opens as small as Qt allows on a Mac: only Windows is given a size.

Problem:
    `run_qtractor()` sizes the window `if is_windows`, and expects a tiling window manager
    elsewhere. macOS has none.

Fix:
    The window gets the size there that Windows gives it: two thirds of the screen each way.

Repro:
    Look whether the window is sized.

Upstream:
    Not reported. Nobody has run this on a Mac: the window was 200 x 100 on Linux without a window
    manager.

Remove when:
    piker sizes its window on macOS.
"""

from __future__ import annotations

import ast
from importlib import import_module
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import around, calls, has_constant, is_code

FLAG = "is_windows"


def diagnose(source: Source) -> Diagnosis:
    sizing = calls(source.tree, "configure_to_desktop")
    if not sizing:
        return not_needed("it sizes no window on any system")
    tests = [node.test for node in around(source.tree, sizing[0]) if isinstance(node, ast.If)]
    if not tests or has_constant(source.tree, "Darwin"):
        return not_needed(f"line {sizing[0].lineno} sizes the window on macOS, too")
    if len(tests) != 1 or not is_code(tests[0], FLAG):
        return unknown(f"line {sizing[0].lineno} sizes the window on some systems only")
    return needed(f"line {sizing[0].lineno} sizes the window on Windows only")


def install(module: ModuleType, changes: Changes) -> None:
    changes.set(module, FLAG, True)  # asked for the size only once the module has been imported


def repro() -> None:
    target = import_module("piker.ui._exec")
    assert getattr(target, FLAG), "the window is not sized"
