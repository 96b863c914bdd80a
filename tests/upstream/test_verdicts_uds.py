"""What the Unix socket patches say of every tractor since July 2025, commit by commit.

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

SINCE = "2025-07-01"
LAST = upstream.TRACTORS["HEAD"]

NEEDED, CURED, UNKNOWN = "needed", "not needed", "unknown"

STATE, NEW_STATE = "tractor._state", "tractor.runtime._state"
TRANSPORT, UDS, CHAN = "tractor.ipc._transport", "tractor.ipc._uds", "tractor.ipc._chan"
REAP = "tractor.spawn._reap"

VERDICTS = {
    ("runtime-dir-env", STATE): {"568fb18d": NEEDED, "e7cefba6": CURED},
    ("runtime-dir-env", NEW_STATE): {"cc42d382": CURED},
    ("runtime-dir", STATE): {"568fb18d": NEEDED},
    ("runtime-dir", NEW_STATE): {"cc42d382": NEEDED, "634d9141": CURED},
    ("transport-reset", TRANSPORT): {"6f1f198f": CURED, "31196b9c": NEEDED, "64e820e1": CURED},
    ("transport-eprototype", TRANSPORT): {"6f1f198f": CURED, "31196b9c": NEEDED},
    ("transport-enotconn", TRANSPORT): {"6f1f198f": CURED, "31196b9c": NEEDED},
    ("uds-socket-constants", UDS): {"c7d5b021": CURED, "63fac5a8": NEEDED, "93b9a6cd": CURED},
    ("uds-passcred", UDS): {"c7d5b021": CURED, "63fac5a8": NEEDED, "93b9a6cd": CURED},
    ("uds-peer-credentials", UDS): {"c7d5b021": CURED, "63fac5a8": NEEDED},
    ("uds-unbound-names", UDS): {
        "c7d5b021": CURED,
        "0be9f5f9": UNKNOWN,
        "bedde076": NEEDED,
        "bceca74e": CURED,
    },
    ("uds-vanished-peer", UDS): {"c7d5b021": CURED, "0be9f5f9": UNKNOWN, "bedde076": NEEDED},
    ("uds-connected-pid", CHAN): {"eceb2924": CURED, "7b3324b2": NEEDED, "1d706bdd": CURED},
    ("uds-socket-names", UDS): {"c7d5b021": CURED, "61df10b3": NEEDED, "340d5069": CURED},
    ("uds-socket-names", REAP): {"73c9b9ec": NEEDED, "340d5069": CURED},
    ("uds-backlog", UDS): {"c7d5b021": CURED, "61df10b3": NEEDED, "70dc60a1": CURED},
}
"""For each patch and target: the commits at which the verdict changes, and what it is from there.

"not needed" also stands for: this vintage does not have the function yet. "unknown" are the days
when upstream tried out ways of making addresses, before any of it reached the main line.
"""


def path_of(target: str) -> str:
    return target.replace(".", "/") + ".py"


def patch_called(name: str) -> Patch:
    patch = import_module(f"macfix.patches.{name.replace('-', '_')}").PATCH
    assert isinstance(patch, Patch)
    return patch


def sources(target: str, commits: list[str]) -> Iterator[tuple[str, Source]]:
    """Yield each commit that has `target`, with its source."""
    for commit, data in history.contents("tractor", commits, path_of(target)):
        if data is not None:
            yield commit, Source(target, f"{commit[:8]}:{path_of(target)}", data)


def expected(changes: dict[str, str], order: list[str]) -> dict[str, str]:
    """Return the verdict that `changes` give each commit of `order`."""
    left = dict(changes)
    current, found = "no verdict yet", {}
    for commit in order:
        current = left.pop(commit[:8], current)
        found[commit] = current
    assert not left, f"the history does not have {sorted(left)}"
    return found


@pytest.mark.parametrize(("name", "target"), VERDICTS, ids=lambda value: str(value))
def test_every_commit_gets_the_right_verdict(name: str, target: str) -> None:
    try:
        changed = history.touching("tractor", SINCE, LAST, path_of(target))
        everyone = {*history.main_line("tractor", SINCE, LAST), *changed}
        order = history.in_order("tractor", everyone, SINCE, LAST)
        found = dict(sources(target, order))
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    patch = patch_called(name)
    right = expected(VERDICTS[name, target], order)
    seen = {commit: patch.needed(source) for commit, source in found.items()}
    wrong = [
        f"{commit[:8]}: {verdict.state}, not {right[commit]} ({verdict.reason})"
        for commit, verdict in seen.items()
        if verdict.state != right[commit]
    ]
    assert wrong == []
    assert len(seen) > len(changed) / 2  # the target was found


def test_no_commit_of_the_main_line_is_unknown() -> None:
    unknown = []
    try:
        line = history.main_line("tractor", SINCE, LAST)
        for name, target in VERDICTS:
            for commit, source in sources(target, line):
                if patch_called(name).needed(source).state == UNKNOWN:
                    unknown.append(f"{name}: {commit[:8]}")
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    assert unknown == []


def test_the_table_names_every_target_of_every_patch() -> None:
    named = {name for name, _ in VERDICTS}
    targets = {(name, target) for name in named for target in patch_called(name).targets}
    assert targets == VERDICTS.keys()


@pytest.mark.skipif(HEAVY != "full", reason="all branches: only with MACFIX_HEAVY=full")
@pytest.mark.parametrize(("name", "target"), VERDICTS, ids=lambda value: str(value))
def test_no_commit_of_any_branch_is_unknown(name: str, target: str) -> None:
    try:
        commits = history.on_any_branch("tractor", "2025-07-09", path_of(target))
        found = dict(sources(target, commits))
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    verdicts = {commit: patch_called(name).needed(source) for commit, source in found.items()}
    assert [commit for commit, verdict in verdicts.items() if verdict.state == UNKNOWN] == []
