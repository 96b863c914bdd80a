"""The ``.pth`` file by which every interpreter of an environment comes up with macfix.

``site`` executes the lines of ``.pth`` files in the environment's ``site-packages``; ours executes
the code of ``early.py``, compiled into a file beside it, by its absolute path. It does so also with
``-I``, ``-E``, ``-P`` and where a program composes the environment variables of its children
afresh; only ``-S`` leaves it out. Where macfix was uninstalled without ``macfix disable``, nothing
happens.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import site
import stat
import sys
import sysconfig
import tempfile
from types import CodeType

from macfix.engine._bundle import HEADER, is_whole

from .bundling import bundle
from .root import ROOT

NAME = "macfix.pth"
CODE = "macfix_early.pyc"
"""What lies beside it: the code of ``early.py``."""

BUNDLE = "macfix.bundle"
"""What lies there as well: the modules of macfix, to be read when an upstream is imported."""

_MARK = b"# Written by `macfix enable`; `macfix disable` removes it."
_EARLY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "early.py")

# Every start compiles the line, each expression of it for a tenth of a per cent of the start:
# it names no module twice, does not look whether the file is there, and, where it is usually not
# executed, is a text. It is no import of `macfix_early`: that would search `sys.path`.
_EXECUTE = (
    "import _frozen_importlib_external as x;"
    "exec(x.SourcelessFileLoader('macfix_early',{file!a}).get_code('macfix_early'),{{}})"
)
_ON_LINUX = "import os;('MACFIX_SIMULATE'in os.environ or'MACFIX_FORCE'in os.environ)and exec({!a})"


class CannotEnableError(Exception):
    """This environment must not, or cannot, be changed; the message says why and what to do."""


def content(folder: str, platform: str = sys.platform) -> bytes:
    """The ``.pth`` file in *folder*: one line that ``site`` executes.

    On a Mac (*platform* is ``darwin``) there is nothing to ask; elsewhere only the environment.
    """
    execute = _EXECUTE.format(file=os.path.join(folder, CODE))
    line = execute if platform == "darwin" else _ON_LINUX.format(execute)
    return _MARK + f"\n{line}\n".encode()


def folder() -> str:
    """The folder of this environment that the file belongs in.

    Raises:
        CannotEnableError: if there is none that the interpreter looks into.
    """
    user = site.getusersitepackages()
    if site.ENABLE_USER_SITE and os.path.realpath(ROOT) == os.path.realpath(user):
        return user
    chosen = sysconfig.get_path("purelib")
    known = {os.path.realpath(place) for place in site.getsitepackages()}
    if os.path.realpath(chosen) not in known:
        raise CannotEnableError(
            f"{sys.executable} does not look for .pth files in {chosen}, where packages are "
            "installed: make a virtual environment, or start programs with `python -m macfix`"
        )
    return chosen


def enable() -> tuple[str, bool]:
    """Write the file and, before it, the code that it executes, unless they are there already.

    Returns:
        Its path, and whether anything was changed.

    Raises:
        CannotEnableError: if the environment is managed by somebody else, cannot be written to, or
            if macfix itself lies where others could change it.
    """
    _refuse_managed()
    place = folder()
    _refuse_unsafe(place)
    file = os.path.join(place, NAME)
    code, modules = os.path.join(place, CODE), bundle_of(file)
    current = is_current(file) and not is_out_of_date(modules)
    if current and not any(map(_may_be_changed, (file, code, modules))):
        return file, False
    for path in (modules, code, file):
        before = _read(path)
        if before is not None and not _is_ours(before):
            raise CannotEnableError(f"{path} was not written by macfix: look at it, and remove it")
    _write(modules, bundle(ROOT))
    _write(code, HEADER + marshal.dumps(_early(place)))
    _write(file, content(place))
    return file, True


def disable() -> list[str]:
    """Remove the files wherever this interpreter looks for them; the answer is what was removed.

    Raises:
        CannotEnableError: if one cannot be removed.
    """
    removed = []
    for file in [*written(NAME), *written(CODE), *written(BUNDLE)]:
        try:
            os.unlink(file)
        except OSError as error:
            raise CannotEnableError(f"cannot remove {file}: {error.strerror}") from None
        removed.append(file)
    return removed


def written(name: str = NAME) -> list[str]:
    """The files *name* that macfix wrote, of this version or another one, in this environment."""
    folders = [sysconfig.get_path("purelib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    files = [os.path.join(place, name) for place in dict.fromkeys(folders)]
    return [file for file in files if (data := _read(file)) is not None and _is_ours(data)]


def is_current(file: str) -> bool:
    """Whether *file* is there, and what it executes, and both are of this very macfix."""
    place = os.path.dirname(file)
    if _read(file) != content(place):
        return False
    code = _read(os.path.join(place, CODE)) or b""
    if not code.startswith(HEADER):
        return False
    try:
        found = marshal.loads(code[len(HEADER) :])
    except (EOFError, ValueError, TypeError):
        return False
    early = _early(place)
    # the bytes may differ where the code does not: marshal tells how often an object is used
    return isinstance(found, CodeType) and (found, found.co_filename) == (early, early.co_filename)


def bundle_of(file: str) -> str:
    """The bundle that belongs to the `.pth` *file*."""
    return os.path.join(os.path.dirname(file), BUNDLE)


def is_out_of_date(bundle: str) -> bool:
    """Whether *bundle* is not of this macfix as it is now; it is not used then."""
    return not is_whole(bundle, ROOT)


def _early(place: str) -> CodeType:
    """The code of ``early.py`` for the folder *place*."""
    with open(_EARLY, "rb") as stream:
        source = stream.read()
    source = source.replace(b'"<bundle>"', ascii(os.path.join(place, BUNDLE)).encode())
    code: CodeType = compile(source, _EARLY, "exec", dont_inherit=True, optimize=2)
    return code


def _is_ours(data: bytes) -> bool:
    if len(data) < len(HEADER):  # what is left of one: a copy that was cut off, a broken disk
        return HEADER.startswith(data) or _MARK.startswith(data)
    return data.startswith(_MARK) or data[8:16] == HEADER[8:16]


def _may_be_changed(file: str) -> bool:
    """Whether others than root, this user and the folder's owner may change *file*; or a link."""
    state = os.lstat(file)
    trusted = (0, os.geteuid(), os.stat(os.path.dirname(file)).st_uid)
    if not stat.S_ISREG(state.st_mode) or state.st_uid not in trusted:
        return True
    return bool(state.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _refuse_managed() -> None:
    """PEP 668: some Pythons belong to the system's package manager."""
    if sys.prefix != sys.base_prefix:
        return
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if os.path.exists(marker):
        raise CannotEnableError(
            f"this Python is externally managed ({marker} says so): make a virtual environment "
            "and enable macfix there, or start programs with `python -m macfix`"
        )


def _refuse_unsafe(place: str) -> None:
    if not os.path.isfile(_EARLY):
        raise CannotEnableError(
            f"macfix runs out of {ROOT}: install it into the environment to enable it there"
        )
    open_place = _what_others_can_change_of_macfix() or what_others_can_change(place)
    if open_place is not None:
        raise CannotEnableError(
            f"other users can change {open_place}, and with it what every interpreter here would "
            "execute: install macfix elsewhere, or take away their right to write"
        )


def _what_others_can_change_of_macfix() -> str | None:
    """The first file or folder of the package that every user of the machine can change."""
    package = os.path.join(ROOT, "macfix")
    for folder, _, names in os.walk(package):
        for name in ("", *names):
            try:
                found = what_others_can_change(os.path.join(folder, name))
            except OSError:
                continue  # a link to nowhere: nothing that could be executed
            if found is not None:
                return found
    return None


def what_others_can_change(path: str) -> str | None:
    """The first of *path* and the folders that it is in that every user of the machine can change.

    Groups are left out: package managers for a whole group (Homebrew) are common, and on purpose.
    A sticky folder counts only if it holds *path* itself, next to which anything can be put.

    Raises:
        OSError: if *path* does not exist.
    """
    place = os.path.realpath(path)
    holds_it = (place, os.path.dirname(place))
    while True:
        mode = os.lstat(place).st_mode
        if mode & stat.S_IWOTH and (place in holds_it or not mode & stat.S_ISVTX):
            return place
        above = os.path.dirname(place)
        if above == place:
            return None
        place = above


def _read(file: str) -> bytes | None:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError:
        return None


def _write(file: str, data: bytes) -> None:
    try:
        _write_atomically(file, data)
    except OSError as error:
        raise CannotEnableError(
            f"cannot write {file}: {error.strerror}; enable macfix in a virtual environment of "
            "your own, or start programs with `python -m macfix`"
        ) from None


def _write_atomically(file: str, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".macfix-", dir=os.path.dirname(file))
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
