"""What commands print: aligned tables and lists, to a standard output that may take nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from macfix.activation.environment import ROOT

GAP = "  "
SERIOUS = frozenset({"broken", "failed", "problem", "differs"})
PYTHON = shlex.quote(sys.executable)
"""This interpreter, as a command line for a shell calls it."""
LEAST = 24
"""Columns that the last cell of a row needs if it is to be wrapped beside the others."""


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> str:
    """*rows* below *headers* and a rule, all columns aligned.

    Args:
        headers: a title for each column.
        rows: as many cells each. The last one may be long: it is wrapped within its column, or
            stands below the others where there is no room beside them; so do all but the first.
        width: columns of the terminal; the real one's unless given, and no limit if standard
            output is no terminal.
    """
    cells = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    room = _room(widths[:-1], width)
    if room < 0 and len(headers) > 2:
        pairs = [(row[0], f"{GAP.join(row[1:-1])}\n{row[-1]}") for row in cells[1:]]
        return table((headers[0], ""), pairs, width)
    below = room < min(LEAST, widths[-1])
    if below:
        cells[0], room = (*headers[:-1], ""), max(_room((0, 0), width), LEAST)
    rules = ["-" * columns for columns in (*widths[:-1], 0 if below else min(widths[-1], room))]
    lines = [_row(cells[0], widths, room), GAP.join(rules).rstrip()]
    lines += [_row(row, widths, room, below=below) for row in cells[1:]]
    return "\n".join(lines)


def facts(rows: Iterable[tuple[str, str]], width: int | None = None) -> str:
    """Names and what is to be said of each, aligned, without headers."""
    cells = [("", name, text) for name, text in rows]
    widths = [0, max((len(name) for _, name, _ in cells), default=0), 0]
    room = max(_room(widths[:-1], width), LEAST)
    return "\n".join(_row(row, widths, room) for row in cells)


def mark(word: str) -> str:
    """*word* for the eye: on a terminal that has colours, red where it says what is broken."""
    wanted = os.environ.get("FORCE_COLOR") or (sys.stdout is not None and sys.stdout.isatty())
    if not wanted or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return word
    return f"\033[{31 if word in SERIOUS else 33}m{word}\033[0m"


def _row(row: Sequence[str], widths: Sequence[int], room: int, *, below: bool = False) -> str:
    """*row* with its last cell, wrapped to *room* columns, beside the others or *below* them."""
    *first, last = row
    start = "".join(cell.ljust(width) + GAP for cell, width in zip(first, widths, strict=False))
    wrapped = [
        part
        for line in last.splitlines() or [""]
        for part in textwrap.wrap(
            line, max(room, 1), break_long_words=False, break_on_hyphens=False
        )
        or [""]
    ]
    margin = "\n" + (2 * GAP if below else " " * len(start))
    text = (start + margin if below else start) + margin.join(wrapped)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _room(before: Sequence[int], width: int | None) -> int:
    """The columns left for the last cell of a row."""
    if width is None:
        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal else sys.maxsize
    return width - sum(before) - len(before) * len(GAP)


def this_macfix() -> str:
    """What a command line for a shell begins with that calls this very macfix again."""
    if os.path.isfile(ROOT):
        return f"{PYTHON} {shlex.quote(ROOT)}"
    found_by = os.environ.get("PYTHONPATH", "")  # perhaps for the command that runs now only
    its_way = f"PYTHONPATH={shlex.quote(found_by)} " if ROOT in found_by.split(os.pathsep) else ""
    return f"{its_way}{PYTHON} -m macfix"


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def agrees(question: str) -> bool:
    """Ask whoever sits at the terminal; the answer is no unless it is yes."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


class CannotWriteError(Exception):
    """Standard output takes no more; no OSError, which argparse drops and `macfix shm` explains."""


class Output:
    """The stream *inner*, which raises CannotWriteError where that cannot be written to."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)

        def attempt(*args: str) -> None:
            try:
                found(*args)
            except OSError as error:
                raise CannotWriteError(error) from error

        return attempt if name in ("write", "flush") else found


def tell(text: str) -> None:
    """Print what a command has done: on standard error where standard output takes nothing."""
    try:
        print(text, flush=True)
    except CannotWriteError:
        print(text, file=sys.stderr)
        raise
