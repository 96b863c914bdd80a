"""Arrays are looked up in `/dev/shm`, which macOS lacks.

Problem:
    `piker store ldshm` goes by `iter_dfs_from_shms`, which lists that folder. XNU shows segments
    nowhere, so nothing is ever found.

Fix:
    That function's `Path('/dev/shm/')` lists the segments that are in macfix's registry and still
    exist, under their keys.

Repro:
    Ask for the arrays of a market of which there is one.

Upstream:
    https://github.com/pikers/piker/commit/d704d631 (2023-06-19): its help says "Linux ONLY"

Remove when:
    Upstream finds its arrays by asking the processes that opened them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix._functions import with_globals
from macfix.darwin.segments import place, reaping
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import contains, function
from macfix.patches._modules import first_module

log = logging.getLogger("macfix.shm")

ITERATE = "iter_dfs_from_shms"
_FOLDER = PurePosixPath("/dev/shm")


def diagnose(source: Source) -> Diagnosis:
    iterate = function(source.tree, ITERATE)
    if iterate is None:
        return not_needed("it does not look for arrays")
    if contains(iterate, "Path('/dev/shm/')"):
        return needed(f"{ITERATE} (line {iterate.lineno}) lists /dev/shm")
    return unknown(f"{ITERATE} does not look where it used to")


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module, ITERATE, _from_registry)


def _from_registry(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    """Call the same function with `path_or_segments` for what it calls `Path`."""
    return with_globals(wrapped, Path=path_or_segments)(*args, **kwargs)


def path_or_segments(*parts: str | os.PathLike[str]) -> Any:
    return SegmentsPath(*parts) if PurePosixPath(*parts) == _FOLDER else Path(*parts)


class SegmentPath(PurePosixPath):
    """A segment as Linux would show it: its key as the name of a file in `/dev/shm`."""

    def is_file(self) -> bool:
        return True


class SegmentsPath(PurePosixPath):
    """The folder of all segments."""

    def glob(self, pattern: str) -> Iterator[SegmentPath]:
        """Yield the segments whose keys match `pattern`; none where no registry can be read."""
        try:
            findings = reaping.sort_out(place.location(), free=False)
        except (place.UnavailableError, OSError) as error:
            log.warning("no segments are found, for the registry cannot be read: %s", error)
            return
        keys = {finding.record.key for finding in findings}
        yield from (SegmentPath(self, key) for key in sorted(keys) if fnmatchcase(key, pattern))


def repro() -> None:
    module = first_module("piker.tsp", "piker.data.history", "piker.storage.cli")
    arrays = import_module("piker.data._sharedmem")
    key = f"mf.{os.getpid()}.nowhere.hist"
    segment = arrays.SharedMemory(name=key, create=True, size=64)
    try:
        next(iter(getattr(module, ITERATE)("nowhere")))
    except StopIteration:
        raise AssertionError(f"{ITERATE} does not find {key!r}") from None
    except Exception:  # it found what stands there for an array, and could not read it as one
        pass
    finally:
        segment.close()
        arrays.shm_unlink(key)
