"""Cmd-Q, or closing the terminal, ends piker's chart before the actors that it has started.

Problem:
    trio is a guest of Qt's loop. Closing the window interrupts trio, which ends its actors and then
    the loop. Cmd-Q, "Quit" in the Dock, log-out and shut-down have Qt leave the loop at once:
    actors and segments stay behind. Closing the terminal kills all by SIGHUP: segments stay behind.

Fix:
    The first of these interrupts trio as the window's button does, and Qt stays in its loop until
    trio ends it. Others change nothing for 10 s; then a warning says that it is slow, and the next
    interrupts that as Ctrl-C does. The actors do not get the SIGHUP.

Repro:
    Qt asks whether it may quit: trio must have ended when `run_qtractor()` returns.

Upstream:
    Not reported. Nobody has run this on a Mac: Qt 5's side was read (`canQuit` and
    `applicationShouldTerminate:` in `src/plugins/platforms/cocoa/qcocoaapplicationdelegate.mm`).

Remove when:
    piker itself ends trio on Quit and SIGHUP, and no older one is in use any more.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import nullcontext
from importlib import import_module
from types import FrameType, ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.errors import warn
from macfix.engine.syntax import calls, contains, function, imports_from

FUNCTION = "run_qtractor"
SECONDS = 10

_interrupted = float("-inf")  # when trio was


def _ends_now() -> bool:
    """Say whether to interrupt trio: once more would break off the ending of the actors."""
    global _interrupted
    now = time.monotonic()
    if now - _interrupted < SECONDS:
        return False
    _interrupted = now
    return True


def diagnose(source: Source) -> Diagnosis:
    run = function(source.tree, FUNCTION)
    if run is None:
        return not_needed(f"it has no {FUNCTION}()")
    loops = calls(run, "exec_")
    if len(loops) != 1 or not any(imports_from(source.tree, "PyQt5.QtCore")):
        return unknown(f"{FUNCTION}() does not enter the loop of Qt 5 once")
    if not contains(run, "app.quit()") or not calls(run, "start_guest_run"):
        return unknown(f"{FUNCTION}() does not have trio end the loop")
    if calls(run, "installEventFilter") or calls(run, "signal"):
        return unknown(f"{FUNCTION}() handles events or signals of its own")
    return needed(f"line {loops[0].lineno} leaves the loop whether or not trio has ended")


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module, FUNCTION, _run_qtractor)


def _run_qtractor(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    global _interrupted
    # protected: SIGINT reaches trio also where one of its tasks has Qt handle events or paint
    protect = import_module("trio").lowlevel.enable_ki_protection
    qt = import_module("PyQt5.QtWidgets").QApplication
    app = qt.instance() or type("QApplication", (qt,), {"event": protect(_event)})([])
    _interrupted = float("-inf")
    app.lastWindowClosed.connect(_ends_now)  # by its button, which interrupts
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return wrapped(*args, **kwargs)  # under nohup, for instance
    terminals = [fd for fd in (1, 2) if os.isatty(fd)]
    over = threading.Event()

    def hang_up(number: int, frame: FrameType | None) -> None:
        with open(os.devnull, "w") as null:
            for fd in terminals:
                os.dup2(null.fileno(), fd)  # printing to a terminal that has gone raises OSError
        if _ends_now():
            signal.raise_signal(signal.SIGINT)

    def receive() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        over.wait()

    # Children inherit what is blocked, not handlers. So the signal needs a thread to arrive in.
    signal.signal(signal.SIGHUP, protect(hang_up))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    threading.Thread(target=receive, daemon=True).start()
    try:
        return wrapped(*args, **kwargs)
    finally:
        over.set()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _event(app: Any, event: Any) -> bool:
    core, qt = import_module("PyQt5.QtCore"), import_module("PyQt5.QtWidgets").QApplication
    if event.type() != core.QEvent.Close or not callable(signal.getsignal(signal.SIGINT)):
        return bool(qt.event(app, event))
    if _ends_now():
        app.closeAllWindows()
        signal.raise_signal(signal.SIGINT)  # where none is shown; to trio, two at once are one
        slow = (
            f"piker is still ending its actors, {SECONDS} s after Quit; another one interrupts that"
        )
        core.QTimer.singleShot(SECONDS * 1000, lambda: warn(slow))
    event.ignore()  # then Qt does not leave its loop
    return True


def repro() -> None:
    from unittest import mock  # imports asyncio

    import trio

    gui, widgets = import_module("PyQt5.QtGui"), import_module("PyQt5.QtWidgets")
    widget = type("Widget", (widgets.QWidget,), {"on_win_resize": lambda self, event: None})
    target, ended = import_module("piker.ui._exec"), []

    def quit_as_on_a_mac() -> None:
        app, asked = widgets.QApplication.instance(), gui.QCloseEvent()
        app.sendEvent(app, asked)
        if asked.isAccepted():
            app.exit(0)

    async def chart(widget: object) -> None:
        trio.lowlevel.current_trio_token().run_sync_soon(quit_as_on_a_mac)
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.2)
            ended.append(True)

    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # needs no display
    with mock.patch.object(target, "maybe_open_pikerd", lambda **_: nullcontext()):
        target.run_qtractor(chart, (), widget, {})
    assert ended, "piker left Qt's loop while trio was still ending"
