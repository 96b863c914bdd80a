"""POSIX shared memory as XNU's ``bsd/kern/posix_shm.c`` has it, on files of a private folder.

A segment is a file. Its size is 0 until it is truncated for the first time, which is all the state
there is, and it lives in the file: any number of processes agree without talking to each other. A
segment that was truncated to length 0, which XNU allows and which uses up the one chance, carries
the sticky bit.

This module calls what is in ``_linux``, never ``os``, whose functions are the program's and hide
what is done here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
import sys
from urllib.parse import quote, unquote_to_bytes

from . import _linux
from ._errors import SimulationError, error
from ._spec import Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIR_VARIABLE = "MACFIX_SIMULATE_DIR"
"""Environment variable: the folder to keep segments in, instead of the user's own one."""

_TRUNCATED_TO_NOTHING = stat.S_ISVTX

RealMmap = mmap.mmap
_ACCESS = {
    mmap.ACCESS_READ: (mmap.MAP_SHARED, mmap.PROT_READ),
    mmap.ACCESS_WRITE: (mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
    mmap.ACCESS_COPY: (mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE),
}


def folder() -> str:
    """Return where the segments of this user lie; it need not exist."""
    return os.environ.get(DIR_VARIABLE) or f"/dev/shm/macfix-{_linux.geteuid()}"


def prepare() -> str:
    """Create the folder of the segments, for its owner only, and return it.

    Raises SimulationError if that is not possible or if it is not ours alone.
    """
    where = folder()
    if not os.path.isabs(where):
        raise SimulationError(f"simulation: {DIR_VARIABLE}={where} is not an absolute path")
    try:
        own_folder(where)
    except OSError as failed:
        raise SimulationError(
            f"simulation: no place for shared memory segments: cannot make {where}: "
            f"{failed.strerror}; name a folder in {DIR_VARIABLE}"
        ) from None
    if not _linux.access(where, os.W_OK | os.X_OK):
        raise SimulationError(f"simulation: cannot make segments in {where}: it is read-only")
    return os.path.realpath(where)


def own_folder(where: str) -> None:
    """Create `where`; raise SimulationError unless it is a real folder and ours alone."""
    with contextlib.suppress(FileExistsError):
        _linux.mkdir(where, 0o700)
    found = _linux.lstat(where)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _linux.geteuid():
        raise SimulationError(f"simulation: {where} is not a folder of this user; remove it")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise SimulationError(f"simulation: {where} is open to others; run chmod 700 {where}")


def segments() -> list[str]:
    """Return the names of all live simulated segments of this user, sorted.

    Names are as given to ``shm_open``, with their slash. Works without the simulation running.
    """
    try:
        files = _linux.listdir(folder())
    except FileNotFoundError:
        return []
    return sorted(unquote_to_bytes(file).decode("utf-8", "surrogateescape") for file in files)


def purge() -> list[str]:
    """Unlink all simulated segments of this user; return the names of those that were there."""
    purged = []
    for name in segments():
        try:
            _linux.unlink(_path_of(name.encode("utf-8", "surrogateescape"), folder()))
        except FileNotFoundError:
            continue
        purged.append(name)
    return purged


def _path_of(name: bytes, where: str) -> str:
    file = quote(name, safe="").replace(".", "%2E")  # "." and ".." are names of segments, too
    return f"{where}/{file}"


class Segments:
    """The system calls on segments, for one kind of Mac and one folder."""

    def __init__(self, spec: Spec, where: str) -> None:
        self._limit = spec.names
        self._page = spec.page
        self._folder = where
        self._inside = where + "/"
        self._device = _linux.stat(where).st_dev

    # -- names: shm_open, shm_unlink, pshm_get_name -------------------------------------------

    def shm_open(self, path: str, flags: int, mode: int = 511) -> int:
        """``_posixshmem.shm_open``: ENAMETOOLONG, EINVAL, EEXIST, ENOENT, EACCES like XNU."""
        raw = _encoded(path)
        if len(raw) > self._limit:
            raise error(errno.ENAMETOOLONG, path)
        if not raw or flags & os.O_ACCMODE == os.O_ACCMODE:
            raise error(errno.EINVAL, path)
        file = _path_of(raw, self._folder)
        try:
            return self._open(file, flags, mode)
        except OSError as failed:
            raise error(failed.errno or errno.EINVAL, path) from None

    def _open(self, file: str, flags: int, mode: int) -> int:
        # XNU has no umask here, so a created file gets its mode by fchmod; a name that vanishes
        # between the two attempts is tried again, since O_CREAT must not fail with ENOENT.
        access = flags & os.O_ACCMODE
        while True:
            if flags & os.O_CREAT:
                try:
                    fd = _linux.open(file, access | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                except FileExistsError:
                    if flags & os.O_EXCL:
                        raise
                else:
                    _linux.fchmod(fd, mode & 0o777)
                    return fd
            try:
                fd = _linux.open(file, access | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                if flags & os.O_CREAT:
                    continue
                raise
            if flags & os.O_TRUNC and _is_sized(_linux.fstat(fd)):
                _linux.close(fd)
                raise error(errno.EINVAL)
            return fd

    def shm_unlink(self, path: str) -> None:
        """``_posixshmem.shm_unlink``: EINVAL for every name that is no good, ENOENT."""
        raw = _encoded(path)
        if not raw or len(raw) > self._limit:
            raise error(errno.EINVAL, path)
        try:
            _linux.unlink(_path_of(raw, self._folder))
        except OSError as failed:
            raise error(failed.errno or errno.EINVAL, path) from None

    # -- descriptors --------------------------------------------------------------------------

    def stat_of(self, fd: object) -> os.stat_result | None:
        """Return the file's own stat if `fd` is a segment's descriptor, else None."""
        if not isinstance(fd, int) or fd < 0:
            return None
        try:
            found = _linux.fstat(fd)
            if found.st_dev != self._device or not stat.S_ISREG(found.st_mode):
                return None
            inside = _linux.readlink(f"/proc/self/fd/{fd}").startswith(self._inside)
        except OSError:
            return None  # no descriptor at all: the real call says so
        return found if inside else None

    def fstat(self, found: os.stat_result, fd: int, **_: object) -> os.stat_result:
        """``pshm_stat``: permission bits without a file type, owner and size; the rest is 0."""
        mode = stat.S_IMODE(found.st_mode) & ~_TRUNCATED_TO_NOTHING
        answer = (mode, 0, 0, 0, found.st_uid, found.st_gid, found.st_size)
        return os.stat_result((*answer, *[0] * (os.stat_result.n_fields - len(answer))))

    def ftruncate(self, found: os.stat_result, fd: int, length: int) -> None:
        """``pshm_truncate``: once, up to a page; EINVAL otherwise."""
        rounded = -(-length // self._page) * self._page
        writable, opened = self._writable(fd, found)
        try:
            # The lock decides between two processes that size one segment at the same time.
            fcntl.flock(writable, fcntl.LOCK_EX)
            if length < 0 or _is_sized(_linux.fstat(writable)):
                raise error(errno.EINVAL)
            if rounded:
                _linux.ftruncate(writable, rounded)
            else:
                _linux.fchmod(writable, stat.S_IMODE(found.st_mode) | _TRUNCATED_TO_NOTHING)
        finally:
            if opened:
                _linux.close(writable)
            else:
                fcntl.flock(writable, fcntl.LOCK_UN)

    def _writable(self, fd: int, found: os.stat_result) -> tuple[int, bool]:
        # XNU lets a read-only descriptor truncate; Linux needs one that can write.
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
            return fd, False
        mode = stat.S_IMODE(found.st_mode)
        _linux.fchmod(fd, mode | 0o600)
        try:
            return _linux.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC), True
        finally:
            _linux.fchmod(fd, mode)

    def check_mmap(
        self, fd: int, found: os.stat_result, length: int, offset: int, flags: int, prot: int
    ) -> None:
        """``mmap`` and ``pshm_mmap``: EINVAL or EPERM for what XNU does not map."""
        pages = -(-length // self._page) * self._page
        if length == 0 or offset % self._page or not flags & mmap.MAP_SHARED:
            raise error(errno.EINVAL)
        read_only = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        if read_only and prot & mmap.PROT_WRITE:
            raise error(errno.EPERM)
        if offset + pages > found.st_size:
            raise error(errno.EINVAL)


def _is_sized(found: os.stat_result) -> bool:
    return bool(found.st_size or found.st_mode & _TRUNCATED_TO_NOTHING)


def _encoded(path: Any) -> bytes:
    """Read a name as ``_posixshmem`` does: UTF-8, and older Pythons stop at a NUL."""
    if not isinstance(path, str):
        raise TypeError(f"argument 'path' must be str, not {type(path).__name__}")
    raw = path.encode("utf-8")
    if b"\0" in raw and sys.version_info >= (3, 13):
        raise ValueError("embedded null character")
    return raw.partition(b"\0")[0]


def simulated_mmap(calls: Segments) -> type[mmap.mmap]:
    """Return the class to put in ``mmap.mmap``'s place: it refuses what XNU does not map."""

    class SimulatedMmap(RealMmap):
        __slots__ = ()

        def __new__(
            cls,
            fileno: int,
            length: int,
            flags: int = mmap.MAP_SHARED,
            prot: int = mmap.PROT_WRITE | mmap.PROT_READ,
            access: int = mmap.ACCESS_DEFAULT,
            offset: int = 0,
            **more: Any,
        ) -> Any:
            found = calls.stat_of(fileno)
            if found is not None and length >= 0:
                given = _ACCESS.get(access, (flags, prot))
                calls.check_mmap(fileno, found, length, offset, *given)
            return super().__new__(cls, fileno, length, flags, prot, access, offset, **more)

        def resize(self, newsize: int) -> None:
            raise SystemError("mmap: resizing not available--no mremap()")

    SimulatedMmap.__name__ = SimulatedMmap.__qualname__ = "mmap"
    SimulatedMmap.__module__ = "mmap"
    return SimulatedMmap
