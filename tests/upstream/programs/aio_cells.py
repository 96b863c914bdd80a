"""Leave asyncio tasks in every way and in every state of theirs; write one JSON line a cell.

    aio_cells.py root|child channel|task FILE CELL...

A cell is `WAY:STATE`. It starts an asyncio task through tractor, brings it into the state, leaves
it by the way, and writes to FILE what became of both sides: what the asyncio task was told, whether
its clean-up was complete when the trio side went on, and the whole tree of exceptions that the trio
side saw there. It judges nothing.

It uses only what every tractor since 2025-03 has: the order of what `open_channel_from()` yields is
found out, and so is whether a target may take the channel itself.

Variables: `CELLS_PATIENCE`, seconds after which a cell hangs; `CELLS_HANDLE=1`, the targets handle
`TrioTaskExited`; `CELLS_CHAN=1`, they take `chan` instead of two queues; `CELLS_UNSUPPRESSED=1`,
channels are opened with `suppress_graceful_exits=False`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import tractor
import trio
from tractor import to_asyncio

PATIENCE = float(os.environ.get("CELLS_PATIENCE", "4"))
HANDLE = os.environ.get("CELLS_HANDLE") == "1"
CHAN = os.environ.get("CELLS_CHAN") == "1"
UNSUPPRESSED = os.environ.get("CELLS_UNSUPPRESSED") == "1"

Get = Callable[[], Awaitable[Any]]


class TrioBoom(Exception):  # noqa: N818  (names that tell the sides apart in a report)
    """What the trio side raises."""


class AioBoom(Exception):  # noqa: N818
    """What the asyncio side raises."""


@dataclass
class Cell:
    """One cell while it runs, seen from both sides.

    Attributes:
        told: what was raised in the target, in order; told_below: in the tasks of its group.
        cleaned: whose clean-up is complete.
        released: it may end now, even if it refuses.
        at: event loop turns and seconds at which something happened.
    """

    way: str
    state: str
    api: str
    told: list[str] = field(default_factory=list)
    told_below: list[str] = field(default_factory=list)
    cleaned: list[str] = field(default_factory=list)
    released: bool = False
    at: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ready = trio.Event()  # the asyncio side is in its state
        self.wake = asyncio.Event()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()  # what a target of run_task() is parked on
        self.tasks: set[Any] = set()

    @property
    def fails(self) -> bool:
        """Whether the asyncio side fails by itself."""
        return self.way in ("crash", "both")

    @property
    def wakes(self) -> bool:
        """Whether the asyncio side is woken up: to fail, or to end with its result."""
        return self.fails or (self.way, self.api) == ("end", "task")

    @property
    def clean_ups(self) -> list[str]:
        """Whose clean-up has to be complete when the trio side goes on."""
        return ["child 0", "child 1", "target"] if self.state == "nested" else ["target"]

    def boom(self) -> None:
        """Fail, if that is what the asyncio side was woken up for."""
        if self.fails:
            raise AioBoom(self.state)

    def note(self, what: str) -> None:
        """Take down when it happened."""
        self.at[what] = (Turns.passed, time.perf_counter())


# -- the asyncio side ------------------------------------------------------------------------------


async def clean_up(cell: Cell, who: str) -> None:
    """Take a while, in several awaits of different kinds."""
    if cell.state == "cleaning":
        cell.ready.set()
        await asyncio.sleep(0.03)
    await asyncio.sleep(0)
    await asyncio.sleep(0.005)
    await asyncio.get_running_loop().run_in_executor(None, int)
    cell.cleaned.append(who)
    cell.note("cleaned")
    if cell.state == "cleaning":
        cell.boom()


async def live(cell: Cell, started: Callable[[Any], None], get: Get) -> None:
    """Be the target: start, be in the state, note what it is told, clean up."""
    cell.tasks.add(asyncio.current_task())
    if cell.state != "starting":
        started("started")
    try:
        await STATES[cell.state](cell, get)
    except BaseException as error:
        cell.told.append(type(error).__name__)
        if not (HANDLE and isinstance(error, to_asyncio.TrioTaskExited)):
            raise
    finally:
        await clean_up(cell, "target")


async def parked(cell: Cell, get: Get) -> None:
    """Wait for the trio side to send something."""
    cell.ready.set()
    await get()
    cell.boom()


async def sleeping(cell: Cell, get: Get) -> None:
    """Sleep, with nobody who would wake it up by himself."""
    cell.ready.set()
    if not cell.wakes:
        await asyncio.sleep(3600)
    async with asyncio.timeout(3600):
        await cell.wake.wait()
    cell.boom()


async def busy(cell: Cell, get: Get) -> None:
    """Never wait for anything, but let others run."""
    cell.ready.set()
    while not cell.wake.is_set():
        await asyncio.sleep(0)
    cell.boom()


async def nested(cell: Cell, get: Get) -> None:
    """Wait for the tasks of a group."""
    async with asyncio.TaskGroup() as group:
        for number in range(2):
            group.create_task(below(cell, number))


async def below(cell: Cell, number: int) -> None:
    """Be a task of the group; only the first one fails."""
    cell.tasks.add(asyncio.current_task())
    if number == 1:
        cell.ready.set()
    try:
        await (asyncio.sleep(3600) if number and cell.fails else cell.wake.wait())
        cell.boom()
    except BaseException as error:
        cell.told_below.append(type(error).__name__)
        raise
    finally:
        await clean_up(cell, f"child {number}")


async def cleaning(cell: Cell, get: Get) -> None:
    """Go on to the clean-up, and be left in it."""


async def finished(cell: Cell, get: Get) -> None:
    """Be done before the trio side leaves."""
    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(lambda _: cell.ready.set())
    cell.boom()


async def refusing(cell: Cell, get: Get) -> None:
    """Take no notice of whatever it is told."""
    cell.ready.set()
    while not cell.released:
        try:
            await cell.wake.wait()
            break
        except BaseException as error:
            cell.told.append(type(error).__name__)
    cell.boom()


async def refusing_busily(cell: Cell, get: Get) -> None:
    """Take no notice, and never wait either."""
    cell.ready.set()
    while not cell.released and not cell.wake.is_set():
        try:
            await asyncio.sleep(0)
        except BaseException as error:
            cell.told.append(type(error).__name__)
    cell.boom()


STATES: dict[str, Callable[[Cell, Get], Awaitable[None]]] = {
    "parked": parked,
    "sleeping": sleeping,
    "busy": busy,
    "nested": nested,
    "cleaning": cleaning,
    "finished": finished,
    "refusing": refusing,
    "refusing_busily": refusing_busily,
    "starting": sleeping,  # and the trio side still waits for it to start
}


async def by_queues(to_trio: Any, from_trio: Any, cell: Cell) -> None:
    """A target as it has been written since ever."""
    await live(cell, to_trio.send_nowait, from_trio.get)


async def by_channel(chan: Any, cell: Cell) -> None:
    """A target as it can be written since 2025-08."""
    await live(cell, chan.started_nowait, chan._to_aio.get)


async def by_result(cell: Cell) -> str:
    """A target of `run_task()`."""
    await live(cell, lambda value: None, cell.queue.get)
    return "result"


# -- the trio side ---------------------------------------------------------------------------------


async def leave_channel(cell: Cell) -> None:
    """Open a channel to the target and leave it by the cell's way."""
    with trio.CancelScope() as outside:
        if cell.state != "starting":
            await watched(cell, lambda: use_channel(cell, outside))
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave_from_beside, cell, outside)
            await watched(cell, lambda: use_channel(cell, outside))


async def use_channel(cell: Cell, outside: trio.CancelScope) -> None:
    """Be in the channel's block."""
    options = {"suppress_graceful_exits": False} if UNSUPPRESSED else {}
    target = by_channel if CHAN else by_queues
    async with to_asyncio.open_channel_from(target, cell=cell, **options) as pair:
        channel = next(part for part in pair if hasattr(part, "_aio_task"))
        await cell.ready.wait()
        await leave(cell, outside, channel.send)


async def leave_task(cell: Cell) -> None:
    """Run the target for its result, and leave it by the cell's way from a task beside it."""
    with trio.CancelScope() as outside:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave_from_beside, cell, outside)
            await watched(cell, lambda: to_asyncio.run_task(by_result, cell=cell))


async def leave_from_beside(cell: Cell, outside: trio.CancelScope) -> None:
    """Leave while another task waits for the asyncio side."""

    async def send(value: Any) -> None:
        cell.queue.put_nowait(value)

    await cell.ready.wait()
    await leave(cell, outside, send)


async def leave(
    cell: Cell, outside: trio.CancelScope, send: Callable[[Any], Awaitable[None]]
) -> None:
    """Do what the way says."""
    cell.note("left")
    if cell.wakes:
        cell.wake.set()
        if cell.state == "parked":
            await send("wake up")
    if cell.way == "end":
        return
    if cell.way in ("error", "both"):
        raise TrioBoom
    if cell.way == "keyboard":
        raise KeyboardInterrupt
    if cell.way == "sigint":
        os.kill(os.getpid(), signal.SIGINT)
    if cell.way == "cancel":
        outside.cancel()
    if cell.way == "timeout":
        with trio.fail_after(0.01):
            await trio.sleep_forever()
    await trio.sleep_forever()


Seen = dict[str, Any]

SEEN: dict[int, Seen] = {}
"""What was seen of each cell, by its id."""


async def watched(cell: Cell, run: Callable[[], Awaitable[Any]]) -> None:
    """Await `run()` and note how things stand at the moment it is left."""
    seen: Seen = {"raised": None}
    try:
        await run()
    except BaseException as error:
        seen["raised"] = tree(error)
        raise
    finally:
        cell.note("gone")
        seen["told"] = list(cell.told)
        seen["told below"] = list(cell.told_below)
        seen["uncleaned"] = [who for who in cell.clean_ups if who not in cell.cleaned]
        seen["running"] = sum(not task.done() for task in cell.tasks)
        seen["at"] = dict(cell.at)
        seen["loop"] = type(asyncio.get_running_loop()).__module__
        SEEN[id(cell)] = seen


def tree(error: BaseException | None, known: frozenset[int] = frozenset()) -> Any:
    """Return the exception with its cause, context and members, as nested dictionaries."""
    if error is None or id(error) in known:
        return None
    known |= {id(error)}
    parts: dict[str, Any] = {"is": type(error).__name__}
    if hasattr(error, "exceptions"):
        parts["members"] = [tree(member, known) for member in error.exceptions]
    if error.__cause__ is not None:
        parts["cause"] = tree(error.__cause__, known)
    if error.__context__ is not None and error.__context__ is not error.__cause__:
        parts["context"] = tree(error.__context__, known)
    return {key: value for key, value in parts.items() if value is not None}


# -- one cell --------------------------------------------------------------------------------------


async def run_cell(name: str, api: str) -> None:
    """Run one cell and write its line. A cell's Exception ends here, a cancellation does not."""
    way, _, state = name.partition(":")
    cell = Cell(way, state, api)
    leaving = leave_channel if api == "channel" else leave_task
    with complaints() as said, watch_dog(name):
        with trio.move_on_after(PATIENCE) as patience:
            try:
                await leaving(cell)
            except trio.Cancelled:
                cell.released = True  # the end of the event loop cancels it
                write({"cell": name, **SEEN.pop(id(cell), {}), **said, "hung": cut_off(patience)})
                raise
            except BaseException:  # it has been noted already
                pass
        if id(cell) in SEEN:
            hung = patience.cancelled_caught
            write({"cell": name, **SEEN.pop(id(cell)), **said, "hung": hung})
        with trio.CancelScope(shield=True):
            await end_what_is_left(cell)


def cut_off(patience: trio.CancelScope) -> bool:
    """Say whether it was this cell's patience that ran out."""
    return patience.cancel_called


@contextmanager
def complaints() -> Iterator[dict[str, list[str]]]:
    """Yield lists into which the warnings of macfix and the complaints of the event loop go."""
    said: dict[str, list[str]] = {"warnings": [], "noise": []}

    def note_warning(message: Any, kind: Any, *where: Any) -> None:
        if kind.__name__ == "MacfixWarning":
            said["warnings"].append(str(message))

    def note_noise(loop: Any, context: dict[str, Any]) -> None:
        said["noise"].append(f"{context['message']}: {context.get('exception')!r}")

    asyncio.get_running_loop().set_exception_handler(note_noise)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note_warning  # type: ignore[assignment]
        yield said


@contextmanager
def watch_dog(name: str) -> Iterator[None]:
    """End the process, with a report, if the cell cannot even be cancelled."""
    done = threading.Event()

    def watch() -> None:
        if not done.wait(PATIENCE * 2 + 2):
            write({"cell": name, "hung": True, "dead": True})
            main_thread = threading.main_thread().ident
            traceback.print_stack(sys._current_frames()[main_thread or 0], file=sys.stderr)
            os._exit(3)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


async def end_what_is_left(cell: Cell) -> None:
    """End the asyncio tasks that the cell left behind, so that the next one starts afresh."""
    cell.released = True
    while left := [task for task in cell.tasks if not task.done()]:
        for task in left:
            task.cancel()
        await trio.sleep(0.01)


class Turns:
    """How often the event loop has turned."""

    passed = 0

    @classmethod
    def count(cls) -> None:
        """Count from now on, where the loop is asyncio's own."""
        loop: Any = asyncio.get_running_loop()
        once = getattr(loop, "_run_once", None)
        if once is None or "_run_once" in vars(loop):
            return

        def counted() -> None:
            cls.passed += 1
            once()

        loop._run_once = counted


def write(line: dict[str, Any]) -> None:
    """Append a line to the report, which all processes of a run share."""
    with open(os.environ["CELLS_FILE"], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


# -- many cells ------------------------------------------------------------------------------------


def batches(cells: Sequence[str]) -> Iterator[list[str]]:
    """Yield the cells that share an actor: a signal ends it, so those have one each."""
    together = [name for name in cells if not name.startswith("sigint")]
    if together:
        yield together
    for name in cells:
        if name not in together:
            yield [name]


def free_address() -> list[tuple[str, int]]:
    """Return a registry address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return [("127.0.0.1", int(probe.getsockname()[1]))]


async def in_root(cells: Sequence[str], api: str) -> None:
    """Run the cells in this process, a root actor."""
    Turns.count()
    async with tractor.open_root_actor(registry_addrs=free_address(), loglevel="critical"):
        for name in cells:
            await run_cell(name, api)


@tractor.context
async def in_child(ctx: tractor.Context, cells: list[str], api: str) -> None:
    """Run the cells in this process, a child actor."""
    Turns.count()
    await ctx.started()
    for name in cells:
        await run_cell(name, api)


async def in_a_child(cells: Sequence[str], api: str) -> None:
    """Start a child and have it run the cells."""
    with trio.fail_after(30 + 3 * PATIENCE * len(cells)):
        async with tractor.open_nursery(
            registry_addrs=free_address(), loglevel="critical"
        ) as actors:
            portal = await actors.start_actor(
                "infected", enable_modules=["aio_cells"], infect_asyncio=True
            )
            async with portal.open_context(in_child, cells=list(cells), api=api) as (ctx, _):
                await ctx.wait_for_result()
            await portal.cancel_actor()


def run_batch(where: str, api: str, cells: Sequence[str]) -> None:
    """Run the cells, and write how their actor ended."""
    end: dict[str, Any] = {"end of": cells, "raised": None}
    try:
        if where == "root":
            to_asyncio.run_as_asyncio_guest(trio_main=lambda: in_root(cells, api))
        else:
            trio.run(in_a_child, cells, api)
    except BaseException as error:
        end["raised"] = tree(error)
    write(end)


def main() -> None:
    """Do what the command line says."""
    where, api, file, *cells = sys.argv[1:]
    os.environ["CELLS_FILE"] = file  # the children have it, too
    import aio_cells  # by the name by which the children know it

    for batch in batches(cells):
        aio_cells.run_batch(where, api, batch)


if __name__ == "__main__":
    main()
