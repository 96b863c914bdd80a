"""``macfix demo``: each fix at work, for someone who has neither piker nor tractor.

Small programs bundled here run on replicas of the upstream modules that have the defects (ours,
not upstream's), with real sockets, real shared memory and real processes: first with one patch
left out and then with all, through the same runner and engine as any program. On a Mac they meet
the real kernel, on Linux macfix's simulation of it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.resources import files
from threading import Event

from macfix.activation.activate import load_plugins
from macfix.activation.environment import ROOT
from macfix.engine.patch import Patch

from ..output import PYTHON, facts

PROGRAMS, REPLICAS = (
    os.path.join(ROOT, "macfix", "cli", "demo", folder) for folder in ("programs", "replicas")
)
TIMEOUT = 60.0
"""Seconds that one program may take; each needs about one."""
GRACE = 2.0
"""Seconds that an interrupted program gets to clean up."""
TITLE = 20
"""Columns for what a row is about; the longest name of a patch."""

MEANINGS = {"fixed": "fixed", "still failing": "FAILS", "no failure to be seen here": "unseen"}
"""What may come of a row, and how its line says so."""
NOT_SHOWN = (
    'They need the real tractor, piker or trio. "Repro" in the file of each says how to see it: '
    "https://github.com/macfix/macfix/tree/main/macfix/patches"
)


@dataclass(frozen=True)
class Case:
    """One thing to show.

    Attributes:
        title: what it is, in a few words.
        left_out: the patch without which it fails.
        command: a module in the folder ``programs``, and the program's arguments.
    """

    title: str
    left_out: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """How one run of a program ended: whether it succeeded, and its last word."""

    succeeded: bool
    word: str


@dataclass(frozen=True)
class Row:
    """One case, without and with the fix."""

    title: str
    left_out: str
    without: Seen
    fixed: Seen

    @property
    def meaning(self) -> str:
        """A key of `MEANINGS`."""
        if not self.fixed.succeeded:
            return "still failing"
        return "no failure to be seen here" if self.without.succeeded else "fixed"


PROGRAM_CASES = (
    Case("import tractor", "uds-socket-constants", ("import_tractor",)),
    Case("actors over sockets", "uds-peer-credentials", ("actors",)),
    Case("shared market data", "shm-names", ("market_data",)),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix demo``."""
    parser.add_argument("--quick", action="store_true", help="the programs only, not each patch")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def main(args: argparse.Namespace) -> int:
    """Run the demo and print what is seen, each row as soon as it is there.

    Returns:
        0 if every fix works, 1 if one does not, 2 if the demo cannot run here.
    """
    problem = _why_not()
    if problem:
        print(f"macfix demo: {problem}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)  # so that nothing is left behind
    shown, not_shown = _patch_cases() if not args.quick else ([], [])
    cases = [*PROGRAM_CASES, *shown]
    talkative = not args.json and args.verbosity >= 0
    if talkative:
        _print_introduction()
    try:
        rows = _rows(cases, args)
    except KeyboardInterrupt:
        print("\nmacfix demo: interrupted", file=sys.stderr)
        raise
    if args.json:
        programs, patches = rows[: len(PROGRAM_CASES)], rows[len(PROGRAM_CASES) :]
        parts = {"programs": programs, "patches": patches, "not_shown": not_shown}
        print(json.dumps(parts, indent=2, default=asdict))
    elif talkative:
        _print_summary(rows, not_shown)
    return 0 if all(row.fixed.succeeded for row in rows) else 1


def _why_not() -> str | None:
    """Why the demo cannot run here, or None if it can."""
    missing = [name for name in ("trio", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        fix = f"{PYTHON} -m pip install {' '.join(missing)}"
        return f"{' and '.join(missing)} not installed: {fix}"
    if sys.platform not in ("darwin", "linux"):
        return f"it needs macOS, or Linux for the simulation, and this is {sys.platform}"
    return None


# -- running -------------------------------------------------------------------------------------


def _patch_cases() -> tuple[list[Case], list[str]]:
    """Each patch's own reproduction; and the names of the patches that have no replica here."""
    replicas = files(__name__) / "replicas"

    def has_replica(patch: Patch, targets: Sequence[str]) -> bool:
        paths = (f"{target.replace('.', '/')}.py" for target in targets)
        return patch.repro is not None and any(replicas.joinpath(path).is_file() for path in paths)

    patches = load_plugins().all_patches().items()
    shown = [patch.name for patch, targets in patches if has_replica(patch, targets)]
    cases = [Case(name, name, ("reproduce", name)) for name in shown]
    return cases, [patch.name for patch, _ in patches if patch.name not in shown]


def _rows(cases: Sequence[Case], args: argparse.Namespace) -> list[Row]:
    """Run all *cases*, some at a time, and print how each ended, in their order."""
    shown = () if args.json else ("still failing",) if args.verbosity < 0 else tuple(MEANINGS)
    rows: list[Row] = []
    stop = Event()
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        try:
            for done, future in enumerate([pool.submit(_row, case, stop) for case in cases]):
                if len(shown) > 1 and sys.stdout.isatty():  # until the row covers it
                    print(f"  {done} of {len(cases)}", end="\r", flush=True)
                rows.append(future.result())
                if rows[-1].meaning in shown:
                    _print_row(rows[-1], whole=args.verbosity > 0)
        finally:
            stop.set()  # Ctrl-C, or nobody reads any more: what still runs is ended
            pool.shutdown(cancel_futures=True)
    return rows


def _row(case: Case, stop: Event) -> Row:
    without = _run(case, stop, {"MACFIX_SKIP": case.left_out})
    return Row(case.title, case.left_out, without, _run(case, stop, {}))


def _run(case: Case, stop: Event, setting: dict[str, str]) -> Seen:
    """Run the program of *case* in surroundings of its own, which are removed afterwards."""
    simulate = [] if sys.platform == "darwin" else ["--simulate"]
    with tempfile.TemporaryDirectory(prefix="macfix-demo-", dir="/tmp") as folder:
        child = subprocess.Popen(
            [sys.executable, "-m", "macfix", "run", *simulate, "-m", *case.command],
            cwd=folder,
            env=_environment(folder) | setting,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # so that it can be ended with its children
        )
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                out, errors = child.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                if stop.is_set() or time.monotonic() > end:
                    _end(child)
                    return Seen(False, f"no end after {TIMEOUT:.0f} seconds")
            else:
                return _seen(child.returncode, out, errors)


def _seen(code: int, out: str, errors: str) -> Seen:
    """The last line of what it printed, or of the error that it ended with."""
    lines = (errors if code else out).splitlines()
    said = [text for line in lines if (text := line.strip(" |+-"))]  # a group's last error, too
    return Seen(code == 0, said[-1] if said else f"exit code {code}")


def _end(child: subprocess.Popen[str]) -> None:
    """End *child* and its children: by Ctrl-C, upon which they clean up, and else at once."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        os.killpg(child.pid, signal.SIGINT)
        child.communicate(timeout=GRACE)
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def _environment(folder: str) -> dict[str, str]:
    """The user's environment, with the replicas importable and folders of the run's own."""
    ours = ("MACFIX", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    paths = [PROGRAMS, REPLICAS, ROOT, kept.get("PYTHONPATH", "")]
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HOME": folder,
        "TMPDIR": folder,
        "MACFIX_SIMULATE_DIR": os.path.join(folder, "segments"),
    }


# -- telling -------------------------------------------------------------------------------------


def _print_introduction() -> None:
    where = "on this Mac" if sys.platform == "darwin" else "under a simulation of XNU"
    print(f"Small programs on replicas of tractor and piker, {where}.")
    print("Each runs with one patch left out, and then with all patches:\n", flush=True)


def _print_row(row: Row, *, whole: bool) -> None:
    without, fixed = (
        each.word if whole else _brief(each.word) for each in (row.without, row.fixed)
    )
    if whole or row.title != row.left_out or row.meaning == "still failing":
        without = f"without {row.left_out}: {without}\nwith it: {fixed}"
    print(facts([(f"{row.title:<{TITLE}}  {MEANINGS[row.meaning]:<6}", without)]), flush=True)


def _brief(word: str) -> str:
    word = re.sub(r"(\S{36})\S{4,}", r"\1...", word)
    return word if len(word) <= 120 else f"{word[:117]}..."


def _print_summary(rows: Sequence[Row], not_shown: Sequence[str]) -> None:
    of = {meaning: [row.title for row in rows if row.meaning == meaning] for meaning in MEANINGS}
    fixed = f"{len(of.pop('fixed'))} of {len(rows)} failures fixed"
    others = [f"{meaning}: {', '.join(titles)}" for meaning, titles in of.items() if titles]
    print(f"\n{'; '.join([fixed, *others])}")
    if not_shown:
        print("\n" + facts([("not shown", f"{', '.join(not_shown)}\n{NOT_SHOWN}")]))
