"""`macfix enable`: the cause is named where interpreters do not come up with macfix."""

from __future__ import annotations

import errno
import os
import py_compile
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest

from macfix.activation import enabling
from macfix.activation.enabling import AUTOLOAD, NAME, CannotEnableError

real_compile = py_compile.compile


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site-packages of an environment, as this process sees it; its interpreters come up."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    real = sysconfig.get_path

    def get_path(name: str, *more: Any) -> str:
        return str(folder) if name == "purelib" else real(name, *more)

    monkeypatch.setattr(sysconfig, "get_path", get_path)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(folder)])
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(enabling, "_failure_of_a_new_interpreter", lambda flags: "")
    return folder


class Flags:
    """What macOS keeps for each file, and Linux does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: dict[str, int] = {}
        real = os.stat

        def stat(path: Any, **how: Any) -> Any:
            found = real(path, **how)
            return WithFlags(found, self.of.get(str(path), 0))

        monkeypatch.setattr(os, "stat", stat)
        monkeypatch.setattr(os, "chflags", self.of.__setitem__, raising=False)


class WithFlags:
    def __init__(self, found: os.stat_result, flags: int) -> None:
        self._found = found
        self.st_flags = flags

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)


# -- full disks ------------------------------------------------------------------------------------


def cut_off(file: str) -> None:
    """What `py_compile` does where the disk becomes full: it notices nothing."""
    real_compile(file)
    bytecode = Path(cache_from_source(file))
    bytecode.write_bytes(bytecode.read_bytes()[:-100])


def fails(file: str) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("compiling", [cut_off, fails])
def test_half_of_the_bytecode_does_not_stay(
    packages: Path, monkeypatch: pytest.MonkeyPatch, compiling: Callable[[str], None]
) -> None:
    monkeypatch.setattr(py_compile, "compile", compiling)
    with pytest.raises(CannotEnableError, match=r"cannot write .*_macfix_autoload.*pyc"):
        enabling.enable()
    assert not list(packages.rglob("*.pyc"))
    assert not (packages / NAME).exists(), "interpreters would come up with it"


# -- hidden files ----------------------------------------------------------------------------------


def test_a_hidden_file_is_named_and_shown_again(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Finder and iCloud hide files in a `.venv`, and `site` skips a hidden `.pth`."""
    enabling.enable()
    flags = Flags(monkeypatch)
    file = str(packages / NAME)
    other = 0x40
    flags.of[file] = 0x8000 | other
    (problem,) = enabling.problems()
    assert problem == f"{file} is hidden (UF_HIDDEN), so site skips it: `macfix enable` shows it"
    assert enabling.enable() == (file, True)
    assert flags.of[file] == other
    assert enabling.problems() == []
    assert enabling.enable() == (file, False)


# -- what --check says -----------------------------------------------------------------------------


def not_written(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (packages / NAME).unlink()


def moved(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (packages / NAME).read_text()
    (packages / NAME).write_text(text.replace(str(packages), "/where/it/was"))


def another_macfix(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another = packages.parent / "another"
    (another / "macfix").mkdir(parents=True)
    text = (packages / NAME).read_text()
    (packages / NAME).write_text(text.replace(os.path.realpath(enabling.ROOT), str(another)))


def macfix_gone(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another_macfix(packages, monkeypatch)
    (packages.parent / "another" / "macfix").rmdir()


def cut_off_pth(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (packages / NAME).read_bytes()
    (packages / NAME).write_bytes(data[:-20])


def another_version(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (packages / AUTOLOAD).open("a") as file:
        file.write("# of another version\n")


def autoload_gone(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (packages / AUTOLOAD).unlink()


def off(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACFIX", "off")


def an_interpreter_that_does_not_come_up(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enabling, "_failure_of_a_new_interpreter", lambda flags: "0")


CAUSES: dict[Callable[[Path, pytest.MonkeyPatch], None], str] = {
    not_written: "macfix is not enabled in",
    moved: "was written for another folder: the environment was moved or copied: `macfix enable`",
    another_macfix: "/another, which wins over this one: `macfix enable` puts that right",
    macfix_gone: "/another, which is gone: `macfix enable` puts that right",
    cut_off_pth: f"{NAME} is missing or of another version: `macfix enable` puts that right",
    another_version: f"{AUTOLOAD} is missing or of another version: `macfix enable` puts that",
    autoload_gone: f"{AUTOLOAD} is missing or of another version: `macfix enable` puts that",
    off: "MACFIX=off is set, which switches macfix off: unset it",
    an_interpreter_that_does_not_come_up: "is there, and yet macfix does not come up: 0",
}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_the_cause_is_named(
    packages: Path, monkeypatch: pytest.MonkeyPatch, cause: Callable[..., None]
) -> None:
    enabling.enable()
    assert enabling.problems() == []
    assert not enabling.problems()
    cause(packages, monkeypatch)
    (problem,) = enabling.problems()
    assert CAUSES[cause] in problem
    assert enabling.problems()
    if "`macfix enable`" in problem:
        assert enabling.enable() == (str(packages / NAME), True)
        assert enabling.problems() == []


def test_the_interpreter_that_is_looked_at_runs_nothing_of_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real_run, started = subprocess.run, []

    def run(words: list[str], **how: Any) -> Any:
        started.append((words, how.get("env", {})))
        return real_run(words, **how)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("MACFIX_SIMULATE", "1")
    monkeypatch.setattr(sys, "platform", "darwin")  # as in a process that is simulated
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linecache.py").write_text("open('ran', 'w')")
    enabling._failure_of_a_new_interpreter([])
    words, env = started[0]
    assert sys.version_info < (3, 11) or "-P" in words
    assert "MACFIX_SIMULATE" not in env and env["MACFIX_FORCE"] == ""
    assert not (tmp_path / "ran").exists()


def test_what_macfix_needs_and_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enabling, "_PROBE", enabling._PROBE.replace("wrapt", "wrapt_is_gone"))
    assert enabling._failure_of_a_new_interpreter([]) == "wrapt_is_gone cannot be found"


def test_what_is_printed_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = r"import sys; sys.stdout.buffer.write(b'\xff\n'); sys.stderr.buffer.write(b'\xff\n')"
    probe = enabling._PROBE.replace("wrapt", "wrapt_is_gone")
    monkeypatch.setattr(enabling, "_PROBE", f"{prints}\n{probe}")
    assert "wrapt_is_gone cannot be found" in enabling._failure_of_a_new_interpreter([])


def test_without_site_there_is_no_way_in(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutSite:
        no_site = 1

    enabling.enable()
    monkeypatch.setattr(sys, "flags", WithoutSite())
    (problem,) = enabling.problems()
    assert "runs with -S" in problem


# -- one environment, two spellings ----------------------------------------------------------------


def test_two_spellings_of_a_folder_are_one_environment(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/tmp` is a link to `/private/tmp`; and there may be a slash at the end."""
    (tmp_path / "link").symlink_to(packages)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path / "link"), f"{packages}/"])
    file, changed = enabling.enable()
    assert (Path(file), changed) == (packages / NAME, True)
    assert len(enabling.written()) == 1
    for spelling in (tmp_path / "link", packages):
        monkeypatch.setattr(enabling, "folder", lambda place=spelling: str(place))
        assert enabling.problems() == []
        assert not enabling.enable()[1]
    assert [Path(name).name for name in enabling.disable()] == [NAME, AUTOLOAD]
    assert enabling.disable() == []


def test_a_folder_that_no_interpreter_looks_into_is_refused(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "getsitepackages", lambda: ["/elsewhere"])
    with pytest.raises(CannotEnableError, match=r"does not look for \.pth files in"):
        enabling.enable()
    assert list(packages.iterdir()) == []


# -- nothing of root's in a user's folder ----------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_under_sudo_nothing_is_written_into_a_users_environment(packages: Path) -> None:
    os.chown(packages, 12345, 12345)
    with pytest.raises(CannotEnableError, match="belongs to user 12345, and would get files of ro"):
        enabling.enable()
    assert list(packages.iterdir()) == []


def test_what_is_half_written_is_not_left(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CannotEnableError, match=r"cannot write .*: No space left on device"):
        enabling.enable()
    assert list(packages.iterdir()) == []
