"""Messages over a stream: four bytes of length and a JSON text (upstream: msgpack)."""

from __future__ import annotations

import json
import struct
from typing import Any

import trio

from .._exceptions import TransportClosed


class MsgpackTransport:
    """One connection, and the addresses of its two ends; how to get these, a subclass knows."""

    def __init__(self, stream: Any, prefix_size: int = 4, codec: Any = None) -> None:
        self.stream = stream
        self._laddr, self._raddr = self.get_stream_addrs(stream)
        self._send_lock = trio.StrictFIFOLock()
        self.prefix_size = prefix_size

    @property
    def raddr(self) -> Any:
        return self._raddr

    async def send(self, msg: Any, strict_types: bool = True, hide_tb: bool = True) -> None:
        """Send one message; raise TransportClosed if the peer has gone."""
        data = json.dumps(msg).encode()
        async with self._send_lock:
            try:
                await self.stream.send_all(struct.pack("<I", len(data)) + data)
            except trio.BrokenResourceError as trans_err:
                if "[Errno 32] Broken pipe" in trans_err.args[0]:
                    raise TransportClosed(
                        message=f"{type(self).__name__}: the peer has closed the connection",
                        loglevel="transport",
                    ) from trans_err
                raise

    async def recv(self) -> Any:
        """Receive one message; raise TransportClosed if the peer has gone."""
        (size,) = struct.unpack("<I", await self._receive_exactly(4))
        return json.loads(await self._receive_exactly(size))

    async def _receive_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = await self.stream.receive_some(size - len(data))
            except trio.BrokenResourceError as trans_err:
                raise TransportClosed("the connection is broken", src_exc=trans_err) from trans_err
            if not part:
                raise TransportClosed("the peer has closed the connection")
            data += part
        return data
