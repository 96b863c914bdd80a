"""Press every key of piker's as Qt makes it on a Mac, and print what piker's own handlers do.

piker_keys.py

The events go through piker's real relay to its real handlers; what these handlers act on are mocks,
which note what is called. On macOS Qt calls the Command key Control, and the Control key Meta; the
text of an event with either of them is empty (`qnsview_keys.mm` of Qt 5.15), and an arrow is a key
of the keypad (`KeypadModifier` in Qt's documentation).

`S-F` is F while S is held, `C, C` one after the other.

Output: JSON, a list of [where, keys, what happens].
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import trio
from PyQt5.QtCore import QEvent, Qt
from PyQt5.QtGui import QKeyEvent

MODIFIERS = {
    "Control": Qt.MetaModifier,
    "Command": Qt.ControlModifier,
    "up": Qt.KeypadModifier,
    "down": Qt.KeypadModifier,
}

KEYS = {
    **{letter: getattr(Qt, f"Key_{letter}") for letter in "ACDFIJKLOPQRSU3"},
    "Space": Qt.Key_Space,
    "Esc": Qt.Key_Escape,
    "delete": Qt.Key_Backspace,
    "fn-delete": Qt.Key_Delete,
    "Return": Qt.Key_Return,
    "=": Qt.Key_Equal,
    "minus": Qt.Key_Minus,
    "up": Qt.Key_Up,
    "down": Qt.Key_Down,
}

CHART = "the chart"
SEARCH = "the search"
FIELD = "a field of a form"

PRESSED = {
    CHART: (
        *("Control-L", "Command-L", "Control-Space", "Control-C", "Command-C", "Esc"),
        *("F", "Control-F", "Command-F", "S-F", "D", "Control-D", "Command-D", "S-D", "A"),
        *("Control-A", "S-3", "O-3", "C", "C, C", "delete", "fn-delete"),
        *("R", "Control-R", "Command-R", "Control-=", "Command-=", "Control-I"),
        *("Control-minus", "Command-minus", "Control-O", "Q", "Control-P"),
    ),
    SEARCH: (
        *("Control-C", "Command-C", "Control-Space", "Control-L", "Control-D", "Control-U"),
        *("Control-J", "Control-down", "Control-K", "Control-up", "Command-J", "Command-down"),
        "Return",
    ),
    FIELD: ("Control-C", "Command-C", "Control-Space", "Return"),
}

Handler = Callable[[Any], Awaitable[None]]


def main() -> None:
    rows = [
        (where, keys, trio.run(happens, where, keys))
        for where in PRESSED
        for keys in PRESSED[where]
    ]
    print(json.dumps(rows))


async def happens(where: str, keys: str) -> str:
    """Press and let go of `keys` at `where`; return what piker did."""
    handler, effects = {CHART: chart, SEARCH: search, FIELD: field}[where]()
    event_module = import_module("piker.ui._event")
    relay = event_module.EventRelay()
    relay._event_types = {QEvent.KeyPress, QEvent.KeyRelease}
    relay._send_chan, receive = trio.open_memory_channel(16)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handler, receive)
        await trio.testing.wait_all_tasks_blocked()
        for mock in effects.values():
            mock.reset_mock()
        for chord in keys.split(", "):
            for event in events(chord):
                relay.eventFilter(None, event)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    done = [said(effect, mock) for effect, mock in effects.items() if mock.called]
    return "; ".join(done) or "nothing"


def events(chord: str) -> list[QKeyEvent]:
    """Return what Qt makes of keys that are pressed in this order, and let go of in the other."""
    names = [chord] if chord in KEYS else chord.split("-")
    modifiers = Qt.KeyboardModifiers()
    for name in names:
        modifiers |= MODIFIERS.get(name, Qt.NoModifier)
    keys = [name for name in names if name in KEYS]
    texts = ["" if modifiers or len(key) > 1 else key.lower() for key in keys]
    pressed = list(zip(keys, texts, strict=True))
    return [
        QKeyEvent(kind, KEYS[key], modifiers, text)
        for kind, some in ((QEvent.KeyPress, pressed), (QEvent.KeyRelease, pressed[::-1]))
        for key, text in some
    ]


def said(effect: str, mock: MagicMock) -> str:
    positional, named = mock.call_args
    return effect.format(*positional, **named)


def chart() -> tuple[Handler, dict[str, MagicMock]]:
    module = import_module("piker.ui._interaction")
    view = MagicMock(name="view")
    order_mode = view.order_mode
    view.state = {"mouseMode": module.ViewBox.PanMode}
    view.def_delta = 1
    handler = module.handle_viewmode_kb_inputs
    shown, pane = MagicMock(), order_mode.pane
    known = {"view": view, "order_mode": order_mode, "dss": {"a market": shown}}
    import_module("tractor").pause = AsyncMock()
    asked = MagicMock()
    type(view.linked.cursor).in_query_mode = property(fset=lambda _, on: on and asked())
    return _with(handler, known), {
        "the search opens": view._chart.linked.godwidget.search.focus,
        "the selection is cleared": view.select_box.clear,
        "orders under the cursor are cancelled": order_mode.cancel_orders_under_cursor,
        "all orders are cancelled": order_mode.cancel_all_orders,
        "a {trigger_type} {0} is staged": order_mode.stage_order,
        "{1} {0}": pane.on_ui_settings_change,
        "the view is reset": view._viz.default_view,
        "what is shown is drawn anew": shown.viz.reset_graphics,
        "zoom by {delta}": view.wheelEvent,
        "prices are asked for while it is held": asked,
        "the debugger stops the chart": import_module("tractor").pause,
        "the side panes are shown or hidden": order_mode.godw.rt_linked.chart.qframe.sidepane.show,
    }


def search() -> tuple[Handler, dict[str, MagicMock]]:
    module = import_module("piker.ui._search")
    bar = MagicMock(name="searchbar")
    widget, view = bar.parent(), bar.view

    async def chart_current_item(**how: object) -> None:
        shown(**how)

    async def fill_results(*_: object) -> None:
        pass

    shown = MagicMock()
    widget.chart_current_item = chart_current_item
    module.fill_results = fill_results
    view.select_next().parent().text.return_value = "not the cache"
    view.select_previous().parent().text.return_value = "not the cache"
    return _with(module.handle_keyboard_input, {"searchbar": bar}), {
        "the search closes": bar.unfocus,
        "its text is selected": bar.focus,
        "the next section {direction}": view.next_section,
        "the next result": view.select_next,
        "the result before": view.select_previous,
        "the market is shown": shown,
    }


def field() -> tuple[Handler, dict[str, MagicMock]]:
    module = import_module("piker.ui._forms")
    module.print = lambda *_: None
    widget, changed = MagicMock(name="field"), MagicMock()
    known = {
        "widget": widget,
        "form": MagicMock(),
        "on_value_change": changed,
        "focus_next": MagicMock(),
    }
    return _with(module.handle_field_input, known), {
        "back to the chart": widget.clearFocus,
        "the value is taken": changed,
    }


def _with(handler: Callable[..., Awaitable[None]], known: dict[str, Any]) -> Handler:
    """Bind what `handler` takes beside the channel, in whichever vintage."""
    parameters = [name for name in inspect.signature(handler).parameters if name != "recv_chan"]

    async def handle(receive: Any) -> None:
        await handler(recv_chan=receive, **{name: known[name] for name in parameters})

    return handle


if __name__ == "__main__":
    import trio.testing

    sys.stdout.reconfigure(errors="replace")
    main()
