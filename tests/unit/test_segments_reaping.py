"""What lives is never freed, what is dead goes: with real processes, both ways."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from macfix.darwin.segments import database, place, reaping, registry
from macfix.darwin.segments.kernel import open_segment, unlink_segment
from macfix.darwin.segments.label import length_with_label
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.reaping import ALIVE, LEAKED, UNCLEAR, Finding
from macfix.darwin.segments.shared_memory import SharedMemory
from tests.support.processes import wait_until
from tests.support.segment_owners import (
    SegmentOwner,
    exists,
    fresh_registry,
    remove,
    segment_owners,
)

MakeOwner = Callable[..., SegmentOwner]
SLEEP = "import time; time.sleep(600)"
YEARS = 10 * 365 * 86400


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the registry of this process where this test's home is."""
    with fresh_registry(monkeypatch):
        yield


@pytest.fixture
def owner() -> Iterator[MakeOwner]:
    with segment_owners() as make:
        yield make


@pytest.fixture
def key() -> Iterator[str]:
    """A key whose segments are gone when the test is over."""
    made = f"macfix-reaping-test-{os.getpid()}-segment"
    yield made
    names = (made, *(f"{made}{end}" for end in ("_first", "_last", *range(20))))
    assert not remove(*names), "segments were left behind"


@pytest.fixture
def pids() -> Iterator[list[int]]:
    """Processes that are nobody's children any more; they are killed at the end."""
    started: list[int] = []
    yield started
    for pid in started:
        end(pid)


def end(pid: int) -> None:
    """Kill process `pid`, whose parent is gone, and wait until it has."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    assert wait_until(lambda: not is_running(pid), 20)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in b"ZX"
    except OSError:
        return False


def survey() -> dict[str, Finding]:
    return {one.record.key: one for one in reaping.sort_out(place.location(), free=False)}


def freed() -> list[str]:
    found = reaping.sort_out(place.location(), free=True)
    return sorted(one.record.key for one in found if one.freed)


def in_registry(statement: str, *values: object) -> list[tuple[object, ...]]:
    with database.transaction(place.location()) as db:
        return list(db.execute(statement, values))


def make_raw(key: str, length: int) -> None:
    """Create a segment as a process without macfix does."""
    descriptor = open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR)
    if length:
        os.ftruncate(descriptor, length)
    os.close(descriptor)


# -- dead: it goes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "end"])
def test_what_a_dead_process_left_is_freed(key: str, owner: MakeOwner, how: str) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    assert survey()[key].state == ALIVE and str(creator.pid) in survey()[key].reason
    assert freed() == [] and exists(key)
    getattr(creator, how)()
    assert {one.state for one in survey().values()} == {LEAKED}
    assert freed() == [key, key + "_first", key + "_last"]
    assert not exists(key) and not exists(key + "_last")
    assert freed() == [] and in_registry("SELECT * FROM segment, tree, process, holder") == []


def test_on_a_mac_too(key: str, owner: MakeOwner) -> None:
    mac = {"OWNER_ON_A_MAC": "names=30,page=16384"}
    creator, other = owner(**mac), owner(**mac)
    creator.do(f"array({key!r})")
    other.do(f"array({key + '1'!r})")
    creator.kill()
    found = {name: (state, done) for name, state, _, done in other.do("reap()")}
    ends = ("", "_first", "_last")
    assert found == {
        **{key + end: (LEAKED, True) for end in ends},
        **{key + "1" + end: (ALIVE, False) for end in ends},
    }
    assert {name for name, *_ in other.do("reap()")} == {key + "1" + end for end in ends}
    other.do(f"do(*map(shm_unlink, {[key + '1' + end for end in ends]}))")
    assert other.do("reap()") == []


def test_a_zombie_is_dead(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.process.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not is_running(creator.pid), 20)  # and nobody has waited for it
    assert creator.process.returncode is None
    assert freed() == [key]


def test_another_process_with_the_pid_of_a_dead_one_is_another(key: str, owner: MakeOwner) -> None:
    creator, other = owner(), owner()
    creator.do(f"create({key!r})")
    creator.kill()
    assert is_running(other.pid)
    in_registry("UPDATE process SET pid = ?, start = '1'", other.pid)
    assert freed() == [key]


@pytest.mark.parametrize("years", [-YEARS, YEARS])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_clock_that_is_set_changes_nothing(
    key: str, owner: MakeOwner, years: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    living, dead = owner(), owner()
    real = time.time
    if when == "before":
        for one in (living, dead):
            one.do(f"setattr(time, 'time', (lambda real: lambda: real() + {years})(time.time))")
    else:
        monkeypatch.setattr(time, "time", lambda: real() + years)
    living.do(f"create({key!r})")
    dead.do(f"create({key + '1'!r})")
    dead.kill()
    assert freed() == [key + "1"] and exists(key)
    living.kill()
    assert freed() == [key]


POINTS = {
    "before the segment is made": "setattr(shared_memory, 'open_segment', die)",
    "before it has a size": "setattr(os, 'ftruncate', die)",
    "before it has a label": "setattr(shared_memory, 'write_label', die)",
    "halfway through the label": (
        "setattr(shared_memory, 'write_label', lambda whole, *_:"
        " do(whole.__setitem__(slice(-4000, -3990), b'0123456789'), die()))"
    ),
    "before that is on record": "setattr(database, 'COMPLETE', None)",
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("size", [64, 300_000])
def test_a_creator_that_is_killed_on_the_way_leaves_nothing(
    key: str, owner: MakeOwner, point: str, size: int
) -> None:
    creator = owner()
    creator.do("globals().update(die=lambda *_: os.kill(os.getpid(), 9)) or None")
    if point.endswith("record"):
        with pytest.raises(AssertionError, match="TypeError"):
            creator.do(f"do({POINTS[point]}, create({key!r}, {size}))")
        creator.kill()
    else:
        with pytest.raises(AssertionError, match="the process ended"):
            creator.do(f"do({POINTS[point]}, create({key!r}, {size}))")
    made = point != "before the segment is made"
    assert exists(key) is made
    assert freed() == ([key] if made else [])
    assert not exists(key) and in_registry("SELECT * FROM segment") == []


def test_what_has_no_label_and_has_data_is_no_unfinished_one(key: str, owner: MakeOwner) -> None:
    creator = owner()
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(
            "do(setattr(shared_memory, 'write_label', lambda whole, *_:"
            " do(whole.__setitem__(slice(0, 4), b'data'), os.kill(os.getpid(), 9))),"
            f" create({key!r}, 64))"
        )
    assert freed() == [] and exists(key)
    assert "bears no mark" in survey()[key].reason
    assert remove(key)


@pytest.mark.parametrize("part", ["_first", "_last"])
@pytest.mark.parametrize("point", ["open_segment", "length_with_label"])
def test_a_creator_that_is_killed_before_an_index_is_there_leaves_nothing(
    key: str, owner: MakeOwner, part: str, point: str
) -> None:
    creator = owner()
    names = [key, key + "_first", key + "_last"]
    before = names[: names.index(key + part)]
    creator.do(f"create({key!r})")
    for name in before[1:]:
        creator.do(f"create({name!r}, 4)")
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(
            f"do(setattr(shared_memory, {point!r}, lambda *_: os.kill(os.getpid(), 9)),"
            f" create({key + part!r}, 4))"
        )
    assert freed() == before + ([key + part] if point == "length_with_label" else [])


@pytest.mark.parametrize("gone", [1, 2])
def test_one_that_is_killed_while_it_destroys_an_array_leaves_nothing(
    key: str, owner: MakeOwner, gone: int
) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    names = [key, key + "_first", key + "_last"]
    creator.do(f"do(*map(shm_unlink, {names[:gone]}))")
    assert freed() == []
    creator.kill()
    assert freed() == names[gone:]


def test_reaping_that_is_killed_on_the_way_is_done_by_the_next(key: str, owner: MakeOwner) -> None:
    creator, reaper = owner(), owner()
    creator.do(f"array({key!r})")
    creator.kill()
    reaper.do(
        "setattr(reaping, 'unlink_segment', (lambda real: lambda name:"
        " (real(name), os.kill(os.getpid(), 9)))(reaping.unlink_segment))"
    )
    with pytest.raises(AssertionError, match="the process ended"):
        reaper.do("reap()")
    left = [name for name in (key, key + "_first", key + "_last") if exists(name)]
    assert len(left) == 2
    assert freed() == left


# -- alive: it stays -------------------------------------------------------------------------------


def test_it_belongs_to_whoever_attached_it_too(key: str, owner: MakeOwner) -> None:
    creator, user = owner(), owner()
    creator.do(f"array({key!r})")
    user.do(f"attach_array({key!r})")
    creator.kill()
    assert freed() == [] and str(user.pid) in survey()[key].reason
    user.do(f"do(close({key!r}))")  # its relatives may still want it
    assert freed() == []
    user.kill()
    assert len(freed()) == 3


def test_an_array_whose_index_alone_is_attached_stays(key: str, owner: MakeOwner) -> None:
    creator, user = owner(), owner()
    creator.do(f"array({key!r})")
    user.do(f"attach({key + '_first'!r})")
    creator.kill()
    assert freed() == []
    user.kill()
    assert len(freed()) == 3


def test_a_stopped_process_lives(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    os.kill(creator.pid, signal.SIGSTOP)
    assert freed() == []
    creator.kill()
    assert freed() == [key]


CHILDREN = {
    "a program that knows nothing of macfix": f"run({SLEEP!r})",
    "a program in a session of its own": f"run({SLEEP!r}, start_new_session=True)",
    "a forked child": "fork()",
    "a forked child that closes all descriptors": "fork(lambda: os.closerange(3, 4096))",
    "a daemon": "int(subprocess.run([sys.executable, '-c', DAEMON], capture_output=True).stdout)",
    "a child of a shell": (
        "subprocess.Popen(['sh', '-c', 'sleep 600; exit'], stdin=-3, stdout=-3,"
        " start_new_session=True).pid"
    ),
}
DAEMON = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
pid = os.fork()
if pid:
    print(pid, flush=True)
    os._exit(0)
for number in range(3): os.close(number)
time.sleep(600)
"""


@pytest.mark.parametrize("kind", CHILDREN)
def test_a_child_that_lives_on_keeps_it(
    key: str, owner: MakeOwner, pids: list[int], kind: str
) -> None:
    creator = owner()
    creator.do(f"globals().update(DAEMON={DAEMON!r}) or None")
    creator.do(f"array({key!r})")
    child = creator.do(CHILDREN[kind])
    pids.append(child)
    creator.kill()
    assert freed() == [] and exists(key)
    assert survey()[key].state == ALIVE
    if "shell" in kind:
        os.killpg(child, signal.SIGKILL)
    end(child)
    assert wait_until(lambda: len(freed()) == 3, 20)


def test_one_known_by_its_environment_is_on_record_from_then_on(
    key: str, owner: MakeOwner, pids: list[int]
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    bare = f"time.sleep(1); os.execve(sys.executable, ['p', '-c', {SLEEP!r}], {{}})"
    bare = f"import os, sys, time; {bare}"
    child = creator.do(f"run({bare!r})")
    pids.append(child)
    creator.kill()
    assert freed() == [] and "known by its environment" in survey()[key].reason
    shown = Path(f"/proc/{child}/environ")
    assert wait_until(lambda: registry.VARIABLE.encode() not in shown.read_bytes(), 20)
    assert freed() == [] and str(child) in survey()[key].reason
    end(child)
    assert freed() == [key]


@pytest.mark.parametrize("environment", ["os.environ", "{}"])
def test_a_process_that_execs_itself_keeps_it(key: str, owner: MakeOwner, environment: str) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    arguments = f"sys.executable, ['python', '-c', {SLEEP!r}], {environment}"
    creator.begin(f"os.execve({arguments})")
    with open(f"/proc/{creator.pid}/cmdline", "rb") as file:
        assert wait_until(lambda: file.seek(0) == 0 and b"sleep(600)" in file.read(), 20)
    assert freed() == []
    creator.kill()
    assert len(freed()) == 3


def test_closing_all_descriptors_changes_nothing(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    creator.do("os.closerange(3, 65536)")
    assert freed() == []
    creator.do(f"create({key + '1'!r})")
    assert freed() == []
    creator.kill()
    assert len(freed()) == 4


def test_a_child_forked_without_descriptors_is_known_by_its_trees_variable(
    key: str, owner: MakeOwner, pids: list[int]
) -> None:
    founder = owner()
    founder.do("registry.join() and None")
    creator = owner(**{registry.VARIABLE: founder.do("os.environ[registry.VARIABLE]")})
    creator.do(f"array({key!r})")
    creator.do("__import__('resource').setrlimit(7, (40, 40))")
    with pytest.raises(AssertionError, match="Too many open files"):
        creator.do("globals().setdefault('kept', []).extend(os.dup(0) for _ in range(200))")
    child = creator.do("os.fork() or time.sleep(600)")
    pids.append(child)
    creator.kill()
    founder.kill()
    assert (child,) not in in_registry("SELECT pid FROM process")
    assert freed() == []
    end(child)
    assert len(freed()) == 3


def test_a_registration_that_failed_is_repeated(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do("processes.start_of.cache_clear()")
    creator.do("globals().update(limit=__import__('resource').getrlimit(7)) or None")
    creator.do("__import__('resource').setrlimit(7, (3, limit[1]))")
    creator.do("registry.join() and None")
    creator.do("__import__('resource').setrlimit(7, limit)")
    creator.do(f"array({key!r})")
    assert (creator.pid,) in in_registry("SELECT pid FROM process")
    assert freed() == [] and survey()[key].state == ALIVE
    creator.kill()
    assert len(freed()) == 3


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_keep_it(
    key: str, owner: MakeOwner, pids: list[int], method: str, tmp_path: object
) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    creator.do(
        "globals().update(child=__import__('multiprocessing')"
        f".get_context({method!r}).Process(target=time.sleep, args=(600,))) or None"
    )
    pids.append(creator.do("do(child.start()) or child.pid"))
    creator.kill()
    time.sleep(0.1)
    assert freed() == [] and exists(key)
    end(pids[0])
    assert wait_until(lambda: len(freed()) == 3 or not exists(key), 20)
    for folder in Path(os.environ["TMPDIR"]).glob("pymp-*"):  # the creator could not clean up
        shutil.rmtree(folder)


# -- trees -----------------------------------------------------------------------------------------


def test_a_tree_lives_as_long_as_one_of_it(key: str, owner: MakeOwner) -> None:
    root = owner()
    root.do("registry.join() and None")
    variable = {registry.VARIABLE: root.do("os.environ[registry.VARIABLE]")}
    child, other_tree = owner(**variable), owner()
    child.do(f"create({key!r})")
    other_tree.do(f"create({key + '1'!r})")
    child.kill()
    assert freed() == []
    other_tree.kill()
    assert freed() == [key + "1"]
    root.kill()
    assert freed() == [key]


def test_the_runner_founds_a_tree_for_the_program_that_it_becomes(
    key: str, owner: MakeOwner
) -> None:
    runner = owner()
    variable = runner.do("registry.variables()")
    assert set(variable) == {registry.VARIABLE}
    assert in_registry("SELECT pid FROM process") == [(runner.pid,)]
    program = owner(**variable)
    program.do(f"create({key!r})")
    assert program.do("os.environ[registry.VARIABLE]") == variable[registry.VARIABLE]
    program.kill()
    assert freed() == []
    runner.kill()
    assert freed() == [key]


def test_only_the_first_to_join_a_tree_reaps(key: str, owner: MakeOwner) -> None:
    dead, first = owner(), owner()
    dead.do(f"create({key!r})")
    dead.kill()
    variable = first.do("{**registry.variables(), 'MACFIX_TREE': os.environ['MACFIX_TREE']}")
    assert exists(key)
    first.do(f"do(os.environ.update({variable}), registry.join())")
    assert not exists(key)
    dead = owner()
    dead.do(f"create({key!r})")
    dead.kill()
    first.do("registry.join() and None")
    owner(**variable).do("registry.join() and None")
    assert exists(key)
    owner().do("registry.join() and None")
    assert not exists(key)


def test_reaping_by_itself_can_be_switched_off(key: str, owner: MakeOwner) -> None:
    dead = owner()
    dead.do(f"create({key!r})")
    dead.kill()
    owner(**{registry.REAP_VARIABLE: "off"}).do("registry.join() and None")
    assert exists(key)
    assert freed() == [key]


def test_a_tree_that_is_over_is_no_tree_for_a_latecomer(key: str, owner: MakeOwner) -> None:
    first = owner()
    variable = first.do("registry.variables()")
    first.kill()
    assert freed() == [] and in_registry("SELECT * FROM tree") == []
    late = owner(**variable)
    late.do(f"create({key!r})")
    assert late.do("os.environ[registry.VARIABLE]") != variable[registry.VARIABLE]
    assert survey()[key].state == ALIVE and str(late.pid) in survey()[key].reason
    late.kill()
    assert freed() == [key]


def test_what_a_tree_holds_whose_founding_is_lost_stays(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    in_registry("DELETE FROM tree")
    creator.do(f"create({key + '1'!r})")
    creator.kill()
    assert freed() == []
    assert "does not know the processes of its tree" in survey()[key].reason
    assert remove(key, key + "1")


def test_joining_can_be_undone(owner: MakeOwner) -> None:
    one = owner()
    assert one.do(
        "[callable(undo := registry.join()), registry.VARIABLE in os.environ, undo()]"
    ) == [
        True,
        True,
        None,
    ]
    assert one.do("registry.VARIABLE in os.environ") is False
    variable = one.do("registry.variables()")
    member = owner(**variable)
    assert member.do("registry.join()") is None
    assert member.do("os.environ[registry.VARIABLE]") == variable[registry.VARIABLE]


# -- one name, one row -----------------------------------------------------------------------------


def test_a_name_that_was_created_anew_by_the_living_stays(key: str, owner: MakeOwner) -> None:
    first, second = owner(), owner()
    first.do(f"array({key!r})")
    names = [key, key + "_first", key + "_last"]
    second.do(f"do(*map(shm_unlink, {names}))")
    second.do(f"array({key!r})")
    first.kill()
    assert freed() == [] and len(in_registry("SELECT * FROM segment")) == 3
    second.kill()
    assert freed() == names


def test_destroying_and_creating_by_turns_leaves_one_row(key: str, owner: MakeOwner) -> None:
    root = owner()
    root.do("registry.join() and None")
    variable = {registry.VARIABLE: root.do("os.environ[registry.VARIABLE]")}
    relatives = [owner(**variable) for _ in range(3)]
    relatives[0].do(f"create({key!r})")
    for number in range(1, 7):
        relatives[number % 3].do(f"shm_unlink({key!r})")
        relatives[(number + 1) % 3].do(f"create({key!r}, {64 + number})")
        (row,) = in_registry("SELECT size FROM segment")
        assert row == (64 + number,)
    for relative in relatives:
        relative.kill()
    assert freed() == []
    root.kill()
    assert freed() == [key]


@pytest.mark.parametrize("size", [4, 64])
def test_a_failing_creation_does_not_disown_the_first(
    key: str, owner: MakeOwner, size: int
) -> None:
    creator, other = owner(), owner()
    creator.do(f"array({key!r})")
    name = key if size == 64 else key + "_first"
    for one in (creator, other):
        with pytest.raises(AssertionError, match="FileExistsError"):
            one.do(f"create({name!r}, {size})")
    other.kill()
    assert freed() == []
    creator.kill()
    assert len(freed()) == 3


@pytest.mark.parametrize("registered", [True, False])
def test_a_name_that_was_created_anew_without_macfix_stays(
    key: str, owner: MakeOwner, registered: bool
) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    for name in (key, key + "_first", key + "_last"):
        if registered:
            creator.do(f"shm_unlink({name!r})")
        else:
            unlink_segment(kernel_name(name))
    make_raw(key, length_with_label(64))  # as long as before, and still blank
    make_raw(key + "_first", 4)
    creator.kill()
    assert freed() == [] and exists(key) and exists(key + "_first")
    assert {one.state for one in survey().values()} <= {UNCLEAR}
    assert remove(key, key + "_first")


def test_another_segment_of_the_name_stays_if_it_has_a_label(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()
    unlink_segment(kernel_name(key))
    monkeypatch.setenv(place.JOURNAL_VARIABLE, "off")
    other = SharedMemory(key, create=True, size=64, track=False)
    monkeypatch.delenv(place.JOURNAL_VARIABLE)
    assert survey()[key].state == UNCLEAR
    assert freed() == [] and exists(key) and in_registry("SELECT * FROM segment") == []
    other.close()
    other.unlink()


def test_an_intent_is_not_taken_for_another_programs_segment(key: str, owner: MakeOwner) -> None:
    make_raw(key, 8192)
    creator = owner()
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(
            "do(setattr(shared_memory, 'open_segment', lambda *_: os.kill(os.getpid(), 9)),"
            f" create({key!r}, 4096))"
        )
    assert freed() == [] and exists(key)
    assert remove(key)


def test_an_intent_is_not_taken_for_what_another_program_is_about_to_size(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    with pytest.raises(AssertionError, match="the process ended"):
        creator.do(
            "do(setattr(shared_memory, 'open_segment', lambda *_: os.kill(os.getpid(), 9)),"
            f" create({key!r}))"
        )
    descriptor = open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR)
    monkeypatch.setattr(reaping.time, "sleep", lambda _: os.ftruncate(descriptor, 4))
    assert freed() == [] and exists(key)
    os.close(descriptor)
    assert remove(key)


def test_a_counter_without_an_array_bears_no_mark_and_stays(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 4)")
    creator.kill()
    assert freed() == []
    assert survey()[key].state == UNCLEAR and "bears no mark" in survey()[key].reason
    assert remove(key)
    assert freed() == [] and in_registry("SELECT * FROM segment") == []


def test_an_index_whose_array_is_another_now_stays(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    creator.kill()
    unlink_segment(kernel_name(key))
    monkeypatch.setenv(place.JOURNAL_VARIABLE, "off")
    other = SharedMemory(key, create=True, size=64, track=False)
    monkeypatch.delenv(place.JOURNAL_VARIABLE)
    assert freed() == [] and exists(key + "_first")
    other.close()
    other.unlink()
    assert freed() == [key + "_first", key + "_last"]


def test_what_cannot_be_unlinked_is_said_and_tried_again(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()

    def denied(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    with monkeypatch.context() as kernel:
        kernel.setattr(reaping, "unlink_segment", denied)
        (found,) = reaping.sort_out(place.location(), free=True)
        assert not found.freed and found.state == UNCLEAR and "Permission denied" in found.reason
    assert freed() == [key]


def test_nothing_is_freed_where_the_kernel_does_not_tell_who_lives(
    key: str, owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()

    def refused(variable: str) -> dict[str, int]:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as kernel:
        kernel.setattr(reaping, "environments_with", refused)
        with pytest.raises(OSError, match="Too many"):
            freed()
        assert exists(key)
    assert freed() == [key]


def test_what_was_before_the_machine_started_is_gone(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    folder = os.path.dirname(place.location())
    before = os.path.join(folder, "00000000-boot.2.sqlite3")
    for end_of_name in ("", "-journal", ".set-aside-1234"):
        with open(before + end_of_name, "w") as file:
            file.write("rubbish")
    open(os.path.join(folder, "123-4-abcd.journal"), "w").close()
    open(os.path.join(folder, "notes.txt"), "w").close()
    os.rename(place.location(), before)
    creator.do(f"create({key + '1'!r})")
    own = os.path.basename(place.location())
    assert sorted(os.listdir(folder)) == sorted([own, own + "-journal", "notes.txt"])
    creator.kill()
    assert remove(key, key + "1")
