"""Who owns a file and who may change it, through links and sticky folders."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from macfix import _files

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "top" / "folder"
    made.mkdir(parents=True)
    tmp_path.chmod(0o700)
    return made


# -- world_writable --------------------------------------------------------------------------------


def test_what_only_its_owner_can_change_is_not_world_writable(folder: Path) -> None:
    assert _files.world_writable(str(folder)) is None
    folder.chmod(0o775)  # a group's: Homebrew
    assert _files.world_writable(str(folder)) is None


def test_a_file_or_folder_that_everybody_writes_is_named(folder: Path) -> None:
    (folder / "file").touch(0o600)
    (folder / "file").chmod(0o606)
    assert _files.world_writable(str(folder / "file")) == str(folder / "file")
    folder.chmod(0o707)
    assert _files.world_writable(str(folder)) == str(folder)


@pytest.mark.parametrize(("mode", "counts"), [(0o777, True), (0o1777, False)])
def test_a_folder_above_counts_unless_it_is_sticky(folder: Path, mode: int, counts: bool) -> None:
    folder.parent.chmod(mode)
    assert _files.world_writable(str(folder)) == (str(folder.parent) if counts else None)


def test_a_sticky_folder_itself_counts_as_anything_can_be_added_to_it(folder: Path) -> None:
    folder.chmod(0o1777)
    assert _files.world_writable(str(folder)) == str(folder)


def test_a_link_is_judged_where_it_leads(folder: Path, tmp_path: Path) -> None:
    """macOS's /tmp is a link to the sticky /private/tmp; its own mode is of no interest."""
    link = tmp_path / "tmp"
    link.symlink_to(folder.parent)
    assert _files.world_writable(str(link / "folder")) is None
    folder.parent.chmod(0o1777)
    assert _files.world_writable(str(link / "folder")) is None
    folder.chmod(0o777)
    assert _files.world_writable(str(link / "folder")) == str(folder)


def test_a_link_whose_own_mode_says_777_does_not_count(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert stat.S_IMODE(os.lstat(link).st_mode) == 0o777 or os.uname().sysname == "Darwin"
    assert _files.world_writable(str(link)) is None


def test_what_is_not_there_cannot_be_judged(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _files.world_writable(str(folder / "absent"))


# -- is_private ------------------------------------------------------------------------------------


def test_a_folder_of_ones_own_is_private(folder: Path) -> None:
    assert _files.is_private(str(folder))


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_write_is_not(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    assert not _files.is_private(str(folder))


@pytest.mark.parametrize(("mode", "private"), [(0o770, False), (0o707, False), (0o1777, True)])
def test_a_folder_above_that_others_write_lets_them_replace_it(
    folder: Path, mode: int, private: bool
) -> None:
    folder.parent.chmod(mode)
    assert _files.is_private(str(folder)) is private


def test_a_link_and_a_file_are_no_private_folders(folder: Path) -> None:
    (folder / "link").symlink_to(folder)
    (folder / "file").touch(0o600)
    assert not _files.is_private(str(folder / "link"))
    assert not _files.is_private(str(folder / "file"))
    with pytest.raises(FileNotFoundError):
        _files.is_private(str(folder / "absent"))


@as_root
def test_another_users_folder_is_not_private_nor_is_what_lies_in_it(folder: Path) -> None:
    os.chown(folder.parent, 12345, 12345)
    assert not _files.is_private(str(folder))
    os.chown(folder.parent, 0, 0)
    os.chown(folder, 12345, 12345)
    assert not _files.is_private(str(folder))


# -- make_private ----------------------------------------------------------------------------------


def test_a_private_folder_is_made_with_what_is_missing_above_it(folder: Path) -> None:
    for _ in range(2):
        _files.make_private(str(folder / "a" / "b"))
    assert stat.S_IMODE((folder / "a" / "b").stat().st_mode) == 0o700
    assert _files.is_private(str(folder / "a" / "b"))


def test_a_folder_that_is_there_already_is_made_private(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a").chmod(0o755)
    _files.make_private(str(folder / "a"))
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o700


def test_links_above_it_are_as_the_user_has_arranged_them(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    _files.make_private(str(tmp_path / "link" / "a"))
    assert (folder / "a").is_dir()


@pytest.mark.parametrize("what", ["link", "file", "dangling"])
def test_what_is_there_and_no_folder_is_refused(folder: Path, what: str) -> None:
    place = folder / "place"
    if what == "file":
        place.touch()
    else:
        place.symlink_to(folder.parent if what == "link" else folder / "absent")
    with pytest.raises(PermissionError, match="a symbolic link or no folder; remove it"):
        _files.make_private(str(place))


@as_root
def test_another_users_folder_is_refused_and_left_as_it_is(folder: Path) -> None:
    folder.chmod(0o755)
    os.chown(folder, 12345, 12345)
    with pytest.raises(PermissionError, match="belongs to user 12345, this process runs as user 0"):
        _files.make_private(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


# -- owner_is_somebody_else ------------------------------------------------------------------------


def test_what_does_not_exist_would_belong_to_who_owns_the_folder_above(folder: Path) -> None:
    assert not _files.owner_is_somebody_else(str(folder / "a" / "b" / "c"))


def test_under_sudo_the_owner_is_somebody_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert _files.owner_is_somebody_else(str(folder))
    assert _files.owner_is_somebody_else(str(folder / "a" / "b"))


# -- read_own and write_atomically -----------------------------------------------------------------


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    file = folder / "file"
    for data in (b"one", b"another, longer"):
        _files.write_atomically(str(file), data)
        assert _files.read_own(str(file)) == data
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    _files.write_atomically(str(file), b"", 0o644)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in folder.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_could_have_written_is_not_read(folder: Path, mode: int) -> None:
    file = folder / "file"
    file.write_bytes(b"text")
    file.chmod(mode)
    with pytest.raises(PermissionError, match="another user could have written this file"):
        _files.read_own(str(file))


@as_root
def test_another_users_file_is_not_read(folder: Path) -> None:
    (folder / "file").touch(0o600)
    os.chown(folder / "file", 12345, 12345)
    with pytest.raises(PermissionError):
        _files.read_own(str(folder / "file"))


def test_what_is_no_regular_file_is_not_read_and_nobody_waits_for_it(folder: Path) -> None:
    os.mkfifo(folder / "fifo", 0o600)
    (folder / "file").touch(0o600)
    (folder / "link").symlink_to(folder / "file")
    for name in ("fifo", "link", "."):
        with pytest.raises(OSError):
            _files.read_own(str(folder / name))


@pytest.mark.parametrize("step", ["fchmod", "replace"])
def test_a_file_that_cannot_be_written_whole_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    _files.write_atomically(str(folder / "file"), b"before")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        _files.write_atomically(str(folder / "file"), b"after")
    assert [each.name for each in folder.iterdir()] == ["file"]
    assert (folder / "file").read_bytes() == b"before"
