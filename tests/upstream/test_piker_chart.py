"""A real `piker chart` shows its window: on Linux, and on a Mac with macfix, but not without.

Everything is real but the exchange: piker, tractor, Qt, numba, seven processes, twelve segments of
shared memory. The exchange is `piker_synth`, so no network is needed. See `docs/piker.md`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support import charts, isolation, processes, pythons
from tests.support.charts import Chart
from tests.support.launcher import Launcher
from tests.support.reports import Tables
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY, REPOSITORY, STARTED_WITH
from tests.support.upstream import PIKERS_TRACTOR
from tests.support.worlds import ON_A_MAC, PLAIN_LINUX

PIKER = "3d037818"
"""The newest public piker: branch `distribute_dis`, 2024-01."""

TO_COME_UP = 180.0
"""Seconds that the whole chart may take; numba compiles most of the time."""

TO_END = 60.0
"""Seconds that the chart and its actors may take to end after Ctrl-C."""

TO_STAY = 5.0
"""Seconds after which what still runs is taken to stay."""

PROGRAMS = Path(__file__).parent / "programs"
IMPORT_EVERYTHING, KEYS = PROGRAMS / "import_everything.py", PROGRAMS / "piker_keys.py"

SIMULATION = () if ON_A_MAC else ("--simulate",)
"""What goes between `macfix` and the program to be on a Mac with the cures."""


one_at_a_time = pytest.mark.xdist_group("chart")
"""Charts meet at one port where they cannot have a network of their own."""


@pytest.fixture(scope="session")
def piker_python() -> Path:
    """An interpreter that can show a chart; the test is skipped where it would have to be built."""
    find = pythons.find_or_build if HEAVY == "full" else pythons.find
    try:
        found = find(pythons.PIKER)
    except pythons.NoPythonError as error:
        pytest.skip(str(error))
    if found is None:
        pytest.skip(
            f"there is no environment for piker yet: MACFIX_HEAVY=full builds one, 700 MB, or"
            f" install {pythons.PIKER.requirements} and set {pythons.PIKER.named_by} to that Python"
        )
    return found


@dataclass(frozen=True)
class Piker:
    """Starts piker in the ways that this module is about.

    Attributes:
        launcher: has Python, sandbox, and PYTHONPATH.
        plain: the environment in which neither macfix nor the simulation has been started.
    """

    launcher: Launcher
    plain: dict[str, str]

    @property
    def python(self) -> Path:
        return self.launcher.python

    def command(self, how: str, *arguments: str) -> list[str | Path]:
        """Return the command that starts `piker` alone, `cured` on a Mac, or `uncured` on one."""
        macfix: list[str | Path] = [self.python, "-m", "macfix"]
        ways: dict[str, list[str | Path]] = {
            "alone": charts.console_script_command(self.python),
            "cured": [*macfix, *SIMULATION, "piker"],
            "uncured": [*macfix, "simulate", "piker"],
        }
        way = "alone" if how == "uncured" and ON_A_MAC else how
        return [*ways[way], *arguments]

    def run(self, how: str, *arguments: str) -> processes.Finished:
        """Run piker to its end."""
        charts.configure(self.launcher.sandbox.home, mac=how != "alone")
        return self.finish(self.command(how, *arguments))

    def finish(self, command: Sequence[str | Path]) -> processes.Finished:
        """Run `command` to its end."""
        home = self.launcher.sandbox.home
        words = isolation.isolated(command, self.launcher.sandbox.meeting)
        return processes.run(words, env=self.plain, cwd=home, timeout=TO_COME_UP)


@pytest.fixture
def piker(
    piker_python: Path,
    upstream_at: Callable[[str, str], Path],
    macfix_folder: Path,
    sandbox: Sandbox,
) -> Piker:
    """The real piker beside the tractor that its users had pinned, with the broker `simx`."""
    path = (
        charts.SYNTH,
        charts.install_console_script(sandbox.root / "d"),
        upstream_at("piker", PIKER),
        upstream_at("tractor", PIKERS_TRACTOR),
        macfix_folder,
    )
    launcher = Launcher(piker_python, sandbox, macfix_folder, path)
    plain = launcher.environment(PLAIN_LINUX) | charts.needs_no_display()
    plain.pop("MACFIX", None)
    return Piker(launcher, plain)


@pytest.fixture
def hangups() -> Iterator[None]:
    """Have SIGHUP do what it does: under nohup a chart would inherit that it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def show(piker: Piker, hangups: None) -> Iterator[Callable[..., Chart]]:
    """Start a chart; afterwards nothing of it runs any more, whatever the test found."""
    if not isolation.possible():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(charts.REGISTRY)
            except OSError as error:
                pytest.skip(f"another piker runs here, at {charts.REGISTRY}: {error}")
    started: list[Chart] = []

    def start(how: str, **more: str) -> Chart:
        charts.configure(piker.launcher.sandbox.home, mac=how != "alone")
        command = piker.command(how, *charts.ARGUMENTS)
        started.append(Chart.start(command, piker.plain | more, piker.launcher.sandbox))
        return started[-1]

    yield start
    for chart in started:
        chart.kill()


def ends_and_leaves_nothing(chart: Chart) -> None:
    """Press Ctrl-C, and check that the chart ends well with all that it has started."""
    assert chart.interrupt(TO_END) == 0, chart.text()
    leaves_nothing(chart)


def leaves_nothing(chart: Chart) -> None:
    """Check that nothing of a chart that has ended is left."""
    assert charts.wait_until(lambda: not chart.actors(), TO_END), chart.actors()
    simulated, linux = chart.sandbox.segments.glob("*"), Path("/dev/shm").glob(f"*{charts.MARKET}*")
    assert [*simulated, *linux] == [], chart.text()
    sockets = [path for path in chart.sandbox.runtime.rglob("*") if path.is_socket()]
    assert sockets == [], chart.text()


@one_at_a_time
@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.skipif(ON_A_MAC, reason="a Mac cannot be Linux")
@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full shows it on Linux, too")
def test_on_linux_the_chart_comes_up_and_leaves_nothing(show: Callable[..., Chart]) -> None:
    chart = show("alone")
    chart.wait_until_up(TO_COME_UP)
    ends_and_leaves_nothing(chart)


@one_at_a_time
@pytest.mark.timeout(9 * TO_COME_UP)
@pytest.mark.skipif(ON_A_MAC, reason="a Mac cannot be Linux")
@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full compares it with four charts")
def test_on_linux_the_chart_is_the_same_to_the_pixel(piker: Piker, sandbox: Sandbox) -> None:
    charts.configure(sandbox.home, mac=False)

    def picture(command: Sequence[str | Path], wanted: bytes = b"", **more: str) -> bytes:
        still = piker.plain | {"PIKER_SYNTH_STILL": "1700000000"} | more
        chart = Chart.start([*command, *charts.ARGUMENTS], still, sandbox)
        try:
            found = chart.still_picture(TO_COME_UP, wanted)
            ends_and_leaves_nothing(chart)
            return found
        finally:
            chart.kill()

    enabled = enable_in_an_environment(piker, sandbox.root / "e")
    alone = picture(piker.command("alone"))
    runner = [piker.python, "-m", "macfix", "piker"]
    assert picture(runner, alone) == alone
    assert picture(charts.console_script_command(enabled), alone) == alone
    assert picture(runner, MACFIX_FORCE="piker-fonts") != alone


def enable_in_an_environment(piker: Piker, folder: Path) -> Path:
    """Make an environment with piker's packages, and macfix enabled; return its Python."""
    subprocess.run([piker.python, "-m", "venv", "--without-pip", folder], check=True)
    python, (packages,) = folder / "bin" / "python", folder.glob("lib/*/site-packages")
    (theirs,) = piker.python.parents[1].glob("lib/*/site-packages")
    packages.joinpath("theirs.pth").write_text(f"{theirs}\n")
    (packages / "macfix").symlink_to(REPOSITORY / "macfix")
    subprocess.run([python, "-m", "macfix", "enable", "--yes"], env=piker.plain, check=True)
    assert (packages / "macfix.pth").exists()
    return python


@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.parametrize("arguments", [("--help",), charts.ARGUMENTS], ids=["help", "chart"])
def test_on_a_mac_without_macfix_piker_dies_while_it_is_imported(
    piker: Piker, arguments: tuple[str, ...]
) -> None:
    finished = piker.run("uncured", *arguments)
    assert finished.returncode == 1, str(finished)
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: cannot import name 'SO_PASSCRED'"), str(finished)
    assert finished.stdout == "", str(finished)


@pytest.mark.timeout(3 * TO_COME_UP)
def test_on_a_mac_with_macfix_piker_helps(piker: Piker) -> None:
    finished = piker.run("cured", "--help")
    assert finished.returncode == 0, str(finished)
    usage = finished.stdout[finished.stdout.index("Usage: ") :].splitlines()
    assert usage[0] == "Usage: piker [OPTIONS] COMMAND [ARGS]..."
    assert any(line.split()[:1] == ["chart"] for line in usage), str(finished)
    assert "MacfixWarning" not in finished.stderr, str(finished)


@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.skipif(ON_A_MAC, reason="there is no Linux to compare with")
def test_on_a_mac_with_macfix_every_module_imports_as_on_linux(piker: Piker) -> None:
    program: list[str | Path] = [IMPORT_EVERYTHING, "tractor", "piker"]
    on_linux = piker.finish([piker.python, *program])
    on_a_mac = piker.finish([piker.python, "-m", "macfix", *SIMULATION, *program])
    assert on_linux.returncode == 0, str(on_linux)
    assert int(on_linux.stdout.split()[-2]) > 150, str(on_linux)
    assert on_a_mac.stdout == on_linux.stdout, str(on_a_mac)


@pytest.mark.timeout(3 * TO_COME_UP)
def test_each_key_does_what_the_docs_say(piker: Piker) -> None:
    def pressed(skip: str) -> list[list[str]]:
        command = [piker.python, "-m", "macfix", *SIMULATION, KEYS]
        finished = replace(piker, plain=piker.plain | {"MACFIX_SKIP": skip}).finish(command)
        assert finished.returncode == 0, str(finished)
        rows: list[list[str]] = json.loads(finished.stdout.splitlines()[-1])
        return rows

    table = [
        f"| {where} | {keys} | {without} | {'the same' if cured == without else cured} |"
        for (where, keys, without), (_, _, cured) in zip(
            pressed("piker-keys"), pressed("uds-backlog"), strict=True
        )
    ]
    page = (REPOSITORY / "docs" / "piker.md").read_text()
    shown = page.partition("<!-- keys -->")[2].partition("<!-- end -->")[0].splitlines()
    assert shown[4:-1] == table, "docs/piker.md has another table than:\n" + "\n".join(table)


@one_at_a_time
@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full presses Ctrl-C, too")
def test_on_a_mac_with_macfix_the_chart_comes_up_and_leaves_nothing(
    show: Callable[..., Chart],
) -> None:
    chart = show("cured")
    chart.wait_until_up(TO_COME_UP)
    assert "MacfixWarning" not in chart.text(), chart.text()
    ends_and_leaves_nothing(chart)


@one_at_a_time
@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full shows what the Finder does, too")
def test_on_a_mac_a_file_of_the_finders_keeps_the_chart_from_opening(
    show: Callable[..., Chart],
) -> None:
    chart = show("cured", MACFIX_SKIP="piker-strange-files")
    with pytest.raises(AssertionError):
        chart.wait_until_up(TO_COME_UP)
    assert "ValueError: invalid literal for int() with base 10: ''" in chart.text()


def words_file(sandbox: Sandbox) -> Path:
    """Return the file that `piker_synth/cocoa_quit.py` reads."""
    return sandbox.temporary / "quit"


def say(chart: Chart, word: str) -> None:
    """Close the terminal, or have the chart do what `piker_synth/cocoa_quit.py` calls `word`."""
    if word == "hangup":
        with suppress(ProcessLookupError):
            os.killpg(chart.process.pid, signal.SIGHUP)
        return
    file = words_file(chart.sandbox)
    part = file.with_suffix(".part")
    part.write_text(word)
    part.rename(file)
    gone = charts.wait_until(lambda: not file.exists() or chart.process.poll() is not None, TO_END)
    assert gone, chart.text()


WAYS = {
    "button": (charts.ACTORS, ["button"]),
    "quit": (charts.ACTORS, ["quit"]),
    "twice": (charts.ACTORS, ["quit", "quit"]),
    "button-then-quit": (charts.ACTORS, ["button", "quit"]),
    "at-once": (set(), ["quit"]),
    "loading": ({"brokerd.simx"}, ["quit"]),
    "never-shown": (charts.ACTORS, ["quit"]),
    "hangup": (charts.ACTORS, ["hangup"]),
    "hangup-loading": ({"brokerd.simx"}, ["hangup"]),
    "hangup-then-quit": (charts.ACTORS, ["hangup", "quit"]),
}
"""For each way to end: the actors that must run before, and what is done then."""


@one_at_a_time
@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.parametrize("way", WAYS if HEAVY == "full" else ["twice"])
def test_on_a_mac_with_macfix_a_chart_that_is_quit_leaves_nothing(
    show: Callable[..., Chart], sandbox: Sandbox, tables: Tables, way: str
) -> None:
    hidden = {"PIKER_SYNTH_HIDDEN": "1"} if way == "never-shown" else {}
    chart = show("cured", PIKER_SYNTH_QUIT=str(words_file(sandbox)), **hidden)
    before, words = WAYS[way]
    assert charts.wait_until(lambda: chart.actors() >= before, TO_COME_UP), chart.text()
    if way == "twice":
        chart.wait_until_up(TO_COME_UP)
        tables.add("piker chart on a Mac with macfix", "windows", *chart.titles())
    for word in words:
        say(chart, word)
    assert chart.process.wait(TO_END) == 0, chart.text()
    leaves_nothing(chart)
    assert "MacfixWarning" not in chart.text(), chart.text()


WITHOUT_QUIT = [("quit", (0, -signal.SIGSEGV)), ("hangup", (-signal.SIGHUP,))]
"""How a chart ends without its patch; Qt may crash when its loop is left in the midst of trio's."""


@one_at_a_time
@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.skipif(ON_A_MAC, reason="it would leave segments until this Mac is restarted")
@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full shows what is left, too")
@pytest.mark.parametrize(("word", "statuses"), WITHOUT_QUIT)
def test_without_its_patch_a_chart_that_is_quit_leaves_segments(
    show: Callable[..., Chart], sandbox: Sandbox, word: str, statuses: tuple[int, ...]
) -> None:
    chart = show("cured", PIKER_SYNTH_QUIT=str(words_file(sandbox)), MACFIX_SKIP="piker-quit")
    assert charts.wait_until(lambda: chart.actors() >= charts.ACTORS, TO_COME_UP), chart.text()
    say(chart, word)
    assert chart.process.wait(TO_END) in statuses, chart.text()
    all_ended = charts.wait_until(lambda: not chart.actors(), TO_STAY)
    assert all_ended == (word == "hangup"), chart.text()
    assert [*chart.sandbox.segments.glob("*")] != []
    chart.kill()
    shutil.rmtree(chart.sandbox.segments)


@pytest.fixture
def display() -> Iterator[str]:
    """An X server of its own; the test is skipped where Xvfb or xdotool is missing."""
    for tool in ("Xvfb", "xdotool"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: on Debian, apt-get install xvfb xdotool")
    read, write = socket.socketpair()
    with read, write:
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write.fileno()), "-screen", "0", "1280x800x24"],
            pass_fds=[write.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            write.close()
            read.settimeout(TO_END)
            yield f":{read.makefile().readline().strip()}"
        finally:
            server.terminate()
            server.wait()


@one_at_a_time
@pytest.mark.timeout(3 * TO_COME_UP)
@pytest.mark.skipif(ON_A_MAC, reason="a Mac has no X server")
@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full asks an X server, too")
def test_on_a_mac_with_macfix_an_x_server_has_the_window(
    show: Callable[..., Chart], display: str
) -> None:
    chart = show("cured", QT_QPA_PLATFORM="xcb", DISPLAY=display)
    chart.wait_until_up(TO_COME_UP)
    found = subprocess.run(
        ["xdotool", "search", "--onlyvisible", "--name", charts.MARKET],
        env={"DISPLAY": display, "PATH": STARTED_WITH["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(found.stdout.split()) == 1, found
    ends_and_leaves_nothing(chart)
