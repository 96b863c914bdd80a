"""What the asyncio patches say of every tractor since March 2025, and of piker's history.

Two kinds of commits count: those of the main line, which users have, and all in its history that
changed a target, which show every shape that a target ever had.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from macfix.engine import Patch, Source
from tests.support import history, upstream
from tests.support.surroundings import HEAVY

SINCE = {"tractor": "2025-03-01", "piker": "2022-06-01"}
LAST = {"tractor": upstream.TRACTORS["HEAD"], "piker": upstream.PIKER}

NEEDED, CURED, UNKNOWN = "needed", "not needed", "unknown"

CHANNELS = "tractor.to_asyncio"
RUNTIME, NEW_RUNTIME = "tractor._runtime", "tractor.runtime._runtime"
IB, DERIBIT = "piker.brokers.ib.api", "piker.brokers.deribit.api"

VERDICTS = {
    ("aio-abandoned-task", CHANNELS): {"first": NEEDED},
    ("aio-guest-abandoned", CHANNELS): {"first": NEEDED, "a9b33363": CURED},
    ("aio-piker-targets", CHANNELS): {"first": CURED, "d4f1a02f": NEEDED},
    ("aio-unsuppressed-exit", CHANNELS): {"first": CURED, "639186aa": NEEDED},
    ("aio-root-interrupt", RUNTIME): {"first": NEEDED, "a9f06df3": CURED},
    ("aio-root-interrupt", NEW_RUNTIME): {"first": CURED},
    ("aio-ib-clients", IB): {"first": NEEDED},
    ("aio-deribit-feeds", DERIBIT): {"first": CURED, "34fb497e": NEEDED},
}
"""For each patch and target: the commits at which the verdict changes, and what it is from there.

"not needed" also stands for: this vintage does not have the function yet.
"""


def patch_called(name: str) -> Patch:
    patch = import_module(f"macfix.patches.{name.replace('-', '_')}").PATCH
    assert isinstance(patch, Patch)
    return patch


def sources(target: str, commits: list[str]) -> Iterator[tuple[str, Source]]:
    """Yield each commit that has `target`, with its source, unless it is no Python at all."""
    path = target.replace(".", "/") + ".py"
    for commit, data in history.contents(target.partition(".")[0], commits, path):
        if data is None:
            continue
        source = Source(target, f"{commit[:8]}:{path}", data)
        try:
            source.parse()
        except SyntaxError:
            continue  # upstream commits in small steps
        yield commit, source


def everyone(target: str) -> list[str]:
    """Return the commits that count, oldest first."""
    name, path = target.partition(".")[0], target.replace(".", "/") + ".py"
    since, last = SINCE[name], LAST[name]
    found = history.touching(name, since, last, path)
    if name == "tractor":
        found += history.main_line(name, since, last)
    return history.in_order(name, set(found), since, last)


@pytest.mark.parametrize(("name", "target"), [*VERDICTS], ids=str)
def test_every_commit_gets_the_right_verdict(name: str, target: str) -> None:
    try:
        found = dict(sources(target, everyone(target)))
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    changes = dict(VERDICTS[name, target])
    right = changes.pop("first")
    wrong = []
    for commit, source in found.items():
        right = changes.pop(commit[:8], right)
        verdict = patch_called(name).needed(source)
        if verdict.state != right:
            wrong.append(f"{commit[:8]}: {verdict.state}, not {right} ({verdict.reason})")
    assert wrong == []
    assert changes == {}, "the history does not have these"
    assert len(found) > 10


def test_the_table_names_every_target_of_every_patch() -> None:
    targets = {(name, target) for name, _ in VERDICTS for target in patch_called(name).targets}
    assert targets == VERDICTS.keys()


@pytest.mark.skipif(HEAVY != "full", reason="all branches: only with MACFIX_HEAVY=full")
@pytest.mark.parametrize(("name", "target"), [*VERDICTS], ids=str)
def test_no_commit_of_any_branch_is_unknown(name: str, target: str) -> None:
    upstream_name, path = target.partition(".")[0], target.replace(".", "/") + ".py"
    try:
        commits = history.on_any_branch(upstream_name, SINCE[upstream_name], path)
        found = dict(sources(target, commits))
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    verdicts = {commit: patch_called(name).needed(source) for commit, source in found.items()}
    unknown = [commit for commit, verdict in verdicts.items() if verdict.state == UNKNOWN]
    assert unknown == []
