"""An index in four bytes: the same number for all processes, never half of one, never a crash."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from multiprocessing import shared_memory as stock
from typing import Any

import pytest

from macfix.darwin.segments.shared_memory import SharedMemory
from macfix.patches.shm.index import _in_four_bytes
from tests.support.segment_owners import fresh_registry


class SharedInt:
    """Upstream's, as far as it can be seen from outside."""

    def __init__(self, shm: Any) -> None:
        self._shm = shm

    @property
    def value(self) -> int:
        return int.from_bytes(self._shm.buf, sys.byteorder)

    @value.setter
    def value(self, value: int) -> None:
        self._shm.buf[:] = value.to_bytes(self._shm.size, sys.byteorder)


Patched: Any = _in_four_bytes(SharedInt)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the registry of this process where this test's home is."""
    with fresh_registry(monkeypatch):
        yield


@pytest.fixture
def segment() -> Iterator[SharedMemory]:
    made = SharedMemory(f"mf-index-{os.getpid()}", create=True, size=4, track=False)
    yield made
    made.close()
    made.unlink()


def test_it_is_upstreams_class_to_its_users(segment: SharedMemory) -> None:
    index = Patched(shm=segment)
    assert isinstance(index, SharedInt) and issubclass(Patched, SharedInt)
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(Patched, name) == getattr(SharedInt, name)
    assert index._shm is segment
    index.value = 0
    assert index and index == index and index != Patched(segment)
    assert len({index, Patched(segment)}) == 2
    assert "SharedInt" in repr(index)
    function, arguments = index.__reduce__()
    assert (function, arguments) == (Patched, (segment,))


@pytest.mark.parametrize("number", [0, 1, 4711, 2**31, 2**32 - 1])
def test_both_read_what_the_other_has_written(segment: SharedMemory, number: int) -> None:
    ours, theirs = Patched(shm=segment), SharedInt(shm=segment)
    ours.value = number
    assert theirs.value == ours.value == number
    ours.value = 7
    theirs.value = number
    assert theirs.value == ours.value == number


def test_a_number_is_cut_to_four_bytes_and_anything_else_refused(segment: SharedMemory) -> None:
    index = Patched(shm=segment)
    index.value = 2**32 + 5
    assert index.value == 5
    for wrong in ("5", 5.0, None):
        with pytest.raises(TypeError):
            index.value = wrong
    assert index.value == 5


def test_an_index_that_was_closed_is_no_crash(segment: SharedMemory) -> None:
    index = Patched(shm=segment)
    index.value = 5
    for _ in range(2):
        segment.close()
    assert segment.buf is None
    assert index.value == 5
    index.value = 6


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_memory_is_given_back_with_the_last_index() -> None:
    def mapped() -> int:
        with open("/proc/self/maps") as maps:
            return sum(name in line for line in maps)

    name = f"mf-given-back-{os.getpid()}"
    made = SharedMemory(name, create=True, size=4, track=False)
    made.unlink()
    indexes = [Patched(shm=made), Patched(shm=made)]
    made.close()
    assert mapped() == 1
    indexes.pop()
    assert mapped() == 1
    indexes.clear()
    gc.collect()
    assert mapped() == 0


def test_other_views_are_still_in_the_way_of_closing(segment: SharedMemory) -> None:
    view = segment.buf[:2]
    with pytest.raises(BufferError):
        segment.close()
    view.release()


def test_a_segment_of_the_standard_library_gets_upstreams_own_class() -> None:
    made = stock.SharedMemory(create=True, size=4)
    try:
        index = Patched(shm=made)
        assert type(index) is SharedInt
        index.value = 5
        assert index.value == 5
    finally:
        made.close()
        made.unlink()


def test_nobody_ever_sees_half_of_a_write(segment: SharedMemory) -> None:
    index, numbers = Patched(shm=segment), (0x00000000, 0xFFFFFFFF)
    index.value = 0
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            other = Patched(shm=SharedMemory(segment.name, track=False))
            while os.write(writer, b".") and other is not None:
                for _ in range(2000):
                    other.value = numbers[1]
                    other.value = numbers[0]
        finally:
            os._exit(0)
    os.close(writer)
    try:
        seen = set()
        for _ in range(20):
            os.read(reader, 1)  # it is writing
            seen |= {index.value for _ in range(5000)}
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(reader)
    assert seen <= set(numbers)
