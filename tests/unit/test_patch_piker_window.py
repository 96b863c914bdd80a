"""piker-window: it is sized before it is shown."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

from macfix import Changes, Source
from macfix.patches.piker import window

EXEC = """
is_windows = False

def run_qtractor(window):
    if is_windows:
        window.configure_to_desktop()
    window.show()
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (EXEC, "needed"),
        (EXEC.replace("configure_to_desktop", "show"), "not needed"),
        (EXEC.replace("    if is_windows:\n    ", ""), "not needed"),
        (EXEC + "is_windows = platform.system() in ('Windows', 'Darwin')", "not needed"),
        (EXEC.replace("if is_windows", "if is_stacking(window)"), "unknown"),
        (EXEC.replace("    if is_windows", "    if window:\n     if is_windows"), "unknown"),
    ],
)
def test_a_window_sized_on_one_system_only_is_known_by_its_test(text: str, state: str) -> None:
    source = Source("piker.ui._exec", "<test>", text.encode())
    assert window.diagnose(source).state == state


def test_the_window_is_sized_before_it_is_shown() -> None:
    module, changes = ModuleType("piker.ui._exec"), Changes()
    exec(EXEC, vars(module))
    done: list[str] = []
    shown = SimpleNamespace(
        configure_to_desktop=lambda: done.append("sized"), show=lambda: done.append("shown")
    )
    vars(module)["run_qtractor"](shown)
    window.install(module, changes)
    vars(module)["run_qtractor"](shown)
    assert done == ["shown", "sized", "shown"]
    assert changes.revert() == []
    assert not vars(module)["is_windows"]
