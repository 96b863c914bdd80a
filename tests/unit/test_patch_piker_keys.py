"""piker-keys: what it says of piker's event filter, and what the filter is told, without Qt."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes, Source
from macfix.patches.piker import keys as patch

EVENT = """
class KeyboardMsg: ...

class EventRelay(QtCore.QObject):
    def eventFilter(self, source, ev):
        msg = KeyboardMsg(key=ev.key(), mods=ev.modifiers(), txt=ev.text())
        return False
"""

NEEDED, FIXED, UNKNOWN = "needed", "not needed", "unknown"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (EVENT, NEEDED),
        (EVENT.replace("EventRelay", "KeyCloner"), NEEDED),
        (EVENT.replace("eventFilter", "event_filter"), FIXED),
        (EVENT.replace("ev.modifiers()", "mods"), UNKNOWN),
        (EVENT.replace("ev.key()", "key"), UNKNOWN),
        (EVENT + EVENT.replace("EventRelay", "Another"), UNKNOWN),
        (EVENT.replace("ev.text()", "ev.modifiers()"), UNKNOWN),
        (EVENT + "SWAPPED = Qt.MetaModifier\n", UNKNOWN),
        (EVENT + "IS_MAC = sys.platform == 'darwin'\n", UNKNOWN),
    ],
)
def test_the_shape_decides(text: str, state: str) -> None:
    answer = patch.diagnose(Source("piker.ui._event", "<test>", text.encode()))
    assert answer.state == state, answer.reason


class Qt:
    Key_Backspace, Key_Delete, Key_F, Key_Up = 1, 2, 3, 4
    ShiftModifier, ControlModifier, MetaModifier, KeypadModifier = 16, 32, 64, 128


SHIFT, COMMAND, CONTROL = Qt.ShiftModifier, Qt.ControlModifier, Qt.MetaModifier


class KeyEvent:
    def __init__(self, key: int, modifiers: int) -> None:
        self._key, self._modifiers = key, modifiers

    def key(self) -> int:
        return self._key

    def modifiers(self) -> int:
        return self._modifiers


class MouseEvent:
    pass


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for `piker.ui._event`, whose filter returns what it is told."""
    core: Any = ModuleType("PyQt5.QtCore")
    core.Qt = Qt
    monkeypatch.setitem(sys.modules, "PyQt5", ModuleType("PyQt5"))
    monkeypatch.setitem(sys.modules, "PyQt5.QtCore", core)
    made: Any = ModuleType("piker.ui._event")

    class EventRelay:
        def eventFilter(self, source: object, event: Any) -> object:  # noqa: N802
            if isinstance(event, MouseEvent):
                return event
            if event.key() == 0:
                raise RuntimeError("a closed channel")
            return event.key(), event.modifiers()

    EventRelay.__module__ = made.__name__
    made.EventRelay, made.QObject = EventRelay, type("QObject", (), {"eventFilter": None})
    return made


@pytest.mark.parametrize(
    ("key", "modifiers", "told"),
    [
        (Qt.Key_F, CONTROL, (Qt.Key_F, Qt.ControlModifier)),
        (Qt.Key_F, COMMAND, (Qt.Key_F, Qt.ControlModifier)),
        (Qt.Key_F, CONTROL | COMMAND, (Qt.Key_F, Qt.ControlModifier)),
        (Qt.Key_F, CONTROL | SHIFT, (Qt.Key_F, Qt.ControlModifier | SHIFT)),
        (Qt.Key_F, SHIFT, (Qt.Key_F, SHIFT)),
        (Qt.Key_Up, CONTROL | Qt.KeypadModifier, (Qt.Key_Up, Qt.ControlModifier)),
        (Qt.Key_Backspace, 0, (Qt.Key_Delete, 0)),
        (Qt.Key_Delete, 0, (Qt.Key_Delete, 0)),
    ],
)
def test_the_filter_is_told_what_a_mac_means(
    module: Any, key: int, modifiers: int, told: tuple[int, int]
) -> None:
    changes = Changes()
    patch.install(module, changes)
    event = KeyEvent(key, modifiers)
    assert module.EventRelay().eventFilter(None, event) == told
    assert (event.key(), event.modifiers()) == (key, modifiers)  # as the widget gets it
    changes.revert()
    assert module.EventRelay().eventFilter(None, event) == (key, modifiers)


def test_an_event_is_its_own_again_after_an_error(module: Any) -> None:
    patch.install(module, Changes())
    event = KeyEvent(0, CONTROL)
    with pytest.raises(RuntimeError, match="a closed channel"):
        module.EventRelay().eventFilter(None, event)
    assert event.modifiers() == CONTROL


def test_what_is_no_key_passes(module: Any) -> None:
    patch.install(module, Changes())
    event = MouseEvent()
    assert module.EventRelay().eventFilter(None, event) is event
