"""What `macfix doctor` says of shared memory."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from macfix.cli import doctor, shm
from macfix.darwin.segments import place
from tests.support.segment_owners import fresh_registry, remove, segment_owners

Doctor = Callable[[], dict[str, str]]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the registry of this process where this test's home is."""
    with fresh_registry(monkeypatch):
        yield


@pytest.fixture
def shared_memory(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """The rows of the section about shared memory, as they are printed."""
    title = "shared memory"
    monkeypatch.setattr(doctor, "SECTIONS", {title: doctor.SECTIONS[title]})

    def ask() -> dict[str, str]:
        assert doctor.main(argparse.Namespace()) == 0
        _, rows = capsys.readouterr().out.split(f"\n{title}\n")
        return dict(row.strip().split(maxsplit=1) for row in rows.splitlines())

    return ask


def test_before_the_first_segment_nothing_is_made(shared_memory: Doctor) -> None:
    rows = shared_memory()
    assert rows["registry"] == f"{place.location()} (not there yet)"
    assert [rows[state] for state in ("alive", "leaked", "unclear")] == ["0 segments, 0 B"] * 3
    assert not Path(place.location()).parent.exists()


def test_what_is_alive_and_what_is_leaked(shared_memory: Doctor) -> None:
    key = f"macfix-doctor-test-{os.getpid()}"
    with segment_owners() as make:
        alive, dead = make(), make()
        alive.do(f"create({key!r}, 4096)")
        dead.do(f"create({key + '1'!r}, 2048)")
        dead.kill()
        rows = shared_memory()
        assert rows["registry"] == place.location()
        assert rows["alive"] == "1 segment, 4.0 KiB"
        assert rows["leaked"] == "1 segment, 2.0 KiB: `macfix shm reap` frees that"
        assert shm.main(_shm("reap", "--json")) == 0
        assert not remove(f"{key}1"), "the order that doctor gives does not free it"
        alive.do(f"shm_unlink({key!r})")


def test_why_there_is_no_registry(
    shared_memory: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = Path(place.location())
    path.parent.parent.mkdir(parents=True)
    path.parent.symlink_to(tmp_path)
    path.touch()
    said = shared_memory()["registry"]
    assert said.startswith("cannot be used, so nothing is freed by itself: ")
    assert f"{path.parent}" in said
    monkeypatch.setenv(place.JOURNAL_VARIABLE, "off")
    assert f"{place.JOURNAL_VARIABLE} switches it off" in shared_memory()["registry"]


def _shm(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    shm.add_arguments(parser)
    return parser.parse_args(words)
