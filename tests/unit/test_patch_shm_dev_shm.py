"""What stands for `/dev/shm` on a Mac: the segments on record, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes
from macfix.darwin.segments import place
from macfix.darwin.segments.shared_memory import SharedMemory
from macfix.patches.shm.dev_shm import SegmentsPath, install, path_or_segments
from tests.support.segment_owners import exists, fresh_registry, remove, segment_owners


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the registry of this process where this test's home is."""
    with fresh_registry(monkeypatch):
        yield


@pytest.mark.parametrize("key", ["dev-shm.xsimusdt.simx.hist", "dev-shm[日本語].xsimusdt.simx.rt"])
def test_segments_are_found_under_their_keys(key: str) -> None:
    made = SharedMemory(f"{os.getpid()}.{key}", create=True, size=64, track=False)
    found = list(SegmentsPath("/dev/shm/").glob("*xsimusdt.simx*"))
    made.close()
    made.unlink()
    assert [path.name for path in found] == [made.name]
    assert str(found[0]) == f"/dev/shm/{made.name}" and found[0].is_file()
    assert list(SegmentsPath("/dev/shm/").glob("*xsimusdt.simx*")) == []


def test_keys_come_in_order_and_only_those_that_match() -> None:
    keys = [f"{os.getpid()}.dev-shm.{name}" for name in ("b.hist", "a.hist", "c.rt")]
    made = [SharedMemory(key, create=True, size=64, track=False) for key in keys]
    found = [path.name for path in SegmentsPath("/dev/shm").glob(f"{os.getpid()}.dev-shm.*.hist")]
    for segment in made:
        segment.close()
        segment.unlink()
    assert found == [keys[1], keys[0]]


def test_looking_frees_nothing_that_a_dead_program_left() -> None:
    key = f"{os.getpid()}.dev-shm.left.hist"
    with segment_owners() as make:
        owner = make()
        owner.do(f"create({key!r})")
        owner.kill()
        for _ in range(2):
            assert [path.name for path in SegmentsPath("/dev/shm").glob("*.left.*")] == [key]
    assert exists(key) and remove(key) == [key]


def test_another_folder_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert list(path_or_segments(tmp_path).glob("*")) == [tmp_path / "file"]


def test_the_folder_of_segments_is_a_path() -> None:
    assert os.fspath(SegmentsPath("/dev", "shm")) == "/dev/shm"


def iter_dfs_from_shms(fqme: str) -> Iterator[str]:
    for path in Path("/dev/shm/").glob(f"*{fqme}*"):
        yield path.name


def test_upstreams_function_looks_there_and_no_other_does() -> None:
    module: Any = ModuleType("stand_in_for_tsp")
    module.iter_dfs_from_shms, module.Path = iter_dfs_from_shms, Path
    key = f"{os.getpid()}.dev-shm.looked-up"
    made = SharedMemory(key, create=True, size=64, track=False)
    changes = Changes()
    install(module, changes)
    found = list(module.iter_dfs_from_shms("looked-up"))
    made.close()
    made.unlink()
    assert found == [key]
    assert module.Path is Path
    assert changes.revert() == []
    assert module.iter_dfs_from_shms is iter_dfs_from_shms


@pytest.mark.parametrize("how", ["file in the way", "symbolic link", "relative", "switched off"])
def test_where_no_registry_can_be_read_nothing_is_found_and_that_is_said(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(place.location()).parent
    if how == "relative":
        monkeypatch.setenv("MACFIX_STATE_DIR", "relative")
    elif how == "switched off":
        monkeypatch.setenv("MACFIX_SHM_JOURNAL", "off")
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if how == "symbolic link":
            folder.symlink_to(tmp_path / "nowhere")
        else:
            folder.write_text("in the way")
    assert list(SegmentsPath("/dev/shm/").glob("*")) == []
    assert "cannot be read" in caplog.text
