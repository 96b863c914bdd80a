"""`macfix shm`: the shared memory that macOS itself shows nobody."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from macfix.darwin.journal import shm_folder
from macfix.darwin.races import Race, recorded_races
from macfix.darwin.reaping import Outcome, reap
from macfix.darwin.segments import Segment, find_segments, list_segments
from macfix.darwin.state_dir import STATE_DIR_VARIABLE

from .tables import facts, table

_TITLES = ("key", "size", "age", "state", "kernel name", "owner")
_STATES = (
    "live: its creator runs.  in use: its creator is gone, others have it mapped.\n"
    "tree lives: its creator is gone, a process of the same tree runs.\n"
    "left behind: nobody is left who could want it; `macfix shm reap` frees it."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the commands of `macfix shm`."""
    parser.description = (
        "The segments of shared memory that processes with macfix have created and not unlinked, "
        "as their journals have them: macOS itself lists none."
    )
    commands = parser.add_subparsers(dest="shm_command", required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "ls",
        help="list them",
        epilog=_STATES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("--json", action="store_true", help="as JSON, sizes in bytes")
    showing = commands.add_parser("show", help="tell all about one")
    showing.add_argument("key", metavar="KEY", help="its key, or the kernel's name for it")
    showing.add_argument("--json", action="store_true", help="as JSON, sizes in bytes")
    reaping = commands.add_parser(
        "reap",
        help="free those whose creator is gone and that nobody has mapped",
        description=(
            "Unlinks the segments of processes that are gone. One that a living process has mapped "
            "stays, and so does one that bears the name of a dead process's but is not it."
        ),
    )
    reaping.add_argument("--dry-run", action="store_true", help="only say what would be freed")
    reaping.add_argument("--json", action="store_true", help="as JSON, sizes in bytes")


def main(args: argparse.Namespace) -> int:
    """Do what `add_arguments` parsed; the exit code is 1 for not found, not freed or no access."""
    command: Callable[[argparse.Namespace], int] = {
        "ls": _ls,
        "show": _show,
        "reap": _reap,
    }[args.shm_command]
    try:
        folder = shm_folder()
    except RuntimeError as error:
        told = f"{error} Set {STATE_DIR_VARIABLE} to one."
        print(f"macfix shm: nobody knows the folder of the journals: {told}", file=sys.stderr)
        return 1
    try:
        return command(args)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"macfix shm: cannot read the journals in {folder}: {error}", file=sys.stderr)
        return 1


def _ls(args: argparse.Namespace) -> int:
    segments, races = list_segments(), recorded_races()
    if args.json:
        _print_json({"segments": [_facts(s) for s in segments], "races": _race_facts(races)})
        return 0
    if segments:
        print(table(_TITLES, map(_row, segments)))
        total = sum(segment.probe.length for segment in segments)
        print(f"{_count(len(segments), 'segment')}, {_size(total)} of memory")
    else:
        print("no shared memory segments")
    if races:
        last = races[-1]
        print(
            f"{_count(len(races), 'teardown race')} (a segment was gone when a process came to "
            f"unlink it), the last {_age(last.when)} ago: {last.key!r}, process {last.pid}"
        )
    return 0


def _show(args: argparse.Namespace) -> int:
    segments = find_segments(args.key)
    if not segments:
        print(f"macfix shm: no segment {args.key!r}; `macfix shm ls` lists them", file=sys.stderr)
        return 1
    if args.json:
        _print_json([_facts(segment) for segment in segments])
        return 0
    for segment in segments:
        told = _facts(segment).items()
        print(facts([(name.replace("_", " "), _words(name, value)) for name, value in told]))
    return 0


def _reap(args: argparse.Namespace) -> int:
    try:
        outcomes = reap(dry_run=args.dry_run)
    except TimeoutError:
        print("macfix shm: other processes are creating segments; try again", file=sys.stderr)
        return 1
    if args.json:
        _print_json([_outcome_facts(outcome) for outcome in outcomes])
    else:
        _print_outcomes(outcomes, "would be freed" if args.dry_run else "freed")
    return 0 if all(outcome.freed or outcome.in_use for outcome in outcomes) else 1


def _print_outcomes(outcomes: list[Outcome], freed: str) -> None:
    rows = [
        (
            _printable(outcome.claim.key),
            _size(outcome.claim.size),
            f"process {outcome.owner.pid}",
            freed if outcome.freed else f"stays: {outcome.reason}",
        )
        for outcome in outcomes
    ]
    if rows:
        print(table(("key", "size", "of", "what became of it"), rows))
    done = [outcome.claim.size for outcome in outcomes if outcome.freed]
    print(f"{_count(len(done), 'segment')}, {_size(sum(done))}, {freed}")


def _row(segment: Segment) -> tuple[str, ...]:
    claim, owner = segment.claim, segment.owner
    return (
        _printable(claim.key),
        _size(claim.size),
        _age(claim.created),
        segment.state,
        _printable(claim.name),
        f"{owner.pid} {_printable(owner.program)}",
    )


def _facts(segment: Segment) -> dict[str, Any]:
    claim, owner, probe = segment.claim, segment.owner, segment.probe
    return {
        "key": claim.key,
        "kernel_name": claim.name,
        "size": claim.size,
        "kernel_size": probe.length,
        "created": claim.created,
        "state": segment.state,
        "owner_pid": owner.pid,
        "owner_program": owner.program,
        "owner_lives": segment.owner_lives,
        "tree": owner.tree,
        "tree_lives": segment.tree_lives,
        "mapped_by": [user.pid for user in segment.users],
        "contents": probe.note,
    }


def _outcome_facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "key": outcome.claim.key,
        "kernel_name": outcome.claim.name,
        "size": outcome.claim.size,
        "owner_pid": outcome.owner.pid,
        "freed": outcome.freed,
        "reason": outcome.reason,
    }


def _race_facts(races: list[Race]) -> dict[str, Any]:
    latest = [{"key": race.key, "pid": race.pid, "when": race.when} for race in races[-20:]]
    return {"count": len(races), "latest": latest}


def _words(name: str, value: object) -> str:
    if name in ("size", "kernel_size") and isinstance(value, int):
        return f"{value} bytes"
    if name == "created" and isinstance(value, float):
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(value))}, {_age(value)} ago"
    if name == "mapped_by" and isinstance(value, list):
        return ", ".join(map(str, value)) or "nobody"
    return "not known" if value is None else _printable(str(value))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _size(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _age(since: float) -> str:
    seconds = max(0.0, time.time() - since)
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _printable(text: str) -> str:
    """Keep what a terminal shows as one line; keys may hold anything."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=True))
