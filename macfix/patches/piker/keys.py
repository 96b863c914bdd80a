"""piker's Control keys do nothing on a Mac, or something else: they listen to Command.

Problem:
    Qt swaps two keys on macOS: what it calls Control is Command, and Control is its Meta. Ctrl-L
    and Ctrl-Space do not search, Ctrl-C does not close, and Ctrl-F stages a dark order in place of
    a live one. Ctrl-up and Ctrl-down move nothing: an arrow is a key of the keypad there, too. The
    key that a Mac calls delete is Qt's Backspace, and cancels no order.

Fix:
    piker's handlers are told Control for Control as well as for Command, nothing of the keypad, and
    Delete for Backspace.
    Text fields get Qt's own events: Cmd-C, Cmd-V and Backspace do there what they always do. (Qt's
    `AA_MacDontSwapCtrlAndMeta` would take Cmd-C and Cmd-V from them.)

Repro:
    The event of Control-up as Qt makes it on a Mac: piker must be told Control.

Upstream:
    Not reported. Nobody has run this on a Mac: what Qt makes of keys was read
    (`src/plugins/platforms/cocoa/qcocoakeymapper.mm` of Qt 5.15, `swapModifiersIfNeeded`), and
    that it counts arrows among the keypad's (`KeypadModifier` in its documentation).

Remove when:
    piker itself asks for a Mac's modifiers, and no older one is in use any more.
"""

from __future__ import annotations

import ast
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function, mentions

METHOD = "eventFilter"


def diagnose(source: Source) -> Diagnosis:
    classes = [node for node in source.tree.body if isinstance(node, ast.ClassDef)]
    filters = [found for one in classes if (found := function(one, METHOD)) is not None]
    if not filters:
        return not_needed(f"it has no {METHOD}()")
    questions = calls(filters[0], "modifiers")
    if len(filters) > 1 or len(questions) != 1 or len(calls(filters[0], "key")) != 1:
        return unknown(f"{METHOD}() does not just ask for an event's key and modifiers")
    if mentions(source.tree, "MetaModifier") or mentions(source.tree, "platform"):
        return unknown(f"{METHOD}() knows a Mac's modifiers")
    return needed(f"line {questions[0].lineno} takes Command for Control")


def install(module: ModuleType, changes: Changes) -> None:
    for value in list(vars(module).values()):
        if (
            isinstance(value, type)
            and METHOD in vars(value)
            and value.__module__ == module.__name__
        ):
            changes.wrap(value, METHOD, _event_filter)


def _event_filter(wrapped: Wrapped, relay: Any, args: Args, kwargs: Kwargs) -> Any:
    _, event = args
    if not hasattr(event, "modifiers") or not hasattr(event, "key"):
        return wrapped(*args, **kwargs)
    qt = import_module("PyQt5.QtCore").Qt
    key, modifiers = event.key(), event.modifiers() & ~qt.KeypadModifier
    if modifiers & qt.MetaModifier:
        modifiers = modifiers & ~qt.MetaModifier | qt.ControlModifier
    # the event itself goes on to the widget, and as Qt has made it
    event.key = lambda: qt.Key_Delete if key == qt.Key_Backspace else key
    event.modifiers = lambda: modifiers
    try:
        return wrapped(*args, **kwargs)
    finally:
        del event.key, event.modifiers


def repro() -> None:
    core, gui = import_module("PyQt5.QtCore"), import_module("PyQt5.QtGui")
    told: list[Any] = []
    relay = import_module("piker.ui._event").EventRelay()
    relay._event_types = {core.QEvent.KeyPress}
    relay._send_chan = SimpleNamespace(send_nowait=told.append)
    qt = core.Qt
    pressed = qt.MetaModifier | qt.KeypadModifier
    relay.eventFilter(None, gui.QKeyEvent(core.QEvent.KeyPress, qt.Key_Up, pressed))
    assert told[0].mods == qt.ControlModifier, f"the modifiers are {int(told[0].mods):#x}"
