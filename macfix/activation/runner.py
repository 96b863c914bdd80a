"""Runs a program in this process as if macfix were not there.

The program gets the ``sys.argv``, ``sys.path[0]``, ``__main__``, exit code, signals and traceback
that it has when Python runs it alone. Nothing of it is emulated that need not be: exceptions,
``SystemExit`` and ``KeyboardInterrupt`` propagate to the interpreter, which deals with them as
always; only the traceback is cut to the program's own frames on the way out.

What a program can still notice: ``sys.orig_argv`` tells the truth, ``sys._getframe`` reaches a few
frames further than the program's first one, and macfix's few modules are in ``sys.modules``.
"""

from __future__ import annotations

import builtins
import os
import sys
from importlib.machinery import BuiltinImporter

from .programs import safe_path, working_directory

TYPE_CHECKING = False  # not typing's: what is imported here, the program cannot shadow any more
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType, TracebackType

    from .programs import Program

    Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def take_over_path() -> None:
    """Remove from ``sys.path`` what the interpreter put there to find macfix.

    That is the current directory for ``python -m macfix``, the folder of the console script, or
    the zip file or folder that was run. None of it belongs on the program's ``sys.path``, and
    macfix must not import anything from the current directory. To be called once, first thing in
    a process that the interpreter started for macfix.
    """
    if sys.path and sys.path[0] == _path0_of(sys.modules["__main__"]):
        del sys.path[0]


def _path0_of(main: ModuleType) -> str | None:
    """What the interpreter put first on ``sys.path`` to run *main*; None if nothing."""
    spec = main.__spec__
    file = getattr(main, "__file__", None)
    if spec is not None and spec.name == "__main__":
        return os.path.dirname(file or "")  # of a folder or zip file, also where -P is given
    if safe_path():
        return None
    if spec is not None:
        return working_directory()
    return os.path.dirname(os.path.realpath(file)) if file else ""


def run(program: Program, arguments: Sequence[str]) -> None:
    """Run *program* with *arguments* as ``__main__``, in this process and thread.

    Returns when the program comes to its end. Every exception of the program leaves this
    function, and ``sys.excepthook`` is then set such that the interpreter shows it without the
    frames of macfix.
    """
    main = _fresh_main()
    sys.argv = [program.argv0, *arguments]
    sys.modules["__main__"] = main
    path0 = program.path0(safe_path())
    if path0 is not None:
        sys.path.insert(0, path0)
    started = False
    try:
        start, its_arguments = program.load(main)
        started = True
        start(*its_arguments)
    except BaseException as error:
        if program.is_file:
            _flush()
        if sys.flags.inspect or not isinstance(error, SystemExit):  # with -i they are shown, too
            here = error.__traceback__
            own = here.tb_next if here is not None and started else None
            _show_without_macfix(error, own, main if program.is_file else None)
        raise
    if program.is_file:
        _flush()
        _forget_file(main)


def _fresh_main() -> ModuleType:
    """A ``__main__`` as the interpreter makes it, before anything is run in it."""
    main = type(sys)("__main__")
    if "__annotations__" in vars(sys.modules["__main__"]):  # not on every version of Python
        main.__annotations__ = {}
    main.__loader__ = BuiltinImporter  # the kinds of program that have another one set it
    main.__dict__["__builtins__"] = builtins
    return main


def _flush() -> None:
    """Flush the standard streams, as the interpreter does after running a file."""
    for stream in (sys.stderr, sys.stdout):
        try:  # noqa: SIM105  (contextlib would have to be imported)
            stream.flush()
        except Exception:
            pass  # closed, None, or replaced by something else: not for us to report


def _forget_file(main: ModuleType) -> None:
    """Remove what the interpreter removes from ``__main__`` after running a file."""
    main.__dict__.pop("__file__", None)
    main.__dict__.pop("__cached__", None)


def _show_without_macfix(
    error: BaseException, traceback: TracebackType | None, ran_file: ModuleType | None
) -> None:
    """Have the interpreter show *error* with *traceback*, through the program's own hook.

    Args:
        error: the exception on its way out of the program.
        traceback: the program's own frames.
        ran_file: the ``__main__`` to forget the file of afterwards, if a file was run.
    """
    programs_hook: Hook = getattr(sys, "excepthook", _hook_is_missing)

    def show(kind: type[BaseException], value: BaseException, full: TracebackType | None) -> None:
        if programs_hook is _hook_is_missing:
            del sys.excepthook
        else:
            sys.excepthook = programs_hook
        if value is not error:  # somebody stopped ours and raised another one
            _call_hook(programs_hook, kind, value, full)
            return
        sys.last_traceback = traceback
        try:
            _call_hook(programs_hook, kind, value.with_traceback(traceback), traceback)
        finally:
            if ran_file is not None:
                _forget_file(ran_file)

    sys.excepthook = show


def _hook_is_missing(
    kind: type[BaseException], value: BaseException, traceback: TracebackType | None
) -> None:
    """What the interpreter does where the program has deleted ``sys.excepthook``."""
    _say("sys.excepthook is missing\n")
    sys.__excepthook__(kind, value, traceback)


def _call_hook(
    hook: Hook, kind: type[BaseException], value: BaseException, traceback: TracebackType | None
) -> None:
    """Call an exception hook as the interpreter does, also when the hook itself fails."""
    try:
        hook(kind, value, traceback)
    except SystemExit:
        raise
    except BaseException as failure:
        here = failure.__traceback__
        failure.__traceback__ = here.tb_next if here is not None else None
        _say("Error in sys.excepthook:\n")
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        _say("\nOriginal exception was:\n")
        sys.__excepthook__(kind, value, traceback)


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
