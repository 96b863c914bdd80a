"""A stand-in for the broker's gateway on a local socket; tells how every client took its leave.

It speaks as much of the gateway's protocol as `ib_insync` needs to log in and to stream a quote,
and it never stops sending, as the real one in market hours. Prints its port, then a JSON line for
every connection that came to its end: `orderly` if the client closed its side, and `reset` if the
connection was torn down with messages unread, which is what becomes of it when a process just ends.
Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import sys

ACCOUNT = "DU1"
PACE = 0.001
"""Seconds between two messages that nobody asked for."""


def message(*fields: object) -> bytes:
    """Return the fields as the gateway sends them."""
    text = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(text)) + text


def answers(request: list[str]) -> list[bytes]:
    """Return what the gateway says to a request."""
    kind = int(request[0])
    if kind == 71:  # start
        return [message(9, 1, 1), message(15, 1, ACCOUNT)]
    if kind == 61:
        return [message(62, 1)]
    if kind == 5:
        return [message(53, 1)]
    if kind == 99:
        return [message(102)]
    if kind == 6 and request[2] == "1":
        return [message(6, 2, "NetLiquidation", 1000, "USD", ACCOUNT), message(54, 1, ACCOUNT)]
    if kind == 76:
        return [message(74, 1, request[2])]
    if kind == 7:
        return [message(55, 1, request[2])]
    if kind == 1:
        return [message(2, 6, request[2], 8, 100 + number) for number in range(3)]
    return []


async def read_request(reader: asyncio.StreamReader) -> list[str]:
    length = struct.unpack(">I", await reader.readexactly(4))[0]
    return (await reader.readexactly(length)).decode().split("\0")


async def keep_sending(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(message(49, 1, 1700000000))
        await asyncio.sleep(PACE)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Talk with one client to its end, and tell what the end was."""
    requests: list[int] = []
    sending: asyncio.Task[None] | None = None
    try:
        await reader.readexactly(4)  # "API\\0"
        await read_request(reader)  # the versions it speaks
        writer.write(message(157, "20240101 00:00:00 UTC"))
        sending = asyncio.create_task(keep_sending(writer))
        while True:
            request = await read_request(reader)
            requests.append(int(request[0]))
            for answer in answers(request):
                writer.write(answer)
    except asyncio.IncompleteReadError as error:
        end = "orderly" if not error.partial else "cut off"
    except BrokenPipeError:
        # Linux says so where the client's end had come before its answer to one more message
        # (tcp_reset() in net/ipv4/tcp_input.c, CLOSE_WAIT); without that end it is a reset
        end = "orderly"
    except ConnectionError as error:
        end = "reset" if isinstance(error, ConnectionResetError) else repr(error)
    finally:
        if sending is not None:
            sending.cancel()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    print(json.dumps({"end": end, "requests": requests}), flush=True)


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
