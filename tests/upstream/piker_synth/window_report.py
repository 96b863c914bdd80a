"""Report from inside a Qt program which of its windows are on the screen.

``start(path)`` returns at once. A daemon thread waits for the program's QApplication; from then on
the GUI thread writes, twice a second, a JSON object to `path` (replaced atomically):

    {"pid": ..., "platform": "offscreen", "windows": [{"title": ..., "width": ..., "height": ...}]}

with every visible window that has a title, and a picture of the first one beside it, with the
suffix ``.png``. A process that never makes a QApplication (piker's actors) writes nothing. No
display server is needed: Qt's platform ``offscreen`` does. Where no window manager sizes a new
window, it comes up tiny and its plots stay empty; so the first report gives it an ordinary size.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

LOOK_EVERY = 0.2  # seconds between two looks for the QApplication
REPORT_EVERY = 0.5  # seconds between two reports
ORDINARY_SIZE = (1200, 760)  # width and height in pixels


def start(path: Path) -> None:
    threading.Thread(target=_report_forever, args=(path,), daemon=True).start()


def _report_forever(path: Path) -> None:
    application = _wait_for_application()
    # Imported now: a process that makes no QApplication never loads Qt for our sake.
    import trio
    from PyQt5.QtCore import QEvent, QObject

    class Reporter(QObject):
        sized = False

        # Ctrl-C while we draw a picture must reach trio, not end as an exception in a Qt event.
        @trio.lowlevel.enable_ki_protection
        def event(self, event: Any) -> bool:
            windows = _shown(application)
            if windows and not self.sized:
                windows[0].resize(*ORDINARY_SIZE)
                self.sized = True
            _write(application.platformName(), windows, path)
            return True

    reporter = Reporter()
    reporter.moveToThread(application.thread())
    while True:
        # Only the GUI thread may touch widgets: a posted event is handled there.
        application.postEvent(reporter, QEvent(QEvent.User))
        time.sleep(REPORT_EVERY)


def _wait_for_application() -> Any:
    while True:
        widgets = sys.modules.get("PyQt5.QtWidgets")
        make = getattr(widgets, "QApplication", None)
        application = make.instance() if make else None
        if application is not None:
            return application
        time.sleep(LOOK_EVERY)


def _shown(application: Any) -> list[Any]:
    return [w for w in application.topLevelWidgets() if w.isVisible() and w.windowTitle()]


def _write(platform: str, windows: list[Any], path: Path) -> None:
    if windows:
        picture = path.with_suffix(".part.png")
        windows[0].grab().save(str(picture))
        os.replace(picture, path.with_suffix(".png"))
    report = {
        "pid": os.getpid(),
        "platform": platform,
        "windows": [
            {"title": w.windowTitle(), "width": w.width(), "height": w.height()} for w in windows
        ],
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report))
    os.replace(part, path)
