"""A made-up exchange that piker can chart without any network.

piker finds a broker as a module of the package ``piker.brokers``; ``sitecustomize`` beside this
file makes this module known as ``piker.brokers.simx`` without writing into piker's folder. It
trades one market, ``xsimusdt.simx``, whose price is a sum of sines of the clock: every process and
every query sees the same history, and nothing has to be stored. With ``PIKER_SYNTH_STILL=SECONDS``
its clock stands still at that Unix time, and two charts show the same.

Actors: imported in the chart's process (as a name to spawn) and run in the ``brokerd.simx`` actor.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pendulum
import tractor
import trio
from piker.accounting import Asset, MktPair
from piker.brokers import open_cached_client
from piker.data import def_iohlcv_fields
from piker.data.validate import FeedInit
from piker.types import Struct
from tractor.ipc._tcp import TCPAddress

FRAME_ROWS = 1_000  # bars in one answer to a history query
TICKS_PER_SECOND = 5
STILL = float(os.environ.get("PIKER_SYNTH_STILL", "0"))

GetHistory = Callable[..., Awaitable[tuple[np.ndarray, datetime, datetime]]]


def _iter_address(address: TCPAddress) -> Iterator[str | int]:
    host, port = address.unwrap()
    return iter((host, 0 if STILL else port))  # the chart shows it, and it is another one each time


# This piker is older than tractor's address classes: it unpacks `host, port = channel.raddr`.
if not hasattr(TCPAddress, "__iter__"):
    TCPAddress.__iter__ = _iter_address


class Pair(Struct, frozen=True):
    """What the exchange says about its market."""

    symbol: str
    base: str
    quote: str
    ns_path: str = "piker.brokers.simx:Pair"

    @property
    def bs_mktid(self) -> str:
        return self.symbol

    @property
    def bs_fqme(self) -> str:
        return self.symbol.lower()


XSIM = Asset(name="xsim", atype="crypto_currency", tx_tick=Decimal("0.0001"))
USDT = Asset(name="usdt", atype="crypto_currency", tx_tick=Decimal("0.01"))
PAIR = Pair(symbol="XSIMUSDT", base="xsim", quote="usdt")
MARKET = MktPair(
    dst=XSIM,
    src=USDT,
    price_tick=Decimal("0.01"),
    size_tick=Decimal("0.0001"),
    bs_mktid=PAIR.bs_mktid,
    broker="simx",
)


class Client:
    """The exchange's interface as piker's symbology cache calls it."""

    async def get_assets(self) -> dict[str, Asset]:
        return {asset.name: asset for asset in (XSIM, USDT)}

    async def get_mkt_pairs(self) -> dict[str, Pair]:
        return {PAIR.bs_fqme: PAIR}


@asynccontextmanager
async def get_client(**_: Any) -> AsyncIterator[Client]:
    yield Client()


async def get_mkt_info(fqme: str) -> tuple[MktPair, Pair]:
    """The market of a name such as ``xsimusdt`` or ``xsimusdt.simx``; KeyError for any other."""
    name = fqme.lower().removesuffix(".simx")
    if name != PAIR.bs_fqme:
        raise KeyError(f"simx trades {PAIR.bs_fqme!r} only, not {fqme!r}")
    return MARKET, PAIR


@tractor.context
async def open_symbol_search(ctx: tractor.Context) -> None:
    async with open_cached_client("simx") as client:
        pairs = await client.get_mkt_pairs()
    await ctx.started()
    async with ctx.open_stream() as stream:
        async for pattern in stream:
            names = [name for name in pairs if pattern.lower() in name]
            await stream.send({name: pairs[name].to_dict() for name in names})


def now() -> float:
    return STILL or time.time()


def price_at(seconds: float | np.ndarray) -> Any:
    """The price at a point (or at an array of points) of Unix time."""
    day, hour, minute = 86_400 / math.tau, 3_600 / math.tau, 60 / math.tau
    return (
        100.0
        + 8.0 * np.sin(np.divide(seconds, day))
        + 3.0 * np.sin(np.divide(seconds, hour))
        + 0.4 * np.sin(np.divide(seconds, minute))
    )


def bars(until: int, period: int, count: int) -> np.ndarray:
    """`count` bars of `period` seconds, the last of them before `until` (Unix seconds)."""
    rows = np.zeros(count, dtype=def_iohlcv_fields)
    last = (until - 1) // period * period
    rows["time"] = last - period * np.arange(count - 1, -1, -1)
    inside = rows["time"][:, None] + np.linspace(0, period, 8)
    prices = price_at(inside)
    rows["open"], rows["close"] = prices[:, 0], prices[:, -1]
    rows["high"], rows["low"] = prices.max(axis=1), prices.min(axis=1)
    rows["volume"] = 5 + np.abs(rows["close"] - rows["open"])
    return rows


@asynccontextmanager
async def open_history_client(market: MktPair) -> AsyncIterator[tuple[GetHistory, dict[str, int]]]:
    async def get_history(
        timeframe: float,
        end_dt: datetime | None = None,
        start_dt: datetime | None = None,
    ) -> tuple[np.ndarray, datetime, datetime]:
        if end_dt is not None:
            # Older history never arrives: years of it would only make the proof slow.
            await trio.sleep_forever()
        rows = bars(int(now()), int(timeframe), FRAME_ROWS)
        first, last = (pendulum.from_timestamp(int(rows["time"][i])) for i in (0, -1))
        return rows, first, last

    yield get_history, {"erlangs": 1, "rate": 1}


def quote_at(now: float) -> dict[str, Any]:
    price = round(float(price_at(now)), 2)
    bid, ask = price - 0.01, price + 0.01
    ticks = [
        {"type": "trade", "price": price, "size": 0.25, "broker_ts": now},
        {"type": "bid", "price": bid, "size": 2.0},
        {"type": "bsize", "price": bid, "size": 2.0},
        {"type": "ask", "price": ask, "size": 3.0},
        {"type": "asize", "price": ask, "size": 3.0},
    ]
    return {
        "symbol": PAIR.bs_fqme,
        "last": price,
        "broker_ts": now,
        "brokerd_ts": now,
        "ticks": ticks,
    }


async def stream_quotes(
    send_chan: trio.MemorySendChannel[dict[str, Any]],
    symbols: list[str],
    feed_is_live: trio.Event,
    loglevel: str | None = None,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    market, _ = await get_mkt_info(symbols[0])
    async with send_chan:
        task_status.started(([FeedInit(mkt_info=market)], quote_at(now())))
        feed_is_live.set()
        if STILL:
            await trio.sleep_forever()
        while True:
            await send_chan.send({market.bs_fqme: quote_at(now())})
            await trio.sleep(1 / TICKS_PER_SECOND)
