"""Quit a Qt program from inside, by the calls that Qt's plugin for macOS makes.

``start(path)`` returns at once. A daemon thread waits for the program's QApplication. Whenever the
file `path` is there, it is read and removed, and the GUI thread does what it names:

quit    Cmd-Q, as Qt 5's `qcocoaapplicationdelegate.mm` does it in `canQuit` and
        `applicationShouldTerminate:`: a close event to the application and, if it is accepted,
        one to every window and `QApplication.exit(0)`
button  a close event to every window, and nothing else

With ``hidden``, no main window is ever shown, so that no window gets a close event.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any


def start(path: Path, *, hidden: bool) -> None:
    threading.Thread(target=_obey_forever, args=(path, hidden), daemon=True).start()


def _obey_forever(path: Path, hidden: bool) -> None:
    widgets = _wait_for_widgets()
    if hidden:
        widgets.QMainWindow.show = lambda window: None
    while widgets.QApplication.startingUp():
        time.sleep(0.02)
    from PyQt5.QtCore import QEvent, QObject
    from PyQt5.QtGui import QCloseEvent

    class Doer(QObject):
        def event(self, event: Any) -> bool:
            if event.type() != QEvent.User:
                return False
            application, close = widgets.QApplication.instance(), QCloseEvent()
            if event.word == "quit":
                application.sendEvent(application, close)
            if close.isAccepted():
                for window in application.topLevelWindows():
                    application.sendEvent(window, QCloseEvent())
                if event.word == "quit":
                    application.exit(0)
            return True

    doer = Doer()
    doer.moveToThread(widgets.QApplication.instance().thread())
    while True:
        if path.exists():
            event = QEvent(QEvent.User)
            event.word = path.read_text()
            path.unlink()
            widgets.QApplication.postEvent(doer, event)
        time.sleep(0.02)


def _wait_for_widgets() -> Any:
    while not hasattr(sys.modules.get("PyQt5.QtWidgets"), "QMainWindow"):
        time.sleep(0.02)
    return sys.modules["PyQt5.QtWidgets"]
