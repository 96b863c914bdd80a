"""The kinds of program that Python can run, each as the interpreter itself starts it.

Nothing is run or imported here. ``locate`` finds out which of them a command line means.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader, SourcelessFileLoader

TYPE_CHECKING = False  # not typing's: what is imported here, the program cannot shadow any more
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType

    Start = tuple[Callable[..., object], tuple[object, ...]]


class CannotRunError(Exception):
    """There is no such program, or macfix cannot run it; the message says why."""


class Program:
    """Something that can be run as ``__main__``.

    Attributes:
        argv0: what ``sys.argv[0]`` is when it starts.
        is_file: whether the interpreter runs it as a file, which has a few effects of its own
            when it ends.
    """

    argv0: str
    is_file = False

    def path0(self, safe: bool) -> str | None:
        """What goes first on ``sys.path``, or None for nothing.

        Args:
            safe: whether the interpreter was told to put nothing unsafe there.
        """
        raise NotImplementedError

    def load(self, main: ModuleType) -> Start:
        """Prepare *main*; return a function and its arguments that run the program in it.

        A call of that function puts no frame of macfix's below the program's.

        Raises:
            SystemExit: if it cannot be opened; standard error says so.
            SyntaxError: if it is not Python.
        """
        raise NotImplementedError


class Script(Program):
    """A file of Python source or bytecode."""

    is_file = True

    def __init__(self, path: str) -> None:
        self.argv0 = path

    def path0(self, safe: bool) -> str | None:
        return None if safe else os.path.dirname(os.path.realpath(self.argv0))

    def load(self, main: ModuleType) -> Start:
        file = absolute(self.argv0)
        data = self._read(file)
        has_bytecode = file.endswith(".pyc") or data[:2] == _magic()[:2]
        loader = SourcelessFileLoader if has_bytecode else SourceFileLoader
        namespace = main.__dict__
        namespace.update(__file__=file, __cached__=None, __loader__=loader("__main__", file))
        code = _unmarshal(data) if has_bytecode else compile(data, file, "exec", dont_inherit=True)
        return exec, (code, namespace)

    def _read(self, file: str) -> bytes:
        from io import open_code

        try:
            with open_code(file) as stream:
                return stream.read()
        except OSError as error:
            why = f"can't open file {file!r}: [Errno {error.errno}] {error.strerror}"
            if sys.stderr is not None:
                print(f"{sys.orig_argv[0]}: {why}", file=sys.stderr)
            raise SystemExit(2) from None


class Archive(Program):
    """A folder or zip file with a ``__main__.py`` in it."""

    def __init__(self, path: str) -> None:
        self.argv0 = path

    def path0(self, safe: bool) -> str | None:
        return absolute(self.argv0)  # also where -P is given: the user named this very folder

    def load(self, main: ModuleType) -> Start:
        return _run_module("__main__", alter_argv=False)


class Module(Program):
    """A module, or a package with a ``__main__`` module, as ``python -m`` runs it."""

    argv0 = "-m"  # until the module has been found, and its path takes the place

    def __init__(self, name: str) -> None:
        self.name = name

    def path0(self, safe: bool) -> str | None:
        return None if safe else working_directory()

    def load(self, main: ModuleType) -> Start:
        return _run_module(self.name, alter_argv=True)


class Command(Program):
    """A piece of source text, as ``python -c`` runs it."""

    argv0 = "-c"

    def __init__(self, text: str) -> None:
        self.text = text

    def path0(self, safe: bool) -> str | None:
        return None if safe else ""

    def load(self, main: ModuleType) -> Start:
        if sys.version_info >= (3, 13):  # where tracebacks show the lines of a command, too
            import linecache

            lines = self.text.splitlines(keepends=True)
            linecache.cache["<string>"] = (len(self.text), None, lines, "<string>")
        code = compile(self.text, "<string>", "exec", dont_inherit=True)
        return exec, (code, main.__dict__)


class EntryPoint(Program):
    """A console script that an installed distribution declares, without the script itself."""

    def __init__(self, folder: str, name: str, module: str, function: str) -> None:
        """
        Args:
            folder: where the script would lie if there were one.
            name: of the script.
            module: in which the function is.
            function: its name, dotted if it belongs to an object of the module.
        """
        self.argv0 = os.path.join(folder, name)
        self.module = module
        self.function = function

    def path0(self, safe: bool) -> str | None:
        return None if safe else os.path.dirname(self.argv0)

    def load(self, main: ModuleType) -> Start:
        # What installers write into the script. It has no file, so children of the program have
        # nothing to run again as their __mp_main__; nor has the script anything they could need.
        text = (
            f"import sys\n"
            f"from {self.module} import {self.function.partition('.')[0]}\n"
            f"sys.exit({self.function}())\n"
        )
        name = os.path.basename(self.argv0)
        code = compile(text, f"<console script {name}>", "exec", dont_inherit=True)
        return exec, (code, main.__dict__)


def absolute(path: str) -> str:
    """*path* made absolute as the interpreter does it: joined, not normalized."""
    return os.path.join(working_directory() or "", path)


def working_directory() -> str | None:
    """The current directory, or None if it does not exist any more."""
    try:
        return os.getcwd()
    except OSError:
        return None


def safe_path() -> bool:
    """Whether the interpreter was told to put nothing unsafe on ``sys.path`` (-P, -I)."""
    return bool(getattr(sys.flags, "safe_path", False) or sys.flags.isolated)


def has_importer(path: str) -> bool:
    """Whether *path* is a place to import from: a folder or a zip file."""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _run_module(name: str, *, alter_argv: bool) -> Start:
    # The interpreter calls this very function for -m, folders and zip files, and its two frames
    # are in the traceback of a program that runs alone, too.
    from runpy import _run_module_as_main  # type: ignore[attr-defined]

    return _run_module_as_main, (name, alter_argv)


def _magic() -> bytes:
    from importlib.util import MAGIC_NUMBER

    return MAGIC_NUMBER


def _unmarshal(data: bytes) -> CodeType:
    import marshal

    if data[:4] != _magic():
        raise RuntimeError("Bad magic number in .pyc file")
    code = marshal.loads(memoryview(data)[16:])
    if not isinstance(code, type(_unmarshal.__code__)):
        raise RuntimeError("Bad code object in .pyc file")
    return code
