"""What the patches say of every tractor since 2025, and of piker's history, commit by commit.

Two kinds of commits count: those of the main line, which users have, and all in its history that
changed a target, which show every shape that a target ever had.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from macfix import Diagnosis, Source
from tests.support import builtin, history, upstream
from tests.support.surroundings import HEAVY

LAST = {"tractor": upstream.TRACTORS["HEAD"], "piker": upstream.PIKER}

NEEDED, FIXED, UNKNOWN = "needed", "not needed", "unknown"

STATE, NEW_STATE = "tractor._state", "tractor.runtime._state"
TRANSPORT, UDS, CHAN = "tractor.ipc._transport", "tractor.ipc._uds", "tractor.ipc._chan"
REAP, LINUX = "tractor.spawn._reap", "tractor.ipc._linux"
NEW_LINUX = "tractor.linux.eventfd"
FORKED, FIRST_FORKED = "tractor.spawn._main_thread_forkserver", "tractor.spawn._subint_forkserver"
CHANNELS = "tractor.to_asyncio"
RUNTIME, NEW_RUNTIME = "tractor._runtime", "tractor.runtime._runtime"
BROKERS = "piker.brokers"
OLD_AHAB, AHAB = "piker.data._ahab", "piker.service._ahab"
OLD_ELASTIC, ELASTIC = "piker.data.elastic", "piker.service.elastic"
IB, DERIBIT = "piker.brokers.ib.api", "piker.brokers.deribit.api"
CONFIG = "piker.config"
NATIVEDB = "piker.storage.nativedb"
CHART = "piker.ui._exec"
NOTIFY, EVENTS = "piker.ui._notify", "piker.ui._event"
STYLE = "piker.ui._style"

MOVED = (OLD_ELASTIC, AHAB, ELASTIC)
"""What upstream changed a few times only, before or after it moved the file."""

STATES = {
    ("runtime-dir-env", STATE): {"568fb18d": NEEDED, "e7cefba6": FIXED},
    ("runtime-dir-env", NEW_STATE): {"cc42d382": FIXED},
    ("runtime-dir", STATE): {"568fb18d": NEEDED},
    ("runtime-dir", NEW_STATE): {"cc42d382": NEEDED, "634d9141": FIXED},
    ("transport-reset", TRANSPORT): {"6f1f198f": FIXED, "31196b9c": NEEDED, "64e820e1": FIXED},
    ("transport-eafnosupport", TRANSPORT): {"6f1f198f": FIXED, "31196b9c": NEEDED},
    ("transport-eprototype", TRANSPORT): {"6f1f198f": FIXED, "31196b9c": NEEDED},
    ("transport-enotconn", TRANSPORT): {"6f1f198f": FIXED, "31196b9c": NEEDED},
    ("transport-eventfd", LINUX): {"first": NEEDED},
    ("transport-eventfd", NEW_LINUX): {},
    ("runtime-pidfd", FORKED): {},
    ("runtime-pidfd", FIRST_FORKED): {},
    ("uds-socket-constants", UDS): {"c7d5b021": FIXED, "63fac5a8": NEEDED, "93b9a6cd": FIXED},
    ("uds-passcred", UDS): {"c7d5b021": FIXED, "63fac5a8": NEEDED, "93b9a6cd": FIXED},
    ("uds-peer-credentials", UDS): {"c7d5b021": FIXED, "63fac5a8": NEEDED},
    ("uds-unbound-names", UDS): {
        "c7d5b021": FIXED,
        "0be9f5f9": UNKNOWN,
        "bedde076": NEEDED,
        "bceca74e": FIXED,
    },
    ("uds-vanished-peer", UDS): {"c7d5b021": FIXED, "0be9f5f9": UNKNOWN, "bedde076": NEEDED},
    ("uds-connected-pid", CHAN): {"eceb2924": FIXED, "7b3324b2": NEEDED, "1d706bdd": FIXED},
    ("uds-socket-names", UDS): {"c7d5b021": FIXED, "61df10b3": NEEDED, "340d5069": FIXED},
    ("uds-socket-names", REAP): {"73c9b9ec": NEEDED, "340d5069": FIXED},
    ("uds-removed-socket", UDS): {"c7d5b021": FIXED, "61df10b3": NEEDED},
    ("uds-backlog", UDS): {"c7d5b021": FIXED, "61df10b3": NEEDED, "70dc60a1": FIXED},
    ("aio-abandoned-task", CHANNELS): {"first": NEEDED},
    ("aio-guest-abandoned", CHANNELS): {"first": NEEDED, "a9b33363": FIXED},
    ("aio-piker-targets", CHANNELS): {"first": FIXED, "d4f1a02f": NEEDED},
    ("aio-unsuppressed-exit", CHANNELS): {"first": FIXED, "639186aa": NEEDED},
    ("aio-root-interrupt", RUNTIME): {"first": NEEDED, "a9f06df3": FIXED},
    ("aio-root-interrupt", NEW_RUNTIME): {"first": FIXED},
    ("aio-ib-clients", IB): {"first": NEEDED},
    ("aio-deribit-feeds", DERIBIT): {"first": FIXED, "34fb497e": NEEDED},
    ("piker-tls-roots", BROKERS): {"first": NEEDED},
    ("piker-docker", OLD_AHAB): {"first": FIXED, "fbd3d1e3": NEEDED},
    ("piker-docker", AHAB): {"first": NEEDED},
    ("piker-docker-ports", OLD_ELASTIC): {"first": NEEDED},
    ("piker-docker-ports", ELASTIC): {"first": NEEDED},
    ("piker-fonts", STYLE): {"first": FIXED, "1f8f2eb8": NEEDED},
    ("piker-window", CHART): {"first": FIXED, "2ebdf008": NEEDED},
    ("piker-sudo-folder", CONFIG): {"first": FIXED, "1cdb9437": NEEDED},
    ("piker-root-config", CONFIG): {"first": NEEDED},
    ("piker-app-nap", CHART): {"first": FIXED, "788771bd": NEEDED},
    ("piker-strange-files", NATIVEDB): {"first": NEEDED},
    ("piker-quit", CHART): {"first": FIXED, "788771bd": NEEDED},
    ("piker-notifications", NOTIFY): {"first": NEEDED},
    ("piker-keys", EVENTS): {"first": NEEDED},
}
"""For each patch and target: the commits at which the state changes, and what it is from there;
none where only other branches have the target.

"not needed" also stands for: this vintage does not have the function yet. "unknown" are the days
when upstream tried out ways of making addresses, before any of it reached the main line. What the
patches for shared memory say is in `test_shm_diagnoses.py`.
"""


def since(name: str, target: str) -> str:
    """Return the day from which the patch `name` is asked about `target`."""
    if target.startswith("piker."):
        return "2018-01-01"  # its first day
    return "2025-03-01" if name.startswith("aio-") else "2025-07-01"


def path_of(target: str) -> str:
    """Return the path of `target` in its repository."""
    return target.replace(".", "/") + ("/__init__.py" if target == BROKERS else ".py")


@functools.cache
def diagnose(name: str, source: Source) -> Diagnosis:
    return builtin.patches()[name].diagnose(source)


def sources(target: str, commits: list[str]) -> Iterator[tuple[str, Source]]:
    """Yield each commit that has `target`, with its source, unless it is no Python at all."""
    path = path_of(target)
    for commit, data in history.contents(target.partition(".")[0], commits, path):
        source = None if data is None else parsed(target, path, data)
        if source is not None:
            yield commit, source


@functools.cache
def parsed(target: str, path: str, data: bytes) -> Source | None:
    """Return the source, the same one for all commits that have it; None if it is no Python."""
    source = Source(target, path, data)
    try:
        source.tree  # noqa: B018
    except SyntaxError:
        return None  # upstream commits in small steps
    return source


def everyone(name: str, target: str) -> list[str]:
    """Return the commits that count, oldest first."""
    upstream_name, path = target.partition(".")[0], path_of(target)
    day, last = since(name, target), LAST[upstream_name]
    found = history.touching(upstream_name, day, last, path)
    if upstream_name == "tractor":
        found += history.main_line(upstream_name, day, last)
    return history.in_order(upstream_name, set(found), day, last)


@pytest.mark.parametrize(("name", "target"), [key for key in STATES if STATES[key]], ids=str)
def test_every_commit_gets_the_right_diagnosis(name: str, target: str) -> None:
    try:
        found = dict(sources(target, everyone(name, target)))
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    changes = dict(STATES[name, target])
    right = changes.pop("first", "nothing is known before the first commit of the table")
    wrong = []
    for commit, source in found.items():
        right = changes.pop(commit[:8], right)
        answer = diagnose(name, source)
        if answer.state != right:
            wrong.append(f"{commit[:8]}: {answer.state}, not {right} ({answer.reason})")
    assert wrong == []
    assert changes == {}, "the history does not have these"
    assert len(found) >= (4 if target in MOVED else 9)


def test_no_commit_of_the_main_line_is_unknown() -> None:
    unknown = []
    try:
        for name, target in STATES:
            if target.startswith("piker."):
                continue
            line = history.main_line("tractor", since(name, target), LAST["tractor"])
            for commit, source in sources(target, line):
                if diagnose(name, source).state == UNKNOWN:
                    unknown.append(f"{name}: {commit[:8]}")
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    assert unknown == []


def test_the_table_names_every_target_of_every_patch() -> None:
    targets = {
        (patch.name, target)
        for patch, targets in builtin.plugins().all_patches().items()
        for target in targets
        if patch.plugin != "shm" and not target.startswith("trio.")
    }
    assert targets == STATES.keys()


@pytest.mark.skipif(HEAVY != "full", reason="all branches: only with MACFIX_HEAVY=full")
@pytest.mark.parametrize(("name", "target"), STATES, ids=str)
def test_no_commit_of_any_branch_is_unknown(name: str, target: str) -> None:
    upstream_name, path = target.partition(".")[0], path_of(target)
    day = "2025-07-09" if target == UDS else since(name, target)  # behind the days of trying out
    day = "2025-01-01" if target == NEW_LINUX else day
    try:
        commits = history.on_any_branch(upstream_name, day, path)
        found = dict(sources(target, commits))
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    answers = {commit: diagnose(name, source) for commit, source in found.items()}
    assert found
    assert [commit for commit, answer in answers.items() if answer.state == UNKNOWN] == []
