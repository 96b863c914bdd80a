"""Where nobody contributes patches is kept, and noticed when somebody comes."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from macfix.engine import _entry_points
from macfix.engine._cache import Cache
from macfix.engine._third_party import may_have_plugins

BUILTIN = {"macfix.patches.uds_backlog"}
OTHERS = "[macfix]\nother = somebody.patches\n"
OWN = "[macfix]\nuds-backlog = macfix.patches.uds_backlog\n"
AN_HOUR = 3_600_000_000_000


class Place:
    """A folder of `sys.path` that was last changed an hour ago, and a cache."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "site"
        self.folder.mkdir()
        self.cache = Cache(str(folder / "cache"))
        self.scans: list[str] = []
        monkeypatch.setattr(sys, "meta_path", [])
        monkeypatch.setattr(sys, "dont_write_bytecode", False)
        scan = _entry_points.entry_points
        monkeypatch.setattr(
            _entry_points, "entry_points", lambda place: self.scans.append(place) or scan(place)
        )

    def add(self, name: str, entry_points: str | None) -> Path:
        """Lay out the folder of a distribution."""
        place = self.folder / name
        place.mkdir()
        if entry_points is not None:
            (place / "entry_points.txt").write_text(entry_points)
        return place

    def let_time_pass(self) -> None:
        """As if all that is there had been there for an hour."""
        old = time.time_ns() - AN_HOUR
        for path in (self.folder, *self.folder.rglob("*")):
            os.utime(path, ns=(old, old))

    def look(self) -> bool:
        """Whether somebody may contribute patches; in `scans`, what was looked at for it."""
        self.scans.clear()
        return may_have_plugins([str(self.folder)], BUILTIN, self.cache)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_a_folder_where_nobody_is_is_looked_at_once(place: Place) -> None:
    place.add("macfix-1.dist-info", OWN)
    place.add("nothing-1.dist-info", None)
    place.let_time_pass()
    assert not place.look() and place.scans
    assert not place.look() and not place.scans


def test_a_folder_that_has_just_changed_is_looked_at_again(place: Place) -> None:
    """The clock of its file system may not have ticked since."""
    place.add("macfix-1.dist-info", OWN)
    assert not place.look() and place.scans
    assert not place.look() and place.scans


def _install(place: Place) -> None:
    place.add("other-1.dist-info", OTHERS)


def _replace(place: Place) -> None:
    shutil.rmtree(place.folder / "some-1.dist-info")
    place.add("some-1.dist-info", OTHERS)


def _rename(place: Place) -> None:
    ready = place.folder.parent / "ready"
    ready.mkdir()
    (ready / "entry_points.txt").write_text(OTHERS)
    ready.rename(place.folder / "other-1.dist-info")


def _write_in_place(place: Place) -> None:
    (place.folder / "developed.egg-info" / "entry_points.txt").write_text(OTHERS)


def _write_anew_in_place(place: Place) -> None:
    (place.folder / "bare.egg-info" / "entry_points.txt").write_text(OTHERS)


def _write_with_the_same_size(place: Place) -> None:
    file = place.folder / "developed.egg-info" / "entry_points.txt"
    file.write_text(OTHERS[: file.stat().st_size].ljust(file.stat().st_size))


COMES = [_install, _replace, _rename, _write_in_place, _write_anew_in_place]


@pytest.mark.parametrize("come", [*COMES, _write_with_the_same_size])
def test_somebody_who_comes_later_is_noticed(place: Place, come: Callable[[Place], None]) -> None:
    place.add("some-1.dist-info", None)
    place.add("developed.egg-info", "[console_scripts]\nx = a.module.of_a_long_name:main\n")
    place.add("bare.egg-info", None)
    place.let_time_pass()
    assert not place.look()
    assert not place.look() and not place.scans
    come(place)
    assert place.look()
    place.let_time_pass()
    assert place.look()  # and is not forgotten


def test_a_folder_that_comes_or_goes_stops_nothing(place: Place) -> None:
    place.let_time_pass()
    assert not place.look()
    place.folder.rmdir()
    assert not place.look()
    place.folder.mkdir()
    _install(place)
    assert place.look()


def test_another_set_of_own_plugins_asks_anew(place: Place) -> None:
    place.add("macfix-1.dist-info", OWN)
    place.let_time_pass()
    assert not place.look()
    assert may_have_plugins([str(place.folder)], set(), place.cache)
