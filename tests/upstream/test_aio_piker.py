"""piker's asyncio code ends cleanly whichever way it is left, and its clients say goodbye.

The code is piker's own, under the tractor that its users pinned: for `ib` with the real `ib_insync`
and a stand-in for the gateway on a local socket, for `deribit` with a stand-in for `cryptofeed`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import pythons
from tests.support.launcher import Launcher
from tests.support.reports import Tables
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY
from tests.support.upstream import PIKER, PIKERS_TRACTOR
from tests.support.worlds import LINUX_WITH_MACFIX, MENDED_MAC, ON_A_MAC, PLAIN_LINUX, World

PROGRAMS = Path(__file__).parent / "programs"

FORCED = "aio-abandoned-task,aio-piker-targets,aio-ib-clients,aio-deribit-feeds"

MENDED, VARIABLES = (MENDED_MAC, {}) if ON_A_MAC else (LINUX_WITH_MACFIX, {"MACFIX_FORCE": FORCED})

WAYS = ("end", "error", "keyboard", "cancel", "timeout", "sigint", "crash", "both")
IB_PARTS = ("clients", "proxy", "quotes", "trades", "scan")
DERIBIT_PARTS = ("price", "order")
BESIDE = ("trades", "scan")
"""Parts whose channel is open in another task than the one that leaves."""

TIMES = 100 if HEAVY == "full" else 1
"""How often Ctrl-C is pressed."""

FOREIGN = {"TrioTaskExited", "TrioCancelled", "NoRuntime", "CancelledError"}
"""What has no place in anything that the trio side sees here."""

SETTLED = 20.0
"""Seconds after which the gateway must have noticed that a client is gone."""


@dataclass
class Gateway:
    """The gateway's process."""

    process: subprocess.Popen[str]
    port: str

    def ends(self) -> list[str]:
        """Stop the gateway; return the end of every connection it has had."""
        out, _ = self.process.communicate(timeout=SETTLED)
        return [json.loads(line)["end"] for line in out.splitlines()]


@pytest.fixture
def launcher(
    upstream_at: Callable[[str, str], Path], macfix_folder: Path, sandbox: Sandbox
) -> Launcher:
    """Runs piker's Python, with piker and its tractor on the path."""
    python = pythons.find(pythons.PIKER)
    if python is None:
        pytest.skip("no environment for piker: build one as docs/piker.md says")
    path = (upstream_at("piker", PIKER), upstream_at("tractor", PIKERS_TRACTOR), PROGRAMS)
    return Launcher(python, sandbox, macfix_folder, path, network=False)  # the gateway's is shared


@pytest.fixture
def gateway(launcher: Launcher) -> Iterator[Gateway]:
    """A gateway that runs."""
    process = subprocess.Popen(
        [launcher.python, PROGRAMS / "ib_gateway.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=launcher.environment(PLAIN_LINUX if not ON_A_MAC else MENDED_MAC),
    )
    assert process.stdout is not None
    try:
        yield Gateway(process, process.stdout.readline().strip())
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def cells_of(launcher: Launcher, world: World, *words: str) -> list[dict[str, Any]]:
    """Run a program and return its lines."""
    program, *rest = words
    finished = launcher.run(
        world,
        ["-W", "ignore", PROGRAMS / program, *rest],
        more=VARIABLES if world.macfix else {},
        timeout=300,
    )
    lines = [line for line in finished.stdout.splitlines() if line.startswith("{")]
    assert finished.returncode == 0, str(finished)
    return [json.loads(line) for line in lines]


def foreign(lines: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the cells in which the trio side saw what has no place there."""
    return {line["cell"]: line["raised"] for line in lines if FOREIGN.intersection(line["raised"])}


def lost(lines: list[dict[str, Any]]) -> list[str]:
    """Return the cells in which the asyncio side fails, and the trio side does not see it."""
    failing = {line["cell"]: line["raised"] for line in lines if sees_a_failure(line["cell"])}
    assert failing, "no cell in which the asyncio side fails"
    return [cell for cell, raised in failing.items() if "AioBoom" not in raised]


def sees_a_failure(cell: str) -> bool:
    """Say whether the trio side has to see the failure of the asyncio side.

    Where both fail and the channel is open in a task beside, that one is cancelled: asyncio's error
    is chained to the `Cancelled`, as upstream has it, and trio drops that.
    """
    part, way = cell.split(":")
    return way == "crash" or (way == "both" and part not in BESIDE)


def cells(parts: tuple[str, ...]) -> list[str]:
    return [f"{part}:{way}" for part in parts for way in WAYS]


@pytest.mark.timeout(600)
def test_ib_ends_cleanly_in_every_way(launcher: Launcher, gateway: Gateway) -> None:
    wanted = cells(IB_PARTS)
    lines = cells_of(launcher, MENDED, "piker_ib.py", "cells", gateway.port, *wanted)
    assert sorted(line["cell"] for line in lines) == sorted(wanted)
    assert foreign(lines) == {}
    assert lost(lines) == []
    assert [line["cell"] for line in lines if line["hung"]] == []
    assert [line["cell"] for line in lines if not line["clients"]] == []
    assert [line["cell"] for line in lines if line["connected"]] == []
    assert gateway.ends() == ["orderly"] * len(wanted)


@pytest.mark.skipif(ON_A_MAC, reason="macfix is active on a Mac")
@pytest.mark.timeout(600)
def test_ib_does_not_without_macfix(launcher: Launcher, gateway: Gateway) -> None:
    wanted = ["clients:end", "quotes:error", "trades:keyboard", "scan:cancel"]
    lines = cells_of(launcher, PLAIN_LINUX, "piker_ib.py", "cells", gateway.port, *wanted)
    assert foreign(lines).keys() >= set(wanted[:3])
    assert [line["cell"] for line in lines if line["connected"]] == ["scan:cancel"]


@pytest.mark.timeout(600)
def test_deribit_ends_cleanly_in_every_way(launcher: Launcher) -> None:
    wanted = cells(DERIBIT_PARTS)
    *lines, server = cells_of(launcher, MENDED, "piker_deribit.py", *wanted)
    assert [line["cell"] for line in lines] == wanted
    assert foreign(lines) == {}
    assert lost(lines) == []
    assert server["connections"] == ["goodbye"] * len(wanted)


@pytest.mark.skipif(ON_A_MAC, reason="macfix is active on a Mac")
@pytest.mark.timeout(600)
def test_deribit_does_not_without_macfix(launcher: Launcher) -> None:
    wanted = ["price:end", "order:cancel", "order:sigint"]
    *lines, server = cells_of(launcher, PLAIN_LINUX, "piker_deribit.py", *wanted)
    assert foreign(lines).keys() == {"price:end"}
    assert len([said for said in server["connections"] if said == "goodbye"]) < len(wanted)


@pytest.mark.timeout(3600)
def test_after_ctrl_c_the_gateway_has_seen_an_orderly_end_each_time(
    launcher: Launcher, gateway: Gateway, tables: Tables
) -> None:
    began = time.monotonic()
    for _ in range(TIMES):
        press_ctrl_c_on_a_daemon(launcher, gateway.port)
    ends = gateway.ends()
    orderly = f"{ends.count('orderly')} of {TIMES} orderly"
    took = f"{(time.monotonic() - began) / TIMES:.1f} s each"
    tables.add("piker's ib daemon after Ctrl-C", MENDED.name, orderly, took)
    assert ends == ["orderly"] * TIMES


def press_ctrl_c_on_a_daemon(launcher: Launcher, port: str) -> None:
    """Start root and daemon, interrupt both as a terminal does, and wait for their end."""
    process = subprocess.Popen(
        [launcher.python, "-W", "ignore", PROGRAMS / "piker_ib.py", "daemon", port],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=launcher.environment(MENDED, VARIABLES),
        cwd=launcher.sandbox.home,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert any(line == "ready\n" for line in process.stdout), "it did not come up"
        os.killpg(process.pid, signal.SIGINT)
        process.wait(SETTLED)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
