"""What the asyncio patches say of shapes that no upstream has had yet, or no longer has."""

from __future__ import annotations

from textwrap import dedent

import pytest

from macfix import Source
from tests.support import builtin

CHANNEL = """
class LinkedTaskChannel:
    _trio_exited = False

def _run_asyncio_task(func, *, qsize=1):
    chan._aio_task = create_task(func())
    return chan

async def translate_aio_errors(chan, wait_on_aio_task=False):
    try:
        yield
    finally:
        if wait_on_aio_task:
            await chan._aio_task_complete.wait()

async def run_task(func):
    chan = _run_asyncio_task(func)
    async with translate_aio_errors(chan, wait_on_aio_task=True):
        return await chan.receive()

async def open_channel_from(target):
    chan = _run_asyncio_task(target)
    async with translate_aio_errors(chan, wait_on_aio_task=True):
        try:
            yield chan
        finally:
            chan._trio_exited = True
            chan._aio_task._fut_waiter.set_exception(TrioTaskExited())
"""

WAIT = "            await chan._aio_task_complete.wait()\n"

SHIELDED = """\
            with CancelScope(shield=True, deadline=soon()):
                await chan._aio_task_complete.wait()
"""

ASKED = """
async def translate_aio_errors(chan, wait_on_aio_task=False, suppress_graceful_exits=True):
    trio_to_raise = chan._trio_to_raise
    if {test}:
        raise trio_to_raise from chan._trio_err
"""

INTERRUPTED = """
def run_as_asyncio_guest(trio_main):
    async def aio_main(trio_main):
        try:
            return (await done).unwrap()
        except asyncio.CancelledError:
            {handling}

    return asyncio.run(aio_main(trio_main))
"""

CANCEL_SOON = """
class Actor:
    def cancel_soon(self):
        {body}
"""

FEEDS = """
@acm
async def open_feed_handler():
    fh = FeedHandler()
    try:
        yield fh
    {last}:
        await to_asyncio.run_task(fh.stop_async)
"""

CLIENTS = """
_client_cache: dict = {}

@acm
async def load_aio_clients():
    try:
        await ib.connectAsync(host, port)
        yield _client_cache
    finally:
        ib.disconnect()
"""

EVENTS = """
class KqueueIOManager:
    def process_events(self, events):
        for event in events:
            key = (event.ident, event.filter)
            receiver = {lookup}
            if receiver is not None:
                receiver.put_nowait(event)
"""

GUARDED_EVENTS = """
class KqueueIOManager:
    def process_events(self, events):
        for event in events:
            key = (event.ident, event.filter)
            try:
                receiver = self._registered[key]
            except KeyError:
                continue
"""

NEEDED, FIXED, UNKNOWN = "needed", "not needed", "unknown"


@pytest.mark.parametrize(
    ("patch", "text", "state"),
    [
        ("aio-abandoned-task", CHANNEL, NEEDED),
        ("aio-abandoned-task", CHANNEL.replace("=False):", "=False, suppress=True):"), NEEDED),
        ("aio-abandoned-task", CHANNEL.replace(WAIT, SHIELDED), FIXED),
        ("aio-abandoned-task", "def something_else(): ...", FIXED),
        ("aio-abandoned-task", CHANNEL.replace(WAIT, WAIT + WAIT), UNKNOWN),
        ("aio-abandoned-task", CHANNEL.replace(WAIT, "            pass\n"), UNKNOWN),
        ("aio-abandoned-task", CHANNEL.replace("_run_asyncio_task(func,", "_run(func,"), UNKNOWN),
        (
            "aio-abandoned-task",
            CHANNEL.replace("(chan, wait_on_aio_task=F", "(chan, *, wait_on_aio_task=F"),
            UNKNOWN,
        ),
        ("aio-abandoned-task", CHANNEL.replace("_trio_exited", "_left"), UNKNOWN),
        ("aio-abandoned-task", CHANNEL.replace("wait_on_aio_task=True", "wait=True"), UNKNOWN),
        ("aio-piker-targets", CHANNEL, NEEDED),
        ("aio-piker-targets", CHANNEL.replace("TrioTaskExited()", "None"), FIXED),
        ("aio-piker-targets", "def something_else(): ...", FIXED),
        ("aio-piker-targets", CHANNEL.replace("open_channel_from", "open_something"), FIXED),
        ("aio-piker-targets", CHANNEL.replace("(func, *", "(func, loop, *"), UNKNOWN),
        ("aio-unsuppressed-exit", ASKED.format(test="not suppress_graceful_exits"), NEEDED),
        (
            "aio-unsuppressed-exit",
            ASKED.format(test="trio_to_raise and not suppress_graceful_exits"),
            FIXED,
        ),
        ("aio-unsuppressed-exit", CHANNEL, FIXED),
        ("aio-unsuppressed-exit", ASKED.format(test="suppress_graceful_exits"), UNKNOWN),
        ("aio-unsuppressed-exit", ASKED.format(test="other"), UNKNOWN),
        ("aio-guest-abandoned", INTERRUPTED.format(handling="actor.cancel_soon()"), FIXED),
        ("aio-guest-abandoned", INTERRUPTED.format(handling="pass"), UNKNOWN),
        ("aio-guest-abandoned", CHANNEL, FIXED),
        (
            "aio-root-interrupt",
            CANCEL_SOON.format(body="self._service_n.start_soon(self.cancel, None)"),
            NEEDED,
        ),
        ("aio-root-interrupt", CANCEL_SOON.format(body="self._root_tn.cancel()"), FIXED),
        ("aio-root-interrupt", CANCEL_SOON.format(body="pass"), UNKNOWN),
        ("aio-root-interrupt", CHANNEL, FIXED),
        ("aio-deribit-feeds", FEEDS.format(last="finally"), FIXED),
        ("aio-deribit-feeds", FEEDS.format(last="except ValueError"), NEEDED),
        ("aio-deribit-feeds", FEEDS.format(last="finally").replace("stop", "end"), UNKNOWN),
        ("aio-deribit-feeds", CHANNEL, FIXED),
        ("aio-kqueue-events", EVENTS.format(lookup="self._registered[key]"), NEEDED),
        ("aio-kqueue-events", EVENTS.format(lookup="self._registered.get(key)"), FIXED),
        ("aio-kqueue-events", EVENTS.format(lookup="self._waiting(key)"), UNKNOWN),
        ("aio-kqueue-events", GUARDED_EVENTS, FIXED),
        ("aio-kqueue-events", CHANNEL, FIXED),
        ("aio-ib-clients", CLIENTS, FIXED),
        ("aio-ib-clients", CLIENTS.replace("ib.disconnect()", "pass"), NEEDED),
        ("aio-ib-clients", CLIENTS.replace("connectAsync", "connect"), UNKNOWN),
        ("aio-ib-clients", CHANNEL, FIXED),
    ],
)
def test_the_shape_decides(patch: str, text: str, state: str) -> None:
    target = builtin.targets_of(patch)[0]
    answer = builtin.patches()[patch].diagnose(Source(target, "<test>", dedent(text).encode()))
    assert answer.state == state, answer.reason
