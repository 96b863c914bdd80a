"""The patches of piker itself, on modules of their shape."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import trio

from macfix.engine.changes import Changes
from macfix.engine.source import Source
from macfix.patches.piker import notifications, strange_files

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
            assert len(caplog.records) == len(STRANGERS) + 2
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


# -- notifications ---------------------------------------------------------------------------------

NOTIFYING = """
import platform, logging
log = logging.getLogger("piker")

async def notify_from_ems_status_msg(msg, duration=3000, is_subproc=False):
    if platform.system() != "Linux":
        return
    await trio.run_process(["notify-send", msg.pformat()])
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (NOTIFYING, "needed"),
        (NOTIFYING.replace("(msg,", "(uuid, msg,"), "needed"),
        (NOTIFYING.replace("notify_from", "tell_from"), "not needed"),
        (NOTIFYING.replace('"notify-send"', '"osascript", "notify-send"'), "not needed"),
        (NOTIFYING.replace("notify-send", "notify"), "unknown"),
        (NOTIFYING.replace("(msg,", "(message,"), "unknown"),
    ],
)
def test_a_notification_is_known_by_its_command(text: str, state: str) -> None:
    source = Source("piker.ui._notify", "_notify.py", text.encode())
    assert notifications.diagnose(source).state == state


TEXT = 'filled" & (do shell script "touch /tmp/x") -- \'; $(id)\n-e'


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; open('shown', 'w').write(repr(sys.argv[1:]))", ""),
        ("import sys; sys.exit('not allowed')", "not allowed"),
        ("import time; time.sleep(60)", "it took more than 0.5 s"),
        (None, "No such file or directory"),
    ],
    ids=["shown", "refused", "hangs", "missing"],
)
def test_a_notification_is_an_argument_and_never_fails_an_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    script: str | None,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("/no/such/osascript",) if script is None else (sys.executable, "-c", script)
    monkeypatch.setattr(notifications, "COMMAND", (*command, *notifications.COMMAND[-1:]))
    if said.startswith("it took"):
        monkeypatch.setattr(notifications, "SECONDS", 0.5)
    made, changes = ModuleType("notify"), Changes()
    exec(NOTIFYING.replace("(msg,", "(uuid, msg,"), vars(made))
    notifications.install(made, changes)
    message = SimpleNamespace(pformat=lambda: TEXT)
    trio.run(vars(made)["notify_from_ems_status_msg"], "an id", message)
    shown = tmp_path / "shown"
    assert (shown.read_text() if shown.exists() else "") == ("" if said else repr(["piker", TEXT]))
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == bool(said) and said in "".join(warnings)
    assert changes.revert() == []
