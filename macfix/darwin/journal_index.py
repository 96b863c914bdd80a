"""Reading the journals of all of this user's processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from macfix.darwin import journal
from macfix.darwin.journal_format import Claim, Contents, decode
from macfix.darwin.sysctl import boot_id


@dataclass
class JournalFile:
    """One journal, as far as it has been read.

    Attributes:
        name: its file name.
        contents: what it says.
        own: whether it is this very process's. Its file is never opened here: closing any
            descriptor of it would drop the lock that says that this process lives.
    """

    name: str
    contents: Contents = field(default_factory=Contents)
    own: bool = False
    _identity: tuple[int, int] = (0, 0)
    _offset: int = 0

    def read_more(self, folder: int) -> None:
        """Read what has been added since the last time.

        Raises `OSError` when the file is gone, or is not a file of this user's.
        """
        if self.own:
            return
        found = os.stat(self.name, dir_fd=folder, follow_symlinks=False)
        if (found.st_dev, found.st_ino) != self._identity:
            self.contents, self._offset = Contents(), 0
            self._identity = (found.st_dev, found.st_ino)
        if found.st_size > self._offset:
            with self._opened(folder) as descriptor:
                data = os.pread(descriptor, found.st_size - self._offset, self._offset)
            whole, newline, _ = data.rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            for record in decode(whole):
                self.contents.apply(record)

    def of_this_boot(self) -> bool:
        """Say whether its process ran since the machine started; no segment is older than that."""
        return self.contents.owner is not None and self.contents.owner.boot == boot_id()

    def alive(self, folder: int) -> bool:
        """Say whether the process that it is of lives: whether it holds its lock.

        Raises `OSError` when the file is gone.
        """
        if self.own:
            return True
        with self._opened(folder) as descriptor:
            try:
                # shared: two who ask at the same time must not take each other for the owner
                fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):  # both are allowed by POSIX
                return True
            return False

    @contextlib.contextmanager
    def _opened(self, folder: int) -> Iterator[int]:
        descriptor = os.open(
            self.name,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
            dir_fd=folder,
        )
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise PermissionError(f"{self.name} is not a journal of this user")
            yield descriptor
        finally:
            os.close(descriptor)


class JournalIndex:
    """All journals in a folder; asked again, it reads only what has been added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, JournalFile] = {}

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """Hold the folder open and read what is new; yields the folder's descriptor.

        Raises `FileNotFoundError` where no journal was ever kept; `OSError` when the folder cannot
        be read.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.folder, flags)
        try:
            self._read_more(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def files(self) -> list[JournalFile]:
        """Return the journals, this process's own included."""
        return list(self._files.values())

    def claims_on(self, name: str) -> list[Claim]:
        """Return what those say who made a segment `name`, and did not unlink it themselves."""
        return [
            claim
            for file in self.files()
            if (claim := file.contents.claim_on(name)) is not None and file.of_this_boot()
        ]

    def forget(self, file: JournalFile) -> None:
        """Leave out a journal whose file was removed."""
        self._files.pop(file.name, None)

    def _read_more(self, descriptor: int) -> None:
        own = journal.current()
        present = {n for n in os.listdir(descriptor) if n.endswith(journal.SUFFIX) and n[0] != "."}
        for name in [name for name in self._files if name not in present]:
            del self._files[name]
        for name in sorted(present):
            file = self._files.setdefault(name, JournalFile(name))
            if own is not None and own.name == name:  # by whatever path it was found
                file.own, file.contents = True, own.contents
            try:
                file.read_more(descriptor)
            except OSError:  # removed in the meantime, or put there by somebody else
                del self._files[name]


_indexes: dict[Path, JournalIndex] = {}
_asking = threading.RLock()


def recorded_claim(name: str) -> Claim | None:
    """Return what the journals say about the creation of the segment `name`, or None.

    Costs a look at each journal that has grown since the last question. Never raises `OSError`.
    """
    own = journal.current()
    claim = None if own is None else own.contents.claim_on(name)
    claims = [] if claim is None else [claim]
    with _asking, contextlib.suppress(OSError, RuntimeError):
        folder = journal.shm_folder()
        index = _indexes.setdefault(folder, JournalIndex(folder))
        with index.opened():
            claims += index.claims_on(name)
    return max(claims, key=lambda claim: claim.created, default=None)


def live_trees() -> set[str]:
    """Return the names of the process trees that have a living process with a journal.

    Raises `OSError` when the folder of the journals cannot be read.
    """
    index = JournalIndex(journal.shm_folder())
    trees = set()
    with index.opened() as folder:
        for file in index.files():
            with contextlib.suppress(OSError):
                if file.contents.owner is not None and file.alive(folder):
                    trees.add(file.contents.owner.tree)
    return trees


def _forget_parents() -> None:
    global _asking
    _asking = threading.RLock()
    _indexes.clear()


os.register_at_fork(after_in_child=_forget_parents)
