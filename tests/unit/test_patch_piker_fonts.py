"""piker-fonts: sizes on a Mac's screens, on stand-ins for Qt and for piker's class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from macfix import Changes, Source
from macfix.patches.piker import fonts as patch

STYLE = """
class DpiAwareFont:
    def __init__(self, name='Hack', inches=0.0916, font_size=None):
        self._qfont = QtGui.QFont(name)
        self._inches, self._font_size, self._screen = inches, font_size, None

    @property
    def screen(self):
        self._screen = self._screen or main_window()
        return self._screen

    def scale(self):
        return self.screen.logicalDotsPerInch() / self.screen.physicalDotsPerInch()

    def configure_to_dpi(self, screen=None):
        if self._font_size is not None:
            self.px_size = self._font_size
            return
        screen = screen or self.screen
        smaller = min(screen.physicalDotsPerInch(), screen.logicalDotsPerInch())
        self.px_size = math.floor(self._inches * smaller)
        self.where = screen.name()
"""

OLDER = STYLE.replace("(self, screen=None)", "(self, screen)").replace("@property", "@later")


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (STYLE, "needed"),
        (OLDER, "needed"),
        (STYLE.replace("DpiAwareFont", "Font"), "not needed"),
        (STYLE.replace("logicalDots", "physicalDots"), "not needed"),
        (STYLE + "if platform.system() == 'Darwin': pass", "not needed"),
        (STYLE.replace("'Hack'", "'Menlo'"), "not needed"),
        (STYLE.replace("physicalDots", "dots"), "unknown"),
        (STYLE.replace("'Hack'", "None"), "unknown"),
    ],
)
def test_the_dpi_that_is_taken_decides(text: str, state: str) -> None:
    assert patch.diagnose(Source("piker.ui._style", "<test>", text.encode())).state == state


@dataclass
class Screen:
    """Qt's, on a Mac."""

    physical: float

    def name(self) -> str:
        return "Color LCD"

    def logicalDotsPerInch(self) -> float:  # noqa: N802
        return 72.0

    def physicalDotsPerInch(self) -> float:  # noqa: N802
        return self.physical


class QFont:
    """Qt's: what takes the place of a font that is not there is known to all."""

    instead: ClassVar[dict[str, str]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def insertSubstitution(cls, name: str, other: str) -> None:  # noqa: N802
        cls.instead[name] = other

    @classmethod
    def removeSubstitutions(cls, name: str) -> None:  # noqa: N802
        del cls.instead[name]


def made(text: str, screen: Screen) -> Any:
    module = ModuleType("piker.ui._style")
    names = {"math": math, "QtGui": SimpleNamespace(QFont=QFont), "main_window": lambda: screen}
    vars(module).update(names, later=lambda function: function)
    exec(text, vars(module))
    return module


SCREENS = {
    "MacBook": (127.0, 11),
    "MacBook, more space": (151.0, 13),
    "5K of 27 inches": (109.0, 11),
    "full HD of 24 inches": (92.0, 11),
    "projector": (30.0, 11),
}


@pytest.fixture(params=SCREENS, ids=str)
def screen(request: pytest.FixtureRequest) -> Iterator[tuple[Screen, int]]:
    physical, pixels = SCREENS[request.param]
    yield Screen(physical), pixels
    assert QFont.instead == {}


def test_text_is_as_high_as_in_inches_and_never_less_than_on_a_macbook(
    screen: tuple[Screen, int],
) -> None:
    device, pixels = screen
    module, changes = made(STYLE, device), Changes()
    font, given = module.DpiAwareFont(), module.DpiAwareFont()
    font.configure_to_dpi()
    assert font.px_size <= 6
    patch.install(module, changes)
    font.configure_to_dpi()
    given.configure_to_dpi(screen=device)
    assert (font.px_size, given.px_size, font.where) == (pixels, pixels, "Color LCD")
    assert font.scale() == 1
    assert QFont.instead == {"Hack": "Menlo"}
    assert changes.revert() == []
    font.configure_to_dpi()
    assert font.px_size <= 6 and font.scale() != 1


def test_an_older_piker_that_gives_its_screen_gets_the_same(screen: tuple[Screen, int]) -> None:
    device, pixels = screen
    module, changes = made(OLDER.replace("    @later", ""), device), Changes()
    del module.DpiAwareFont.screen
    patch.install(module, changes)
    font = module.DpiAwareFont()
    font.configure_to_dpi(device)
    assert font.px_size == pixels
    assert changes.revert() == []


def test_a_users_own_size_stays_and_needs_no_screen() -> None:
    module, changes = made(STYLE, Screen(127)), Changes()
    module.main_window = None
    patch.install(module, changes)
    font = module.DpiAwareFont(font_size=17)
    font.configure_to_dpi()
    assert font.px_size == 17
    assert changes.revert() == []
