"""What stands for `/dev/shm` on a Mac: the journal, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from macfix.darwin import journal
from macfix.darwin.shared_memory import SharedMemory
from macfix.patches.shm_dev_shm import SegmentsPath


@pytest.fixture(autouse=True)
def own_journal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the journal of this process where this test's home is."""
    monkeypatch.setattr(journal, "_current", None)
    monkeypatch.delenv(journal.TREE_VARIABLE, raising=False)
    yield
    opened = journal.current()
    if opened is not None:
        opened.end()
    os.environ.pop(journal.TREE_VARIABLE, None)


@pytest.mark.parametrize("key", ["dev-shm.xsimusdt.simx.hist", "dev-shm[日本語].xsimusdt.simx.rt"])
def test_segments_are_found_under_their_keys(key: str) -> None:
    made = SharedMemory(f"{os.getpid()}.{key}", create=True, size=64, track=False)
    found = list(SegmentsPath("/dev/shm/").glob("*xsimusdt.simx*"))
    made.close()
    made.unlink()
    assert [path.name for path in found] == [made.name]
    assert str(found[0]) == f"/dev/shm/{made.name}" and found[0].is_file()
    assert list(SegmentsPath("/dev/shm/").glob("*xsimusdt.simx*")) == []


def test_another_folder_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert list(SegmentsPath(tmp_path).glob("*")) == [tmp_path / "file"]


@pytest.mark.parametrize("how", ["file in the way", "symbolic link", "relative"])
def test_where_no_journal_can_be_read_nothing_is_found_and_that_is_said(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if how == "relative":
        monkeypatch.setenv("MACFIX_STATE_DIR", "relative")
    else:
        journal.shm_folder().parent.mkdir(parents=True)
        if how == "symbolic link":
            journal.shm_folder().symlink_to(tmp_path, target_is_directory=True)
        else:
            journal.shm_folder().write_text("in the way")
    assert list(SegmentsPath("/dev/shm/").glob("*")) == []
    assert "cannot be read" in caplog.text
