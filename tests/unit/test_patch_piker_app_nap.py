"""piker-app-nap: what Foundation is told, by a stand-in for it that ctypes calls for real."""

from __future__ import annotations

import ctypes
import logging
from ctypes import CFUNCTYPE, c_char_p, c_uint64, c_void_p
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes, Source
from macfix.patches.piker import app_nap as patch

EXEC = "def run_qtractor(chart):\n    return chart()\n"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (EXEC, "needed"),
        (EXEC.replace("run_qtractor", "run_qtrio"), "not needed"),
        (EXEC + "appnope.nope()", "not needed"),
    ],
)
def test_a_chart_that_may_nap_is_known_by_its_function(text: str, state: str) -> None:
    assert patch.diagnose(Source("piker.ui._exec", "<test>", text.encode())).state == state


class Foundation:
    """The Objective-C runtime: objects are numbers, what they are told is kept."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.told: list[tuple[Any, ...]] = []
        self.classes = {b"NSString", b"NSProcessInfo"}
        self.objc_getClass = CFUNCTYPE(c_void_p, c_char_p)(self.find_class)
        self.sel_registerName = CFUNCTYPE(c_void_p, c_char_p)(self.number)
        self.objc_msgSend = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_uint64, c_void_p)(self.tell)

    def number(self, name: bytes) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name) + 1

    def find_class(self, name: bytes) -> int | None:
        return self.number(name) if name in self.classes else None

    def tell(self, receiver: int | None, selector: int, first: int, second: int) -> int | None:
        what = self.names[selector - 1]
        if receiver is None:
            return None
        who = self.names[receiver - 1]
        match what:
            case b"stringWithUTF8String:":
                self.told.append((who, what, ctypes.string_at(first)))
                return self.number(b"the reason")
            case b"processInfo":
                return self.number(b"this process")
            case b"beginActivityWithOptions:reason:":
                self.told.append((who, what, first, self.names[second - 1]))
                return self.number(b"the activity")
            case b"endActivity:":
                self.told.append((who, what, self.names[first - 1]))
            case _:
                self.told.append((who, what))
                return receiver
        return None


@pytest.fixture
def foundation(monkeypatch: pytest.MonkeyPatch) -> Foundation:
    made = Foundation()
    libraries = dict.fromkeys(patch.LIBRARIES, made)
    monkeypatch.setattr(ctypes, "CDLL", libraries.__getitem__)
    return made


@pytest.fixture
def module() -> Any:
    made, changes = ModuleType("piker.ui._exec"), Changes()
    exec(EXEC, vars(made))
    patch.install(made, changes)
    yield made
    assert changes.revert() == []


BEGUN = [
    (b"NSString", b"stringWithUTF8String:", b"piker shows a market as it moves"),
    (b"this process", b"beginActivityWithOptions:reason:", 0xEFFFFF, b"the reason"),
    (b"the activity", b"retain"),
]
ENDED = [(b"this process", b"endActivity:", b"the activity"), (b"the activity", b"release")]


def test_the_activity_lasts_as_long_as_the_chart(foundation: Foundation, module: Any) -> None:
    assert module.run_qtractor(lambda: list(foundation.told)) == BEGUN
    assert foundation.told == BEGUN + ENDED


def test_it_ends_with_a_chart_that_fails(foundation: Foundation, module: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        module.run_qtractor(lambda: 1 / 0)
    assert foundation.told == BEGUN + ENDED


@pytest.mark.parametrize("lacking", ["library", "class", "function"])
def test_a_mac_without_it_shows_its_chart(
    foundation: Foundation,
    module: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lacking: str,
) -> None:
    match lacking:
        case "library":
            monkeypatch.undo()  # as on Linux
            monkeypatch.setattr(patch, "LIBRARIES", ("/no/such/library", "/nor/this"))
        case "class":
            foundation.classes.remove(b"NSProcessInfo")
        case "function":
            del foundation.objc_msgSend
    with caplog.at_level(logging.DEBUG, "macfix.piker"):
        assert module.run_qtractor(lambda: "shown") == "shown"
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert ENDED[0] not in foundation.told
