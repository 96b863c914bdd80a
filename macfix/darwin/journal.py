"""The journal of the shared memory segments that this process created and has mapped.

XNU lists no segments, so what a dead process leaves behind can be found only by who wrote down
beforehand what it was about to create. Each process keeps a file for that in the folder
`state_dir()/shm`, and locks it (`fcntl`): the kernel drops the lock when the process ends, however
it ends, and gives it to no child. So a file that can be locked is a dead process's, whoever has
its pid by now.

A process tree has a common name, in the environment. Its first process opens its journal when it
joins (`join_tree`), the others with their first segment.

Everything is written before it is done. A segment is created or opened with the folder's gate
held open (a shared lock), and reaped with the gate closed (an exclusive one): a reaper either sees
what a process is about to do, or has finished before it does it.

The journal is never the reason why a program stops: where it cannot be kept, one warning says
so, and segments are as they would be without it.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from macfix.darwin.journal_format import (
    GONE,
    INTENT,
    LEFT,
    MADE,
    USE,
    WITHDRAWN,
    Contents,
    Owner,
    encode,
)
from macfix.darwin.state_dir import open_private, state_dir
from macfix.darwin.sysctl import boot_id

log = logging.getLogger("macfix.shm")

JOURNAL_VARIABLE = "MACFIX_SHM_JOURNAL"
"""Environment variable: `off` keeps no journal."""
REAP_VARIABLE = "MACFIX_SHM_REAP"
"""Environment variable: `off` leaves what dead process trees left until `macfix shm reap`."""
TREE_VARIABLE = "MACFIX_SHM_TREE"
"""Environment variable through which the processes of a tree know each other."""

SUFFIX = ".journal"
NEW_PREFIX = ".new-"
"""What the name of a journal begins with as long as it is not locked yet."""
_GATE = "gate"
_PATIENCE = 2.0  # seconds that a creation waits for a reaper, and a reaper for creations
_COMPACT_AFTER = 1 << 20  # bytes
_GONE_KEPT = 256
_PROGRAM_SHOWN = 200  # characters
_OFF = frozenset({"off", "0", "no", "false"})


def shm_folder() -> Path:
    """Return the folder that holds the journals of this user's processes."""
    return state_dir() / "shm"


class Gate:
    """The lock between those who create or open segments and those who reap them."""

    def __init__(self, folder: int) -> None:
        self._file = os.open(
            _GATE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
        )
        self._inside = 0

    def enter(self) -> None:
        """Hold the gate open, until `leave`; whoever finds it closed for too long goes on."""
        if self._inside == 0:
            try:
                if not self._lock(fcntl.LOCK_SH):
                    log.warning("shared memory is being reaped for more than %s s", _PATIENCE)
            except OSError as error:
                log.warning("the gate of the shared memory journal does not work: %s", error)
        self._inside += 1

    def leave(self) -> None:
        """Let go of the gate once for each `enter`."""
        self._inside -= 1
        if self._inside == 0:
            self._unlock()

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Hold the gate closed.

        Raises `TimeoutError` where others hold it open for too long.
        """
        if self._inside or not self._lock(fcntl.LOCK_EX):
            raise TimeoutError(errno.ETIMEDOUT, "other processes are creating shared memory")
        try:
            yield
        finally:
            self._unlock()

    def shut_down(self) -> None:
        """Close the file; the gate is of no use afterwards."""
        with contextlib.suppress(OSError):
            os.close(self._file)

    def _unlock(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _lock(self, kind: int) -> bool:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.lockf(self._file, kind | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):  # both are allowed by POSIX
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.0005)
            else:
                return True


class Journal:
    """This process's journal, or one that writes nothing (`Journal.none`).

    Thread safe. A process that was forked off gets its own (`of_this_process`).
    """

    def __init__(self, folder: Path | None) -> None:
        self.mutex = threading.RLock()
        self.contents = Contents()
        self.folder = folder
        self.name = ""
        self.gate: Gate | None = None
        self._file = -1
        self._identity = (0, 0)
        self._written = 0
        self._compact_at = _COMPACT_AFTER
        self._torn = False
        self._use_counts: dict[str, int] = {}
        self._reaped = False

    @classmethod
    def none(cls) -> Journal:
        """Return a journal that writes nothing."""
        return cls(None)

    @classmethod
    def open(cls, folder: Path, tree: str) -> Journal:
        """Return a new journal in `folder` for a process of `tree`.

        Raises `OSError` when that folder cannot be used.
        """
        journal = cls(folder)
        owner = Owner(os.getpid(), _program(), time.time(), tree, boot_id())
        journal.contents.apply(owner.record())
        descriptor = open_private(folder)
        try:
            journal.gate = Gate(descriptor)
            journal._start_file(descriptor)
        except BaseException:
            if journal.gate is not None:
                journal.gate.shut_down()
            raise
        finally:
            os.close(descriptor)
        return journal

    # -- what happens to segments ----------------------------------------------------------------

    def create(self, name: str, key: str, size: int, mark: str, make: Callable[[], int]) -> int:
        """Call `make`, which creates the segment `name`, and return what it returns."""
        self._reap_once()
        intent = (name, key, size, mark, time.time())
        with self.mutex:
            self._enter()
            try:
                known = name in self.contents.claims  # and must stay, should `make` fail
                if not known:
                    self._append(INTENT, *intent)
                    self.contents.intended(*intent)
                try:
                    descriptor = make()
                except BaseException:
                    if not known:
                        self._append(WITHDRAWN, name)
                        self.contents.withdrawn(name)
                    raise
                if known:
                    self._append(INTENT, *intent)
                    self.contents.intended(*intent)
                self._append(MADE, name, checked=True)
                self.contents.was_made(name)
                self._use_counts[name] = self._use_counts.get(name, 0) + 1
                return descriptor
            finally:
                self._leave()

    def attach(self, name: str, key: str, attach: Callable[[], int]) -> int:
        """Call `attach`, which opens the segment `name`, and return what it returns."""
        with self.mutex:
            self._enter()
            try:
                count = self._use_counts.get(name, 0)
                self._use_counts[name] = count + 1
                if count == 0:
                    self._append(USE, name, key)
                    self.contents.used(name, key)
                try:
                    return attach()
                except BaseException:
                    self.left(name)
                    raise
            finally:
                self._leave()

    def left(self, name: str) -> None:
        """Say that one mapping of the segment `name` is gone."""
        with self.mutex:
            count = self._use_counts.get(name, 0)
            if count > 1:
                self._use_counts[name] = count - 1
            elif count == 1:
                del self._use_counts[name]
                self._append(LEFT, name)
                self.contents.left(name)

    def gone(self, name: str) -> None:
        """Say that this process unlinked the segment `name`, or found that somebody else had."""
        when = time.time()
        with self.mutex:
            self._append(GONE, name, when)
            self.contents.unlinked(name, when)

    def inherit(self, parents: Journal) -> None:
        """Take over, in a forked child, what the parent has mapped."""
        with self.mutex:
            for name, count in parents._use_counts.items():
                self._use_counts[name] = count
                key = parents.contents.uses.get(name, "")
                self._append(USE, name, key)
                self.contents.used(name, key)

    # -- the file --------------------------------------------------------------------------------

    @property
    def tree(self) -> str:
        """The name of this process's tree; "" where no journal is kept."""
        return "" if self.contents.owner is None else self.contents.owner.tree

    def end(self) -> None:
        """At the end of the process: leave the file only if it says what is left behind."""
        if self.contents.claims:
            self.retire()
        else:
            self.discard()

    def retire(self) -> None:
        """Close the files, and write nothing from now on."""
        descriptor, self._file = self._file, -1
        if descriptor >= 0 and _identity(descriptor) == self._identity:
            os.close(descriptor)
        if self.gate is not None:
            self.gate.shut_down()
            self.gate = None

    def discard(self) -> None:
        """Remove the file: for a process that leaves nothing behind."""
        with self.mutex:
            if self.folder is not None and self.name:
                with contextlib.suppress(OSError):
                    os.unlink(self.folder / self.name)
            self.retire()

    def _reap_once(self) -> None:
        """At the first creation in a tree, free what dead trees left."""
        if self._reaped or self.folder is None:
            return
        self._reaped = True
        if os.environ.get(REAP_VARIABLE, "").strip().lower() in _OFF:
            return
        from macfix.darwin.reaping import reap_dead_trees

        try:
            reap_dead_trees(self)
        except Exception as error:  # freeing old memory must not keep anybody from working
            log.warning("what dead processes left in shared memory was not freed: %s", error)

    def _enter(self) -> None:
        if self.gate is not None:
            self.gate.enter()

    def _leave(self) -> None:
        if self.gate is not None:
            self.gate.leave()

    def _start_file(self, folder: int) -> None:
        """Write all that is known into a new file, which appears in the folder locked."""
        name = f"{int(time.time())}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(NEW_PREFIX + name, flags, 0o600, dir_fd=folder)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = b"".join(encode(record) for record in self.contents.records())
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
            os.rename(NEW_PREFIX + name, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(NEW_PREFIX + name, dir_fd=folder)
            os.close(descriptor)
            raise
        self._file, self.name, self._written = descriptor, name, len(data)
        self._compact_at = max(_COMPACT_AFTER, 2 * len(data))
        self._identity = _identity(descriptor)

    def _append(self, *record: Any, checked: bool = False) -> None:
        if self._file < 0:
            return
        line = encode(list(record))
        try:
            if not checked:
                self._check_file()
            written = os.write(self._file, b"\n" + line if self._torn else line)
        except OSError as error:
            self._torn = True
            if error.errno != errno.ENOSPC:
                self._give_up(error)
            return
        self._torn = written < len(line)
        self._written += written
        if self._written > self._compact_at:
            self._compact()

    def _check_file(self) -> None:
        """See to it that the descriptor still is of a file in the folder."""
        found = os.fstat(self._file)
        if (found.st_dev, found.st_ino) != self._identity:
            # somebody closed all descriptors, and another file has this number now
            raise OSError(errno.EBADF, "somebody closed the journal's descriptor")
        if found.st_nlink == 0:
            self._compact()  # somebody removed it

    def _compact(self) -> None:
        """Go on in a new file that says the same in fewer words."""
        old_name, old_file = self.name, self._file
        assert self.folder is not None
        for name in list(self.contents.gone)[:-_GONE_KEPT]:
            del self.contents.gone[name]
        try:
            descriptor = open_private(self.folder)
            try:
                self._start_file(descriptor)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(old_name, dir_fd=descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._compact_at += _COMPACT_AFTER  # not again at every record
            log.warning("the shared memory journal %s stays as long as it is: %s", old_name, error)
        if self._file != old_file:
            os.close(old_file)

    def _give_up(self, error: OSError) -> None:
        log.warning(
            "the journal of shared memory ends here (%s): what this process leaves behind when "
            "it is killed cannot be found any more",
            error,
        )
        self.retire()


# -- this process's own --------------------------------------------------------------------------

_current: Journal | None = None
_starting = threading.RLock()


def of_this_process() -> Journal:
    """Return this process's journal, opened when it is first asked for. Never raises `OSError`."""
    global _current
    if _current is None:
        with _starting:
            if _current is None:
                _current = _open_own()
    return _current


def current() -> Journal | None:
    """Return this process's journal if it has one already."""
    return _current


def join_tree() -> str:
    """Make this process a member of its process tree and return the tree's name.

    The children of this process find the name in their environment. The first process of a tree
    opens its journal at once: the tree lives as long as any of its journals is locked.
    """
    tree = os.environ.get(TREE_VARIABLE)
    return tree if tree and _lives(tree) else of_this_process().tree


def _open_own() -> Journal:
    if os.environ.get(JOURNAL_VARIABLE, "").strip().lower() in _OFF:
        return Journal.none()
    tree = os.environ.get(TREE_VARIABLE)
    if not tree or not _lives(tree):
        tree = secrets.token_hex(8)
    try:
        journal = Journal.open(shm_folder(), tree)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory
        log.warning(
            "no journal of shared memory is kept (%s): `macfix shm` will not know what this "
            "process creates",
            error,
        )
        return Journal.none()
    os.environ[TREE_VARIABLE] = tree
    return journal


def _lives(tree: str) -> bool:
    from macfix.darwin.journal_index import live_trees

    try:
        return tree in live_trees()
    except (OSError, RuntimeError):
        return False


def _program() -> str:
    text = " ".join(sys.argv) if getattr(sys, "argv", None) else sys.executable or "?"
    clean = text.encode(errors="replace").decode()
    return clean if len(clean) <= _PROGRAM_SHOWN else clean[: _PROGRAM_SHOWN - 1] + "…"


def _identity(descriptor: int) -> tuple[int, int]:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return (-1, -1)
    return (found.st_dev, found.st_ino)


def _after_fork() -> None:
    """In a forked child: the journal is the parent's, and so are its locks.

    What the parent has mapped the child has mapped too, so that it needs a journal that says so.
    """
    global _current, _starting
    inherited, _current = _current, None
    _starting = threading.RLock()
    if inherited is None:
        return
    inherited.mutex = threading.RLock()
    inherited.retire()
    if inherited.folder is not None and inherited.contents.uses:
        # fork() must not fail for want of a journal
        with contextlib.suppress(Exception):
            _current = Journal.open(inherited.folder, inherited.tree)
            _current.inherit(inherited)


def _at_exit() -> None:
    if _current is not None:
        _current.end()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
