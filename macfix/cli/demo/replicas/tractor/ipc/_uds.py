"""Unix domain sockets between actors."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from socket import (
    AF_UNIX,
    SO_PASSCRED,
    SO_PEERCRED,
    SOCK_STREAM,
    SOL_SOCKET,
)
from typing import Any, ClassVar

import trio
from trio import SocketListener

from .._state import current_actor, get_rt_dir
from ._transport import MsgpackTransport


@dataclass(frozen=True)
class UDSAddress:
    """The path of a socket, and the process behind it where that is known."""

    filedir: str | Path | None
    filename: str | Path
    maybe_pid: int | None = None

    def_bindspace: ClassVar[Path] = get_rt_dir()

    @property
    def bindspace(self) -> Path:
        return Path(self.filedir or self.def_bindspace)

    @property
    def sockpath(self) -> Path:
        return self.bindspace / self.filename

    @classmethod
    def from_addr(cls, addr: Any) -> UDSAddress:
        """Return the address of a path, given whole or as folder and name."""
        path = Path(*addr) if isinstance(addr, (tuple, list)) else Path(addr)
        return UDSAddress(filedir=path.parent, filename=path.name)

    @classmethod
    def get_random(cls, bindspace: Path | None = None) -> UDSAddress:
        """Return an address for this process's actor to listen at."""
        pid = os.getpid()
        actor = current_actor(err_on_no_runtime=False)
        name = "::".join(actor.uid) if actor else "root"
        return UDSAddress(
            filedir=bindspace or cls.def_bindspace,
            filename=Path(f"{name}@{pid}.sock"),
            maybe_pid=pid,
        )


async def start_listener(addr: UDSAddress, **kwargs: Any) -> SocketListener:
    """Listen at `addr`."""
    sock = trio.socket.socket(AF_UNIX, SOCK_STREAM)
    await sock.bind(str(addr.sockpath))
    sock.listen(1)
    return SocketListener(sock)


def close_listener(addr: UDSAddress, lstnr: SocketListener) -> None:
    """Stop listening, and take the socket away."""
    lstnr.socket.close()
    os.unlink(addr.sockpath)


async def open_unix_socket_w_passcred(filename: Any) -> trio.SocketStream:
    """Connect to the socket `filename`, so that it learns who we are."""
    sock = trio.socket.socket(AF_UNIX, SOCK_STREAM)
    try:
        sock.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        await sock.connect(os.fspath(filename))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


def get_peer_info(sock: Any) -> tuple[int, int, int]:
    """Return pid, uid and gid of the process at the other end."""
    creds = sock.getsockopt(SOL_SOCKET, SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", creds)
    return pid, uid, gid


class MsgpackUDSStream(MsgpackTransport):
    """Messages over a Unix socket."""

    @classmethod
    async def connect_to(
        cls, addr: UDSAddress, prefix_size: int = 4, codec: Any = None, **kwargs: Any
    ) -> MsgpackUDSStream:
        """Connect to the actor that listens at `addr`."""
        stream = await open_unix_socket_w_passcred(str(addr.sockpath), **kwargs)
        transport = MsgpackUDSStream(stream, prefix_size=prefix_size, codec=codec)
        transport._raddr = addr
        return transport

    @classmethod
    def get_stream_addrs(cls, stream: Any) -> tuple[UDSAddress, UDSAddress]:
        sock = stream.socket
        sockname = sock.getsockname()
        peername = sock.getpeername()
        match (peername, sockname):
            case (str(), bytes()):
                sock_path = Path(peername)
            case (bytes(), str()):
                sock_path = Path(sockname)
        peer_pid, _, _ = get_peer_info(sock)
        filedir, filename = sock_path.parent, sock_path.name
        laddr = UDSAddress(filedir=filedir, filename=filename, maybe_pid=os.getpid())
        raddr = UDSAddress(filedir=filedir, filename=filename, maybe_pid=peer_pid)
        return laddr, raddr
