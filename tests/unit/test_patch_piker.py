"""The patches of piker itself, on modules of their shape."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macfix.engine.changes import Changes
from macfix.engine.source import Source
from macfix.patches.piker import strange_files

INDEXING = """
class NativeStorageClient:
    def __init__(self, datadir):
        self._datadir = datadir
        self._index = {}

    def index_files(self):
        for path in self._datadir.iterdir():
            if path.name in {'borked', 'expired'}:
                continue
            key = path.name.rstrip('.parquet')
            market, _, description = key.rpartition('.')
            seconds = int(description.partition('ohlcv')[2].strip('s'))
            self._index[market] = {'path': path, 'period': seconds}
        return self._index
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (INDEXING, "needed"),
        (INDEXING.replace("iterdir()", "glob('*.parquet')"), "not needed"),
        (INDEXING.replace("index_files", "index_db"), "not needed"),
        (INDEXING.replace("int(", "read("), "unknown"),
        (INDEXING.replace("iterdir", "walk"), "unknown"),
    ],
)
def test_it_knows_the_defect_by_its_shape(text: str, state: str) -> None:
    source = Source("piker.storage.nativedb", "nativedb.py", text.encode())
    assert strange_files.diagnose(source).state == state


@pytest.fixture
def module() -> ModuleType:
    made = ModuleType("nativedb")
    exec(INDEXING, vars(made))
    return made


SERIES = (
    "xbtusdt.kraken.ohlcv60s.parquet",
    "mnq.cme.20231215.ib.ohlcv1s.parquet",
    "of.old.ohlcv60.parquet",
    "bare.ohlcv5s",
)
STRANGERS = (".DS_Store", "._xbtusdt.kraken.ohlcv60s.parquet", "Icon\r", "notes.txt", ".ohlcv60s")


def test_strangers_are_left_alone_and_said_once(
    module: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (*SERIES, *STRANGERS):
        (tmp_path / name).write_text(name)
    for name in ("borked", "of somebody's"):
        (tmp_path / name).mkdir()
    client = module.NativeStorageClient(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match="invalid literal"):
        client.index_files()
    changes = Changes()
    strange_files.install(module, changes)
    with caplog.at_level(logging.DEBUG, "macfix.piker"):
        for _ in range(2):
            client = module.NativeStorageClient(tmp_path)
            assert {one["path"].name for one in client.index_files().values()} == set(SERIES)
    assert client._datadir is tmp_path
    assert sorted(tmp_path.iterdir()) == before
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(STRANGERS) + 2
    assert f"{tmp_path}/.DS_Store is not a series of piker's, and left alone" in said
    assert changes.revert() == []
    with pytest.raises(ValueError, match="invalid literal"):
        module.NativeStorageClient(tmp_path).index_files()


def test_what_a_folder_can_do_besides_it_still_can(tmp_path: Path) -> None:
    folder: Any = strange_files._Folder(tmp_path)
    assert folder.name == tmp_path.name
    assert folder.is_dir()
