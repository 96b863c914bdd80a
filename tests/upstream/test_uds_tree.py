"""A tree of real tractor actors knows who is who: on Linux, and on a Mac with macfix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import runtime_sockets, upstream
from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.reports import Tables
from tests.support.surroundings import HEAVY
from tests.support.worlds import (
    BARE_MAC,
    LINUX_WITH_MACFIX,
    MENDED_MAC,
    ON_A_MAC,
    PLAIN_LINUX,
    UNTOUCHED,
    World,
)

TREE = Path(__file__).parent / "programs" / "actor_tree.py"

COMMITS = {**upstream.TRACTORS, "piker's": upstream.PIKERS_TRACTOR}

CONNECTING = {
    ("alpha", "root"),
    ("beta", "root"),
    ("gamma", "root"),
    ("beta", "gamma"),
    ("leaf", "alpha"),
}
"""The links of the tree, from the end that connects: (at, peer)."""

LINKS = CONNECTING | {(peer, at) for at, peer in CONNECTING}

REMOTE_PID_UNKNOWN_TO_CONNECTING = {"2248ffb7"}
"""Tractors whose connecting end keeps the address it was given, which has no pid, on Linux too."""

NO_RUNTIME_DIR = "KeyError: 'XDG_RUNTIME_DIR'"
NO_CONSTANT = "ImportError: cannot import name 'SO_PASSCRED' from 'socket'"
NO_CREDENTIALS = "RuntimeError: Peer credential retrieval not supported on darwin!"

DIES_OF = {
    "2248ffb7": NO_RUNTIME_DIR,
    "83ce2275": NO_RUNTIME_DIR,
    "70bb7728": NO_RUNTIME_DIR,
    "36307c59": NO_CONSTANT,
    "cc3bfac7": NO_CREDENTIALS,
    "65bf9df5": NO_CREDENTIALS,
    "3690e43a": NO_CREDENTIALS,
}
"""What each tractor dies of on a Mac without macfix; the first two before the tree is planted."""

MakeLauncher = Callable[[str], Launcher]


@pytest.fixture(params=["HEAD"] if HEAVY != "full" else list(COMMITS))
def commit(request: pytest.FixtureRequest) -> str:
    """The newest tractor; with MACFIX_HEAVY=full one of each time that changed things for macOS."""
    return COMMITS[request.param]


def run_tree(
    launcher: Launcher, world: World, *arguments: str, before: tuple[str | Path, ...] = ()
) -> Finished:
    """Run the tree in `world`; `before` goes between interpreter and program."""
    registry = f"reg-{launcher.sandbox.root.name}"
    return launcher.run(world, [*before, TREE, "--registry", registry, *arguments])


def report_of(finished: Finished) -> dict[str, Any]:
    """Return the tree's report, after checking that the tree itself was content and whole."""
    assert finished.returncode == 0, str(finished)
    report: dict[str, Any] = json.loads(finished.stdout)
    assert {(link["at"], link["peer"]) for link in report["links"]} == LINKS, str(finished)
    assert len(report["links"]) == len(LINKS), str(finished)
    assert len(report["pids"]) == len({at for at, _ in LINKS}), str(finished)
    return report


def expected_links(commit: str) -> list[dict[str, str]]:
    """Return what every end of every Unix socket link must report, sorted as the tree does."""
    checks = ("stream", "credentials", "local pid", "local path", "remote path", "same path")
    links = []
    for at, peer in sorted(LINKS):
        link = {"at": at, "peer": peer, "remote pid": "true"} | dict.fromkeys(checks, "true")
        if commit in REMOTE_PID_UNKNOWN_TO_CONNECTING and (at, peer) in CONNECTING:
            link["remote pid"] = "unknown"
        links.append(link)
    return links


def knowing_more(links: list[dict[str, str]], than: list[dict[str, str]]) -> bool:
    """Tell whether `links` equal those of `than`, save that an unknown may have become known."""
    return len(links) == len(than) and all(
        link.keys() == other.keys()
        and all(
            link[key] == other[key] or (link[key], other[key]) == ("true", "unknown")
            for key in link
        )
        for link, other in zip(links, than, strict=True)
    )


def no_socket_of(report: dict[str, Any], launcher: Launcher) -> None:
    """Check that the tree took every socket of its own away."""
    assert runtime_sockets.of(report["pids"], launcher.sandbox) == []


@pytest.mark.skipif(ON_A_MAC, reason="a Mac cannot be Linux")
@pytest.mark.parametrize("world", [PLAIN_LINUX, LINUX_WITH_MACFIX], ids=lambda world: world.name)
def test_on_linux_actors_know_each_other_with_and_without_macfix(
    commit: str, world: World, launcher_for: MakeLauncher
) -> None:
    launcher = launcher_for(commit)
    report = report_of(finished := run_tree(launcher, world))
    assert report["platform"] == "linux"
    assert report["links"] == expected_links(commit)
    assert "macfix" not in finished.stderr.lower(), str(finished)
    no_socket_of(report, launcher)


def test_on_a_mac_the_tree_dies_without_macfix(commit: str, launcher_for: MakeLauncher) -> None:
    finished = run_tree(launcher_for(commit), BARE_MAC)
    assert finished.returncode == 1, str(finished)
    assert finished.stdout == "", str(finished)
    assert DIES_OF[commit] in finished.stderr, str(finished)


def test_on_a_mac_actors_know_each_other_with_macfix(
    commit: str, launcher_for: MakeLauncher, tables: Tables
) -> None:
    launcher = launcher_for(commit)
    report = report_of(finished := run_tree(launcher, MENDED_MAC))
    assert report["platform"] == "darwin"
    assert knowing_more(report["links"], than=expected_links(commit)), str(finished)
    assert "MacfixWarning" not in finished.stderr, str(finished)
    no_socket_of(report, launcher)
    tables.add("actor tree on a Mac with macfix", commit, "passed", f"{finished.seconds:.1f} s")


def test_on_a_mac_with_macfix_no_child_is_turned_away_when_all_come_at_once(
    commit: str, launcher_for: MakeLauncher
) -> None:
    launcher = launcher_for(commit)
    report = report_of(finished := run_tree(launcher, MENDED_MAC, "--at-once"))
    assert knowing_more(report["links"], than=expected_links(commit)), str(finished)
    no_socket_of(report, launcher)


def test_tcp_works_on_a_mac_with_macfix(commit: str, launcher_for: MakeLauncher) -> None:
    launcher = launcher_for(commit)
    report = report_of(finished := run_tree(launcher, MENDED_MAC, "--transport", "tcp"))
    checks = ("stream", "local address", "remote address")
    assert report["links"] == [
        {"at": at, "peer": peer} | dict.fromkeys(checks, "true") for at, peer in sorted(LINKS)
    ]
    assert "MacfixWarning" not in finished.stderr, str(finished)


def test_the_runner_alone_mends_the_whole_tree(commit: str, launcher_for: MakeLauncher) -> None:
    launcher = launcher_for(commit)
    launcher = launcher.with_path(launcher.macfix_folder)
    simulate = () if ON_A_MAC else ("--simulate",)
    finished = run_tree(launcher, UNTOUCHED, before=("-m", "macfix", *simulate))
    assert knowing_more(report_of(finished)["links"], than=expected_links(commit)), str(finished)
    assert "macfix" not in finished.stderr.lower(), str(finished)


def every_merge() -> list[Any]:
    """Return every commit of tractor's main line that macfix is for, or why there is none."""
    try:
        if HEAVY == "full":
            return list(upstream.merges_since(upstream.FIRST_WITH_UNIX_SOCKETS))
        why_not = "MACFIX_HEAVY=full runs every merge"
    except upstream.UpstreamMissingError as error:
        why_not = str(error)
    return [pytest.param("", id="none", marks=pytest.mark.skip(reason=why_not))]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("merge", every_merge())
def test_every_tractor_ever_merged_works_on_a_mac_with_macfix(
    merge: str, launcher_for: MakeLauncher, tables: Tables
) -> None:
    launcher = launcher_for(merge)
    bare = run_tree(launcher, BARE_MAC)
    mended = run_tree(launcher, MENDED_MAC, "--at-once")
    cells = [merge, upstream.date_of(merge), f"bare: {last_line(bare)}"]
    tables.add(
        "every merge of tractor's main on a Mac",
        *cells,
        "mended: passed" if mended.returncode == 0 else f"mended: {last_line(mended)}",
        f"{mended.seconds:.1f} s",
    )
    assert bare.returncode != 0, str(bare)
    links = report_of(mended)["links"]
    plain = links if ON_A_MAC else report_of(run_tree(launcher, PLAIN_LINUX))["links"]
    assert knowing_more(links, than=plain), str(mended)
    assert "MacfixWarning" not in mended.stderr, str(mended)


def last_line(finished: Finished) -> str:
    """Return the last error that a program told of."""
    told = [line.strip() for line in finished.stderr.splitlines() if "Error" in line]
    return told[-1][:80] if told else f"exit code {finished.returncode}"
