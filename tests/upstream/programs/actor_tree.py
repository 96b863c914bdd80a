"""A tree of tractor actors in which every actor checks whom it talks to; prints a JSON report.

The tree: a root with three children, one of which has a child of its own, and another of which
finds its sibling through the registrar. On every link both ends stream to each other at the same
time, tell each other their real process, user and group ids, and compare what they were told with
what the kernel, through tractor, says of the peer.

It uses only what every tractor since 2025-07 has. Exit code: 0 when every check held, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tractor
import trio

CHILDREN = ("alpha", "beta", "gamma")
NUMBERS = 100
"""How many small messages each end sends the other."""
LARGE = 300_000
"""Bytes of the one message each way that no socket buffer holds at once."""
PATIENCE = 60.0
"""Seconds after which the whole tree gives up: a hang becomes a failure with a traceback."""

Link = dict[str, Any]
"""What one actor found on one link: `at`, `peer`, and one entry a check."""


def own_identity() -> dict[str, int]:
    """Return the ids of this process as the operating system gives them."""
    return {"pid": os.getpid(), "uid": os.geteuid(), "gid": os.getegid()}


def is_socket(path: Path) -> bool:
    """Tell whether there is a socket at `path`."""
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def pid_verdict(seen: int | None, true: int) -> str:
    """Name what an address says of a process: `true`, `unknown`, or the wrong number itself."""
    if seen is None:
        return "unknown"
    return "true" if seen == true else f"wrong: {seen} instead of {true}"


def credentials_verdict(sock: Any, told: dict[str, int]) -> str:
    """Compare tractor's answer about the peer with what the peer itself `told`."""
    from tractor.ipc._uds import get_peer_info

    seen = tuple(get_peer_info(sock))
    true = (told["pid"], told["uid"], told["gid"])
    return "true" if seen == true else f"wrong: {seen} instead of {true}"


def unix_findings(transport: Any, told: dict[str, Any]) -> Link:
    """Check the credentials and both addresses of a Unix socket link."""
    local, remote = transport.laddr, transport.raddr
    same = Path(remote.sockpath).resolve() == Path(told["path"]).resolve()
    return {
        "credentials": credentials_verdict(transport.stream.socket, told),
        "local pid": pid_verdict(local.maybe_pid, os.getpid()),
        "remote pid": pid_verdict(remote.maybe_pid, told["pid"]),
        "local path": "true" if is_socket(Path(local.sockpath)) else f"no socket: {local}",
        "remote path": "true" if is_socket(Path(remote.sockpath)) else f"no socket: {remote}",
        "same path": "true" if same else f"wrong: {remote} and {told['path']}",
    }


def tcp_findings(transport: Any) -> Link:
    """Check both addresses of a TCP link against the socket's own."""
    sock = transport.stream.socket
    pairs = {
        "local address": (transport.laddr, sock.getsockname()),
        "remote address": (transport.raddr, sock.getpeername()),
    }
    return {
        name: "true" if tuple(address.unwrap()) == tuple(true[:2]) else f"wrong: {address}, {true}"
        for name, (address, true) in pairs.items()
    }


async def stream_both_ways(stream: Any) -> str:
    """Send and receive at the same time; return `true` if what came in is complete and in order."""

    async def send() -> None:
        for number in range(NUMBERS):
            await stream.send(number)
        await stream.send(b"x" * LARGE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        numbers = [await stream.receive() for _ in range(NUMBERS)]
        large = await stream.receive()
    complete = numbers == list(range(NUMBERS)) and large == b"x" * LARGE
    return "true" if complete else f"wrong: {len(large)} bytes after {numbers}"


async def examine(stream: Any, transport: Any, peer: str) -> Link:
    """Exchange identities and messages with `peer`, and return what this end found."""
    unix = transport.stream.socket.family == socket.AF_UNIX
    mine: dict[str, Any] = own_identity()
    if unix:
        mine["path"] = str(transport.laddr.sockpath)
    await stream.send(mine)
    told = await stream.receive()
    streamed = await stream_both_ways(stream)
    findings = unix_findings(transport, told) if unix else tcp_findings(transport)
    me = tractor.current_actor().name
    return {"at": me, "peer": peer, "own pid": mine["pid"], "stream": streamed, **findings}


async def call_on(portal: Any, host: str, errand: str = "") -> list[Link]:
    """Examine the link to `host`, have it do its `errand`, and return what both ends found."""
    me = tractor.current_actor().name
    async with (
        portal.open_context(answer, caller=me, errand=errand) as (context, _),
        context.open_stream() as stream,
    ):
        mine = await examine(stream, portal.channel.transport, host)
        theirs: list[Link] = await stream.receive()
    return [mine, *theirs]


@tractor.context
async def answer(ctx: tractor.Context, caller: str, errand: str) -> None:
    """Examine the link to the `caller`, do the `errand`, and send back all that was found."""
    await ctx.started()
    async with ctx.open_stream() as stream:
        links = [await examine(stream, ctx.chan.transport, caller)]
        if errand == "have a child":
            links += await have_a_child()
        elif errand:
            links += await find_a_sibling(errand)
        await stream.send(links)


async def have_a_child() -> list[Link]:
    """Start an actor below this one and examine the link to it."""
    async with tractor.open_nursery() as actors:
        portal = await actors.start_actor("leaf", enable_modules=[__name__])
        links = await call_on(portal, "leaf")
        await portal.cancel_actor()
    return links


async def find_a_sibling(name: str) -> list[Link]:
    """Ask the registrar for the actor `name`, connect to it and examine that link."""
    async with tractor.wait_for_actor(name) as portal:
        return await call_on(portal, name)


async def grow(registry: Sequence[Any], transport: str, at_once: bool) -> list[Link]:
    """Run the whole tree and return what every actor found on every link.

    One after another by default: tractor listened with a backlog of one until 2026-04, and on Linux
    too, actors that connect `at_once` then lose connections.
    """
    errands = dict(zip(CHILDREN, ("have a child", "gamma", ""), strict=True))
    links: list[Link] = []
    portals: dict[str, Any] = {}

    async def start(name: str) -> None:
        portals[name] = await actors.start_actor(name, enable_modules=[__name__])

    async def visit(name: str) -> None:
        links.extend(await call_on(portals[name], name, errands[name]))

    async def end(name: str) -> None:
        await portals[name].cancel_actor()

    with trio.fail_after(PATIENCE):
        async with tractor.open_nursery(
            registry_addrs=[tuple(registry)], enable_transports=[transport]
        ) as actors:
            for act in (start, visit, end):
                async with trio.open_nursery() as nursery:
                    for name in CHILDREN:
                        if at_once:
                            nursery.start_soon(act, name)
                        else:
                            await act(name)
    return links


def registry_address(transport: str, name: str) -> tuple[str, str | int]:
    """Return an address for the registrar that no other tree uses."""
    if transport == "tcp":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return ("127.0.0.1", int(probe.getsockname()[1]))
    from tractor.ipc._uds import UDSAddress

    return (str(UDSAddress.def_bindspace), f"{name}@{os.getpid()}.sock")


def verdicts(link: Link) -> dict[str, str]:
    """Return the checks of a link without the names of its ends."""
    return {key: value for key, value in link.items() if key not in ("at", "peer", "own pid")}


def holds(link: Link) -> bool:
    """Tell whether every check of a link came out right; `unknown` is honest, hence not wrong."""
    return all(value in ("true", "unknown") for value in verdicts(link).values())


def main() -> int:
    """Run the tree as the command line says and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", choices=("uds", "tcp"), default="uds")
    parser.add_argument("--registry", default="reg", help="stem of the registrar's socket name")
    parser.add_argument("--at-once", action="store_true", help="start, visit and end all at once")
    options = parser.parse_args()

    registry = registry_address(options.transport, options.registry)
    links = trio.run(grow, registry, options.transport, options.at_once)
    report = {
        "platform": sys.platform,
        "tractor": tractor.__file__,
        "pids": sorted({link["own pid"] for link in links}),
        "links": sorted(
            ({"at": link["at"], "peer": link["peer"], **verdicts(link)} for link in links),
            key=lambda link: (link["at"], link["peer"]),
        ),
    }
    print(json.dumps(report, indent=2))
    return 0 if all(map(holds, links)) else 1


if __name__ == "__main__":
    sys.exit(main())
