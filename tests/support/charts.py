"""A real `piker chart` as a user starts it, watched from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.isolation import isolated
from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY

SYNTH = REPOSITORY / "tests" / "upstream" / "piker_synth"
"""The folder that makes piker know the broker `simx`; it goes on PYTHONPATH."""

MARKET = "xsimusdt.simx"

ARGUMENTS = ("-b", "simx", "chart", MARKET)
"""What follows `piker` on the command line."""

ACTORS = {
    "brokerd.simx",  # the market's quotes and history, which it writes to shared memory
    "samplerd",  # the clock that steps every array
    "pikerd.fsp_0",  # signal processors, which read those arrays and write their own
    "pikerd.fsp_1",
    "emsd",  # orders
    "paperboi.simx",  # orders on paper, the broker has none of its own
}
"""The processes that a chart with everything working has started."""

STILL = 40
"""How often a chart is looked at, in vain, before nothing more is expected to change."""

PRESSES = 3
"""How often Ctrl-C is pressed, at most."""

REGISTRY = ("127.0.0.1", 6116)
"""Where pikers meet on one network. This piker has the port in its source."""

CONF = "[network]\npikerd = ['/ipv4/{}/tcp/{}']\n\n[ui]\nfont_name = 'Hack'\n".format(*REGISTRY)

ENTRY_POINTS = "[console_scripts]\npiker = piker.cli:cli\n"
METADATA = "Metadata-Version: 2.1\nName: piker\nVersion: 0.1.0a0.dev0\n"


def install_console_script(folder: Path) -> Path:
    """Make `folder`, once it is on PYTHONPATH, declare the console script `piker`; return it.

    It is what `pip install` writes for piker, without a file in any environment.
    """
    distribution = folder / "piker-0.1.0a0.dev0.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text(METADATA)
    (distribution / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def configure(home: Path, *, mac: bool) -> None:
    """Write piker's configuration where piker looks for it on that kind of machine.

    On a Mac the Finder has been there before, and has left `.DS_Store` among the time series.
    """
    folder = home.joinpath(*(("Library", "Application Support") if mac else (".config",)), "piker")
    folder.mkdir(parents=True)
    (folder / "conf.toml").write_text(CONF)
    (folder / "brokers.toml").write_text("[simx]\naccounts.paper = 'paper'\n")
    if mac:
        (folder / "nativedb").mkdir()
        (folder / "nativedb" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


@dataclass(frozen=True)
class Chart:
    """A running `piker chart`.

    Attributes:
        process: the chart's own process, the leader of its group.
        report: the file in which it tells its windows, see `piker_synth/window_report.py`.
        output: the file with what it and its actors printed.
        sandbox: what it runs in.
    """

    process: subprocess.Popen[bytes]
    report: Path
    output: Path
    sandbox: Sandbox

    @classmethod
    def start(
        cls, command: Sequence[str | Path], env: Mapping[str, str], sandbox: Sandbox
    ) -> Chart:
        """Start `command`, which is to show a chart."""
        report, output = sandbox.temporary / "windows.json", sandbox.temporary / "output"
        report.with_suffix(".png").unlink(missing_ok=True)  # another chart's
        with output.open("wb") as stream:
            process = subprocess.Popen(
                list(map(str, isolated(command, sandbox.meeting))),
                env={**env, "PIKER_SYNTH_REPORT": str(report)},
                cwd=sandbox.home,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A test run in the background ignores SIGINT, and the chart would inherit that.
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )
        return cls(process, report, output, sandbox)

    def windows(self) -> dict[str, Any]:
        """Return the newest report; empty before the first one."""
        try:
            found: dict[str, Any] = json.loads(self.report.read_text())
        except FileNotFoundError:
            return {}
        return found

    def titles(self) -> list[str]:
        """Return the titles of the windows that the chart's own toolkit calls visible."""
        return [window["title"] for window in self.windows().get("windows", [])]

    def picture(self) -> bytes:
        """Return the newest picture of the window as a PNG file; empty before the first one."""
        with suppress(FileNotFoundError):
            return self.report.with_suffix(".png").read_bytes()
        return b""

    def actors(self) -> set[str]:
        """Return the names of the chart's actors that run as processes of their own."""
        related = processes.related(str(self.sandbox.root)).values()
        found = (re.search(r"tractor\._child --uid \('([^']+)'", p.command) for p in related)
        return {match[1] for match in found if match}

    def text(self) -> str:
        """Return what chart and actors have printed."""
        return self.output.read_text(errors="replace")

    def wait_until_up(self, seconds: float) -> None:
        """Wait until the window shows the market, every actor runs, and the picture is moving.

        Raises AssertionError, with what was there, after `seconds` or when the chart has ended.
        """

        def ended_or(true: bool) -> bool:
            return true or self.process.poll() is not None

        wait_until(lambda: ended_or(self._is_whole()), seconds)
        first = self.picture()
        wait_until(lambda: ended_or(self.picture() != first), seconds)
        assert self._is_whole() and self.picture() != first, self._what_is_wrong()

    def still_picture(self, seconds: float, wanted: bytes = b"") -> bytes:
        """Return the picture of a chart whose market stands still, once nothing changes any more.

        With `wanted`, return that picture, or after `seconds` another one. Raises AssertionError if
        something still changes after `seconds`, or when the chart has ended.
        """
        pictures: list[bytes] = []

        def is_still() -> bool:
            pictures.append(self.picture())
            expected = [wanted] if wanted else pictures[-1:] * STILL
            return self._is_whole() and pictures[-len(expected) :] == expected

        done = wait_until(lambda: is_still() or self.process.poll() is not None, seconds)
        assert self._is_whole() and (done or wanted), self._what_is_wrong()
        return pictures[-1]

    def interrupt(self, seconds: float) -> int:
        """Press Ctrl-C as a terminal would for the chart alone; return its exit code.

        piker, on every platform, loses a Ctrl-C that arrives while Qt is calling Python code, to
        paint for instance. So it is pressed again, as a user would, where nothing begins to end.

        Raises AssertionError, with what was printed, if it does not end within `seconds`.
        """
        for _ in range(PRESSES):
            self.process.send_signal(signal.SIGINT)
            if wait_until(self._is_ending, seconds / PRESSES):
                break
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        raise AssertionError(
            f"the chart did not end within {seconds} s of Ctrl-C; actors still running:"
            f" {sorted(self.actors())}\noutput:\n{self.text()[-20_000:]}"
        )

    def kill(self) -> None:
        """End the chart and its actors at once, if they still run."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _is_ending(self) -> bool:
        return self.process.poll() is not None or not self.actors() >= ACTORS

    def _is_whole(self) -> bool:
        return any(MARKET in title for title in self.titles()) and self.actors() >= ACTORS

    def _what_is_wrong(self) -> str:
        return (
            f"the chart is not up\nexit code: {self.process.poll()}\nwindows: {self.windows()}\n"
            f"actors missing: {sorted(ACTORS - self.actors())}\noutput:\n{self.text()[-20_000:]}"
        )


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Ask `true()` until it is, for at most `seconds`; return its last answer.

    Looking for actors means looking at every process of the machine, so it is not done often.
    """
    end = time.monotonic() + seconds
    while not (answer := true()) and time.monotonic() < end:
        time.sleep(0.25)
    return answer


def console_script_command(python: Path) -> list[str | Path]:
    """Return the command that starts piker as its console script does, without macfix."""
    return [python, "-c", "import sys; from piker.cli import cli; sys.argv[0] = 'piker'; cli()"]


def needs_no_display() -> dict[str, str]:
    """Return the variables that make Qt draw without a display server."""
    return {} if sys.platform == "darwin" else {"QT_QPA_PLATFORM": "offscreen"}
