"""Actors share arrays by token, by key and after a restart; prints what each of them saw.

shm_actors.py REGISTRY_PORT       with SHM_MODULE=tractor.ipc._shm or tractor._shm

The root opens arrays under long and short keys. One child attaches by the token that came with a
message, pushes, and destroys; another one, started afterwards, finds what is left by its key. At
the end every actor's lifetime stack closes and destroys what others have destroyed before.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import msgspec
import tractor
import trio

shm: Any = importlib.import_module(os.environ["SHM_MODULE"])

DTYPE = [("index", "i8"), ("close", "f8"), ("pair", "f8", (2,))]
KEYS = ["short", "piker.brokerd[0201211b-72d6-42].xsimusdt.simx.hist", "é" * 90]
ROWS = 40


def rows(value: float) -> Any:
    import numpy

    made = numpy.zeros(1, dtype=DTYPE)
    made["close"] = value
    return made


@tractor.context
async def attach(ctx: tractor.Context, token: dict[str, Any], value: float) -> None:
    array = shm.attach_shm_ndarray(token, readonly=False)
    array.push(rows(value))
    key = array._token.key
    await ctx.started([key, repr(array._token), shm.get_shm_token(key) is not None])
    array.destroy()


@tractor.context
async def find(ctx: tractor.Context, key: str) -> None:
    array, opened = shm.maybe_open_shm_ndarray(key=key, size=ROWS, dtype=DTYPE, readonly=False)
    array.push(rows(9.0))
    await ctx.started([opened, array.array["close"].tolist()])


async def ask(portal: Any, what: Any, **arguments: Any) -> Any:
    async with portal.open_context(what, **arguments) as (_, answer):
        return answer


async def main() -> None:
    seen: dict[str, Any] = {}
    async with tractor.open_nursery(registry_addrs=[("127.0.0.1", int(sys.argv[1]))]) as nursery:
        for key in KEYS:
            array = shm.open_shm_ndarray(size=ROWS, key=key, dtype=DTYPE)
            first, second, finder = [
                await nursery.start_actor(name, enable_modules=[__name__])
                for name in ("first", "second", "finder")
            ]
            found = await ask(finder, find, key=key)
            attached = await ask(first, attach, token=array.token, value=1.0)
            try:
                await ask(second, attach, token=array.token, value=2.0)
            except tractor.RemoteActorError as error:
                gone = getattr(error, "boxed_type", getattr(error, "type", None))
            seen[key] = {
                "attached": [attached[0] == key, repr(key) in attached[1]],
                "known": attached[2],
                "by key": found,
                "gone": str(gone),
                "last": array.array["close"].tolist()[-2:],
                "journey": journey(array._token),
            }
            for portal in (first, second, finder):
                await portal.cancel_actor()
    print(json.dumps(seen))


def journey(token: Any) -> list[Any]:
    """Send a token through msgspec as a message and as a struct; returns what arrived."""
    as_struct = msgspec.msgpack.decode(msgspec.msgpack.encode(token), type=type(token))
    message = msgspec.msgpack.decode(msgspec.msgpack.encode(token.as_msg()))
    as_message = type(token).from_msg(message)
    same_key = as_struct.key == as_message.key == token.key == token.shm_name
    return [as_struct == token, as_message == token, len({as_struct, as_message, token}), same_key]


if __name__ == "__main__":
    trio.run(main)
