"""A file of the Finder's among the stored time series (`.DS_Store`) keeps every chart from opening.

Problem:
    The Finder writes `.DS_Store` into each folder that it shows, and macOS `._NAME` beside a file
    on a disk that is not its own. `NativeStorageClient.index_files()` takes every file of the
    folder for a series and its name apart: `ValueError: invalid literal for int()`.

Fix:
    While the folder is indexed, files whose names are not those of series are left out, and said
    once at debug level. They are neither read nor changed.

Repro:
    Index a folder with a `.DS_Store` in it.

Upstream:
    Not reported. Nobody has run this on a Mac: the files were put there by hand.

Remove when:
    piker leaves out what is not a series of its own.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import wrapt

from macfix import Changes, Diagnosis, Source, _once, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function

FUNCTION = "NativeStorageClient.index_files"

_SERIES = re.compile(r"[^.].*ohlcv\d+s?[.parquet]*")
"""`<market>.ohlcv<seconds>s.parquet`, and what piker takes apart in the same way."""

_log = logging.getLogger("macfix.piker")


def diagnose(source: Source) -> Diagnosis:
    indexing = function(source.tree, FUNCTION)
    if indexing is None:
        return not_needed(f"it has no {FUNCTION}()")
    if calls(indexing, "glob"):
        return not_needed(f"{FUNCTION}() takes files of some names only")
    listing = calls(indexing, "iterdir")
    if len(listing) != 1 or not calls(indexing, "int"):
        return unknown(f"{FUNCTION}() does not go through the folder in a known way")
    return needed(f"line {listing[0].lineno} takes every file for a series")


class _Folder(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A folder of series, without what else is in it."""

    def iterdir(self) -> Iterator[Path]:
        for path in self.__wrapped__.iterdir():
            if _SERIES.fullmatch(path.name):
                yield path
            elif _once.is_first(f"{path} is left alone", None):
                _log.debug("%s is not a series of piker's, and left alone", path)


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module.NativeStorageClient, "index_files", _index_series)


def _index_series(wrapped: Wrapped, client: Any, args: Args, kwargs: Kwargs) -> Any:
    folder = client._datadir
    client._datadir = _Folder(folder)
    try:
        return wrapped(*args, **kwargs)
    finally:
        client._datadir = folder


def repro() -> None:
    from piker.storage.nativedb import NativeStorageClient

    with tempfile.TemporaryDirectory() as folder:
        for name in ("xbtusdt.kraken.ohlcv60s.parquet", ".DS_Store"):
            Path(folder, name).touch()
        index = NativeStorageClient(Path(folder)).index_files()
        assert list(index) == ["xbtusdt.kraken"], f"the index is {index}"
