"""Every way of leaving an asyncio task, in every state of its, on tractors of six times.

Each cell asserts that the task was told, that its clean-up was complete when the trio side went on,
the whole tree of exceptions that the trio side saw, and one warning for a task that refuses to end;
and that it is otherwise where nothing is mended. A share of the grid runs by default, so that every
cell runs on some tractor; with `MACFIX_HEAVY=full` every cell runs on every tractor, in both kinds
of actors and through both functions.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.aio_grid import (
    APIS,
    CELLS,
    MORE_CELLS,
    STATES,
    TRACTORS,
    WAYS,
    WHERES,
    Grid,
    Line,
    delay,
)
from tests.support.launcher import Launcher
from tests.support.reports import Tables
from tests.support.surroundings import HEAVY
from tests.support.worlds import LINUX_WITH_MACFIX, MENDED_MAC, ON_A_MAC, PLAIN_LINUX, World

FORCED = "aio-abandoned-task,aio-piker-targets,aio-root-interrupt,aio-unsuppressed-exit"
"""The cures, which are none of Linux's business otherwise."""

FULL = HEAVY == "full"

VINTAGES = list(TRACTORS)

Case = tuple[str, Grid]


def share(number: int, of: int) -> tuple[str, ...]:
    """Return one of `of` parts of the grid; together they are all of it, each has every state."""
    picked = (
        f"{way}:{state}"
        for row, way in enumerate(WAYS)
        for column, state in enumerate(STATES)
        if (row + column) % of == number
    )
    return tuple(picked)


def cases() -> Iterator[Case]:
    """Yield what runs mended."""
    for number, vintage in enumerate(VINTAGES):
        if FULL:
            for where in WHERES:
                yield from ((vintage, Grid(where, api)) for api in APIS)
        else:
            where, api = WHERES[number % 2], APIS[number // 2 % 2]
            yield vintage, Grid(where, api, share(number, len(VINTAGES)))


def more_cases() -> Iterator[Case]:
    """Yield what runs mended beside the grid: other targets, other states."""
    handling = {"CELLS_HANDLE": "1"}
    for vintage in VINTAGES if FULL else ("HEAD",):
        yield vintage, Grid("root", "channel", MORE_CELLS)
        yield vintage, Grid("root", "channel", share(0, 8), handling)
        if vintage != "2025-03":  # targets could not take `chan` then
            yield vintage, Grid("root", "channel", share(4, 8), {"CELLS_CHAN": "1", **handling})
        yield vintage, Grid("root", "channel", share(2, 8), {"CELLS_UNSUPPRESSED": "1", **handling})


def unmended_cases() -> Iterator[Case]:
    """Yield what runs as upstream left it."""
    for vintage in VINTAGES if FULL else ("HEAD",):
        for where in WHERES if FULL else WHERES[:1]:
            for api in APIS if FULL else APIS[:1]:
                yield vintage, Grid(where, api, CELLS if FULL else share(3, 8))


def ids(value: object) -> str:
    return f"{value.where}-{value.api}" if isinstance(value, Grid) else str(value)


def world_and_variables() -> tuple[World, dict[str, str]]:
    """Return where the cures are active: on this machine, forced if it is not a Mac."""
    if ON_A_MAC:
        return MENDED_MAC, {}
    return LINUX_WITH_MACFIX, {"MACFIX_FORCE": FORCED}


def mended(grid: Grid, launcher: Launcher) -> dict[str, Line]:
    world, variables = world_and_variables()
    return grid.run(launcher, world, {"MACFIX_AIO_GRACE": "0.3", **variables})


def complain(grid: Grid, lines: dict[str, Line]) -> dict[str, list[str]]:
    """Return what is wrong, by cell."""
    assert lines.keys() == set(grid.cells)
    found = {cell: grid.wrong(line) for cell, line in lines.items()}
    return {cell: wrong for cell, wrong in found.items() if wrong}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("vintage", "grid"), [*cases(), *more_cases()], ids=ids)
def test_every_cell_is_right_with_macfix(
    vintage: str, grid: Grid, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    lines = mended(grid, launcher_for(TRACTORS[vintage]))
    delays = sorted(delay(line) for line in lines.values() if not line.get("warnings"))
    turns = statistics.median(turns for turns, _ in delays)
    seconds = statistics.median(seconds for _, seconds in delays)
    tables.add(
        "from the end of the clean-up to the end of the block (median)",
        vintage,
        ids(grid),
        f"{len(lines)} cells",
        f"{turns:.0f} turns",
        f"{seconds * 1e6:.0f} us",
    )
    launcher = launcher_for(TRACTORS[vintage])
    wrong = wrong_again(grid, lines, lambda again: mended(again, launcher), vintage, tables)
    assert wrong == {}


def wrong_again(
    grid: Grid,
    lines: dict[str, Line],
    run: Callable[[Grid], dict[str, Line]],
    vintage: str,
    tables: Tables,
) -> dict[str, list[str]]:
    """Return what is wrong in cells that are wrong once more when they run a second time.

    A crowded machine can hold a cell up for longer than its patience. What ran twice is told.
    """
    wrong = complain(grid, lines)
    if not wrong:
        return {}
    tables.add("cells run a second time", vintage, ids(grid), wrong)
    again = replace(grid, cells=tuple(wrong))
    return complain(again, run(again))


@pytest.mark.skipif(ON_A_MAC, reason="the real thing runs in the other tests")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("vintage", VINTAGES if FULL else ["HEAD"])
def test_a_simulated_mac_mends_itself(
    vintage: str, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    grid = Grid("child", "channel", CELLS if FULL else ("end:parked", "error:nested"))
    launcher = launcher_for(TRACTORS[vintage])

    def run(cells: Grid) -> dict[str, Line]:
        return cells.run(launcher, MENDED_MAC, {"MACFIX_AIO_GRACE": "0.3"})

    assert wrong_again(grid, run(grid), run, vintage, tables) == {}


@pytest.mark.skipif(ON_A_MAC, reason="macfix is active on a Mac")
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("vintage", "grid"), [*unmended_cases()], ids=ids)
def test_without_macfix_the_cells_fail_that_it_mends(
    vintage: str, grid: Grid, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    launcher = launcher_for(TRACTORS[vintage])
    lines = grid.run(launcher, PLAIN_LINUX, {"CELLS_PATIENCE": "2"})
    wrong = complain(grid, lines)
    tables.add("cells that fail without macfix", vintage, ids(grid), f"{len(wrong)}/{len(lines)}")
    expected = {cell: grid.fails_without(vintage, cell) for cell in grid.cells}
    differ = {
        cell: wrong.get(cell, "right")
        for cell, fails in expected.items()
        if fails is not None and fails != (cell in wrong)
    }
    assert differ == {}


def test_the_shares_of_the_grid_are_all_of_it() -> None:
    run = [cell for _, grid in cases() for cell in grid.cells]
    assert set(run) == set(CELLS)


def test_the_patches_do_not_sleep() -> None:
    """What waits, waits for something to happen: a fixed sleep is too long or too short."""
    folder = Path(__file__).parents[2] / "macfix" / "patches" / "aio"
    sources = {path.name: path.read_text() for path in folder.glob("*.py")}
    del sources["_repro.py"]
    acts = {name: text.partition("def repro(")[0] for name, text in sources.items()}
    assert [name for name, text in acts.items() if ".sleep(" in text] == []
    assert len(acts) > 10
