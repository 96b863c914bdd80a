"""Show an empty window of piker's own, as its chart's is made, and print how it looks as JSON."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import Any

import trio
from piker.ui import _exec, _style, _window
from PyQt5 import QtWidgets


class Widget(QtWidgets.QWidget):
    def on_win_resize(self, event: object) -> None:
        """What the window tells its widget."""


@asynccontextmanager
async def no_actors(**_: object) -> Any:
    yield


async def look(widget: Widget) -> None:
    screen = QtWidgets.QApplication.instance().primaryScreen()
    await trio.sleep(0.1)  # until Qt has shown the window
    window = _window.main_window()
    answer = {
        "logical": screen.logicalDotsPerInch(),
        "text": [_style._font.px_size, _style._font_small.px_size],
        "shares": [
            round(window.width() / screen.geometry().width(), 2),
            round(window.height() / screen.geometry().height(), 2),
        ],
    }
    print(json.dumps(answer))
    window.close()


_exec.maybe_open_pikerd = no_actors
_exec.run_qtractor(look, (), Widget, {})
