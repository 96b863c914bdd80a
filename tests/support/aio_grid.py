"""The grid of ways to leave an asyncio task and of states to leave it in, and what is right there.

`programs/aio_cells.py` runs the cells and reports; here is which cells there are, what has to come
out of each, and what comes out where upstream is not mended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.worlds import World

PROGRAMS = Path(__file__).parents[1] / "upstream" / "programs"

TRACTORS = {
    "2025-03": "fde681fa",
    "2025-08": "c9a55c2d",
    "2026-02": "3638b80c",
    "2026-04": "f47010d7",
    "2026-06": "2fdf3901",
    "HEAD": "3690e43a",
}
"""A tractor of each time at which leaving an asyncio task changed."""

WAYS = ("end", "error", "keyboard", "sigint", "cancel", "timeout", "crash", "both")
STATES = ("parked", "sleeping", "busy", "nested", "cleaning", "finished", "refusing")
WHERES = ("root", "child")
APIS = ("channel", "task")

CELLS = tuple(f"{way}:{state}" for way in WAYS for state in STATES)

MORE_CELLS = (
    *(f"{way}:refusing_busily" for way in ("end", "error", "keyboard", "cancel", "timeout")),
    *(f"{way}:starting" for way in ("error", "keyboard", "sigint", "cancel", "timeout")),
)
"""States beside the grid: refusing without ever waiting, and left before it has started."""

SIGNALS = frozenset({"TrioTaskExited", "TrioCancelled"})
"""What upstream raises in asyncio tasks."""

FOREIGN = SIGNALS | {"NoRuntime", "CancelledError"}
"""What a program that was interrupted must not end with."""

Tree = Mapping[str, Any]
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Grid:
    """Some cells in one place.

    Attributes:
        where: `root` or `child`: the kind of actor.
        api: `channel` (`open_channel_from()`) or `task` (`run_task()`).
        more: variables for the program.
    """

    where: str
    api: str
    cells: tuple[str, ...] = CELLS
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def handles_exit(self) -> bool:
        """Whether the targets handle `TrioTaskExited`."""
        return self.more.get("CELLS_HANDLE") == "1"

    def run(self, launcher: Launcher, world: World, more: Mapping[str, str]) -> dict[str, Line]:
        """Run the cells and return the line of each.

        A cell that kills its process is reported as dead, and the others go on in a new one.
        """
        lines: dict[str, Line] = {}
        left = list(self.cells)
        while left:
            finished, found = self._run(launcher, world, more, left)
            ends = {line["end of"][0]: line for line in found if len(line.get("end of", ())) == 1}
            for line in found:
                if "cell" in line:
                    end = {"program": ends.get(line["cell"], {}).get("raised")}
                    lines.setdefault(line["cell"], {**line, **end})
            if left[0] not in lines and not lines.keys() & set(left):
                lines[left[0]] = {"cell": left[0], "dead": True, "hung": True, "why": str(finished)}
            left = [cell for cell in left if cell not in lines]
        return lines

    def _run(
        self, launcher: Launcher, world: World, more: Mapping[str, str], cells: Sequence[str]
    ) -> tuple[Finished, list[Line]]:
        file = launcher.sandbox.temporary / "cells"
        file.unlink(missing_ok=True)
        program = PROGRAMS / "aio_cells.py"
        finished = launcher.with_path(PROGRAMS).run(
            world,
            ["-W", "ignore::DeprecationWarning", program, self.where, self.api, file, *cells],
            more={**self.more, **more},
            timeout=60 + 12 * len(cells),
        )
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return finished, [json.loads(line) for line in text.splitlines()]

    def wrong(self, line: Line) -> list[str]:
        """Return what is not as it has to be in one cell."""
        return list(_wrong(Expected(*line["cell"].split(":"), self.api, self.handles_exit), line))

    def fails_without(self, vintage: str, cell: str) -> bool | None:
        """Say whether the cell is wrong in a `vintage` that is not mended; None if it may be."""
        way, state = cell.split(":")
        if way == "crash" or (self.api, way) == ("task", "end"):
            return False
        if state == "finished":
            if (way, self.api) == ("both", "task"):
                return True  # what `run_task()` raised is lost behind a `Cancelled`
            # until 2025-08 a root goes on after SIGINT, and later after a debugger was opened in it
            return None if (way, self.where) == ("sigint", "root") else False
        if (way, state) in {("end", "parked"), ("end", "sleeping")}:
            return vintage not in ("2026-06", "HEAD")
        return True


@dataclass(frozen=True)
class Expected:
    """What has to come out of a cell."""

    way: str
    state: str
    api: str
    handles_exit: bool

    @property
    def refuses(self) -> bool:
        """Whether the target has been asked to end and does not."""
        if self.way in ("crash", "both") or (self.api, self.way) == ("task", "end"):
            return False
        return self.state.startswith("refusing")

    @property
    def told(self) -> set[str | None]:
        """What may be the first thing that the target is told."""
        if self.state in ("cleaning", "finished"):
            return {None} if self.way not in ("crash", "both") else {None, "AioBoom"}
        if self.way == "crash" or (self.api, self.way) == ("task", "end"):
            return {None, "AioBoom", "ExceptionGroup"}
        if self.way == "both":
            return {None, "AioBoom", "ExceptionGroup", "CancelledError"}
        return {"TrioTaskExited" if self.way == "end" else "CancelledError"}

    @property
    def raised(self) -> set[str | None]:
        """What may leave the block."""
        if self.way == "end":
            quiet = self.api == "task" or self.handles_exit or self.refuses
            quiet = quiet or self.state in ("cleaning", "finished")
            return {None} if quiet else {None, "TrioTaskExited"}
        if self.way == "crash":
            return {"AioBoom", "ExceptionGroup"}
        if self.way == "both" and self.state == "finished":
            return {"AioBoom"}  # that one was first
        if self.api == "task":
            return {"Cancelled", "AioBoom", "ExceptionGroup"} if self.way == "both" else self._left
        own = {"error": "TrioBoom", "both": "TrioBoom", "keyboard": "KeyboardInterrupt"}
        inside = self.way == "timeout" and self.state != "starting"
        beside = {"TooSlowError"} if inside else {"Cancelled"}
        return {own[self.way]} if self.way in own and self.state != "starting" else beside

    @property
    def _left(self) -> set[str | None]:
        """What may leave `run_task()` when a task beside it is left; its result may come first."""
        return {None, "Cancelled"} if self.state == "finished" else {"Cancelled"}

    @property
    def mentioned(self) -> set[str]:
        """What may stand anywhere in the tree of what leaves the block."""
        names = {name for name in self.raised if name}
        if self.way in ("crash", "both"):
            names |= {"AioBoom", "ExceptionGroup"}
        if self.way not in ("end", "error", "keyboard"):
            names.add("Cancelled")
        if self.api == "task":
            names.add("ClosedResourceError")  # upstream's own way of waking up the trio side
        return names


def _wrong(expected: Expected, line: Line) -> Iterator[str]:
    if line.get("hung"):
        yield "it hangs"
    told, tree = line.get("told", []), line.get("raised")
    names = set(names_in(tree))
    if not expected.refuses:
        if line.get("uncleaned"):
            yield f"clean-up not complete: {line['uncleaned']}"
        if line.get("running"):
            yield "tasks are left running"
    said = line.get("warnings", [])
    if len(said) != expected.refuses or not all(_tells(text, expected) for text in said):
        yield f"warnings: {said}"
    if (told[0] if told else None) not in expected.told:
        yield f"the target was told {told}"
    if (tree["is"] if tree else None) not in expected.raised:
        yield f"it raised {tree}"
    if names - expected.mentioned:
        yield f"the trio side sees {sorted(names - expected.mentioned)}: {tree}"
    if expected.way in ("crash", "both") and "AioBoom" not in names:
        yield "asyncio's own error is lost"
    if foreign := FOREIGN.intersection(names_in(line.get("program"))):
        yield f"the program ends with {sorted(foreign)}: {line['program']}"


def _tells(warning: str, expected: Expected) -> bool:
    """Say whether a warning names the task, its target and the place where it is stuck."""
    named = re.match(r"Task-\d+, the asyncio task of aio_cells\.(by_\w+), did not end", warning)
    stuck = re.search(rf'File ".*aio_cells\.py", line \d+, in {expected.state}\n', warning)
    return bool(named and stuck)


def names_in(tree: Tree | None) -> Iterator[str]:
    """Yield the names of all exceptions in the tree."""
    if tree:
        yield tree["is"]
        for part in (*tree.get("members", ()), tree.get("cause"), tree.get("context")):
            yield from names_in(part)


def delay(line: Line) -> tuple[int, float]:
    """Return loop turns and seconds from the end of the clean-up to the end of the block."""
    at = line["at"]
    begin = max((at[name] for name in ("left", "cleaned") if name in at), default=at["gone"])
    return at["gone"][0] - begin[0], at["gone"][1] - begin[1]
