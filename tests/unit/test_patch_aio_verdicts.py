"""What the asyncio patches say of shapes that no upstream has had yet, or no longer has."""

from __future__ import annotations

from importlib import import_module
from textwrap import dedent

import pytest

from macfix.engine import Source

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

NEEDED, CURED, UNKNOWN = "needed", "not needed", "unknown"


@pytest.mark.parametrize(
    ("patch", "text", "state"),
    [
        ("aio_abandoned_task", CHANNEL, NEEDED),
        ("aio_abandoned_task", CHANNEL.replace(WAIT, SHIELDED), CURED),
        ("aio_abandoned_task", "def something_else(): ...", CURED),
        ("aio_abandoned_task", CHANNEL.replace(WAIT, WAIT + WAIT), UNKNOWN),
        ("aio_abandoned_task", CHANNEL.replace(WAIT, "            pass\n"), UNKNOWN),
        ("aio_abandoned_task", CHANNEL.replace("_run_asyncio_task(func,", "_run(func,"), UNKNOWN),
        (
            "aio_abandoned_task",
            CHANNEL.replace("(chan, wait_on_aio_task=F", "(chan, *, wait_on_aio_task=F"),
            UNKNOWN,
        ),
        ("aio_abandoned_task", CHANNEL.replace("_trio_exited", "_left"), UNKNOWN),
        ("aio_abandoned_task", CHANNEL.replace("wait_on_aio_task=True", "wait=True"), UNKNOWN),
        ("aio_piker_targets", CHANNEL, NEEDED),
        ("aio_piker_targets", CHANNEL.replace("TrioTaskExited()", "None"), CURED),
        ("aio_piker_targets", "def something_else(): ...", CURED),
        ("aio_piker_targets", CHANNEL.replace("(func, *", "(func, loop, *"), UNKNOWN),
        ("aio_unsuppressed_exit", ASKED.format(test="not suppress_graceful_exits"), NEEDED),
        (
            "aio_unsuppressed_exit",
            ASKED.format(test="trio_to_raise and not suppress_graceful_exits"),
            CURED,
        ),
        ("aio_unsuppressed_exit", CHANNEL, CURED),
        ("aio_unsuppressed_exit", ASKED.format(test="suppress_graceful_exits"), UNKNOWN),
        ("aio_unsuppressed_exit", ASKED.format(test="other"), UNKNOWN),
        ("aio_guest_abandoned", INTERRUPTED.format(handling="actor.cancel_soon()"), CURED),
        ("aio_guest_abandoned", INTERRUPTED.format(handling="pass"), UNKNOWN),
        ("aio_guest_abandoned", CHANNEL, CURED),
        (
            "aio_root_interrupt",
            CANCEL_SOON.format(body="self._service_n.start_soon(self.cancel, None)"),
            NEEDED,
        ),
        ("aio_root_interrupt", CANCEL_SOON.format(body="self._root_tn.cancel()"), CURED),
        ("aio_root_interrupt", CANCEL_SOON.format(body="pass"), UNKNOWN),
        ("aio_root_interrupt", CHANNEL, CURED),
        ("aio_deribit_feeds", FEEDS.format(last="finally"), CURED),
        ("aio_deribit_feeds", FEEDS.format(last="except ValueError"), NEEDED),
        ("aio_deribit_feeds", FEEDS.format(last="finally").replace("stop", "end"), UNKNOWN),
        ("aio_deribit_feeds", CHANNEL, CURED),
        ("aio_ib_clients", CLIENTS, CURED),
        ("aio_ib_clients", CLIENTS.replace("ib.disconnect()", "pass"), NEEDED),
        ("aio_ib_clients", CLIENTS.replace("connectAsync", "connect"), UNKNOWN),
        ("aio_ib_clients", CHANNEL, CURED),
    ],
)
def test_the_shape_decides(patch: str, text: str, state: str) -> None:
    found = import_module(f"macfix.patches.{patch}").PATCH
    verdict = found.needed(Source(found.targets[0], "<test>", dedent(text).encode()))
    assert verdict.state == state, verdict.reason
