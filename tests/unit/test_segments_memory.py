"""`macfix.darwin.segments.shared_memory` behaves on XNU as the standard library's does on Linux."""

from __future__ import annotations

import errno
import mmap
import os
import pickle
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing import shared_memory as stock

import pytest

from macfix.darwin.segments import names as segment_names
from macfix.darwin.segments import place, registry, shared_memory
from macfix.darwin.segments.kernel import open_segment, probe, unlink_segment
from macfix.darwin.segments.label import ROOM, UNLABELLED, read_label
from macfix.darwin.segments.names import InvalidKeyError, kernel_name
from macfix.darwin.segments.shared_memory import (
    SegmentNameCollisionError,
    SegmentNotReadyError,
    ShareableList,
    SharedMemory,
    shm_unlink,
    undone_on_error,
)
from tests.support.sandbox import Sandbox
from tests.support.segment_owners import fresh_registry, segment_owners
from tests.support.simulated import Simulated

WORLDS = ("linux", "names=30,page=16384", "names=31,page=4096", "names=30,page=4096")
SIZES = (1, 4, 7, 8, 9, 100, 4092, 4095, 4096, 4097, 12288, 16383, 16384, 16385, 300_000)
LONG = "piker.brokerd[0201211b-72d6-42].xsimusdt.simx.hist"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the registry of this process where this test's home is."""
    with fresh_registry(monkeypatch):
        yield


@pytest.fixture
def run(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def key() -> Iterator[str]:
    """A key that is too long for the kernel; its segment is gone when the test is over."""
    made = f"macfix-test-{os.getpid()}-{time.monotonic_ns()}"
    yield made
    for name in (made, made + "_first"):
        try:
            unlink_segment(kernel_name(name))
        except FileNotFoundError:
            continue
        pytest.fail(f"the segment {name!r} was left behind")


def told_in(world: str, run: Simulated, snippet: str) -> dict[str, object]:
    """Run `snippet` on Linux or on a kind of Mac, and return what it told."""
    return run.linux(snippet) if world == "linux" else run.mac(snippet, world)


def open_files() -> set[str]:
    return set(os.listdir("/dev/fd"))


# -- what is the same everywhere -------------------------------------------------------------------

ANY_SIZE = f"""
from macfix.darwin.segments.shared_memory import SharedMemory
import os
tag = os.getpid()
seen = {{}}
for size in {SIZES!r}:
    for name in (f"{{tag}}.{{size}}", f"{LONG}{{tag}}.{{size}}", "é" * 120 + f"{{tag}}.{{size}}"):
        made = SharedMemory(name, create=True, size=size, track=False)
        made.buf[:] = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
        again = SharedMemory(name, track=False)
        seen[name] = [made.name == name, made.size, len(made.buf), again.size, len(again.buf),
                      bytes(again.buf) == bytes(made.buf), repr(made) == repr(again)]
        again.close(); made.close(); made.unlink()
tell(seen=seen)
"""


def test_size_and_buf_are_what_was_asked_for(world: str, run: Simulated) -> None:
    seen = told_in(world, run, ANY_SIZE)["seen"]
    assert isinstance(seen, dict) and len(seen) == 3 * len(SIZES)
    for name, (named, *sizes, same_bytes, same_repr) in seen.items():
        asked = next(size for size in sorted(SIZES, reverse=True) if name.endswith(f".{size}"))
        assert named and same_bytes and same_repr, name
        assert sizes == [asked] * 4, name


ANOTHER_PROCESS = f"""
from macfix.darwin.segments.shared_memory import SharedMemory, ShareableList, shm_unlink
import os
tag = str(os.getpid())
keys = [tag, *(tag.ljust(size, "x") for size in (29, 30, 31, 240)), "{LONG}" + tag,
        "é" * 100 + tag, tag + "with space\\n:"]
for key in keys:
    array = SharedMemory(key, create=True, size=100, track=False)
    array.buf[:3] = b"abc"
    index = SharedMemory(key + "_first", create=True, size=4, track=False)
    index.buf.cast("I")[0] = 4711
    ShareableList([1, 2.5, "three"], name=key + "l")
pid = os.fork()
if pid == 0:
    wrong = []
    for key in keys:
        array = SharedMemory(key, track=False)
        index = SharedMemory(key + "_first", size=4, track=False)
        unhinted = SharedMemory(key + "_first", track=False)
        numbers = ShareableList(name=key + "l")
        seen = (bytes(array.buf[:3]), index.buf.cast("I")[0], unhinted.size, list(numbers))
        if seen != (b"abc", 4711, 4, [1, 2.5, "three"]):
            wrong.append((key, seen))
        for name in (key, key + "_first", key + "l"):
            shm_unlink(name)
    print(wrong, flush=True)
    os._exit(len(wrong))
_, status = os.waitpid(pid, 0)
left = []
for key in keys:
    for name in (key, key + "_first", key + "l"):
        try:
            shm_unlink(name)
            left.append(name)
        except FileNotFoundError:
            pass
tell(status=status, left=left)
"""


def test_another_process_finds_every_key_and_unlinks_it(world: str, run: Simulated) -> None:
    # lists are tracked, as the standard library's: no tracker here, it knows ASCII names only
    snippet = (
        "from multiprocessing import resource_tracker\n"
        "resource_tracker.register = resource_tracker.unregister = lambda *_: None\n"
    ) + ANOTHER_PROCESS
    assert told_in(world, run, snippet) == {"status": 0, "left": []}


UNPATCHED = """
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.shared_memory import SharedMemory
from multiprocessing import shared_memory as stock, resource_tracker
import os, sys
resource_tracker.register = resource_tracker.unregister = lambda *_: None
whole = lambda segment: int.from_bytes(segment.buf, sys.byteorder)
seen = []
tag = os.getpid()
for key in (f"{tag}_first", f"piker.brokerd[0201211b-72d6-42].xsimusdt.{tag}.hist_first"):
    ours = SharedMemory(key, create=True, size=4, track=False)
    theirs = stock.SharedMemory(kernel_name(key)[1:])
    ours.buf.cast("I")[0] = 4000000000
    seen.append(whole(theirs) == 4000000000)
    theirs.buf[:] = (77).to_bytes(theirs.size, sys.byteorder)
    seen.append(ours.buf.cast("I")[0] == 77 and whole(ours) == 77)
    ours.unlink(); ours.close(); theirs.close()
theirs = stock.SharedMemory(f"{tag}_last", create=True, size=4)
theirs.buf[:] = (123).to_bytes(theirs.size, sys.byteorder)
ours = SharedMemory(f"{tag}_last", size=4, track=False)
seen += [ours.size == 4, ours.buf.cast("I")[0] == 123]
ours.buf.cast("I")[0] = 5
seen.append(whole(theirs) == 5)
ours.close(); ours.unlink(); theirs.close()
tell(seen=seen)
"""


def test_processes_with_and_without_macfix_agree_on_an_index(world: str, run: Simulated) -> None:
    assert told_in(world, run, UNPATCHED) == {"seen": [True] * 7}


def test_data_starts_where_it_always_did(key: str) -> None:
    made = SharedMemory(key, create=True, size=100, track=False)
    made.buf[:] = bytes(range(100))
    theirs = stock.SharedMemory(made.kernel_name[1:])
    resource_tracker.unregister(made.kernel_name, "shared_memory")
    assert bytes(theirs.buf[:100]) == bytes(range(100))
    theirs.close()
    made.close()
    made.unlink()


WITHOUT_A_REGISTRY = f"""
import os
os.environ["MACFIX_SHM_JOURNAL"] = "off"
{ANY_SIZE.replace(repr(SIZES), repr(tuple(s for s in SIZES if s > UNLABELLED)))}
"""


def test_sizes_are_known_without_a_registry(world: str, run: Simulated) -> None:
    seen = told_in(world, run, WITHOUT_A_REGISTRY)["seen"]
    assert isinstance(seen, dict)
    for name, (_, *sizes, _, _) in seen.items():
        assert len(set(sizes)) == 1 and name.endswith(f".{sizes[0]}"), name


# -- what one process can see ----------------------------------------------------------------------


def test_it_is_a_shared_memory_of_the_standard_library(key: str) -> None:
    made = SharedMemory(name=key, create=True, size=10, track=False)
    assert isinstance(made, stock.SharedMemory)
    assert repr(made) == f"SharedMemory({key!r}, size=10)"
    again = pickle.loads(pickle.dumps(made))
    assert (again.name, again.size) == (key, 10)
    again.close()
    resource_tracker.unregister(made.kernel_name, "shared_memory")  # pickling does not keep track
    made.close()
    made.unlink()


def test_without_a_name_it_makes_one_up() -> None:
    made = SharedMemory(create=True, size=10)
    assert made.name and made.kernel_name == "/" + made.name
    made.close()
    made.unlink()


def test_a_second_close_does_nothing_and_a_closed_segment_has_no_memory(key: str) -> None:
    made = SharedMemory(key, create=True, size=4, track=False)
    made.buf.cast("I")[0] = 3
    made.close()
    made.close()
    assert made.buf is None
    with pytest.raises(ValueError, match=f"{key}.* is closed"):
        made.lend()
    made.unlink()


def test_unlinking_twice_is_said_with_the_key_unless_somebody_listens(key: str) -> None:
    made = SharedMemory(key, create=True, size=4, track=False)
    made.close()
    made.unlink()
    with pytest.raises(FileNotFoundError, match=f"no shared memory segment.*{key}"):
        made.unlink()
    heard: list[str] = []
    made.on_missing = heard.append
    made.unlink()
    assert heard == [key]


@pytest.mark.parametrize("slash", ["", "/"])
def test_unlink_takes_a_key_with_or_without_slash(key: str, slash: str) -> None:
    SharedMemory(key, create=True, size=4, track=False).close()
    shm_unlink(slash + key)
    assert probe(kernel_name(key)) is None


def test_a_segment_takes_one_file_at_most_and_gives_it_back(key: str) -> None:
    before = open_files()
    made = SharedMemory(key, create=True, size=4, track=False)
    now = open_files()
    made.close()
    made.unlink()
    most = 0 if hasattr(mmap.mmap, "trackfd") else 1
    assert len(now - before) <= most
    again = [SharedMemory(create=True, size=10, track=False) for _ in range(10)]
    held = len(open_files() - now)
    for segment in again:
        segment.close()
        segment.unlink()
    assert held <= len(again)
    assert len(open_files()) <= len(now)


def test_an_index_is_one_word_of_four_bytes(key: str) -> None:
    made = SharedMemory(key, create=True, size=4, track=False)
    made.buf.cast("I")[0] = 0x01020304
    assert bytes(made.buf) == (0x01020304).to_bytes(4, "little" if made.buf[0] == 4 else "big")
    made.close()
    made.unlink()


def test_the_label_tells_key_and_size_and_takes_no_part_of_the_data(key: str) -> None:
    made = SharedMemory(key, create=True, size=9, track=False)
    made.buf[:] = b"\xff" * 9
    found = probe(made.kernel_name)
    assert found is not None and found.label is not None
    assert (found.label.key, found.label.size, found.note) == (key, 9, None)
    assert made.annotate("what it is") and made.note == "what it is"
    assert made.annotate("x" * ROOM) is False
    assert bytes(made.buf) == b"\xff" * 9
    made.close()
    made.unlink()


@pytest.mark.parametrize("length", [255, 256])
def test_the_label_repeats_255_characters_of_the_key(length: int) -> None:
    key = f"{os.getpid()}".ljust(length, "k")
    made = SharedMemory(key, create=True, size=9, track=False)
    found = probe(made.kernel_name)
    assert found is not None and found.label is not None
    assert found.label.key == key[:255] and found.label.is_of(key)
    made.close()
    made.unlink()


def test_a_counter_has_no_label(key: str) -> None:
    made = SharedMemory(key, create=True, size=UNLABELLED, track=False)
    found = probe(made.kernel_name)
    assert found is not None and found.label is None
    assert not made.annotate("no room") and made.note is None
    made.close()
    made.unlink()


@pytest.mark.parametrize("damage", [b"\0", b"\xff"])
def test_a_damaged_label_is_no_label(key: str, damage: bytes) -> None:
    made = SharedMemory(key, create=True, size=100, track=False)
    whole = memoryview(made._mmap)  # type: ignore[arg-type]
    for at in (0, 16, 20, 24, 40):
        here = len(whole) - ROOM + at
        kept = bytes(whole[here : here + 4])
        whole[here : here + 4] = damage * 4
        if bytes(whole[here : here + 4]) != kept:
            assert read_label(whole) is None, at
        whole[here : here + 4] = kept
    assert read_label(whole) is not None
    whole.release()
    made.close()
    made.unlink()


# -- keys that meet --------------------------------------------------------------------------------


SAME = f"{os.getpid():a>13}"
"""What all names end with: another one in each worker of a test run."""


@pytest.fixture
def one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the names of long keys differ in their first letters only."""
    monkeypatch.setattr(segment_names, "_digits", lambda key: SAME)


@pytest.mark.usefixtures("one_name")
@pytest.mark.parametrize("size", [4, 100])
def test_two_keys_that_meet_in_one_name_are_refused_and_named(key: str, size: int) -> None:
    one, other = key + "-one", key + "-other"
    assert kernel_name(one) == kernel_name(other)
    made = SharedMemory(one, create=True, size=size, track=False)
    for create in (True, False):
        with pytest.raises(SegmentNameCollisionError) as caught:
            SharedMemory(other, create=create, size=size, track=False)
        assert repr(one) in str(caught.value) and repr(other) in str(caught.value)
    made.buf[0] = 1
    again = SharedMemory(one, track=False)
    assert again.buf[0] == 1 and again.size == size
    again.close()
    made.close()
    made.unlink()


@pytest.mark.usefixtures("one_name")
def test_keys_that_meet_are_named_without_a_registry_too(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(place.JOURNAL_VARIABLE, "off")
    one, other = key + "-one", key + "-other"
    digits = "setattr(__import__('sys').modules['macfix.darwin.segments.names'], '_digits', {})"
    with segment_owners() as owner:
        owner().do(f"[{digits.format(f'lambda key: {SAME!r}')}, create({one!r})] and None")
        for create in (True, False):
            with pytest.raises(SegmentNameCollisionError) as caught:
                SharedMemory(other, create=create, size=100, track=False)
            assert repr(one) in str(caught.value) and repr(other) in str(caught.value)
        shm_unlink(one)


def test_creating_what_there_is_already_is_said_with_the_key(key: str) -> None:
    made = SharedMemory(key, create=True, size=100, track=False)
    with pytest.raises(FileExistsError, match=f"already.*{key}"):
        SharedMemory(key, create=True, size=100, track=False)
    made.close()
    made.unlink()


# -- the create/attach window ----------------------------------------------------------------------


def test_attaching_waits_for_the_creator(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "ATTACH_PATIENCE", 60.0)
    descriptor = open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR)
    looked = threading.Event()
    real_fstat = os.fstat

    def fstat(fd: int) -> os.stat_result:
        found = real_fstat(fd)
        if not found.st_size:
            looked.set()
        return found

    monkeypatch.setattr(os, "fstat", fstat)

    def create() -> None:
        looked.wait()
        os.ftruncate(descriptor, 16)

    creator = threading.Thread(target=create)
    creator.start()
    attached = SharedMemory(key, track=False)
    creator.join()
    os.close(descriptor)
    assert attached.size == 16
    attached.close()
    attached.unlink()


def test_waiting_is_bounded_and_the_creators_segment_stays(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "ATTACH_PATIENCE", 0.01)
    os.close(open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR))
    with pytest.raises(SegmentNotReadyError, match="macfix shm reap") as caught:
        SharedMemory(key, track=False)
    assert caught.value.errno == errno.EINVAL and caught.value.filename == key
    assert probe(kernel_name(key)) is not None
    shm_unlink(key)


def test_a_creator_that_gives_up_is_no_segment(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "ATTACH_PATIENCE", 60.0)
    os.close(open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR))
    monkeypatch.setattr(time, "sleep", lambda _: unlink_segment(kernel_name(key)))
    with pytest.raises(FileNotFoundError, match=key):
        SharedMemory(key, track=False)


def test_what_the_standard_library_does_in_the_window_is_worse(run: Simulated) -> None:
    snippet = """
import _posixshmem, os
from multiprocessing import shared_memory
_posixshmem.shm_open("/window", os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
tell(attach=outcome(shared_memory.SharedMemory, "window"),
     again=outcome(_posixshmem.shm_open, "/window", os.O_RDWR, mode=0o600))
"""
    assert run.mac(snippet) == {"attach": "EINVAL", "again": "ENOENT"}


# -- bad input: a clear error, and nothing lost ----------------------------------------------------


@pytest.mark.parametrize("name", ["", "a/b", "a\0b", "\ud800"])
@pytest.mark.parametrize("create", [True, False])
def test_a_key_that_cannot_be_is_refused(name: str, create: bool) -> None:
    with pytest.raises(InvalidKeyError):
        SharedMemory(name, create=create, size=10, track=False)


@pytest.mark.parametrize("size", [0, -1, -(10**30)])
def test_a_size_that_cannot_be_is_refused(key: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"{key}.*{size} bytes"):
        SharedMemory(key, create=True, size=size)
    assert probe(kernel_name(key)) is None


def test_a_size_is_whatever_the_standard_library_takes_for_a_number(key: str) -> None:
    class Integer:  # as numpy's are, which are no `int`
        def __index__(self) -> int:
            return 100

    made = SharedMemory(key, create=True, size=Integer(), track=False)  # type: ignore[arg-type]
    again = SharedMemory(key, track=False)
    assert (made.size, again.size, type(made.size)) == (100, 100, int)
    again.close()
    made.close()
    made.unlink()


def test_a_size_is_a_number() -> None:
    with pytest.raises(TypeError, match="number of bytes, not '7'"):
        SharedMemory("x", create=True, size="7")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1 << 62, 1 << 70])
def test_too_large_a_size_is_refused_and_leaves_nothing(key: str, size: int) -> None:
    before = open_files()
    with pytest.raises(OSError, match=f"{size} bytes") as caught:
        SharedMemory(key, create=True, size=size, track=False)
    assert caught.value.filename == key
    assert probe(kernel_name(key)) is None
    assert open_files() == before


def test_an_absurd_size_is_refused_without_asking_the_kernel(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> int:
        raise AssertionError("the kernel was asked")

    monkeypatch.setattr(shared_memory, "open_segment", asked)
    for size in (shared_memory.MAX_SIZE + 1, 1 << 62, 1 << 200):
        with pytest.raises(OSError, match=f"cannot have {size} bytes") as caught:
            SharedMemory(key, create=True, size=size, track=False)
        assert caught.value.errno == errno.ENOMEM
    with pytest.raises(AssertionError, match="was asked"):
        SharedMemory(key, create=True, size=shared_memory.MAX_SIZE, track=False)


def test_a_sandbox_is_not_taken_for_another_user(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(shared_memory, "open_segment", refused)
    with pytest.raises(PermissionError, match="a sandbox forbids it"):
        SharedMemory(key)


def test_no_memory_to_map_leaves_nothing(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **__: object) -> mmap.mmap:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    with monkeypatch.context() as machine:
        machine.setattr(mmap, "mmap", no_memory)
        with pytest.raises(OSError, match=f"cannot map 10 bytes.*memory.*{key}"):
            SharedMemory(key, create=True, size=10, track=False)
    assert probe(kernel_name(key)) is None


def test_a_creation_that_fails_at_its_end_lets_go_of_the_memory(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shared_memory, "write_label", interrupted)
    made = SharedMemory.__new__(SharedMemory)
    with pytest.raises(KeyboardInterrupt):
        made.__init__(key, create=True, size=10, track=False)  # type: ignore[misc]
    assert made.buf is None
    assert probe(kernel_name(key)) is None


def test_too_many_open_files_says_what_to_do(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(shared_memory, "open_segment", no_file)
    with pytest.raises(OSError, match=r"ulimit -n.*" + key) as caught:
        SharedMemory(key, create=True, size=10, track=False)
    assert caught.value.errno == errno.EMFILE


def test_somebody_elses_segment_is_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(shared_memory, "open_segment", denied)
    monkeypatch.setattr(registry, "unlink_segment", denied)
    with pytest.raises(PermissionError, match=f"another user.*{key}"):
        SharedMemory(key)
    with pytest.raises(PermissionError, match=f"another user.*{key}"):
        shm_unlink(key)


def test_attaching_needs_a_name_and_a_segment(key: str) -> None:
    with pytest.raises(ValueError, match="'name' can only be None if create=True"):
        SharedMemory()
    with pytest.raises(FileNotFoundError, match=f"no shared memory segment.*{key}"):
        SharedMemory(key)


def test_what_a_failing_block_created_is_undone(key: str) -> None:
    kept = SharedMemory(key + "_first", create=True, size=4, track=False)
    with pytest.raises(RuntimeError, match="half-way"), undone_on_error():
        SharedMemory(key, create=True, size=10, track=False)
        ShareableList([1], name=key + "l")
        SharedMemory(key + "_first", track=False)
        raise RuntimeError("half-way")
    assert probe(kernel_name(key)) is None and probe(kernel_name(key + "l")) is None
    assert probe(kept.kernel_name) is not None
    kept.close()
    kept.unlink()


def test_blocks_inside_blocks_are_undone_with_the_outer_one(key: str) -> None:
    with pytest.raises(RuntimeError), undone_on_error():
        with undone_on_error():
            SharedMemory(key, create=True, size=10, track=False)
        assert probe(kernel_name(key)) is not None
        raise RuntimeError
    assert probe(kernel_name(key)) is None


# -- the resource tracker --------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"track": True}, {"track": False}])
def test_the_tracker_is_told_unless_it_must_not_on_every_python(
    key: str, how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(resource_tracker, "register", lambda *what: told.append(what))
    monkeypatch.setattr(resource_tracker, "unregister", lambda *what: told.append(what))
    made = SharedMemory(key, create=True, size=10, **how)
    made.close()
    made.unlink()
    assert told == [(kernel_name(key), "shared_memory")] * (2 if how.get("track", True) else 0)


@pytest.mark.parametrize("part", ["é", ":", "\n"])
def test_the_tracker_is_not_told_what_it_cannot_say(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{os.getpid()}{part}b"
    told: list[object] = []
    monkeypatch.setattr(resource_tracker, "register", lambda *what: told.append(what))
    made = SharedMemory(name, create=True, size=10, track=True)
    made.close()
    made.unlink()
    assert not told
