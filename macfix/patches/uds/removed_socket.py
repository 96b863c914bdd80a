"""macOS cleans `/tmp`, sockets included, and a long-lived actor cannot be found any more.

Problem:
    From macOS 14 on, what lies in `/tmp` for about three days without being touched is removed.
    The socket of a registrar or a `pikerd` is one of these: it runs on, and nobody can connect.

Fix:
    An actor touches its socket once an hour. Where it is gone all the same (a Mac that has slept
    for days), the actor listens at the same path again, unless somebody else does.

Repro:
    Hours pass by trio's clock: a listener's socket must have been touched, and be there again.

Upstream:
    Not reported. Nobody has run this on a Mac: the cleaner is known from reports only, of macOS's
    `dirhelper` and `tmp_cleaner`.

Remove when:
    tractor keeps its sockets where macOS does not clean, and no older one is in use any more.
"""

from __future__ import annotations

import os
import socket
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix._files import make_private, owner_is_somebody_else
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls

from ._listeners import ENOUGH, listeners
from ._repro import socket_folder

SECONDS = 3600.0
"""How long a socket is left alone."""


def diagnose(source: Source) -> Diagnosis:
    found = listeners(source.tree)
    if not found:
        return not_needed("it opens no listener")
    listening = found[0]
    if calls(listening, "utime") or calls(listening, "touch"):
        return not_needed("it touches its sockets")
    if not calls(listening, "bind") or not calls(listening, "SocketListener"):
        return unknown(f"line {listening.lineno} makes a listener in a way that is not known")
    return needed(f"line {listening.lineno} leaves its socket to macOS's cleaner")


def install(module: ModuleType, changes: Changes) -> None:
    if hasattr(module, "start_listener"):
        changes.wrap(module, "start_listener", _start_listener)
    else:
        changes.wrap(module.UDSAddress, "open_listener", _start_listener)


async def _start_listener(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    listener = await wrapped(*args, **kwargs)
    lowlevel = import_module("trio.lowlevel")
    lowlevel.spawn_system_task(_Keeper(listener).keep, name="macfix keeps a socket")
    return listener


class _Keeper:
    """Keeps a `trio.SocketListener` reachable at its path as long as it listens."""

    def __init__(self, listener: Any) -> None:
        self._trio = import_module("trio")
        self._listener, self._path = listener, listener.socket.getsockname()
        self._accept_once, listener.accept = listener.accept, self._accept
        self._waiting: Any = None

    async def keep(self) -> None:
        while self._listener.socket.fileno() >= 0:
            try:
                os.utime(self._path)
            except FileNotFoundError:
                self._listen_again()
            except OSError:  # what others have made of it is not to be touched
                pass
            await self._trio.sleep(SECONDS)

    async def _accept(self) -> Any:
        while True:  # until that is not cancelled for another socket
            with self._trio.CancelScope() as self._waiting:
                return await self._accept_once()

    def _listen_again(self) -> None:
        again = socket.socket(socket.AF_UNIX)
        try:
            folder = os.path.dirname(self._path)
            if not os.path.lexists(folder):
                make_private(folder)
            elif os.path.islink(folder) or owner_is_somebody_else(folder):
                raise PermissionError(folder)
            again.bind(self._path)
        except OSError:  # somebody else has the path or its folder by now
            again.close()
            return
        again.listen(ENOUGH)
        before = self._listener.socket
        self._listener.socket = self._trio.socket.from_stdlib_socket(again)
        if self._waiting is not None:
            self._waiting.cancel()
        before.close()


def repro() -> None:
    trio, uds = import_module("trio"), import_module("tractor.ipc._uds")

    async def clean(folder: str) -> None:
        path = f"{folder}/repro@1.sock"
        listener = await uds.start_listener(uds.UDSAddress.from_addr((folder, "repro@1.sock")))
        async with listener:
            os.utime(path, (0, 0))
            await trio.sleep(2 * SECONDS)
            assert os.stat(path).st_mtime, f"{path} was not touched for two hours"
            os.unlink(path)
            await trio.sleep(2 * SECONDS)
            assert os.path.exists(path), f"{path} was removed two hours ago and is gone"

    clock = import_module("trio.testing").MockClock(autojump_threshold=0)
    with socket_folder() as folder:
        trio.run(clean, str(folder), clock=clock)
