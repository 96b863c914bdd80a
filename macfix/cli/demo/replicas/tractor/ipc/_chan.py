"""A connection to a peer, whatever it runs over."""

from __future__ import annotations

from typing import Any

import trio

from ._transport import MsgpackTransport
from ._uds import MsgpackUDSStream, UDSAddress


class Channel:
    """One end of a connection between two actors."""

    def __init__(self, transport: MsgpackTransport | None = None) -> None:
        self._transport = transport

    @property
    def transport(self) -> Any:
        return self._transport

    @property
    def raddr(self) -> Any:
        return self.transport.raddr

    @classmethod
    def from_stream(cls, stream: trio.abc.Stream) -> Channel:
        """Return the channel of a connection that was accepted."""
        return Channel(transport=MsgpackUDSStream(stream))

    @classmethod
    async def from_addr(cls, addr: Any, **kwargs: Any) -> Channel:
        """Connect to the actor that listens at `addr`."""
        addr = UDSAddress.from_addr(addr)
        transport = await MsgpackUDSStream.connect_to(addr, **kwargs)
        assert transport.raddr == addr
        return Channel(transport=transport)

    async def send(self, payload: Any, hide_tb: bool = True) -> None:
        await self.transport.send(payload, hide_tb=hide_tb)

    async def recv(self) -> Any:
        return await self.transport.recv()

    async def aclose(self) -> None:
        await self.transport.stream.aclose()
