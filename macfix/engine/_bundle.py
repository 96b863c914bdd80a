"""macfix's own modules out of one file, which ``macfix enable`` writes beside its ``.pth``.

To import a module takes Python some 300,000 instructions and a dozen system calls, however small it
is: for the thirty that mending an upstream needs, as much as all that they do. The file holds their
code objects. It counts only in the interpreter that wrote it, and only while the source files in
the folder of what is needed have the sizes and times that they had then, which is how Python itself
knows whether bytecode is current. Where it does not count, macfix is imported as any package is.

Executed by its path before the package ``macfix`` is imported: it imports nothing that is not
loaded at the start of an interpreter.
"""

from __future__ import annotations

import _frozen_importlib
import os
import sys
from _frozen_importlib import ModuleSpec, module_from_spec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from _imp import source_hash
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, ModuleType
    from typing import TypeAlias

    Member: TypeAlias = tuple[bool, tuple[str, ...], int]

HEADER = MAGIC_NUMBER + bytes(4) + b"macfix\0\0"
"""As of a ``.pyc``, whose last eight bytes the interpreter ignores; they are a mark."""

FOLDERS = ("macfix", "macfix/engine", "macfix/patches", "macfix/darwin")
"""Whose modules it has; relative to the folder that the package is in."""

FIRST = "macfix.engine._activate"
"""What finds upstreams; needs only what is loaded at the start of an interpreter."""

ENTRIES = (
    "macfix.engine._changes",
    "macfix.engine._engine",
    "macfix.engine._hookimpl",
    "macfix.engine._loader",
    "macfix.engine._wrapt",
)
"""What mending any upstream needs, with all that these need themselves."""

_HASH_KEY = int.from_bytes(MAGIC_NUMBER, "little")
_HASH_SIZE = 8
_LENGTH_SIZE = 4
FIXED_SIZE = len(HEADER) + _HASH_SIZE + _LENGTH_SIZE

_SAFE_IMPORTS = "macfix.engine._safe_imports"
_current: Bundle | None = None


def use(file: str, root: str) -> bool:
    """Import macfix out of the bundle *file* from now on, if it is of the macfix in *root*.

    Returns:
        Whether it is, and :data:`FIRST` and :data:`ENTRIES` are imported. Never raises: what is
        wrong with the file, or with macfix, shows when macfix is imported without it.
    """
    global _current
    try:
        bundle = Bundle(file, root)
        bundle.load(FIRST)
        with sys.modules[_SAFE_IMPORTS].SafeImports():
            bundle.load(*ENTRIES)
        _join([__name__])  # this module was there before its package
    except Exception:
        return False
    _current = bundle
    return True


def is_whole(file: str, root: str) -> bool:
    """Whether the bundle *file* is undamaged and of the macfix in *root*, as it is now."""
    try:
        Bundle(file, root).check()
    except (OSError, ValueError, EOFError, TypeError):
        return False
    return True


def import_own(name: str) -> ModuleType:
    """Import *name*, a module of macfix, out of the bundle if there is one.

    Raises:
        Exception: whatever its import raises.
    """
    if _current is not None:
        try:
            _current.load(name)
            return sys.modules[name]
        except Exception:
            pass  # not of this bundle, or the file is another one by now: the import will tell
    from importlib import import_module

    return import_module(name)


def known_states() -> dict[str, bytes]:
    """The states of the folders that were looked at for the bundle so far, if there is one."""
    return {} if _current is None else dict(_current.states)


def folder_state(folder: str) -> bytes:
    """A digest of the names, sizes and times of the Python files in *folder*.

    Raises:
        OSError: if it cannot be looked at; NotADirectoryError if it is in an archive.
    """
    with os.scandir(folder) as entries:
        files = [
            f"{e.name} {stat.st_size} {stat.st_mtime_ns}"
            for e in entries
            if e.name.endswith(".py") and (stat := e.stat())
        ]
    return digest(ascii((folder, *sorted(files))).encode())


class Bundle:
    """The file.

    Its head says of what state of the sources it is and, of each module, whether it is a package,
    in what order it and what it needs are to be executed, and in which part its code lies. The
    first part is the code of all that any upstream needs: to read it at one go takes half the time.

    Attributes:
        states: of the folders that were looked at: those of the modules that were loaded.

    Raises:
        OSError: if it cannot be read.
        ValueError, EOFError, TypeError: if it is damaged, or not of this interpreter.
    """

    def __init__(self, file: str, root: str) -> None:
        self._file = file
        self._root = root
        self._members: dict[str, Member]
        self._parts: list[tuple[int, int]]
        self._waiting: dict[str, CodeType] = {}
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fixed = os.read(descriptor, FIXED_SIZE)
            length = int.from_bytes(fixed[-_LENGTH_SIZE:], "little")
            head = os.read(descriptor, length)
        finally:
            os.close(descriptor)
        if fixed != fixed_part(head) or sys.flags.optimize:
            raise ValueError(f"{file} is no bundle of this Python")
        self._base = len(fixed) + length
        self._states, self._members, self._parts = loads(head)
        self.states: dict[str, bytes] = {}

    def check(self) -> None:
        """Look at the code of all modules, and at their sources.

        Raises:
            OSError: if one cannot be read.
            ValueError, EOFError, TypeError: if it is damaged or stale.
        """
        self._look_at(f"{self._root}/{folder}" for folder in FOLDERS)
        self._read_parts(set(range(len(self._parts))))

    def load(self, *names: str) -> None:
        """Put *names*, with what they need, into ``sys.modules``, unless they are there.

        Raises:
            KeyError: if one is not in the bundle.
            ValueError: if the file, or macfix, was changed.
            Exception: whatever a module raises.
        """
        order = [each for name in names for each in self._members[name][1]]
        missing = [each for each in dict.fromkeys(order) if each not in sys.modules]
        if not missing:
            return
        self._look_at(dict.fromkeys(map(self._folder_of, missing)))
        self._read_parts({self._members[each][2] for each in missing if each not in self._waiting})
        alone = len(sys._current_frames()) == 1  # a third of the time goes into the locks
        try:
            for each in missing:
                if alone:
                    self._execute(each)
                else:
                    with _frozen_importlib._ModuleLockManager(each):  # type: ignore[attr-defined]
                        self._execute(each)
        finally:
            _join([each for each in missing if each in sys.modules])

    def _folder_of(self, name: str) -> str:
        package = name if self._members[name][0] else name.rpartition(".")[0]
        return f"{self._root}/{package.replace('.', '/')}"

    def _look_at(self, folders: Iterable[str]) -> None:
        """Compare *folders* with what they were: once, and before anything in them is executed."""
        for folder in folders:
            if folder not in self.states:
                state = folder_state(folder)
                if state != self._states.get(folder):
                    raise ValueError(f"{self._file} is not of the macfix that is in {folder}")
                self.states[folder] = state

    def _read_parts(self, parts: set[int]) -> None:
        if parts:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                for part in parts:
                    self._waiting.update(self._codes(part, descriptor))
            finally:
                os.close(descriptor)

    def _codes(self, part: int, descriptor: int) -> dict[str, CodeType]:
        start, end = self._parts[part]
        data = memoryview(os.pread(descriptor, end - start, self._base + start))
        marshalled = data[_HASH_SIZE:]
        if data[:_HASH_SIZE] != digest(marshalled):
            raise ValueError(f"{self._file} was changed")
        codes: dict[str, CodeType] = loads(marshalled)
        return codes

    def _execute(self, name: str) -> None:
        """What the import system does when it has found a module; nothing if it is there by now."""
        if name in sys.modules:
            return
        code = self._waiting.pop(name)
        is_package = self._members[name][0]
        folder = self._folder_of(name)
        file = f"{folder}/__init__.py" if is_package else f"{folder}/{name.rpartition('.')[2]}.py"
        spec = ModuleSpec(name, SourceFileLoader(name, file), origin=file, is_package=is_package)
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder)
        if sys.pycache_prefix is None:  # else it is computed, which takes as long as all this
            base = file[len(folder) : -len(".py")]
            spec.cached = f"{folder}/__pycache__{base}.{sys.implementation.cache_tag}.pyc"
        module = module_from_spec(spec)
        spec._initializing = True  # type: ignore[attr-defined]  # other threads wait for the lock
        sys.modules[name] = module
        try:
            exec(code, module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        finally:
            spec._initializing = False  # type: ignore[attr-defined]


def _join(names: list[str]) -> None:
    """Make modules attributes of their packages; a package may have needed its own modules."""
    for name in names:
        package, _, last = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], last, sys.modules[name])


def fixed_part(head: bytes) -> bytes:
    """What stands before *head*: the mark, its digest and its length in bytes."""
    return HEADER + digest(head) + len(head).to_bytes(_LENGTH_SIZE, "little")


def digest(data: bytes | memoryview) -> bytes:
    """A digest against damage, not against an enemy: who can write here can write anything."""
    return source_hash(_HASH_KEY, data)
