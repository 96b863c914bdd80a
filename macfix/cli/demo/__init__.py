"""``macfix demo``: each fix at work, for someone who has neither piker nor tractor.

Small programs bundled here run on replicas of the upstream modules that have the defects (ours,
not upstream's), with real sockets, real shared memory and real processes: first without macfix
and then with it, through the same runner and engine as any program. On a Mac they meet the real
kernel, on Linux macfix's simulation of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from macfix.activation.activate import load_plugins
from macfix.activation.environment import ROOT

from ..output import table

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
REPLICAS = HERE / "replicas"
TIMEOUT = 60.0
"""Seconds that one program may take; each needs about one."""


@dataclass(frozen=True)
class Case:
    """One thing to show.

    Attributes:
        title: what it is, in a few words.
        command: file name in the folder ``programs``, and the program's arguments.
        skipped: the patch to leave out, where macfix is not left out altogether.
    """

    title: str
    command: tuple[str, ...]
    skipped: str | None = None


@dataclass(frozen=True)
class Seen:
    """How one run of a program ended: whether it succeeded, and its last word."""

    succeeded: bool
    word: str


@dataclass(frozen=True)
class Row:
    """One case, without and with the fix."""

    title: str
    without: Seen
    fixed: Seen


PROGRAM_CASES = (
    Case("import tractor", ("import_tractor.py",)),
    Case("actors talk over Unix sockets", ("actors.py",)),
    Case("market data in shared memory", ("market_data.py",)),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix demo``."""
    parser.add_argument("--quick", action="store_true", help="the programs only, not each patch")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def main(args: argparse.Namespace) -> int:
    """Run the demo and print what was seen.

    Returns:
        0 if every fix works, 1 if one does not, 2 if the demo cannot run here.
    """
    problem = _why_not()
    if problem:
        print(f"macfix demo: {problem}", file=sys.stderr)
        return 2
    programs = _rows(PROGRAM_CASES)
    patches = _rows(_patch_cases()) if not args.quick else []
    if args.json:
        rows = {"programs": programs, "patches": patches}
        print(json.dumps(rows, indent=2, default=asdict))
    else:
        _print(programs, patches)
    return 0 if all(row.fixed.succeeded for row in [*programs, *patches]) else 1


def _why_not() -> str | None:
    """Why the demo cannot run here, or None if it can."""
    missing = [name for name in ("trio", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed: pip install 'macfix[demo]'"
    if sys.platform not in ("darwin", "linux"):
        return f"it needs macOS, or Linux for the simulation, and this is {sys.platform}"
    return None


# -- running -------------------------------------------------------------------------------------


def _patch_cases() -> Iterable[Case]:
    """Each patch's own reproduction: with all other patches, and with all."""
    for patch, targets in load_plugins().all_patches().items():
        files = (REPLICAS.joinpath(*target.split(".")).with_suffix(".py") for target in targets)
        if patch.repro is not None and any(file.exists() for file in files):
            yield Case(patch.name, ("reproduce.py", patch.name), patch.name)


def _rows(cases: Iterable[Case]) -> list[Row]:
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(_row, cases))


def _row(case: Case) -> Row:
    return Row(case.title, _run(case, patched=False), _run(case, patched=True))


def _run(case: Case, *, patched: bool) -> Seen:
    """Run the program of *case* in surroundings of its own, which are removed afterwards."""
    skipped = {"MACFIX_SKIP": case.skipped} if case.skipped else {"MACFIX": "off"}
    launcher = _launcher(patched=patched or case.skipped is not None)
    with tempfile.TemporaryDirectory(prefix="macfix-demo-", dir="/tmp") as folder:
        try:
            done = subprocess.run(
                [*launcher, *case.command],
                cwd=PROGRAMS,
                env=_environment(folder) | ({} if patched else skipped),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return Seen(False, f"no end after {TIMEOUT:.0f} seconds")
    return _seen(done)


def _launcher(*, patched: bool) -> list[str]:
    if sys.platform == "darwin":
        return [sys.executable, "-m", "macfix", "run"] if patched else [sys.executable]
    command = ["run", "--simulate"] if patched else ["simulate"]
    return [sys.executable, "-m", "macfix", *command]


def _environment(folder: str) -> dict[str, str]:
    """The user's environment, with the replicas importable and folders of the run's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MACFIX")}
    paths = [str(REPLICAS), ROOT, kept.get("PYTHONPATH", "")]
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HOME": folder,
        "TMPDIR": folder,
        "MACFIX_SIMULATE_DIR": os.path.join(folder, "segments"),
    }


def _seen(done: subprocess.CompletedProcess[str]) -> Seen:
    """The last line of what it printed, or of the error that it ended with."""
    succeeded = done.returncode == 0
    lines = (done.stdout if succeeded else done.stderr).strip().splitlines()
    return Seen(succeeded, lines[-1].strip() if lines else f"exit code {done.returncode}")


# -- telling -------------------------------------------------------------------------------------


def _print(programs: list[Row], patches: list[Row]) -> None:
    where = "on this Mac" if sys.platform == "darwin" else "under the simulation of XNU"
    print(f"Programs, {where}, without and with macfix:\n")
    print(_table("program", "without macfix", "with macfix", programs))
    if patches:
        print("\nEach patch by itself, left out while all others are applied, and applied:\n")
        print(_table("patch", "left out", "applied", patches))
    print(f"\n{_summary([*programs, *patches])}")


def _table(what: str, without: str, fixed: str, rows: list[Row]) -> str:
    lines = [(row.title, _cell(row.without), _cell(row.fixed)) for row in rows]
    return table((what, without, fixed), lines)


def _cell(seen: Seen) -> str:
    word = seen.word if len(seen.word) <= 60 else seen.word[:59] + "…"
    return ("ok: " if seen.succeeded else "FAILS: ") + word


def _summary(rows: list[Row]) -> str:
    failed = [row.title for row in rows if not row.fixed.succeeded]
    unseen = [row.title for row in rows if row.fixed.succeeded and row.without.succeeded]
    fixed = len(rows) - len(failed) - len(unseen)
    parts = [f"{fixed} of {len(rows)} failures fixed"]
    if failed:
        parts.append(f"still failing: {', '.join(failed)}")
    if unseen:
        parts.append(f"no failure to be seen here: {', '.join(unseen)}")
    return "; ".join(parts)
