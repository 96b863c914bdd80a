"""Finds out which program a command line means, without importing anything of it.

In this order: ``-m MODULE`` and ``-c TEXT``, ``-`` for standard input, a path, a script of the
environment, a console script that an installed distribution declares, a package with a
``__main__`` module. The answer is a list of words for the interpreter's command line.
"""

from __future__ import annotations

import os
import site
import stat
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import PathFinder

from macfix.engine import locating

_LAUNCHER = "'''exec'"


class CannotRunError(Exception):
    """There is no such program, or macfix cannot run it; the message says why."""


Found = list[str] | str
"""The interpreter's command line, or why there is no program of some kind, in a few words."""


def find_program(words: Sequence[str]) -> list[str]:
    """The interpreter's command line for the program, and its arguments, that *words* name.

    Raises:
        CannotRunError: if there is no such program. The message lists what was tried.
    """
    if not words:
        raise CannotRunError("no program was given")
    first, rest = words[0], list(words[1:])
    for option in ("-m", "-c"):
        if first == option and not rest:
            raise CannotRunError(f"argument expected for the {option} option")
        if first.startswith(option):
            return [first, *rest]
    return [*_by_name(first), *rest]


def _by_name(name: str) -> list[str]:
    if name == "-":
        return [name]
    tried: list[str] = []
    for kind, find in (
        ("path", _path),
        ("script of this environment", _environment_script),
        ("console script", _console_script),
        ("package", _package),
    ):
        found = find(name)
        if isinstance(found, list):
            return found
        tried.append(f"  {kind}: {found}")
        if os.sep in name or name in (os.curdir, os.pardir):
            break  # that is nothing but a path
    raise CannotRunError("\n".join([f"there is no program {name!r}; tried as", *tried]))


def _path(name: str) -> Found:
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        return f"{os.path.join(_working_directory(), name)}: {error.strerror}"
    if stat.S_ISDIR(mode):
        # by the finder: there may be a __main__.pyc instead
        if PathFinder.find_spec("__main__", [os.path.abspath(name)]) is None:
            return f"{name} has no __main__.py in it"
    else:
        _refuse_other_environment(name)
    return ["--", name] if name.startswith("-") else [name]


def _environment_script(name: str) -> Found:
    folders = script_folders()
    for folder in folders:
        file = os.path.join(folder, name)
        if os.path.isfile(file):
            if interpreter_of(file) is None:
                raise CannotRunError(f"{file} is not a Python script, so macfix cannot run it")
            _refuse_other_environment(file)
            return [file]
    return f"none of that name in {' or '.join(folders)}"


def script_folders() -> list[str]:
    """Where the scripts of this environment lie, the most specific folder first."""
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable or "")]
    if site.ENABLE_USER_SITE:
        folders.append(sysconfig.get_path("scripts", f"{os.name}_user"))
    return [folder for folder in dict.fromkeys(folders) if folder]


def _refuse_other_environment(file: str) -> None:
    """Refuse a script of another virtual environment, where other packages are."""
    interpreter = interpreter_of(file)
    theirs = _virtual_environment(interpreter) if interpreter else None
    ours = os.path.realpath(sys.prefix) if sys.prefix != sys.base_prefix else None
    if theirs is not None and theirs != ours:
        raise CannotRunError(
            f"{file} belongs to another Python ({interpreter}): install macfix there, and run "
            f"{interpreter} -m macfix {file}"
        )


def _virtual_environment(interpreter: str) -> str | None:
    """The virtual environment that *interpreter*, which exists, belongs to, or None."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(interpreter)))
    has_config = os.path.isfile(os.path.join(folder, "pyvenv.cfg"))
    return os.path.realpath(folder) if has_config and os.path.exists(interpreter) else None


def interpreter_of(file: str) -> str | None:
    """The path of the Python that the script *file* asks for.

    Returns:
        "" where the script leaves the choice (``#!/usr/bin/env python``), and None if *file*
        cannot be read or does not ask for a Python.

    For paths that are too long for a ``#!`` line, or have blanks in them, installers write a shell
    script that is a Python script as well::

        #!/bin/sh
        '''exec' "/a long path/python" "$0" "$@"
        ' '''
    """
    try:
        if not os.path.isfile(file):
            return None  # a pipe: what is read here, the program has not any more
        with open(file, "rb") as stream:
            # not read(): macOS's /dev/fd/N has one position with N, from which Python reads on
            head = os.pread(stream.fileno(), 4096, 0)
    except OSError:
        return None
    first, _, rest = head.decode("utf-8", "surrogateescape").partition("\n")
    second = rest.partition("\n")[0]
    if not first.startswith("#!"):
        return None
    command = first[2:].strip()
    if second.startswith(_LAUNCHER):
        command = second[len(_LAUNCHER) :].strip()
    quoted = command.startswith(("'", '"'))
    path = command[1:].partition(command[0])[0] if quoted else command.partition(" ")[0]
    if os.path.isabs(path) and _names_python(path):
        return path
    return "" if _names_python(command) else None


def _names_python(text: str) -> bool:
    return "python" in os.path.basename(text) or "pypy" in os.path.basename(text)


def _console_script(name: str) -> Found:
    from importlib.metadata import distributions  # slow to import, and rarely needed

    declared: list[str] = []
    unreadable: list[str] = []
    for distribution in distributions():
        try:
            points = distribution.entry_points.select(group="console_scripts", name=name)
            declared += [point.value for point in points]
        except Exception:
            unreadable.append(str(getattr(distribution, "_path", distribution)))
    for value in declared:
        module, _, function = value.partition("[")[0].replace(" ", "").partition(":")
        if _is_dotted(module) and _is_dotted(function):
            # what installers write into the script that is missing here
            argv0 = os.path.join(script_folders()[0], name)
            return [
                "-c",
                f"import sys; sys.argv[0] = {argv0!r}; from {module} import "
                f"{function.partition('.')[0]}; sys.exit({function}())",
            ]
    why = "no installed distribution declares one of that name"
    if declared:
        why = f"what is declared by that name is no function: {', '.join(declared)}"
    if unreadable:
        why += f" (cannot be read: {', '.join(unreadable)})"
    return why


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _package(name: str) -> Found:
    if not _is_dotted(name):
        return "that is not a name of one"
    safe = getattr(sys.flags, "safe_path", False) or sys.flags.isolated
    spec = locating.locate(name, () if safe else (_working_directory(),))
    if spec is None:
        return "no module of that name is installed"
    if spec.submodule_search_locations is None:
        return f"{name} is a module and no package; `-m {name}` runs it"
    if PathFinder.find_spec("__main__", [*spec.submodule_search_locations]) is None:
        return f"{name} has no __main__ module in it"
    return ["-m", name]


def _working_directory() -> str:
    """The current directory, or "" if it does not exist any more."""
    try:
        return os.getcwd()
    except OSError:
        return ""
