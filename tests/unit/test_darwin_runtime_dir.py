"""The runtime directory: short, private, made once by many, and refused where it is not safe."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from macfix.darwin.sockets import runtime_dir as module
from macfix.darwin.sockets.runtime_dir import runtime_dir
from tests.support.surroundings import REPOSITORY

OWN = f"tractor-{os.getuid()}"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder like /tmp: everybody may write, nobody may remove what is another's."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_it_is_where_newer_tractors_put_it() -> None:
    assert runtime_dir() == Path("/tmp", OWN)
    assert mode_of(runtime_dir()) == 0o700


def test_an_environment_variable_does_not_move_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "TMP", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert runtime_dir() == Path("/tmp", OWN)


def test_the_base_can_be_replaced_for_all_callers(
    monkeypatch: pytest.MonkeyPatch, base: Path
) -> None:
    monkeypatch.setattr(module, "BASE", base)
    assert runtime_dir("other") == base / f"other-{os.getuid()}"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_it_is_open_to_its_owner_only_whatever_the_umask(base: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder = runtime_dir(subdir="a/b", base=base)
    finally:
        os.umask(before)
    assert folder == base / OWN / "a" / "b"
    assert [mode_of(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3


@pytest.mark.parametrize("mode", [0o000, 0o500, 0o755, 0o777])
def test_a_folder_of_ours_with_another_mode_is_tightened(base: Path, mode: int) -> None:
    (base / OWN).mkdir()
    (base / OWN).chmod(mode)
    assert mode_of(runtime_dir(base=base)) == 0o700


def test_a_component_of_ours_with_another_mode_is_tightened(base: Path) -> None:
    (runtime_dir(base=base) / "sub").mkdir()
    (base / OWN / "sub").chmod(0o777)
    assert mode_of(runtime_dir(subdir="sub", base=base)) == 0o700


def test_what_is_in_it_is_kept(base: Path) -> None:
    (runtime_dir(base=base) / "registry@1616.sock").touch()
    assert (runtime_dir(base=base) / "registry@1616.sock").exists()


@pytest.mark.parametrize("subdir", [None, "sub", "sub/deeper"])
def test_a_symlink_is_refused_and_what_it_points_to_left_alone(
    base: Path, tmp_path: Path, subdir: str | None
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    before = mode_of(victim)
    link = base / OWN if subdir is None else runtime_dir(base=base) / "sub"
    link.symlink_to(victim)
    with pytest.raises(PermissionError, match="symbolic link") as caught:
        runtime_dir(subdir=subdir, base=base)
    assert caught.value.filename == str(link)
    assert mode_of(victim) == before
    assert list(victim.iterdir()) == []


def test_a_dangling_symlink_is_refused_too(base: Path) -> None:
    (base / OWN).symlink_to(base / "nowhere")
    with pytest.raises(PermissionError, match="symbolic link"):
        runtime_dir(base=base)


def test_a_file_in_its_place_is_refused(base: Path) -> None:
    (base / OWN).touch()
    with pytest.raises(PermissionError, match="not a directory"):
        runtime_dir(base=base)


def test_a_foreign_owner_is_refused_and_both_are_named(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = os.getuid() + 1
    (base / f"tractor-{stranger}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(PermissionError, match="sudo rm") as caught:
        runtime_dir(base=base)
    assert str(stranger) in str(caught.value)
    assert str(stranger - 1) in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a while")
def test_what_it_has_made_itself_is_its_own(base: Path) -> None:
    code = (
        "from macfix.darwin.sockets.runtime_dir import runtime_dir; import os, pathlib; "
        "os.seteuid(65534); print(runtime_dir(base=pathlib.Path()))"
    )
    env = {"PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=base, env=env, capture_output=True, text=True)
    assert done.stdout == f"{OWN}\n", done.stderr


def test_a_base_in_which_others_can_replace_it_is_refused(base: Path) -> None:
    base.chmod(0o777)
    with pytest.raises(PermissionError, match="sticky"):
        runtime_dir(base=base)
    assert list(base.iterdir()) == []


def test_a_missing_base_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        runtime_dir(base=tmp_path / "missing")


@pytest.mark.parametrize("subdir", ["/etc", "..", "a/../../b", "../tractor-0"])
def test_a_subdir_cannot_leave_it(base: Path, subdir: str) -> None:
    with pytest.raises(ValueError, match="subdir"):
        runtime_dir(subdir=subdir, base=base)
    assert list(base.iterdir()) == []


@pytest.mark.parametrize("appname", ["", "a/b", "/etc", "nul\0"])
def test_an_appname_is_one_component(base: Path, appname: str) -> None:
    with pytest.raises(ValueError, match="appname"):
        runtime_dir(appname, base=base)


@pytest.mark.parametrize("nothing", [None, "", "."])
def test_no_subdir_is_the_folder_itself(base: Path, nothing: str | None) -> None:
    assert runtime_dir(subdir=nothing, base=base) == base / OWN


def test_many_processes_at_once_all_get_the_same_private_folder(base: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from macfix.darwin.sockets.runtime_dir import runtime_dir\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "for number in range(50):\n"
        f"    runtime_dir(subdir=f'n{{number}}/deep', base=pathlib.Path({str(base)!r}))\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == b"ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
    for racer in racers:
        assert racer.stderr is not None
        assert racer.stdout is not None
        problem = racer.stderr.read().decode()
        racer.stderr.close()
        racer.stdout.close()
        assert racer.wait() == 0, problem
    made = list(base.rglob("*"))
    assert len(made) == 1 + 50 + 50
    assert {mode_of(path) for path in made} == {0o700}


def test_somebody_who_may_removes_it_meanwhile(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that clears /tmp, say: what is missing is made again."""
    left = [2, 1]  # how often the folder, and then the one in it, goes as soon as it is made
    make = Path.mkdir

    def mkdir(self: Path, *args: int) -> None:
        make(self, *args)
        depth = len(self.relative_to(base).parts) - 1
        if left[depth]:
            left[depth] -= 1
            self.rmdir()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert runtime_dir(subdir="sub", base=base) == base / OWN / "sub"
    assert mode_of(base / OWN / "sub") == 0o700
    assert left == [0, 0]


def test_who_removes_it_all_but_the_last_time_is_waited_for(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir, removed = Path.mkdir, iter(range(module.ATTEMPTS - 1))
    monkeypatch.setattr(
        Path, "mkdir", lambda self, mode: next(removed, None) is None and mkdir(self, mode)
    )
    assert runtime_dir(base=base).is_dir()


def test_who_removes_it_each_time_is_not_waited_for(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "mkdir", lambda self, mode: None)
    with pytest.raises(FileNotFoundError):
        runtime_dir(base=base)
