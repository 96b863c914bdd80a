"""Start one tractor actor by the method that is given, and print what became of ``__main__`` in it.

Usage: start_method.py METHOD REGISTRY
"""

from __future__ import annotations

import os
import sys
from typing import Any

import tractor
import trio
from tractor.ipc._uds import UDSAddress

PATIENCE = 60.0


class OfMain:
    """Something that only the re-run program has."""


async def tell() -> dict[str, Any]:
    """What this actor's process knows of the program."""
    main = sys.modules.get("__mp_main__") or sys.modules["__main__"]
    return {
        "platform": sys.platform,
        "main": main.__name__,
        "file": os.path.basename(getattr(main, "__file__", None) or ""),
        "has the program": hasattr(main, "OfMain"),
        "finders": sum(hasattr(finder, "is_macfix") for finder in sys.meta_path),
    }


async def work(method: Any, registry: str) -> None:
    """Have one actor tell about itself."""
    with trio.fail_after(PATIENCE):
        async with tractor.open_nursery(
            start_method=method,
            registry_addrs=[(str(UDSAddress.def_bindspace), f"{registry}@{os.getpid()}.sock")],
            enable_transports=["uds"],
        ) as actors:
            portal = await actors.start_actor("child", enable_modules=[__name__])
            told = await portal.run(tell)
            await portal.cancel_actor()
    for name, value in told.items():
        print(f"{name}: {value}")


print("run as", __name__, file=sys.stderr, flush=True)

if __name__ == "__main__":
    trio.run(work, sys.argv[1], sys.argv[2])
