"""Open the arrays of many markets, three segments each; prints how many files that took.

shm_markets.py MODULE MARKETS
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

os.environ.setdefault("SHM_TAG", str(os.getpid()).zfill(8))

from shm_vintage import Vintage


def main(module: str, markets: int) -> dict[str, Any]:
    found, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    vintage = Vintage(module)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(os.listdir("/dev/fd"))
    tag = os.environ["SHM_TAG"]
    keys = [f"piker.brokerd[{tag}-42].market{number}.simx.hist" for number in range(markets)]
    try:
        arrays = [vintage.open(key) for key in keys]
        again = [vintage.attach(array.token) for array in arrays]
        opened = len(arrays) == len(again) == markets
        files = len(os.listdir("/dev/fd")) - before
    finally:
        vintage.lifetime.close()
    return {"opened": opened, "files": files, "found": found, "limit": limit, "notes": notes()}


def notes() -> dict[str, str]:
    import macfix

    told: dict[str, str] = macfix.status().notes
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
