"""How many files the root actor and a child may open, in a tree that shares no memory."""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

import tractor
import trio


async def limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def main() -> dict[str, int]:
    nursery: Any
    async with tractor.open_nursery() as nursery:
        portal = await nursery.start_actor("child", enable_modules=[__name__])
        child = await portal.run(limit)
        await portal.cancel_actor()
    assert not {"tractor._shm", "tractor.ipc._shm"} & sys.modules.keys()
    return {"root": await limit(), "child": child}


if __name__ == "__main__":
    print(json.dumps(trio.run(main)))
