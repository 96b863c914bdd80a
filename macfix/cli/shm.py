"""`macfix shm`: the shared memory that macOS itself lists to nobody."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from macfix import simulate
from macfix.darwin.segments import place, reaping
from macfix.darwin.segments.kernel import probe, unlink_segment
from macfix.darwin.segments.names import InvalidKeyError, kernel_name
from macfix.darwin.segments.reaping import ALIVE, LEAKED, UNCLEAR, Finding, sort_out

from .output import agrees, at_a_terminal, facts, table, tell

_STATES = (
    "alive: a process of a tree that created or attached it lives.\n"
    "leaked: none does; `macfix shm reap` frees it.\n"
    "unclear: none does, but what has the name may be another segment; it stays, and\n"
    "  `macfix shm reap --force KEY` frees it."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the commands of `macfix shm`."""
    parser.description = (
        "The segments of shared memory that processes with macfix have created and not\n"
        "unlinked, as its registry has them: macOS itself lists none."
    )
    commands = parser.add_subparsers(dest="shm_command", required=True, metavar="COMMAND")
    for name, summary in {
        "ls": "list them",
        "show": "show all about one",
        "reap": "free those whose programs are gone",
        "forget": "remove one from the registry, and leave the segment",
    }.items():
        command = commands.add_parser(
            name,
            help=summary,
            epilog=_STATES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in ("show", "forget"):
            command.add_argument("key", metavar="KEY", help="its key, or the kernel's name for it")
        if name != "forget":
            command.add_argument("--json", action="store_true", help="as JSON, sizes in bytes")
        if name == "reap":
            only = command.add_mutually_exclusive_group()
            only.add_argument("--dry-run", action="store_true", help="only say what would be freed")
            only.add_argument("--force", metavar="KEY", help="free this one, whoever lives")


def main(args: argparse.Namespace) -> int:
    """Do what `add_arguments` parsed; the exit code is 1 for not found, not freed or no access."""
    command: Callable[[argparse.Namespace, str], int] = {
        "ls": _ls,
        "show": _show,
        "reap": _reap if getattr(args, "force", None) is None else _force,
        "forget": _forget,
    }[args.shm_command]
    try:
        return command(args, place.location())
    except (place.UnavailableError, OSError) as error:
        return _failed(f"there is no registry of shared memory to be used: {error}")


def _ls(args: argparse.Namespace, path: str) -> int:
    findings = findings_in(path)
    if args.json:
        _print_json({"segments": [_facts(one) for one in findings]})
        return 0
    if args.verbosity < 0:
        findings = [one for one in findings if one.state != ALIVE]
    if findings:
        _print_table(findings, args)
        total = sum(one.probe.length for one in findings if one.probe is not None)
        print(f"{_count(len(findings), 'segment')}, {_size(total)} of memory")
    elif args.verbosity >= 0:
        print("no shared memory segments")
    if args.verbosity >= 0 and simulate.active() is None and (of_mac := simulate.segments()):
        others = _count(len(of_mac), "segment")
        print(f"{others} of a simulated Mac: `macfix --simulate shm ls`")
    return 0


def _show(args: argparse.Namespace, path: str) -> int:
    findings = [one for one in findings_in(path) if _is_called(one, args.key)]
    if not findings:
        return _failed(f"no segment {args.key!r}; `macfix shm ls` lists them")
    if args.json:
        _print_json([_facts(one) for one in findings])
        return 0
    for one in findings:
        shown = _facts(one).items()
        print(facts([(name.replace("_", " "), _words(name, value)) for name, value in shown]))
    return 0


def _reap(args: argparse.Namespace, path: str) -> int:
    findings = findings_in(path)
    is_asked = not args.json and not args.dry_run and at_a_terminal()
    if is_asked and any(one.state == LEAKED for one in findings):
        _print_outcome(findings, "would be freed")
        if not agrees("Free them?"):
            return 0
    if not args.dry_run and findings:
        findings = _sorted(sort_out(path, free=True))
    if args.json:
        _print_json([_facts(one) for one in findings])
    else:
        if args.verbosity < 0:
            findings = [one for one in findings if one.state == UNCLEAR]
        _print_outcome(findings, "would be freed" if args.dry_run else "freed")
    return 1 if any(one.state == UNCLEAR for one in findings) else 0


def _force(args: argparse.Namespace, path: str) -> int:
    known = findings_in(path)
    heads = {one.record.head for one in known if _is_called(one, args.force)}
    findings = [one for one in known if one.record.head in heads or _is_called(one, args.force)]
    unrecorded = _unrecorded(args.force)
    if not findings and not unrecorded:
        return _failed(f"no segment {args.force!r}; `macfix shm ls` lists them")
    if not args.json:
        if findings:
            _print_table(findings, args)
        else:
            print(f"{_printable(args.force)!r} is not on record: nobody knows who uses it")
        if at_a_terminal() and not agrees("Free it all the same?"):
            return 0
    if findings:
        reaping.remove(path, args.force, unlink=True)
    else:
        for name in unrecorded:
            unlink_segment(name)
    if args.json:
        rows = [_facts(one) for one in findings] or [{"kernel_name": name} for name in unrecorded]
        _print_json([row | {"freed": True} for row in rows])
    else:
        tell(f"{_count(len(findings or unrecorded), 'segment')} freed")
    return 0


def _forget(args: argparse.Namespace, path: str) -> int:
    living = {one.record.name: f"; {one.reason}" for one in findings_in(path) if one.state == ALIVE}
    records = reaping.remove(path, args.key, unlink=False) if place.exists(path) else []
    if not records:
        return _failed(f"{args.key!r} is not on record; `macfix shm ls` lists what is")
    for record in records:
        text = f"{record.key} ({record.name}) is no longer on record{living.get(record.name, '')}"
        tell(_printable(text))
    return 0


# -- what there is ---------------------------------------------------------------------------------


def findings_in(path: str) -> list[Finding]:
    """The segments, oldest first; none, and no file, where nothing was ever on record."""
    return _sorted(sort_out(path, free=False)) if place.exists(path) else []


def _sorted(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: one.record.created)


def _is_called(finding: Finding, key: str) -> bool:
    return finding.record.key == key or finding.record.name in (key, f"/{key}")


def _unrecorded(key: str) -> list[str]:
    """Return the kernel's names of the array with that key (or kernel's name), and its indexes."""
    try:
        keys = (key, f"{key}_first", f"{key}_last")
        names = [key] if key.startswith("/") else list(map(kernel_name, keys))
        return [name for name in names if probe(name) is not None]
    except (InvalidKeyError, OSError, ValueError):
        return []


# -- how it is shown -------------------------------------------------------------------------------


def _print_table(findings: list[Finding], args: argparse.Namespace) -> None:
    rows = [_row(one, verbose=args.verbosity > 0) for one in findings]
    print(table(("key", "size", "age", "state", "why"), rows))


def total(findings: list[Finding], state: str) -> str:
    """How many of *findings* are in *state*, and their size."""
    sizes = [one.record.size for one in findings if one.state == state]
    return f"{_count(len(sizes), 'segment')}, {_size(sum(sizes))}"


def _print_outcome(findings: list[Finding], freed: str) -> None:
    rows = [
        (
            _printable(one.record.key),
            _size(one.record.size),
            f"process {one.record.pid}",
            freed if one.state == LEAKED else f"stays: {_printable(one.reason)}",
        )
        for one in findings
    ]
    shown = [table(("key", "size", "of", "outcome"), rows)] if rows else []
    tell("\n".join([*shown, f"{total(findings, LEAKED)}, {freed}"]))


def _row(finding: Finding, *, verbose: bool) -> tuple[str, ...]:
    record, why = finding.record, _printable(finding.reason)
    if verbose:
        creator = f"{record.pid} {_printable(record.program)}"
        why += f"\nkernel name: {_printable(record.name)}\ncreator: {creator}"
    return (
        _printable(record.key),
        _size(record.size),
        _age(record.created),
        finding.state,
        why,
    )


def _facts(finding: Finding) -> dict[str, Any]:
    record, found = finding.record, finding.probe
    return {
        "key": record.key,
        "kernel_name": record.name,
        "size": record.size,
        "kernel_size": None if found is None else found.length,
        "created": record.created,
        "state": finding.state,
        "reason": finding.reason,
        "freed": finding.freed,
        "owner_pid": record.pid,
        "owner_program": record.program,
        "contents": None if found is None else found.note,
    }


def _words(name: str, value: object) -> str:
    if name in ("size", "kernel_size") and isinstance(value, int):
        return f"{value} bytes"
    if name == "created" and isinstance(value, float):
        return f"{_date(value)}, {_age(value)} ago"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not known" if value is None else _printable(str(value))


def _date(when: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
    except (OverflowError, ValueError, OSError):  # the registry may hold any number
        return f"{when:g} s after 1970"


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


def _failed(why: str) -> int:
    print(f"macfix shm: {why}", file=sys.stderr)
    return 1
