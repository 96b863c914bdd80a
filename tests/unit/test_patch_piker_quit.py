"""piker-quit: what it says of `run_qtractor()`, and how a run ends, on a stand-in for Qt."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
import trio

from macfix import Changes, MacfixWarning, Source
from macfix.patches.piker import quit as patch

EXEC = """
from PyQt5.QtCore import pyqtRemoveInputHook
from PyQt5.QtWidgets import QApplication
import trio

def run_qtractor(func):
    app = QApplication.instance()
    if app is None:
        app = QApplication([])

    def done_callback(outcome):
        app.quit()

    trio.lowlevel.start_guest_run(
        func,
        run_sync_soon_threadsafe=app.post,
        done_callback=done_callback,
    )
    app.exec_()
"""

NEEDED, FIXED, UNKNOWN = "needed", "not needed", "unknown"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (EXEC, NEEDED),
        (
            EXEC.replace("    app.exec_()", "    status: int = app.exec_()\n    return status"),
            NEEDED,
        ),
        (EXEC.replace("run_qtractor", "run_qtrio"), FIXED),
        (EXEC.replace("PyQt5", "PyQt6"), UNKNOWN),
        (EXEC.replace("app.exec_()", "app.exec()"), UNKNOWN),
        (EXEC + "    app.exec_()\n", UNKNOWN),
        (EXEC.replace("app.quit()", "pass"), UNKNOWN),
        (EXEC.replace("    app.exec_()", "    signal.signal(1, stop)\n    app.exec_()"), UNKNOWN),
        (
            EXEC.replace("    app.exec_()", "    app.installEventFilter(it)\n    app.exec_()"),
            UNKNOWN,
        ),
        (EXEC.replace("start_guest_run", "run"), UNKNOWN),
    ],
)
def test_the_shape_decides(text: str, state: str) -> None:
    answer = patch.diagnose(Source("piker.ui._exec", "<test>", text.encode()))
    assert answer.state == state, answer.reason


class QEvent:
    """Qt's: accepted unless somebody ignores it."""

    Close, Other = 19, 0

    def __init__(self, kind: int) -> None:
        self.kind, self.accepted = kind, True

    def type(self) -> int:
        return self.kind

    def ignore(self) -> None:
        self.accepted = False


class Signal:
    """Qt's: calls whatever was connected to it."""

    def __init__(self) -> None:
        self.connect = (connected := []).append
        self.emit = lambda: [each() for each in connected]


class Application:
    """Qt's: a queue of events, and a loop that `exit()` ends."""

    only: Application | None = None

    def __init__(self, words: list[str]) -> None:
        self.queue: queue.Queue[Callable[[], object]] = queue.Queue()
        self.post = self.queue.put
        self.timers: list[tuple[int, Callable[[], None]]] = []
        self.seen: list[int] = []
        self.lastWindowClosed = Signal()
        self.shown = True
        self.leaves = False
        Application.only = self

    @classmethod
    def instance(cls) -> Application | None:
        return cls.only

    def exec_(self) -> int:
        self.leaves = False
        while not self.leaves:
            self.queue.get()()
        return 0

    def exit(self, status: int) -> None:
        self.leaves = True

    def quit(self) -> None:
        self.exit(0)

    def event(self, event: QEvent) -> bool:
        self.seen.append(event.kind)
        if event.kind == QEvent.Close:
            self.closeAllWindows()
        return True

    def closeAllWindows(self) -> None:  # noqa: N802
        if self.shown:
            self.shown = False
            ctrl_c()  # as piker's window does
            self.lastWindowClosed.emit()


class QTimer:
    """Qt's: the test says when the time has come."""

    @staticmethod
    def singleShot(milliseconds: int, function: Callable[[], None]) -> None:  # noqa: N802
        assert Application.only is not None
        Application.only.timers.append((milliseconds, function))


def ctrl_c() -> None:
    """Do what a terminal does at Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


def button() -> None:
    """Do what Qt does when the window is closed by its button."""
    assert Application.only is not None
    Application.only.closeAllWindows()


def hang_up() -> None:
    """Do what a terminal does when it is closed."""
    os.kill(os.getpid(), signal.SIGHUP)


def cmd_q() -> None:
    """Do what Qt's plugin for macOS does at Cmd-Q."""
    app, asked = Application.only, QEvent(QEvent.Close)
    assert app is not None
    app.event(asked)
    if asked.accepted:
        app.exit(0)


def cmd_q_without_a_window() -> None:
    """The same, where no window was ever shown."""
    assert Application.only is not None
    Application.only.shown = False
    cmd_q()


@pytest.fixture(autouse=True)
def qt(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose PyQt5 is a stand-in, and which signals end as they end any other."""
    for name, members in {
        "PyQt5": {},
        "PyQt5.QtCore": {"QEvent": QEvent, "QTimer": QTimer, "pyqtRemoveInputHook": None},
        "PyQt5.QtWidgets": {"QApplication": Application},
    }.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    Application.only = None


@pytest.fixture
def bare() -> Any:
    """piker's module as upstream has it."""
    module = ModuleType("piker.ui._exec")
    exec(compile(EXEC, "<exec>", "exec"), vars(module))
    return module


@pytest.fixture
def patched(bare: Any) -> Iterator[Any]:
    """piker's module with the patch; reverting it leaves nothing of it behind."""
    before, changes = bare.run_qtractor, Changes()
    patch.install(bare, changes)
    yield bare
    assert changes.revert() == []
    assert bare.run_qtractor is before


class Chart:
    """A guest to which things are done, and which then takes a while to end its actors."""

    def __init__(self, *acts: Callable[[], object], late: Sequence[Callable[[], object]] = ()):
        """
        Args:
            acts: what is done at once.
            late: what is done when it has begun to end.
        """
        self.acts, self.late = acts, late
        self.ended = False

    async def __call__(self) -> None:
        assert Application.only is not None
        for act in self.acts:
            Application.only.post(act)
        try:
            await trio.sleep_forever()
        finally:
            for act in self.late:
                Application.only.post(act)
            with trio.CancelScope(shield=True):
                await trio.sleep(0.1)
            self.ended = True


@pytest.mark.parametrize(
    "acts",
    [
        (cmd_q,),
        (cmd_q_without_a_window,),
        (cmd_q, cmd_q),
        (ctrl_c, cmd_q),
        (hang_up,),
        (hang_up, hang_up, cmd_q),
        (button, cmd_q, hang_up),
    ],
    ids=lambda acts: "-".join(act.__name__ for act in acts),
)
def test_the_loop_is_not_left_before_trio_has_ended(
    patched: Any, acts: tuple[Callable[[], object], ...]
) -> None:
    chart = Chart(*acts)
    patched.run_qtractor(chart)
    assert chart.ended


@pytest.mark.parametrize("first", [cmd_q, cmd_q_without_a_window, hang_up, button])
def test_whatever_comes_while_it_ends_does_not_break_that_off(
    patched: Any, first: Callable[[], object]
) -> None:
    for _ in range(2):  # a later chart of the same process starts afresh
        chart = Chart(first, late=[cmd_q, hang_up])
        patched.run_qtractor(chart)
        assert chart.ended
        assert Application.only is not None
        Application.only.shown = True


def test_after_a_while_the_next_one_interrupts_what_hangs(
    patched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch, "SECONDS", 0)
    chart = Chart(cmd_q, late=[cmd_q])
    patched.run_qtractor(chart)
    assert not chart.ended


def test_without_the_patch_it_is(bare: Any) -> None:
    chart = Chart(cmd_q)
    bare.run_qtractor(chart)
    assert not chart.ended
    assert Application.only is not None
    Application.only.exec_()  # so that no guest is left behind
    assert chart.ended


def test_a_guest_that_takes_long_is_said_in_one_line(patched: Any) -> None:
    patched.run_qtractor(Chart(cmd_q))
    assert Application.only is not None
    ((milliseconds, say),) = Application.only.timers
    assert milliseconds == 10_000
    with pytest.warns(MacfixWarning, match="still ending its actors, 10 s after Quit") as caught:
        say()
    assert len(caught) == 1 and "\n" not in str(caught[0].message)


def test_children_do_not_get_the_hangup(patched: Any) -> None:
    blocked: list[str] = []

    async def main() -> None:
        code = "import signal as s; print(s.SIGHUP in s.pthread_sigmask(s.SIG_BLOCK, ()))"
        # not by trio: it starts a process in a thread, perhaps one that is older than this run
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        blocked.append(child.stdout.strip())

    patched.run_qtractor(main)
    assert blocked == ["True"]


def test_what_is_printed_after_the_terminal_has_gone_goes_nowhere(
    patched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirected: list[int] = []
    monkeypatch.setattr(os, "isatty", lambda fd: fd == 1)
    monkeypatch.setattr(os, "dup2", lambda _, fd: redirected.append(fd))
    patched.run_qtractor(Chart(hang_up))
    assert redirected == [1]


def test_a_hangup_that_is_ignored_stays_ignored(patched: Any) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    chart = Chart(hang_up, ctrl_c)
    patched.run_qtractor(chart)
    assert chart.ended
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_where_interrupts_are_ignored_qt_quits_as_ever(patched: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = threading.Event()
    scope = trio.CancelScope()

    async def main() -> None:
        assert Application.only is not None
        Application.only.post(cmd_q)
        with scope:
            await trio.sleep_forever()
        ended.set()

    patched.run_qtractor(main)
    assert not ended.is_set()
    assert Application.only is not None
    Application.only.post(scope.cancel)
    Application.only.exec_()
    assert ended.is_set()


def test_afterwards_signals_are_as_before(patched: Any) -> None:
    patched.run_qtractor(Chart(ctrl_c))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_other_events_are_left_to_qt(patched: Any) -> None:
    async def main() -> None:
        assert Application.only is not None
        Application.only.event(QEvent(QEvent.Other))

    patched.run_qtractor(main)
    assert Application.only is not None
    assert Application.only.seen == [QEvent.Other]
