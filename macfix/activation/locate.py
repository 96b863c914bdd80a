"""Finds out which program a command line means.

In this order: ``-m MODULE`` (and ``-c TEXT``), a path, a script of the environment, a console
script that an installed distribution declares, a package with a ``__main__`` module.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

from .programs import (
    Archive,
    CannotRunError,
    Command,
    EntryPoint,
    Module,
    Program,
    Script,
    absolute,
    has_importer,
    safe_path,
    working_directory,
)
from .shebang import interpreter_of

TYPE_CHECKING = False  # not typing's: what is imported here, the program cannot shadow any more
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec


def locate(words: Sequence[str]) -> tuple[Program, list[str]]:
    """The program that *words* name, and the arguments left for it.

    Raises:
        CannotRunError: if there is no such program. The message lists what was tried.
    """
    if not words:
        raise CannotRunError("no program was given")
    first, rest = words[0], list(words[1:])
    for option, kind in (("-m", Module), ("-c", Command)):
        if first == option:
            if not rest:
                raise CannotRunError(f"argument expected for the {option} option")
            return kind(rest[0]), rest[1:]
        if first.startswith(option):
            return kind(first[2:]), rest
    return _by_name(first), rest


def _by_name(name: str) -> Program:
    tried: list[str] = []
    for kind, find in (
        ("path", _path),
        ("script of this environment", _environment_script),
        ("console script", _entry_point),
        ("package", _package),
    ):
        found = find(name)
        if isinstance(found, Program):
            return found
        tried.append(f"  {kind}: {found}")
        if _is_plain_path(name):
            break
    raise CannotRunError("\n".join([f"there is no program {name!r}; tried as", *tried]))


def _is_plain_path(name: str) -> bool:
    return os.sep in name or name in (os.curdir, os.pardir)


# Each of the following answers with the program, or with why there is none, in a few words.


def _path(name: str) -> Program | str:
    file = absolute(name)
    if not os.path.exists(file):
        return f"{file} does not exist"
    if not has_importer(file):
        return Script(name)
    # Not asked of a zip file: its finder compiles what it finds, and a zip file is a program anyway
    if os.path.isdir(file) and PathFinder.find_spec("__main__", [file]) is None:
        return f"{file} has no __main__.py in it"
    return Archive(name)


def _environment_script(name: str) -> Program | str:
    folders = script_folders()
    for folder in folders:
        file = os.path.join(folder, name)
        if os.path.isfile(file):
            return _checked_script(file)
    return f"none of that name in {' or '.join(folders)}"


def script_folders() -> list[str]:
    """Where the scripts of this environment lie, the most specific folder first."""
    import site
    import sysconfig

    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable or "")]
    if site.ENABLE_USER_SITE:
        folders.append(sysconfig.get_path("scripts", f"{os.name}_user"))
    return [folder for folder in dict.fromkeys(folders) if folder]


def _checked_script(file: str) -> Script | Archive:
    interpreter = interpreter_of(file)
    if interpreter is None:
        raise CannotRunError(f"{file} is not a Python script, so macfix cannot run it")
    theirs, ours = _virtual_environment(interpreter), _own_virtual_environment()
    if os.path.exists(interpreter) and theirs != ours:
        raise CannotRunError(
            f"{file} belongs to another Python ({interpreter}): install macfix there, and run "
            f"{interpreter} -m macfix {os.path.basename(file)}"
        )
    return Archive(file) if has_importer(file) else Script(file)


def _virtual_environment(interpreter: str) -> str | None:
    """The virtual environment that *interpreter* belongs to, or None."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(interpreter)))
    has_config = os.path.isfile(os.path.join(folder, "pyvenv.cfg"))
    return os.path.realpath(folder) if has_config else None


def _own_virtual_environment() -> str | None:
    return os.path.realpath(sys.prefix) if sys.prefix != sys.base_prefix else None


def _entry_point(name: str) -> Program | str:
    points, unreadable = _console_scripts(name)
    for value in points:
        module, _, function = value.partition("[")[0].replace(" ", "").partition(":")
        if all(map(_is_dotted, (module, function))):
            return EntryPoint(script_folders()[0], name, module, function)
    why = "no installed distribution declares one of that name"
    if points:
        why = f"what is declared by that name is no function: {', '.join(points)}"
    if unreadable:
        why += f" (cannot be read: {', '.join(unreadable)})"
    return why


def _console_scripts(name: str) -> tuple[list[str], list[str]]:
    """What is declared as the console script *name*, and the distributions that cannot be read."""
    from importlib.metadata import distributions, entry_points

    try:
        return [point.value for point in entry_points(group="console_scripts", name=name)], []
    except Exception:  # one distribution is broken: look into each by itself
        points: list[str] = []
        unreadable: list[str] = []
    for distribution in distributions():
        try:
            declared = distribution.entry_points
        except Exception:
            unreadable.append(str(getattr(distribution, "_path", distribution)))
            continue
        wanted = ("console_scripts", name)
        points += [point.value for point in declared if (point.group, point.name) == wanted]
    return points, unreadable


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _package(name: str) -> Program | str:
    if not _is_dotted(name):
        return "that is not a name of one"
    top, *rest = name.split(".")
    spec = _find_top(top)
    for part in rest:
        # by its last name only: a namespace package's spec would look for its parent's module
        places = spec.submodule_search_locations if spec is not None else None
        spec = PathFinder.find_spec(part, [*places]) if places else None
    if spec is None:
        return "no module of that name is installed"
    if spec.submodule_search_locations is None:
        return f"{name} is a module and no package; `-m {name}` runs it"
    main = PathFinder.find_spec("__main__", [*spec.submodule_search_locations])
    return Module(name) if main else f"{name} has no __main__ module in it"


def _find_top(name: str) -> ModuleSpec | None:
    """Find the top-level module *name* where the program would find it, importing nothing."""
    here = None if safe_path() else working_directory()
    found = PathFinder.find_spec(name, [*([here] if here else []), *sys.path])
    if found is not None:
        return found
    for finder in sys.meta_path:  # editable installs have finders of their own
        find_spec = getattr(finder, "find_spec", None)
        found = find_spec(name, None) if find_spec is not None else None
        if found is not None:
            break
    return found
