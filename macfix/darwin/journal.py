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
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_FILE = (-1, -1)
_OFF = frozenset({"off", "0", "no", "false"})


def shm_folder() -> Path:
    """Return the folder that holds the journals of this user's processes."""
    return state_dir() / "shm"


def is_off() -> bool:
    """Say whether the user wants no journal."""
    return os.environ.get(JOURNAL_VARIABLE, "").strip().lower() in _OFF


class Gate:
    """The lock between those who create or open segments and those who reap them.

    Raises `OSError` when its file in `folder` cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inside = 0
        self._file, self._is = -1, _NO_FILE
        self._open()

    def enter(self) -> None:
        """Hold the gate open, until `leave`; whoever finds it closed for too long goes on."""
        if self._inside == 0:
            try:
                self._see_to_it()
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
        self._see_to_it()
        if self._inside or not self._lock(fcntl.LOCK_EX):
            raise TimeoutError(errno.ETIMEDOUT, "other processes are creating shared memory")
        try:
            yield
        finally:
            self._unlock()

    def shut_down(self) -> None:
        """Close the file; the gate is of no use afterwards."""
        descriptor, self._file = self._file, -1
        _close_if(descriptor, self._is)

    def _open(self) -> None:
        folder = open_private(self._folder)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(_GATE, flags, 0o600, dir_fd=folder)
        finally:
            os.close(folder)
        self._is = _identity(self._file)

    def _see_to_it(self) -> None:
        """Open the file anew if somebody closed or removed it: another's must not be locked."""
        if self._inside == 0 and not _is_in_place(self._file, self._is):
            self.shut_down()
            self._open()

    def _unlock(self) -> None:
        if _identity(self._file) == self._is:
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
        self._identity = _NO_FILE
        self._written = 0
        self._compact_at = _COMPACT_AFTER
        self._torn = False
        self._silent = False
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
        journal.gate = Gate(folder)
        try:
            journal._start_file()
        except BaseException:
            journal.gate.shut_down()
            raise
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
        _close_if(descriptor, self._identity)
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

    def _start_file(self) -> None:
        """Go on in a new file that says all that is known; it appears in the folder locked."""
        assert self.folder is not None
        name = f"{int(time.time())}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        folder = open_private(self.folder)
        try:
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
            old_name, old_file, old_identity = self.name, self._file, self._identity
            self._file, self.name, self._written = descriptor, name, len(data)
            self._identity = _identity(descriptor)
            self._torn = False
            self._compact_at = max(_COMPACT_AFTER, 2 * len(data))
            if old_name:
                with contextlib.suppress(OSError):
                    os.unlink(old_name, dir_fd=folder)
            _close_if(old_file, old_identity)
        finally:
            os.close(folder)

    def _append(self, *record: Any, checked: bool = False) -> None:
        if self._file < 0 or self._silent:
            return
        line = encode(list(record))
        try:
            if not checked:
                self._check_file()
            if self._torn:  # by a full disk; what it has cost is written if there is room again
                with contextlib.suppress(OSError):
                    self._compact()
            written = os.write(self._file, b"\n" + line if self._torn else line)
        except OSError as error:
            if error.errno not in _FULL:
                self._fall_silent(error)
            elif not self._torn:
                log.warning("the journal of shared memory lacks records: %s", error)
            self._torn = True
            return
        self._torn = written < len(line)
        self._written += written
        if self._written > self._compact_at:
            try:
                self._compact()
            except OSError as error:
                self._compact_at += _COMPACT_AFTER  # not again at every record
                log.warning("the shared memory journal stays as long as it is: %s", error)

    def _check_file(self) -> None:
        """See to it that the descriptor still is of a file in the folder.

        The lock went with the descriptor: without a new file, what this living process owns would
        be taken for a dead one's.
        """
        if not _is_in_place(self._file, self._identity):
            if _identity(self._file) != self._identity:
                self._file = -1  # by now that number may be a file of somebody else's
                log.warning("somebody closed the journal of shared memory; it is begun anew")
            self._compact()

    def _compact(self) -> None:
        """Go on in a new file that says the same in fewer words; raises `OSError` as it was."""
        for name in list(self.contents.gone)[:-_GONE_KEPT]:
            del self.contents.gone[name]
        self._start_file()

    def _fall_silent(self, error: OSError) -> None:
        """Write no more. The file stays locked: it is a living process's."""
        self._silent = True
        log.warning(
            "the journal of shared memory ends here (%s): what this process leaves behind when "
            "it is killed cannot be found any more",
            error,
        )


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
    if is_off():
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
    words = getattr(sys, "argv", None) or [sys.executable or "?"]
    text = " ".join(map(str, words))  # programs put paths and numbers there, too
    clean = text.encode(errors="replace").decode()
    return clean if len(clean) <= _PROGRAM_SHOWN else clean[: _PROGRAM_SHOWN - 1] + "…"


def _identity(descriptor: int) -> tuple[int, int]:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return _NO_FILE
    return (found.st_dev, found.st_ino)


def _is_in_place(descriptor: int, identity: tuple[int, int]) -> bool:
    """Say whether *descriptor* still is of the file `identity`, and that still is in a folder.

    If somebody closed all descriptors, another file may have this number now.
    """
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == identity and found.st_nlink > 0


def _close_if(descriptor: int, identity: tuple[int, int]) -> None:
    """Close *descriptor* if it still is of the file `identity`."""
    if identity != _NO_FILE and _identity(descriptor) == identity:
        os.close(descriptor)


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
