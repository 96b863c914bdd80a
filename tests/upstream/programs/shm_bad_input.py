"""Ask upstream's modules for what cannot be; prints what each error says and what was lost.

shm_bad_input.py MODULE
"""

from __future__ import annotations

import errno
import inspect
import json
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("SHM_TAG", str(os.getpid()).zfill(8))

from shm_vintage import DTYPE, ROWS, Vintage

from macfix.darwin.segments import place, reaping, registry, shared_memory
from macfix.darwin.segments.kernel import probe
from macfix.darwin.segments.names import kernel_name

KEY = f"piker.brokerd[{os.environ['SHM_TAG']}-42].xsimusdt.simx.hist"
TWIN = [("index", "i8"), ("time", "f8"), ("volume", "f8")]
LARGER = [*DTYPE, ("volume", "f8")]


def main(module: str) -> dict[str, Any]:
    vintage = Vintage(module)
    seen: dict[str, Any] = {}

    def case(name: str, act: Callable[[], object]) -> None:
        known = dict(vintage.module._known_tokens)
        files = len(os.listdir("/dev/fd"))
        try:
            act()
            said = "no error"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            del error
        seen[name] = {
            "said": said,
            "left": [key for key in on_record() if key not in allowed],
            "tokens kept": vintage.module._known_tokens == known,
            "files": len(os.listdir("/dev/fd")) - files,
        }

    allowed: set[str] = set()
    registry.join()
    for name, key in (("empty key", ""), ("slash", "a/b"), ("NUL", "a\0b")):
        case(name, lambda key=key: vintage.open(key))
    for size in (0, -1):
        case(f"size {size}", lambda size=size: vintage.open(KEY, size=size))
    for turn in (1, 2, 3):
        with failing(os, "ftruncate", turn, errno.ENOMEM):
            case(f"no memory for segment {turn}", lambda: vintage.open(KEY))
        with failing(shared_memory, "open_segment", turn, errno.EMFILE):
            case(f"no file for segment {turn}", lambda: vintage.open(KEY))
        with failing(shared_memory, "open_segment", turn, errno.EACCES):
            case(f"no permission on segment {turn}", lambda: vintage.open(KEY))
    if "current_actor" in inspect.getsource(vintage.opener):
        actor = vintage.module.tractor.current_actor
        vintage.module.tractor.current_actor = no_actor
        case("no actor", lambda: vintage.open(KEY))
        vintage.module.tractor.current_actor = actor

    array = vintage.open(KEY)
    array.push(vintage.rows([1.5]))
    allowed |= {KEY, KEY + "_first", KEY + "_last"}
    case("open twice", lambda: vintage.open(KEY))
    token = array.token
    vintage.module._known_tokens.clear()  # as in another process
    for name, dtype in (("another dtype", TWIN), ("a larger dtype", LARGER)):
        wrong = {**token, "dtype_descr": dtype}
        case(name, lambda wrong=wrong: vintage.attach(wrong))
        case(f"{name} by key", lambda d=dtype: vintage.maybe_opener(key=KEY, size=ROWS, dtype=d))
    if "size" in token:
        case("more rows", lambda: vintage.attach({**token, "size": ROWS + 1}))
        case("fewer rows", lambda: vintage.attach({**token, "size": ROWS - 1}))
    with failing(shared_memory, "open_segment", 1, errno.EACCES, every=True):
        case("somebody else's", lambda: vintage.attach(token))
    unharmed = float(vintage.attach(token).array["close"][-1]) == 1.5
    vintage.lifetime.close()
    left = [end for end in ("", "_first", "_last") if probe(kernel_name(KEY + end))]
    return {"seen": seen, "unharmed": unharmed, "left": left}


def on_record() -> list[str]:
    """Return the keys of the segments that the registry knows and that exist."""
    return [found.record.key for found in reaping.sort_out(place.location(), free=False)]


def no_actor(*_: object, **__: object) -> Any:
    raise RuntimeError("there is no actor")


@contextmanager
def failing(owner: Any, name: str, turn: int, number: int, *, every: bool = False) -> Any:
    """Let `owner.name` fail with errno `number` the `turn`-th time (`every`: from then on)."""
    real, calls = getattr(owner, name), 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == turn or (every and calls > turn):
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, real)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
