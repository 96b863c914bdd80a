"""The journal: says what a process created, whatever happens to the process or to the journal."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfix.darwin import journal, journal_format, state_dir
from macfix.darwin.journal_format import Contents, Owner, decode, encode
from macfix.darwin.journal_index import JournalIndex, live_trees
from macfix.darwin.segments import list_segments
from macfix.darwin.shared_memory import SharedMemory, shm_unlink
from tests.support import processes
from tests.support.segment_owners import SegmentOwner, exists, remove, segment_owners

MakeOwner = Callable[..., SegmentOwner]

records = st.lists(
    st.lists(st.one_of(st.text(), st.integers(), st.floats(allow_nan=False)), min_size=1)
)


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
    made = f"macfix-journal-test-{os.getpid()}-segment"
    yield made
    assert not remove(made, made + "2"), "a segment was left behind"


def files() -> list[Path]:
    return sorted(journal.shm_folder().glob("*.journal"))


def known() -> list[tuple[str, str]]:
    return [(segment.claim.key, segment.state) for segment in list_segments()]


def create_and_remove(key: str) -> None:
    """What must work however bad the journal is."""
    made = SharedMemory(key, create=True, size=64, track=False)
    again = SharedMemory(key, track=False)
    assert again.size == 64
    again.close()
    made.close()
    made.unlink()
    assert not exists(key)


# -- the format ------------------------------------------------------------------------------------


@given(records)
def test_what_is_written_is_read(lines: list[list[Any]]) -> None:
    data = b"".join(map(encode, lines))
    assert list(decode(data)) == lines
    assert data.count(b"\n") == len(lines)


@given(records.filter(bool), st.integers(0, 10_000))
def test_a_torn_end_costs_the_torn_record_only(lines: list[list[Any]], cut: int) -> None:
    data = b"".join(map(encode, lines))
    data = data[: cut % len(data)]
    whole = data.count(b"\n")  # and one more if it was only its line end that was cut off
    assert list(decode(data)) in (lines[:whole], lines[: whole + 1])
    assert list(decode(data + b"\n" + encode(["next"])))[-1] == ["next"]


@given(records.filter(bool), st.integers(0, 10_000), st.integers(1, 255))
def test_damage_is_noticed(lines: list[list[Any]], at: int, change: int) -> None:
    data = bytearray(b"".join(map(encode, lines)))
    data[at % len(data)] ^= change
    read = list(decode(bytes(data)))
    assert all(record in lines for record in read)
    assert len(read) >= len(lines) - 2  # a damaged line end spoils two records


@given(st.lists(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.lists(st.none())))))
def test_records_of_unknown_kind_or_shape_say_nothing(lines: list[list[Any]]) -> None:
    contents = Contents()
    kinds = ("journal", "intent", "made", "withdrawn", "gone", "use", "left", "unheard-of")
    for line in lines:
        for kind in kinds:
            contents.apply([kind, *line])
    contents.records()


def test_a_segment_whose_intent_is_torn_is_not_made() -> None:
    contents = Contents()
    contents.apply(["made", "/a"])
    assert contents == Contents()


def test_the_short_form_says_the_same() -> None:
    contents = Contents()
    for record in [
        Owner(1, "program", 2.0, "tree", "boot").record(),
        ["intent", "/a", "a", 1, "m1", 1.0],
        ["made", "/a"],
        ["intent", "/b", "b", 2, "m2", 2.0],
        ["intent", "/c", "c", 3, "m3", 3.0],
        ["made", "/c"],
        ["left", "/c"],
        ["use", "/d", "d"],
        ["intent", "/e", "e", 5, "m5", 5.0],
        ["made", "/e"],
        ["gone", "/e", 6.0],
        ["left", "/e"],
    ]:
        contents.apply(record)
    again = Contents()
    for record in contents.records():
        again.apply(record)
    assert again == contents
    assert set(again.claims) == {"/a", "/b", "/c"} and again.made == {"/a", "/c"}
    assert again.uses == {"/a": "a", "/d": "d"} and again.gone == {"/e": 6.0}


# -- a process and its journal ---------------------------------------------------------------------


def test_the_journal_says_who_created_what(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 5000)")
    (segment,) = list_segments()
    assert (segment.claim.key, segment.claim.size, segment.state) == (key, 5000, "live")
    assert segment.owner.pid == creator.pid and segment.owner.program == "-c"
    assert [user.pid for user in segment.users] == [creator.pid]
    creator.do(f"close({key!r})")
    (segment,) = list_segments()
    assert segment.users == () and segment.state == "live"
    creator.do(f"shm_unlink({key!r})")
    assert list_segments() == []


def test_a_program_may_do_with_its_arguments_what_it_likes(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [Path("/bin/piker"), 7, "\udcff"])
    made = SharedMemory(key, create=True, size=64, track=False)
    (segment,) = list_segments()
    assert segment.owner.program == "/bin/piker 7 ?"
    made.close()
    made.unlink()


def test_folder_and_files_are_their_owners_only(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    assert stat.S_IMODE(journal.shm_folder().stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in files()] == [0o600]
    creator.do(f"shm_unlink({key!r})")


def test_a_folder_that_is_open_to_others_is_closed(key: str) -> None:
    journal.shm_folder().mkdir(parents=True)
    journal.shm_folder().chmod(0o755)
    create_and_remove(key)
    assert stat.S_IMODE(journal.shm_folder().stat().st_mode) == 0o700


def test_a_process_that_leaves_nothing_leaves_no_journal(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    assert len(files()) == 1
    creator.do(f"shm_unlink({key!r})")
    creator.end()
    assert files() == []


@pytest.mark.parametrize("how", ["kill", "end"])
def test_a_process_that_is_gone_owns_nothing_however_it_went(
    key: str, owner: MakeOwner, how: str
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    assert known() == [(key, "live")]
    getattr(creator, how)()
    assert known() == [(key, "left behind")]
    assert remove(key)


def test_ownership_goes_by_the_lock_not_by_the_pid(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()
    (file,) = files()
    text = file.read_bytes()
    (header,) = (record for record in decode(text) if record[0] == journal_format.HEADER)
    header[2] = os.getpid()  # as if this process had got its pid
    file.write_bytes(encode(header) + b"".join(text.splitlines(keepends=True)[1:]))
    (segment,) = list_segments()
    assert segment.owner.pid == os.getpid() and segment.state == "left behind"
    assert remove(key)


def test_looking_does_not_cost_a_process_its_own_lock(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    states = "[s.state for s in segments.list_segments()]"
    for _ in range(3):
        assert creator.do(states) == ["live"]
        assert creator.do("[o.freed for o in reaping.reap()]") == []
    assert known() == [(key, "live")]
    creator.do(f"shm_unlink({key!r})")


def test_looking_by_another_path_does_not_cost_it_either(
    key: str, owner: MakeOwner, tmp_path: Path
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    (tmp_path / "other way").symlink_to(journal.shm_folder().parent)
    other_way = str(tmp_path / "other way")
    creator.do(f"os.environ.update(MACFIX_STATE_DIR={other_way!r})")
    assert creator.do("[s.state for s in segments.list_segments()]") == ["live"]
    assert known() == [(key, "live")]
    creator.do(f"shm_unlink({key!r})")


def test_two_who_look_at_once_see_the_same(key: str, owner: MakeOwner) -> None:
    creator, other = owner(), owner()
    creator.do(f"create({key!r})")
    creator.kill()
    index = JournalIndex(journal.shm_folder())
    with index.opened() as folder:
        (file,) = index.files()
        with file._opened(folder) as descriptor:
            import fcntl

            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # what looking does
            states = other.do("[s.state for s in segments.list_segments()]")
    assert states == ["left behind"]
    assert remove(key)


# -- forks -----------------------------------------------------------------------------------------


def test_a_forked_child_does_not_keep_its_parents_lock(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    child = creator.do(
        "[pid for pid in [os.fork()] if pid or [os.close(0), __import__('signal').pause()]][0]"
    )
    try:
        creator.kill()
        assert not list_segments()[0].owner_lives
        # the child has inherited the mapping, and says so as soon as it runs
        assert processes.wait_until(lambda: known() == [(key, "in use")], 20)
        (segment,) = list_segments()
        assert [user.pid for user in segment.users] == [child]
    finally:
        os.kill(child, 9)
    assert remove(key)


def test_a_forked_child_has_a_journal_of_its_own(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    second = key + "2"
    child = creator.do(
        f"[pid for pid in [os.fork()] if pid or [create({second!r}), os._exit(0)]][0]"
    )
    creator.do(f"os.waitpid({child}, 0)[1]")
    states = {segment.claim.key: (segment.owner.pid, segment.state) for segment in list_segments()}
    assert states == {key: (creator.pid, "live"), second: (child, "tree lives")}
    creator.do(f"[shm_unlink(key) for key in ({key!r}, {second!r})] and None")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_descriptors_do_not_survive_exec(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    seen = creator.do(
        "__import__('subprocess').run(['ls', '-l', '/proc/self/fd'], capture_output=True,"
        " text=True, close_fds=False).stdout"
    )
    assert "journal" not in seen and "gate" not in seen
    creator.do(f"shm_unlink({key!r})")


# -- trees -----------------------------------------------------------------------------------------


def test_children_belong_to_the_tree_of_their_first_process(key: str, owner: MakeOwner) -> None:
    root = owner()
    tree = root.do("journal.join_tree()")
    assert root.do(f"os.environ[{journal.TREE_VARIABLE!r}]") == tree
    child = owner(**{journal.TREE_VARIABLE: tree})
    assert child.do("journal.join_tree()") == tree
    assert live_trees() == {tree}


def test_the_name_of_a_dead_tree_is_not_taken_over(owner: MakeOwner) -> None:
    root = owner()
    tree = root.do("journal.join_tree()")
    root.kill()
    late = owner(**{journal.TREE_VARIABLE: tree})
    assert late.do("journal.join_tree()") not in ("", tree)


# -- a journal that cannot be ----------------------------------------------------------------------


def assert_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    told = [record for record in caplog.records if record.name == "macfix.shm"]
    assert [record.levelno for record in told] == [logging.WARNING], caplog.text


def test_a_symbolic_link_for_a_folder_is_refused(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal.shm_folder().parent.mkdir(parents=True)
    journal.shm_folder().symlink_to(tmp_path, target_is_directory=True)
    create_and_remove(key)
    assert list(tmp_path.iterdir()) == []
    assert_one_warning(caplog)


@pytest.mark.parametrize("name", ["gate"])
def test_symbolic_links_for_files_are_refused(
    key: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    journal.shm_folder().mkdir(mode=0o700, parents=True)
    (journal.shm_folder() / name).symlink_to(target)
    create_and_remove(key)
    assert target.read_text() == "precious"
    assert_one_warning(caplog)


def test_somebody_elses_folder_is_refused(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal.shm_folder().mkdir(parents=True)
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: os.getuid() + 1)
        create_and_remove(key)
    assert list(journal.shm_folder().iterdir()) == []
    assert_one_warning(caplog)


def test_a_file_for_a_folder_is_refused(key: str, caplog: pytest.LogCaptureFixture) -> None:
    journal.shm_folder().parent.mkdir(parents=True)
    journal.shm_folder().write_text("in the way")
    create_and_remove(key)
    assert_one_warning(caplog)


def test_a_disk_that_refuses_is_survived(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(journal, "open_private", refuse)
    create_and_remove(key)
    assert_one_warning(caplog)


def test_the_journal_can_be_switched_off(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(journal.JOURNAL_VARIABLE, "off")
    create_and_remove(key)
    with pytest.raises(FileNotFoundError):  # a teardown race, which others write down
        shm_unlink(key)
    assert not journal.shm_folder().exists()


def test_a_full_disk_costs_records_not_the_program(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = SharedMemory(create=True, size=64, track=False)
    real_write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            real_write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        create_and_remove(key)
    made = SharedMemory(key, create=True, size=64, track=False)
    (file,) = files()
    written = [record for record in decode(file.read_bytes()) if record[0] == "made"]
    assert ["made", made.kernel_name] in written
    for segment in (first, made):
        segment.close()
        segment.unlink()


def seen_by(other: SegmentOwner) -> dict[str, str]:
    """The states of all segments as another process sees them."""
    states: dict[str, str] = other.do("{s.claim.key: s.state for s in segments.list_segments()}")
    return states


def failing_write(number: int) -> Callable[[int, bytes], int]:
    def write(descriptor: int, data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    return write


def test_what_a_full_disk_has_cost_is_written_when_there_is_room_again(
    key: str, monkeypatch: pytest.MonkeyPatch, owner: MakeOwner, caplog: pytest.LogCaptureFixture
) -> None:
    first = SharedMemory(create=True, size=64, track=False)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", failing_write(errno.ENOSPC))
        made = SharedMemory(key, create=True, size=64, track=False)
    assert_one_warning(caplog)
    SharedMemory(key, track=False).close()
    first.close()
    first.unlink()
    assert len(files()) == 1
    assert seen_by(owner()) == {key: "live"}
    made.close()
    made.unlink()


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EIO])
def test_a_process_that_cannot_write_any_more_still_owns_what_it_wrote_down(
    key: str,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    owner: MakeOwner,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = SharedMemory(key, create=True, size=64, track=False)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", failing_write(number))
        create_and_remove(key + "2")
    assert_one_warning(caplog)
    other = owner()
    assert seen_by(other) == {key: "live"}
    assert other.do("[o.freed for o in reaping.reap()]") == []
    made.close()
    made.unlink()


def test_whoever_closes_all_descriptors_still_owns_and_loses_no_lock_of_its_own(
    key: str, owner: MakeOwner
) -> None:
    creator = owner()
    creator.do(f"[create({key!r}), os.closerange(3, 64)] and None")
    opening = "[open(f'theirs{n}', 'w') for n in range(4)]"
    folder = str(journal.shm_folder().parent)
    creator.do(f"[os.chdir({folder!r}), held.update(enumerate({opening}))] and None")
    lock = "__import__('fcntl').lockf"
    creator.do(f"[{lock}(held[n], 6) for n in range(4)] and None")  # LOCK_EX | LOCK_NB
    creator.do(f"create({key + '2'!r})")
    other = owner()
    assert seen_by(other) == {key: "live", key + "2": "live"}
    assert other.do("[o.freed for o in reaping.reap()]") == []
    for number in range(4):
        path = f"{folder}/theirs{number}"
        with pytest.raises(AssertionError, match="BlockingIOError"):
            other.do(f"{lock}(open({path!r}, 'w'), 6)")
        assert os.stat(path).st_size == 0
    creator.do(f"[shm_unlink(name) for name in ({key!r}, {key + '2'!r})] and None")


def test_descriptors_that_are_not_ours_any_more_are_not_written_to_on_a_full_disk(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SharedMemory(create=True, size=64, track=False)
    own = journal.of_this_process()
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, own._file)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    taken = own._file
    monkeypatch.setattr(own, "_start_file", full)
    create_and_remove(key)
    assert (tmp_path / "theirs").read_bytes() == b""
    made.close()
    made.unlink()
    for descriptor in (taken, theirs):
        os.close(descriptor)


def test_a_gate_that_was_removed_is_the_one_that_others_find(key: str, owner: MakeOwner) -> None:
    made = SharedMemory(key, create=True, size=64, track=False)
    (journal.shm_folder() / "gate").unlink()
    other = owner()
    other.do("[setattr(journal, '_PATIENCE', 0.01), journal.join_tree()] and None")
    own = journal.of_this_process()
    assert own.gate is not None
    own.gate.enter()
    with pytest.raises(AssertionError, match="TimeoutError"):
        other.do("journal.of_this_process().gate.closed().__enter__()")
    own.gate.leave()
    made.close()
    made.unlink()


def test_whoever_closes_all_descriptors_does_not_get_our_lines(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = SharedMemory(create=True, size=64, track=False)
    own = journal.of_this_process()
    os.close(own._file)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, own._file) if theirs != own._file else None
    create_and_remove(key)
    assert (tmp_path / "theirs").read_bytes() == b""
    assert_one_warning(caplog)
    os.fstat(theirs)  # and it is still open
    os.close(theirs)
    made.close()
    made.unlink()


def test_a_journal_that_was_removed_is_begun_anew(key: str) -> None:
    made = SharedMemory(key, create=True, size=64, track=False)
    for file in (*files(), journal.shm_folder() / "gate"):
        file.unlink()
    journal.shm_folder().rmdir()
    other = SharedMemory(create=True, size=64, track=False)
    assert {name for name, _ in known()} == {key, other.name}
    for segment in (made, other):
        segment.close()
        segment.unlink()


def test_a_journal_that_has_much_to_say_is_not_written_anew_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "_COMPACT_AFTER", 1000)
    made = []
    names = set()
    for _ in range(100):
        made.append(SharedMemory(create=True, size=64, track=False))
        names.add(files()[0].name)
    assert len(names) < 10
    for segment in made:
        segment.close()
        segment.unlink()


def test_a_long_journal_is_written_anew_and_stays_locked(
    key: str, monkeypatch: pytest.MonkeyPatch, owner: MakeOwner
) -> None:
    monkeypatch.setattr(journal, "_COMPACT_AFTER", 2000)
    made = SharedMemory(key, create=True, size=64, track=False)
    names = set()
    for _ in range(100):
        SharedMemory(key, track=False).close()
        create_and_remove(key + "2")
        (file,) = files()
        names.add(file.name)
        assert file.stat().st_size < 30_000
    assert len(names) > 5
    states = "[[s.claim.key, s.state, len(s.users)] for s in segments.list_segments()]"
    assert owner().do(states) == [[key, "live", 1]]
    made.close()
    made.unlink()


# -- journals of others ----------------------------------------------------------------------------


def make_rubbish(folder: Path) -> None:
    """Put into the folder what a journal is not."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "1-empty.journal").write_bytes(b"")
    (folder / "2-random.journal").write_bytes(bytes(range(256)) * 20)
    (folder / "3-text.journal").write_text("not a journal\n" * 10)
    (folder / "4-folder.journal").mkdir()
    (folder / "5-link.journal").symlink_to("/etc/passwd")
    (folder / "6-nowhere.journal").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "7-fifo.journal")
    (folder / "8-headless.journal").write_bytes(encode(["made", "/x"]) + encode(["intent"]))
    (folder / "9-future.journal").write_bytes(encode(["journal", 99, "?"]))
    (folder / ".new-stale.journal").write_bytes(b"x")


def test_rubbish_among_the_journals_stops_nobody(key: str, owner: MakeOwner) -> None:
    make_rubbish(journal.shm_folder())
    create_and_remove(key)
    made = SharedMemory(key, create=True, size=64, track=False)
    assert known() == [(key, "live")]
    assert owner().do("[s.claim.key for s in segments.list_segments()]") == [key]
    assert owner().do("[o.freed for o in reaping.reap()]") == []
    made.close()
    made.unlink()


def test_a_torn_intent_in_somebodys_journal_stops_nobody_who_attaches(
    key: str, owner: MakeOwner
) -> None:
    other = owner()
    other.do(f"create({key!r}, 4)")
    (file,) = files()
    lines = file.read_bytes().splitlines(keepends=True)
    (torn,) = (line for line in lines if b'"intent"' in line)
    file.write_bytes(b"".join(b"torn\n" if line is torn else line for line in lines))
    attached = SharedMemory(key, track=False)
    attached.close()
    attached.unlink()


def test_where_nothing_was_ever_written_nothing_is_found() -> None:
    assert list_segments() == []
    assert not journal.shm_folder().exists()


@pytest.mark.parametrize("variable", ["MACFIX_STATE_DIR", "HOME"])
def test_a_folder_that_depends_on_where_one_is_is_refused(
    key: str,
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MACFIX_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "relative")
    create_and_remove(key)
    assert_one_warning(caplog)
    assert f"{variable}=relative is not an absolute path" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(state_dir.sys, "platform", "darwin")
    assert state_dir.state_dir() == tmp_path / "Library" / "Application Support" / "macfix"
    monkeypatch.setattr(state_dir.sys, "platform", "linux")
    assert state_dir.state_dir() == tmp_path / ".local" / "state" / "macfix"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    assert state_dir.state_dir() == tmp_path / "s" / "macfix"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_dir.state_dir() == tmp_path / ".local" / "state" / "macfix"
    monkeypatch.setenv("MACFIX_STATE_DIR", str(tmp_path / "mine"))
    assert journal.shm_folder() == tmp_path / "mine" / "shm"


def test_unlinking_what_somebody_else_created_is_written_down(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    other = SharedMemory(key, track=False)
    shm_unlink(key)
    own = journal.current()
    assert own is not None and other.kernel_name in own.contents.gone
    other.close()
    assert json.loads(json.dumps(own.contents.records()))  # and all of it can be written
