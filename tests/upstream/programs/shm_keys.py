"""Two processes share arrays under keys of every length; prints what went wrong, as JSON.

shm_keys.py MODULE STEP        MODULE: tractor.ipc._shm, tractor._shm or piker.data._sharedmem;
                               STEP: 1 for every length from 1 to 255 bytes, n for every n-th

The first process opens an array. The second one attaches by the token, reads, writes, finds the
array by its key, and makes the same token from it; then both destroy it, in alternating order.
Lists, where the module has them, are shared by their key.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import IO, Any

if "SHM_TAG" not in os.environ:
    os.environ["SHM_TAG"] = str(os.getpid()).zfill(8)

from shm_vintage import Vintage, length_in_bytes

LETTERS = ("x", "é", "語")
"""Of one, two and three bytes; a key is filled up with `y`."""
SHORTEST = 1 if sys.platform == "darwin" else 5  # shorter keys might meet other programs'
LONGEST = 255 if sys.platform == "darwin" else 240  # Linux makes files of key and suffix


class RefusedError(Exception):
    """The other process met an error."""


class Peer:
    """The second process, as the first one sees it."""

    def __init__(self, module: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, module, "peer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str, *arguments: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps([what, *arguments]), file=self.process.stdin, flush=True)
        succeeded, value = json.loads(self.process.stdout.readline())
        if not succeeded:
            raise RefusedError(f"{what}: {value}")
        return value

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait()


def first_process(module: str, step: int) -> dict[str, Any]:
    """Share an array under each key; returns how many were, and what went wrong."""
    vintage, peer = Vintage(module), Peer(module)
    wrong: list[str] = []
    keys = list(dict.fromkeys(all_keys(step)))
    arrays, lists = vintage.has_arrays(), hasattr(vintage.module, "ShmList")
    for number, key in enumerate(keys):
        try:
            if arrays:
                share(vintage, peer, key, peer_destroys_first=bool(number % 2))
            if lists:
                share_list(vintage, peer, key)
        except Exception as error:
            wrong.append(f"{len(key.encode())} bytes, {key!r:.40}: {type(error).__name__}: {error}")
            if len(wrong) > 5:
                break
    exit_code = peer.end()
    vintage.lifetime.close()  # as an actor's end: closes and destroys everything once more
    return {
        "keys": len(keys),
        "arrays": arrays,
        "lists": lists,
        "wrong": wrong,
        "peer": exit_code,
        "left": left(keys),
    }


def all_keys(step: int) -> list[str]:
    """Return keys of every length in bytes, and two as piker makes them."""
    return [
        length_in_bytes(size, letter)
        for letter in LETTERS
        for size in range(SHORTEST, LONGEST + 1, step)
    ] + [f"piker.brokerd[{os.environ['SHM_TAG']}-42].simx.{kind}" for kind in ("hist", "rt")]


def share(vintage: Vintage, peer: Peer, key: str, *, peer_destroys_first: bool) -> None:
    array = vintage.open(key)
    before = int(array._last.value)
    token = array.token
    expect("token's name", token["shm_name"], key)
    expect("key", array._token.key, key)
    expect("named in repr", repr(key)[1:-1] in repr(array._token), True)
    expect("sizes", [array._shm.size, array._first._shm.size, array._last._shm.size], [960, 4, 4])
    expect("peer's view", peer.ask("attach", token), [before, before, key])
    array.push(vintage.rows([1.5, 2.5]))
    expect("peer reads", peer.ask("read"), [1.5, 2.5])
    peer.ask("push", [3.5])
    expect("reads peer's", array.array["close"].tolist()[-3:], [1.5, 2.5, 3.5])
    expect("by key", peer.ask("by_key", key), [False, [1.5, 2.5, 3.5]])
    expect("same token", peer.ask("same_token", key, token), True)
    steps = [array.destroy, lambda: peer.ask("destroy")]
    for destroy in reversed(steps) if peer_destroys_first else steps:
        destroy()
    for _ in range(2):
        array.close()
    peer.ask("close")


def share_list(vintage: Vintage, peer: Peer, key: str) -> None:
    numbers = vintage.module.open_shm_list(key=key, sequence=[1, 2.5, "three"], readonly=False)
    expect("list's name", [numbers.key, numbers.shm.name], [key, key])
    expect("peer's list", peer.ask("read_list", key), [1, 2.5, "three"])
    numbers[0] = 7
    expect("peer's list", peer.ask("read_list", key), [7, 2.5, "three"])
    numbers.shm.close()
    numbers.shm.unlink()


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} and not {wanted!r}")


def left(keys: list[str]) -> list[str]:
    """Return the kernel names that are still taken."""
    from macfix.darwin.segments.kernel import probe
    from macfix.darwin.segments.names import kernel_name

    names = {kernel_name(key + end) for key in keys for end in ("", "_first", "_last")}
    return sorted(name for name in names if probe(name) is not None)


class Commands:
    """What the second process does."""

    def __init__(self, module: str) -> None:
        self.vintage = Vintage(module)
        self.array: Any = None
        self.again: Any = None

    def attach(self, token: Any) -> list[Any]:
        self.array = self.vintage.attach(token)
        name = self.array._token.key
        return [int(self.array._first.value), int(self.array._last.value), name]

    def read(self) -> list[float]:
        values: list[float] = self.array.array["close"].tolist()
        return values

    def push(self, values: list[float]) -> None:
        self.array.push(self.vintage.rows(values))

    def by_key(self, key: str) -> list[Any]:
        self.vintage.module._known_tokens.clear()  # as after a restart
        self.again, opened = self.vintage.by_key(key)
        return [opened, self.again.array["close"].tolist()]

    def same_token(self, key: str, message: Any) -> bool:
        made, own = self.vintage.token(key), type(self.array._token)
        received = own.from_msg(dict(message))
        same: bool = made == received == self.array._token
        return same and hash(made) == hash(received) == hash(self.array._token)

    def read_list(self, key: str) -> list[Any]:
        numbers = self.vintage.module.attach_shm_list(key=key)
        values = list(numbers)
        numbers.shm.close()
        return values

    def destroy(self) -> None:
        self.array.destroy()

    def close(self) -> None:
        self.array.close()
        self.again.close()
        self.array = self.again = None


def second_process(module: str, orders: IO[str]) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what upstream prints is no answer
    commands = Commands(module)
    for order in orders:
        what, *arguments = json.loads(order)
        try:
            answer = [True, getattr(commands, what)(*arguments)]
        except Exception as error:
            answer = [False, f"{type(error).__name__}: {error}"]
        print(json.dumps(answer), file=answers, flush=True)
    commands.vintage.lifetime.close()


if __name__ == "__main__":
    if sys.argv[2] == "peer":
        second_process(sys.argv[1], sys.stdin)
    else:
        print(json.dumps(first_process(sys.argv[1], int(sys.argv[2]))))
