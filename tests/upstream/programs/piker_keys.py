"""Press every key of piker's as Qt makes it on a Mac, and print what piker's own handlers do.

piker_keys.py

The events go through piker's real relay to its real handlers; what these handlers act on are mocks,
which note what is called. On macOS Qt calls the Command key Control, and the Control key Meta; the
text of an event with either of them is empty (`qnsview_keys.mm` of Qt 5.15).

Output: JSON, a list of [where, keys, what happens].
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from unittest.mock import MagicMock

import trio
from PyQt5.QtCore import QEvent, Qt
from PyQt5.QtGui import QKeyEvent

MODIFIERS = {"Control": Qt.MetaModifier, "Command": Qt.ControlModifier, "Shift": Qt.ShiftModifier}

KEYS = {
    **{letter: getattr(Qt, f"Key_{letter}") for letter in "ACDFHJKLPRQSU"},
    "Space": Qt.Key_Space,
    "Esc": Qt.Key_Escape,
    "delete": Qt.Key_Backspace,
    "fn-delete": Qt.Key_Delete,
    "Return": Qt.Key_Return,
    "up": Qt.Key_Up,
    "down": Qt.Key_Down,
}

CHART = "the chart"
SEARCH = "the search"
FIELD = "a field of a form"

PRESSED = {
    CHART: (
        *("Control-L", "Command-L", "Control-Space", "Control-C", "Command-C", "Esc"),
        *("F", "Control-F", "Command-F", "D", "Control-D", "Command-D", "A"),
        *("Control-A", "C", "delete", "fn-delete", "R"),
    ),
    SEARCH: (
        *("Control-C", "Command-C", "Control-Space", "Control-L", "Control-D", "Control-U"),
        *("Control-J", "Control-down", "Control-K", "Control-up", "Command-J", "Return"),
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
    *held, key = keys.split("-") if keys != "fn-delete" else [keys]
    modifiers = Qt.KeyboardModifiers()
    for name in held:
        modifiers |= MODIFIERS[name]
    text = key.lower() if len(key) == 1 and not held else ""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handler, receive)
        await trio.testing.wait_all_tasks_blocked()
        for mock in effects.values():
            mock.reset_mock()
        for kind in (QEvent.KeyPress, QEvent.KeyRelease):
            relay.eventFilter(None, QKeyEvent(kind, KEYS[key], modifiers, text))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    done = [said(effect, mock) for effect, mock in effects.items() if mock.called]
    return "; ".join(done) or "nothing"


def said(effect: str, mock: MagicMock) -> str:
    positional, named = mock.call_args
    return effect.format(*positional, **named)


def chart() -> tuple[Handler, dict[str, MagicMock]]:
    module = import_module("piker.ui._interaction")
    view = MagicMock(name="view")
    order_mode = view.order_mode
    view.state = {"mouseMode": module.ViewBox.PanMode}
    handler = module.handle_viewmode_kb_inputs
    known = {"view": view, "order_mode": order_mode, "dss": {}}
    return _with(handler, known), {
        "the search opens": view._chart.linked.godwidget.search.focus,
        "the selection is cleared": view.select_box.clear,
        "orders under the cursor are cancelled": order_mode.cancel_orders_under_cursor,
        "a {trigger_type} {0} is staged": order_mode.stage_order,
        "the view is reset": view._viz.default_view,
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
