"""piker's text is 5 or 6 pixels high on a Mac, and in another font than it was made for.

Problem:
    Fonts are sized in inches, by the smaller one of a screen's logical and physical DPI. macOS
    says 72 for the former on every screen, where a MacBook has 127 points an inch, and fields are
    as wide as the rounded ratio of the two: 0 at a high resolution. A Mac has no font "Hack".

Fix:
    The screens that a `DpiAwareFont` sees have their physical DPI as their logical one, and no less
    than a MacBook's. Menlo takes the place of Hack where that is not installed. A `font_size` or
    another `font_name` in piker's configuration stays.

Repro:
    Size a font for a MacBook's screen.

Upstream:
    Not reported. Nobody has run this on a Mac: Qt 5's side was read
    (`m_logicalDpi` in `src/plugins/platforms/cocoa/qcocoascreen.mm`).

Remove when:
    piker sizes its fonts by what macOS says.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import function, has_constant, mentions

CLASS, FUNCTION = "DpiAwareFont", "configure_to_dpi"
MACBOOK = 127.0
"""Points an inch of a MacBook's own screen, of any size, as macOS sets it up."""


def diagnose(source: Source) -> Diagnosis:
    sizing = function(source.tree, f"{CLASS}.{FUNCTION}")
    if sizing is None or not mentions(sizing, "logicalDotsPerInch"):
        return not_needed("it sizes no font by a screen's logical DPI")
    if any(has_constant(source.tree, word) for word in ("Darwin", "darwin", "Menlo")):
        return not_needed("it knows macOS")
    if not mentions(sizing, "physicalDotsPerInch") or not has_constant(source.tree, "Hack"):
        return unknown(f"{CLASS} sizes and names its fonts in an unrecognised way")
    return needed(f"line {sizing.lineno} sizes fonts by the logical DPI, which is 72 on macOS")


class _Screen(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A screen whose logical DPI are its physical ones."""

    def physicalDotsPerInch(self) -> float:  # noqa: N802
        found: float = self.__wrapped__.physicalDotsPerInch()
        return max(MACBOOK, found)

    logicalDotsPerInch = physicalDotsPerInch  # noqa: N815


def install(module: ModuleType, changes: Changes) -> None:
    fonts, qfont = getattr(module, CLASS), module.QtGui.QFont

    def configure(wrapped: Wrapped, font: Any, args: Args, kwargs: Kwargs) -> Any:
        screens = [screen and _Screen(screen) for screen in (*args, *kwargs.values())]
        return wrapped(*screens)

    changes.wrap(fonts, FUNCTION, configure)
    if own := vars(fonts).get("screen"):
        changes.set(fonts, "screen", property(lambda font: _Screen(own.fget(font))))
    qfont.insertSubstitution("Hack", "Menlo")
    changes.on_revert(lambda: qfont.removeSubstitutions("Hack"))


def repro() -> None:
    from unittest import mock  # imports asyncio

    screen = mock.Mock(**{"logicalDotsPerInch.return_value": 72.0})
    screen.physicalDotsPerInch.return_value = MACBOOK
    font = import_module("piker.ui._style").DpiAwareFont()
    font._font_size = None if isinstance(font._font_size, int) else font._font_size
    font.configure_to_dpi(screen)
    assert font.px_size > 9, f"the font has {font.px_size} pixels"
