"""Shared memory as on Linux, on a kernel that is not Linux.

`SharedMemory` and `ShareableList` stand in for the classes of `multiprocessing.shared_memory`, and
`shm_unlink` for the function of `_posixshmem`. What differs from the standard library on XNU:

- any key that Linux takes is a key here: the kernel gets a short name (`names`), and
  `.name` shows the key;
- `.size` and `.buf` are what was asked for when the segment was created, not the page that XNU
  rounds it up to (`label`);
- attaching between a creator's `shm_open` and its `ftruncate` waits for the creator. (There the
  standard library fails with `EINVAL`, and *unlinks the creator's segment* as it does so);
- a segment takes at most one file descriptor while it is open, none from Python 3.13 on;
- what is created and attached is on record (`registry`), so that it can be found again.

XNU takes a name as it is: `/a` and `a` are two names. `SharedMemory` puts a slash before the name,
so `_posixshmem.shm_unlink(segment.name)` never finds there what it finds on Linux.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import operator
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from multiprocessing import resource_tracker, shared_memory
from types import FunctionType
from typing import Any, ClassVar, SupportsIndex

from macfix._functions import with_globals
from macfix.darwin.segments import registry
from macfix.darwin.segments.database import Record
from macfix.darwin.segments.kernel import open_segment, probe, unlink_segment
from macfix.darwin.segments.label import (
    UNLABELLED,
    length_with_label,
    lengths_of,
    read_label,
    read_note,
    write_label,
    write_note,
)
from macfix.darwin.segments.names import is_shortened, kernel_name

MAX_SIZE = 1 << 44
"""Bytes that a segment may have: 16 TiB, ten times the memory of the largest Mac ever made.

XNU would try: it cuts a segment into entries of 4 GiB (`ANON_MAX_SIZE`, `pshm_truncate`), so that
an absurd size exhausts the kernel before it is refused.
"""

ATTACH_PATIENCE = 0.5
"""Seconds that attaching waits for a creator who has not sized the segment yet."""

observers: list[Callable[[str, int], object]] = []
"""Called at each race, with the key and with `races`."""

races = 0
"""How many segments were gone when this process came to unlink them."""

_MMAP_OPTIONS: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}


class SegmentNameCollisionError(FileExistsError):
    """Two keys have one kernel name. It is not to be expected, but never silent."""


class SegmentNotReadyError(OSError):
    """A segment that exists but was not given a size in `ATTACH_PATIENCE` seconds."""


class SharedMemory(shared_memory.SharedMemory):
    """A segment of shared memory with any key as its name.

    Takes what the standard library's class takes: `name`, the key, or None for one that is made up
    (with `create` only); `create`; `size` in bytes, which is only looked at with `create`, or as
    the size of a segment of up to 8 bytes that does not tell it; and `track`, on every version of
    Python, whether the standard library's resource tracker is told.

    Raises `InvalidKeyError` for a key that no system takes, `ValueError` for a size of 0 or less,
    `OSError` (`ENOMEM`) for one above `MAX_SIZE`, without asking the kernel;
    `FileExistsError` (with `create`) and `FileNotFoundError` (without) as ever;
    `SegmentNameCollisionError` for a key whose kernel name another key has;
    `SegmentNotReadyError` when its creator does not go on; `PermissionError` for somebody else's
    segment; other `OSError` when there is no memory or no file descriptor left. The errors name
    the key, and nothing of a segment that could not be created is left.
    """

    _buf: memoryview | None
    _mmap: mmap.mmap | None
    _track = True  # before 3.13 the standard library has no such attribute

    def __init__(
        self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True
    ) -> None:
        self._key = ""
        self._lent = False
        self.on_missing: Callable[[str], object] | None = None
        """What `unlink` calls with the key, instead of raising, where the segment is gone."""

        if create:
            key = f"psm_{secrets.token_hex(12)}" if name is None else name
            self._create(key, _checked_size(name, size))
        elif name is None:
            raise ValueError("'name' can only be None if create=True")
        else:
            self._attach(name, size)
        # the tracker speaks ASCII lines with colons in them, and the rest would harm it or us
        self._track = track and self._name.isascii() and not {":", "\n", "\r"} & set(self._name)
        if self._track:
            resource_tracker.register(self._name, "shared_memory")
        created = _created.get()
        if create and created is not None:
            created.append(self)

    @property
    def name(self) -> str:
        """The key, as it was given."""
        return self._key

    @property
    def kernel_name(self) -> str:
        """What the kernel calls it, slash included."""
        return self._name

    def lend(self) -> mmap.mmap:
        """Return the memory itself, for a view that may outlive `close`.

        The memory then stays mapped, closed or not, until the last view of it is gone.
        """
        self._lent = True
        return self._mapping()

    @property
    def note(self) -> str | None:
        """What the creator noted about the contents (`annotate`), or None."""
        with memoryview(self._mapping()) as whole:
            return read_note(whole)

    def annotate(self, text: str) -> bool:
        """Leave a note about the contents, for whoever attaches; say whether there was room.

        There is none in a segment of 8 bytes or less, nor in one that was created without macfix.
        """
        with memoryview(self._mapping()) as whole:
            return write_note(whole, text)

    def close(self) -> None:
        """Let go of the memory; a second call does nothing."""
        try:
            super().close()
        except BufferError:
            if not self._lent:
                raise
            self._mmap = None

    def unlink(self) -> None:
        """Have the segment destroyed once nobody has it mapped any more.

        Raises `FileNotFoundError` when it is gone already, unless `on_missing` is set.
        """
        if not self._name:
            return
        try:
            shm_unlink(self._key)
        except FileNotFoundError:
            if self.on_missing is None:
                raise
            self.on_missing(self._key)
        if self._track:
            resource_tracker.unregister(self._name, "shared_memory")

    def __del__(self) -> None:
        # At the interpreter's end anything may be gone already, contextlib too, and half-made
        # objects lack attributes. There is nobody to be told.
        try:  # noqa: SIM105
            self.close()
        except Exception:
            pass

    def _create(self, key: str, size: int) -> None:
        self._key, self._name = key, kernel_name(key)
        mark = secrets.token_hex(8)
        with registry.creation(self._name, key, size, mark) as known:
            descriptor = _open(key, self._name, os.O_CREAT | os.O_EXCL | os.O_RDWR, known)
            try:
                with _naming(key, f"cannot give it {size} bytes"):
                    os.ftruncate(descriptor, length_with_label(size))
                self._map(descriptor, size)
                self._set_size(size)
                with memoryview(self._mapping()) as whole:
                    write_label(whole, size, key, mark)
            except BaseException:
                # the kernel's own call: there is a segment of this name, and it is this one
                with contextlib.suppress(OSError):
                    unlink_segment(self._name)
                self.close()
                raise
            finally:
                os.close(descriptor)

    def _attach(self, key: str, hint: int) -> None:
        self._key, self._name = key, kernel_name(key)
        deadline = time.monotonic() + ATTACH_PATIENCE
        pause = 0.0002
        while True:
            with registry.attachment(self._name) as known:
                descriptor = _open(key, self._name, os.O_RDWR, known)
            try:
                length = os.fstat(descriptor).st_size
                if length:
                    self._map(descriptor, length)
                    self._set_size(self._size_asked_for(hint, known))
                    return
            except BaseException:
                self.close()
                raise
            finally:
                os.close(descriptor)
            if time.monotonic() > deadline:
                raise SegmentNotReadyError(
                    errno.EINVAL,
                    f"shared memory: the segment (kernel name {self._name!r}) exists but its "
                    f"creator has not given it a size in {ATTACH_PATIENCE} s; if that process "
                    f"died, `macfix shm reap` frees it",
                    key,
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.01)

    def _map(self, descriptor: int, size: int) -> None:
        with _naming(self._key, f"cannot map {size} bytes of it"):
            length = os.fstat(descriptor).st_size
            self._mmap = mmap.mmap(descriptor, length, **_MMAP_OPTIONS)

    def _size_asked_for(self, hint: int, known: list[Record]) -> int:
        """Return the bytes that the creator asked for, or all where nobody knows that."""
        with memoryview(self._mapping()) as whole:  # an error must not hold the memory
            length, label = len(whole), read_label(whole)
        if label is not None:
            self._check_key(label.is_of(self._key), label.key)
            return label.size
        hint = hint if 0 < hint <= UNLABELLED and length in lengths_of(hint) else 0
        if hint and not is_shortened(self._key):
            return hint  # its name is its own: there is nothing to be looked up
        for record in known[:1]:
            self._check_key(record.key == self._key, record.key)
            hint = record.size if record.size <= length else hint
        return hint or length

    def _check_key(self, same: bool, other: str) -> None:
        if not same:
            raise _collision(self._key, other, self._name)

    def _set_size(self, size: int) -> None:
        self._size = size
        self._buf = memoryview(self._mapping())[:size]

    def _mapping(self) -> mmap.mmap:
        if self._mmap is None:
            raise ValueError(f"the shared memory segment {self._key!r} is closed")
        return self._mmap


class ShareableList(shared_memory.ShareableList):  # type: ignore[type-arg]
    """The standard library's list in shared memory, with any key as its name."""

    # The standard library's own constructor, which finds this module's SharedMemory where it
    # looks for its own: there is no other way in, and its layout is not to be written down twice.
    __init__: ClassVar[FunctionType] = with_globals(
        shared_memory.ShareableList.__init__, SharedMemory=SharedMemory
    )


def shm_unlink(name: str) -> None:
    """Have the segment with the key `name` destroyed once nobody has it mapped any more.

    Takes a key with or without a slash before it, as Linux does.

    Raises `InvalidKeyError`; `FileNotFoundError` when there is none: a race, which is counted and
    told to `observers`; `PermissionError` when it is another user's.
    """
    global races
    key = name[1:] if isinstance(name, str) and name.startswith("/") else name
    name = kernel_name(key)
    try:
        with _naming(key, "cannot unlink it"):
            registry.unlink(name)
    except FileNotFoundError:
        races += 1
        for observer in list(observers):
            observer(key, races)
        raise


@contextlib.contextmanager
def undone_on_error() -> Iterator[None]:
    """Unlink and close the segments that are created inside if an exception leaves it."""
    outer = _created.get()
    created: list[SharedMemory] = []
    token = _created.set(created)
    try:
        yield
    except BaseException:
        for segment in reversed(created):
            with contextlib.suppress(FileNotFoundError):
                segment.unlink()
            with contextlib.suppress(BufferError):  # something still looks at it
                segment.close()
        raise
    else:
        if outer is not None:
            outer += created
    finally:
        _created.reset(token)


_created: ContextVar[list[SharedMemory] | None] = ContextVar("_created", default=None)


def _open(key: str, name: str, flags: int, known: list[Record]) -> int:
    try:
        with _naming(key, "cannot open it"):
            return open_segment(name, flags)
    except FileExistsError:
        other = _other_key(key, name, known)
        if other is None:
            raise
        raise _collision(key, other, name) from None


def _other_key(key: str, name: str, known: list[Record]) -> str | None:
    """Return which key but `key` the segment `name` has: as it is on record, or labelled."""
    if known:
        return None if known[0].key == key else known[0].key
    with contextlib.suppress(OSError):
        found = probe(name) if is_shortened(key) else None
        if found is not None and found.label is not None and not found.label.is_of(key):
            return found.label.key
    return None


def _checked_size(name: str | None, size: SupportsIndex) -> int:
    try:
        number = operator.index(size)  # numpy's integers too, as the standard library takes them
    except TypeError:
        raise TypeError(
            f"the size of a shared memory segment is a number of bytes, not {size!r}"
        ) from None
    if number <= 0:
        key = "" if name is None else f" {name!r}"
        raise ValueError(
            f"the shared memory segment{key} cannot have a size of {number} bytes: "
            f"'size' must be a positive number different from zero"
        )
    if number > MAX_SIZE:
        raise _explained(errno.ENOMEM, name or "", f"cannot have {number} bytes (most: {MAX_SIZE})")
    return number


@contextlib.contextmanager
def _naming(key: str, what: str) -> Iterator[None]:
    """Have an error that is raised inside say which segment it is about, and what failed."""
    try:
        yield
    except (OSError, ValueError, OverflowError) as error:
        raise _explained(getattr(error, "errno", None) or errno.ENOMEM, key, what) from error


def _explained(number: int, key: str, what: str) -> OSError:
    text = f"shared memory: {what}: {os.strerror(number)}{_ADVICE.get(number, '')}"
    return OSError(number, _MESSAGES.get(number, text), key)


_MESSAGES = {
    errno.EEXIST: "there is a shared memory segment with this key already",
    errno.ENOENT: "there is no shared memory segment with this key",
}


_ADVICE = {
    errno.EMFILE: "; raise the limit of open files: ulimit -n 10240",
    # pshm_access() in bsd/kern/posix_shm.c; EPERM is never its answer, but that of the policies
    # that mac_posixshm_check_open() and its like ask, on macOS the sandbox
    errno.EACCES: "; it belongs to another user",
    errno.EPERM: "; a sandbox forbids it to this program",
}


def _collision(key: str, other: str, name: str) -> SegmentNameCollisionError:
    return SegmentNameCollisionError(
        errno.EEXIST,
        f"shared memory: the keys {key!r} and {other!r} have the same kernel name {name!r}; "
        f"rename one of them",
        key,
    )
