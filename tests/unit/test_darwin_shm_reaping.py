"""Reaping frees what dead processes left, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from macfix.darwin import journal, reaping, sysctl
from macfix.darwin.journal_format import decode, encode
from macfix.darwin.kernel_shm import open_segment, unlink_segment
from macfix.darwin.reaping import reap
from macfix.darwin.segment_label import length_with_label
from macfix.darwin.segment_names import kernel_name
from macfix.darwin.segments import list_segments
from macfix.darwin.shared_memory import SharedMemory
from tests.support.segment_owners import SegmentOwner, exists, remove, segment_owners

MakeOwner = Callable[..., SegmentOwner]


@pytest.fixture(autouse=True)
def own_journal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the journal of this process where this test's home is."""
    monkeypatch.setattr(journal, "_current", None)
    monkeypatch.delenv(journal.TREE_VARIABLE, raising=False)
    yield
    opened = journal.current()
    if opened is not None:
        opened.end()
    os.environ.pop(journal.TREE_VARIABLE, None)


@pytest.fixture
def owner() -> Iterator[MakeOwner]:
    with segment_owners() as make:
        yield make


@pytest.fixture
def key() -> Iterator[str]:
    """A key whose segment is gone when the test is over."""
    made = f"macfix-reaping-test-{os.getpid()}-segment"
    yield made
    assert not remove(made, *(f"{made}{n}" for n in range(200))), "segments were left behind"


def freed() -> list[str]:
    return [outcome.claim.key for outcome in reap() if outcome.freed]


def journals() -> list[str]:
    return sorted(path.name for path in journal.shm_folder().glob("*.journal"))


def edit_records(change: Callable[[list[object]], list[object] | None]) -> None:
    """Change what the only journal says; None leaves a record out."""
    (name,) = journals()
    path = journal.shm_folder() / name
    records = [change(record) for record in decode(path.read_bytes())]
    path.write_bytes(b"".join(encode(record) for record in records if record is not None))


def make_raw(key: str, length: int) -> None:
    """Create a segment as a process without macfix does."""
    descriptor = open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR)
    if length:
        os.ftruncate(descriptor, length)
    os.close(descriptor)


# -- what is freed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "end"])
@pytest.mark.parametrize("size", [4, 64])
def test_what_a_dead_process_left_is_freed(key: str, owner: MakeOwner, how: str, size: int) -> None:
    creator = owner()
    creator.do(f"create({key!r}, {size})")
    assert freed() == []
    getattr(creator, how)()
    assert freed() == [key]
    assert not exists(key) and journals() == []
    assert freed() == []


def test_a_dry_run_only_says_so(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()
    for _ in range(2):
        (outcome,) = reap(dry_run=True)
        assert outcome.freed and outcome.claim.key == key and outcome.owner.pid == creator.pid
        assert exists(key)
    assert freed() == [key]


def test_many_are_freed_in_turns(key: str, owner: MakeOwner) -> None:
    creator = owner()
    names = [f"{key}{number}" for number in range(2 * reaping._AT_ONCE + 1)]
    creator.do(f"[create(name, 4) for name in {names!r}] and None")
    creator.kill()
    assert sorted(freed()) == sorted(names)
    assert journals() == []


def test_a_process_that_was_killed_before_it_gave_a_size_left_something(
    key: str, owner: MakeOwner
) -> None:
    creator = owner()
    creator.do("setattr(os, 'ftruncate', lambda *_: os.kill(os.getpid(), 9))")
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(f"create({key!r})")
    assert exists(key)
    assert freed() == [key]


@pytest.mark.parametrize("made", [True, False])
def test_a_process_that_was_killed_around_the_kernels_answer(
    key: str, owner: MakeOwner, made: bool
) -> None:
    creator = owner()
    real = "shared_memory.open_segment"
    wrapped = (
        f"(lambda real: lambda *a: (real(*a) if {made} else None, os.kill(os.getpid(), 9)))({real})"
    )
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(f"[setattr(shared_memory, 'open_segment', {wrapped}), create({key!r})]")
    assert exists(key) is made
    assert freed() == ([key] if made else [])
    assert not exists(key) and journals() == []


# -- what is not -----------------------------------------------------------------------------------


def test_a_living_process_keeps_what_it_created(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.do(f"close({key!r})")  # not mapped any more, but not unlinked either
    assert freed() == [] and exists(key)
    creator.do(f"shm_unlink({key!r})")


def test_what_a_living_process_has_mapped_stays_until_it_lets_go(
    key: str, owner: MakeOwner
) -> None:
    creator, user = owner(), owner()
    creator.do(f"create({key!r})")
    user.do(f"attach({key!r})")
    creator.kill()
    (outcome,) = reap()
    assert not outcome.freed and outcome.in_use and str(user.pid) in outcome.reason
    assert exists(key)
    user.do(f"close({key!r})")
    assert freed() == [key]


def test_a_name_that_was_created_anew_by_the_living_stays(key: str, owner: MakeOwner) -> None:
    creator, other = owner(), owner()
    creator.do(f"create({key!r})")
    other.do(f"shm_unlink({key!r})")
    other.do(f"create({key!r})")
    creator.kill()
    assert reap() == [] and exists(key)
    other.do(f"shm_unlink({key!r})")


@pytest.mark.parametrize("size", [4, 64])
def test_what_a_dead_process_created_anew_is_freed_while_the_first_creator_lives(
    key: str, owner: MakeOwner, size: int
) -> None:
    first, second = owner(), owner()
    first.do(f"[create({key!r}, {size}), close({key!r})] and None")
    second.do(f"[shm_unlink({key!r}), create({key!r}, {size})] and None")
    second.kill()
    (segment,) = list_segments()
    assert (segment.owner.pid, segment.state) == (second.pid, "left behind")
    assert freed() == [key] and not exists(key)
    assert list_segments() == []


@pytest.mark.parametrize("size", [4, 64])
def test_a_name_that_was_created_anew_without_macfix_stays(
    key: str, owner: MakeOwner, size: int
) -> None:
    creator, other = owner(), owner()
    creator.do(f"create({key!r}, {size})")
    other.do(f"attach({key!r})")
    other.do(f"shm_unlink({key!r})")
    other.do(f"close({key!r})")
    make_raw(key, length_with_label(size))
    creator.kill()
    assert reap() == [] and exists(key)
    assert remove(key)


def test_a_segment_of_another_size_stays(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 4)")
    creator.kill()
    unlink_segment(kernel_name(key))
    make_raw(key, 100_000)
    assert reap() == [] and exists(key)
    assert remove(key)


def test_another_segment_of_the_same_name_and_size_stays_if_it_has_a_label(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()
    unlink_segment(kernel_name(key))
    monkeypatch.setenv(journal.JOURNAL_VARIABLE, "off")
    other = SharedMemory(key, create=True, size=64, track=False)
    assert list_segments() == []
    assert reap() == [] and exists(key)
    other.close()
    other.unlink()


def test_an_intent_is_not_taken_for_somebody_elses_segment(key: str, owner: MakeOwner) -> None:
    make_raw(key, 4)
    creator = owner()
    wrapped = "lambda *a: os.kill(os.getpid(), 9)"  # dies in the call that would have failed
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(f"[setattr(shared_memory, 'open_segment', {wrapped}), create({key!r}, 4)]")
    assert reap() == [] and exists(key) and journals() == []
    assert remove(key)


def test_an_intent_is_not_taken_for_what_somebody_is_about_to_size(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    wrapped = "lambda *a: os.kill(os.getpid(), 9)"
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(f"[setattr(shared_memory, 'open_segment', {wrapped}), create({key!r}, 4)]")
    descriptor = open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR)
    monkeypatch.setattr(reaping.time, "sleep", lambda _: os.ftruncate(descriptor, 4))
    assert reap() == [] and exists(key)
    os.close(descriptor)
    assert remove(key)


def test_a_second_failing_creation_does_not_disown_the_first(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    with pytest.raises(AssertionError, match="FileExistsError"):
        creator.do(f"create({key!r})")
    creator.kill()
    assert freed() == [key]


def test_what_was_before_the_machine_started_is_gone(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 4)")
    creator.kill()
    edit_records(lambda r: [*r[:-1], "another boot"] if r[0] == "journal" else r)
    assert sysctl.boot_id() != "another boot"
    assert list_segments() == []
    assert reap() == [] and exists(key) and journals() == []
    assert remove(key)


def test_what_cannot_be_freed_is_said_and_tried_again(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()

    def denied(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    with monkeypatch.context() as kernel:
        kernel.setattr(reaping, "unlink_segment", denied)
        (outcome,) = reap()
        assert not outcome.freed and not outcome.in_use and "Permission denied" in outcome.reason
    assert freed() == [key]


# -- trees -----------------------------------------------------------------------------------------


def test_the_first_creation_in_a_new_tree_frees_what_dead_trees_left(
    key: str, owner: MakeOwner
) -> None:
    dead, new = owner(), owner()
    dead.do(f"create({key!r})")
    dead.kill()
    new.do("journal.join_tree()")
    assert exists(key)
    new.do(f"create({key + '1'!r})")
    assert not exists(key) and exists(key + "1")
    new.do(f"shm_unlink({key + '1'!r})")


def test_what_a_dead_process_of_a_living_tree_left_waits_for_the_tree(
    key: str, owner: MakeOwner
) -> None:
    root = owner()
    tree = {journal.TREE_VARIABLE: root.do("journal.join_tree()")}
    child, sibling, stranger = owner(**tree), owner(**tree), owner()
    child.do(f"create({key!r})")
    child.kill()
    sibling.do(f"create({key + '1'!r})")
    stranger.do(f"create({key + '2'!r})")
    assert exists(key)
    root.kill()
    sibling.kill()
    late = owner()
    late.do(f"create({key + '3'!r})")
    assert not exists(key) and not exists(key + "1") and exists(key + "2")
    for process, number in ((stranger, 2), (late, 3)):
        process.do(f"shm_unlink({f'{key}{number}'!r})")


def test_only_the_first_creation_in_a_tree_looks_for_dead_trees(key: str, owner: MakeOwner) -> None:
    root = owner()
    root.do(f"create({key!r})")
    dead = owner()
    dead.do(f"create({key + '1'!r})")
    dead.kill()
    child = owner(**{journal.TREE_VARIABLE: root.do("journal.join_tree()")})
    child.do(f"create({key + '2'!r})")
    assert exists(key + "1")
    assert freed() == [key + "1"]
    root.do(f"[shm_unlink(name) for name in ({key!r}, {key + '2'!r})] and None")


def test_reaping_by_itself_can_be_switched_off(key: str, owner: MakeOwner) -> None:
    dead, new = owner(), owner(**{journal.REAP_VARIABLE: "off"})
    dead.do(f"create({key!r})")
    dead.kill()
    new.do(f"create({key + '1'!r})")
    assert exists(key)
    new.do(f"shm_unlink({key + '1'!r})")
    assert freed() == [key]


# -- the gate --------------------------------------------------------------------------------------


def test_a_creation_waits_for_a_reaper_and_a_reaper_for_creations(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do("[setattr(journal, '_PATIENCE', 60), journal.join_tree()] and None")
    monkeypatch.setattr(journal, "_PATIENCE", 0.01)
    own = journal.of_this_process()
    assert own.gate is not None
    with own.gate.closed():
        creator.begin(f"create({key!r})")
        assert not creator.has_answered(0.1)
        assert not exists(key)
    creator.answer()
    assert exists(key)
    creator.do("journal.of_this_process().gate.enter()")
    with pytest.raises(TimeoutError), own.gate.closed():
        pass
    creator.do("journal.of_this_process().gate.leave()")
    with own.gate.closed():
        pass
    creator.do(f"shm_unlink({key!r})")


def test_a_stuck_reaper_does_not_stop_a_creation(
    key: str, owner: MakeOwner, caplog: pytest.LogCaptureFixture
) -> None:
    creator = owner()
    creator.do("[setattr(journal, '_PATIENCE', 0.01), journal.join_tree()] and None")
    own = journal.of_this_process()
    assert own.gate is not None
    with own.gate.closed():
        creator.do(f"create({key!r})")
    assert exists(key)
    creator.do(f"shm_unlink({key!r})")


def test_where_nothing_was_ever_written_nothing_is_reaped() -> None:
    assert reap() == []
    assert not journal.shm_folder().exists()


def test_journals_that_were_only_begun_are_swept_when_they_are_old(
    key: str, owner: MakeOwner
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    folder = journal.shm_folder()
    old, new = folder / f"{journal.NEW_PREFIX}old", folder / f"{journal.NEW_PREFIX}new"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (1, 1))
    assert reap(dry_run=True) == [] and old.exists()
    assert reap() == []
    assert not old.exists() and new.exists()
    creator.do(f"shm_unlink({key!r})")
