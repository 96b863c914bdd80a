"""Two processes share an array of prices under a descriptive key, and both destroy it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import numpy as np
from piker.data._sharedmem import attach_shm_array, open_shm_array
from tractor import _state

KEY = "piker.brokerd[0201211b-72d6-42].btcusdt.binance.hist"
DTYPE = [("index", "i8"), ("close", "f8")]
ROWS = 1000
PATIENCE = 20.0
"""Seconds that the other process has."""


@contextmanager
def actor() -> Iterator[ExitStack]:
    """Be an actor: what it opened is closed and destroyed at its end."""
    with ExitStack() as stack:
        _state._current_actor = SimpleNamespace(lifetime_stack=stack)
        yield stack


def broker() -> None:
    """Open the array, have another process read it, and see both clean up."""
    prices = np.array([(n, n / 2) for n in range(ROWS // 2)], dtype=DTYPE)
    with actor():
        shared = open_shm_array(ROWS, KEY, dtype=DTYPE)
        shared.push(prices)
        if "hist" not in shared.token["shm_name"]:
            raise AssertionError(f"the token {shared.token} has lost the key")
        command = [sys.executable, "-m", "market_data", json.dumps(shared.token)]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
    read, total = json.loads(done.stdout)
    if (read, total) != (len(prices), float(prices["close"].sum())):
        raise AssertionError(f"the other process read {read} rows with the sum {total}")
    print(f"{read} rows read under a key of {len(KEY)} bytes, and destroyed by both processes")


def chart(token: str) -> None:
    """Attach to the array, say what is in it, and destroy it before its creator does."""
    with actor():
        shared = attach_shm_array(json.loads(token))
        rows = shared.array
        print(json.dumps([len(rows), float(rows["close"].sum())]))
        del rows
        shared.destroy()


if __name__ == "__main__":
    if sys.argv[1:]:
        chart(sys.argv[1])
    else:
        broker()
