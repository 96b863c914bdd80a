"""What the asyncio patches put in place of upstream's functions, function by function."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from macfix import Changes, MacfixWarning
from macfix.patches.aio import (
    deribit_feeds,
    guest_abandoned,
    ib_clients,
    root_interrupt,
    unsuppressed_exit,
)

Install = Callable[[Any, Any], None]


class LeftError(Exception):
    """With what a block is left."""


@pytest.fixture
def install() -> Iterator[Install]:
    """Install patches into modules; afterwards all is reverted, and reverting left nothing."""
    made: list[Changes] = []

    def into(patch: Any, module: Any) -> None:
        made.append(Changes())
        patch.install(module, made[-1])

    yield into
    for changes in reversed(made):
        assert changes.revert() == []


def module_with(**members: Any) -> Any:
    module = ModuleType("upstream")
    vars(module).update(members)
    return module


# -- aio-deribit-feeds ---------------------------------------------------------------------------


class Feeds:
    """piker's module for deribit: a handler that is stopped after the block, and not otherwise."""

    def __init__(self, failure: Exception | None = None, pause: float = 0.0) -> None:
        self.stopped: list[str] = []
        self.module = module_with(
            to_asyncio=SimpleNamespace(run_task=self._run), open_feed_handler=self._open
        )
        self._failure, self._pause = failure, pause

    async def _run(self, function: Any) -> None:
        await trio.sleep(self._pause)
        await function()
        if self._failure is not None:
            raise self._failure

    async def stop_async(self) -> None:
        await trio.lowlevel.checkpoint()
        self.stopped.append("stopped")

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Feeds]:
        yield self
        self.stopped.append("upstream's own way")


async def leave_by(error: BaseException | None, feeds: Feeds) -> None:
    async with feeds.module.open_feed_handler() as handler:
        assert handler is feeds
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [LeftError(), KeyboardInterrupt()], ids=repr)
def test_feeds_that_are_left_by_an_error_are_stopped(install: Install, error: Any) -> None:
    feeds = Feeds()
    install(deribit_feeds, feeds.module)
    with pytest.raises(type(error)) as caught:
        trio.run(leave_by, error, feeds)
    assert caught.value is error
    assert feeds.stopped == ["stopped"]


def test_feeds_that_are_left_by_their_end_are_stopped_once_by_upstream(install: Install) -> None:
    feeds = Feeds()
    install(deribit_feeds, feeds.module)
    trio.run(leave_by, None, feeds)
    assert feeds.stopped == ["upstream's own way"]


def test_a_cancellation_does_not_cut_the_stopping_short(install: Install) -> None:
    feeds = Feeds(pause=0.01)
    install(deribit_feeds, feeds.module)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with feeds.module.open_feed_handler():
                scope.cancel()
                await trio.sleep_forever()

    trio.run(main)
    assert feeds.stopped == ["stopped"]


def test_the_grace_period_ends_a_stopping_that_hangs(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACFIX_AIO_GRACE", "0.01")
    feeds = Feeds(pause=30)
    install(deribit_feeds, feeds.module)
    with pytest.raises(LeftError):
        trio.run(leave_by, LeftError(), feeds)
    assert feeds.stopped == []


def test_trouble_of_the_stopping_is_said_and_takes_no_errors_place(install: Install) -> None:
    feeds, error = Feeds(failure=OSError("the exchange is gone")), LeftError()
    error.__cause__ = KeyError("why")
    install(deribit_feeds, feeds.module)
    with (
        pytest.raises(LeftError) as caught,
        pytest.warns(MacfixWarning, match="could not be stopped: OSError: the exchange is gone"),
    ):
        trio.run(leave_by, error, feeds)
    assert isinstance(caught.value.__cause__, KeyError)


# -- aio-ib-clients ------------------------------------------------------------------------------


class Client:
    def __init__(self) -> None:
        self.disconnects = 0
        self.ib = self

    def disconnect(self) -> None:
        self.disconnects += 1


def ib_module(connecting: dict[str, Client], failure: BaseException | None = None) -> Any:
    """piker's module for ib: it connects, fails perhaps, and forgets its clients in the end."""
    module = module_with(_client_cache={})

    @asynccontextmanager
    async def load_aio_clients(disconnect_on_exit: bool = True) -> AsyncIterator[Any]:
        for address, client in connecting.items():
            await asyncio.sleep(0)
            module._client_cache[address] = client
        if failure is not None:
            raise failure
        yield module._client_cache

    module.load_aio_clients = load_aio_clients
    return module


async def use(module: Any, error: BaseException | None = None, **kwargs: Any) -> None:
    async with module.load_aio_clients(**kwargs) as clients:
        assert clients is module._client_cache
        if error is not None:
            raise error


def test_clients_are_disconnected_if_the_next_one_cannot_connect(install: Install) -> None:
    new, old = Client(), Client()
    module = ib_module({"a": new}, asyncio.CancelledError())
    module._client_cache["before"] = old
    install(ib_clients, module)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(use(module))
    assert (new.disconnects, old.disconnects) == (1, 0)
    assert module._client_cache == {"before": old}


@pytest.mark.parametrize("error", [None, LeftError()])
def test_clients_that_upstream_forgets_are_disconnected_in_the_end(
    install: Install, error: BaseException | None
) -> None:
    client = Client()
    module = ib_module({"a": client})
    install(ib_clients, module)
    if error is None:
        asyncio.run(use(module))
    else:
        with pytest.raises(LeftError):
            asyncio.run(use(module, error))
    assert client.disconnects == 1
    assert module._client_cache == {}


def test_a_client_that_cannot_be_disconnected_keeps_no_other_one_connected(
    install: Install,
) -> None:
    class Stuck(Client):
        def disconnect(self) -> None:
            raise OSError("its socket is gone")

    first, last = Client(), Client()
    module = ib_module({"first": first, "stuck": Stuck(), "last": last}, LeftError())
    install(ib_clients, module)
    with pytest.raises(OSError, match="socket is gone") as caught:
        asyncio.run(use(module))
    assert (first.disconnects, last.disconnects) == (1, 1)
    assert module._client_cache == {} and isinstance(caught.value.__context__, LeftError)


def test_clients_that_the_caller_keeps_stay_connected(install: Install) -> None:
    client = Client()
    module = ib_module({"a": client})
    install(ib_clients, module)
    asyncio.run(use(module, disconnect_on_exit=False))
    assert client.disconnects == 0
    assert module._client_cache == {"a": client}


def test_a_client_that_took_the_place_of_another_is_new(install: Install) -> None:
    old, new = Client(), Client()
    module = ib_module({"a": new})
    module._client_cache["a"] = old
    install(ib_clients, module)
    asyncio.run(use(module))
    assert (old.disconnects, new.disconnects) == (0, 1)


# -- aio-root-interrupt --------------------------------------------------------------------------


class Actor:
    """tractor's actor, whose `cancel_soon()` ends its services only."""

    def __init__(self, *, infected: bool, parent: object) -> None:
        self._infected, self._parent_chan = infected, parent
        self._cancel_complete = trio.Event()
        self.calls: list[str] = []
        self._service_n: Any = None

    def is_infected_aio(self) -> bool:
        return self._infected

    def cancel_soon(self) -> str:
        self.calls.append("upstream's")
        return "upstream's"


@pytest.mark.parametrize(
    ("infected", "parent", "cancelled"),
    [(True, None, True), (False, None, False), (True, "a channel", False)],
)
def test_only_an_infected_root_actors_block_is_cancelled_and_after_the_services(
    install: Install, infected: bool, parent: object, cancelled: bool
) -> None:
    module = module_with(Actor=type("Actor", (Actor,), {}))
    install(root_interrupt, module)
    seen: list[str] = []

    async def services(actor: Any, task_status: Any) -> None:
        async with trio.open_nursery() as actor._service_n:
            task_status.started()
            await actor._cancel_complete.wait()

    async def main() -> None:
        actor = module.Actor(infected=infected, parent=parent)
        async with trio.open_nursery() as root:
            await root.start(services, actor)
            assert actor.cancel_soon() == "upstream's"
            await trio.testing.wait_all_tasks_blocked()
            seen.append("before the services have ended")
            actor._cancel_complete.set()
            await trio.sleep(0.02)
            seen.append("after that")
        assert actor.calls == ["upstream's"]

    trio.run(main)
    assert seen == ["before the services have ended", "after that"][: 1 if cancelled else 2]


# -- aio-guest-abandoned -------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def guest_module(act: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return await act()

    return module_with(run_as_asyncio_guest=lambda: asyncio.run(main()))


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("interruptible")
def test_the_first_interrupt_cancels_the_actor_and_the_loop_goes_on(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[str] = []
    actor = SimpleNamespace(cancel_soon=lambda: cancelled.append("actor"))
    monkeypatch.setitem(sys.modules, "tractor", module_with(current_actor=lambda: actor))

    async def act() -> str:
        interrupt()
        for _ in range(10):
            await asyncio.sleep(0)
        return "to its end"

    module = guest_module(act)
    install(guest_abandoned, module)
    assert module.run_as_asyncio_guest() == "to its end"
    assert cancelled == ["actor"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interruptible")
def test_the_second_interrupt_is_one(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = SimpleNamespace(cancel_soon=lambda: None)
    monkeypatch.setitem(sys.modules, "tractor", module_with(current_actor=lambda: actor))

    async def act() -> None:
        interrupt()
        await asyncio.sleep(0)
        interrupt()
        await asyncio.sleep(5)

    module = guest_module(act)
    install(guest_abandoned, module)
    with pytest.raises(KeyboardInterrupt):
        module.run_as_asyncio_guest()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_before_there_is_a_loop_is_one(install: Install) -> None:
    module = module_with(run_as_asyncio_guest=interrupt)
    install(guest_abandoned, module)
    with pytest.raises(KeyboardInterrupt):
        module.run_as_asyncio_guest()


def test_a_handler_of_the_programs_own_stays(install: Install) -> None:
    seen: list[Any] = []

    def own(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGINT, own)
    try:
        module = module_with(
            run_as_asyncio_guest=lambda: seen.append(signal.getsignal(signal.SIGINT))
        )
        install(guest_abandoned, module)
        module.run_as_asyncio_guest()
        assert seen == [own] and signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_in_another_thread_signals_are_left_alone(install: Install) -> None:
    seen: list[Any] = []
    module = module_with(run_as_asyncio_guest=lambda: seen.append(signal.getsignal(signal.SIGINT)))
    install(guest_abandoned, module)
    thread = threading.Thread(target=module.run_as_asyncio_guest)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


# -- aio-unsuppressed-exit -----------------------------------------------------------------------


def channel_module() -> Any:
    """tractor's translator: it raises what it has, if the flag says so, though it be None."""

    def translate_aio_errors(chan: Any, suppress_graceful_exits: Any = True) -> None:
        if not suppress_graceful_exits:
            raise chan._trio_to_raise

    return module_with(translate_aio_errors=translate_aio_errors)


def test_nothing_is_raised_where_there_is_nothing(install: Install) -> None:
    module, channel = channel_module(), SimpleNamespace(_trio_to_raise=None)
    install(unsuppressed_exit, module)
    module.translate_aio_errors(channel, suppress_graceful_exits=False)
    module.translate_aio_errors(chan=channel, suppress_graceful_exits=False)


def test_what_there_is_to_raise_is_raised(install: Install) -> None:
    module, channel = channel_module(), SimpleNamespace(_trio_to_raise=LeftError())
    install(unsuppressed_exit, module)
    with pytest.raises(LeftError):
        module.translate_aio_errors(channel, suppress_graceful_exits=False)
    with pytest.raises(LeftError):
        module.translate_aio_errors(chan=channel, suppress_graceful_exits=False)
    module.translate_aio_errors(channel)
    module.translate_aio_errors(channel, suppress_graceful_exits=True)


def test_the_flag_looks_at_the_channel_when_it_is_asked() -> None:
    channel = SimpleNamespace(_trio_to_raise=None)
    flag = unsuppressed_exit.SuppressesUntilError(channel)
    assert flag
    channel._trio_to_raise = LeftError()
    assert not flag
