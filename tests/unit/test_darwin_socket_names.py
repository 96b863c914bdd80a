"""Socket names: short enough for XNU, the same everywhere, different for different actors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from macfix.darwin.sockets.names import SUN_PATH_LIMIT, bounded_name
from tests.support.surroundings import REPOSITORY

SHORT = "/tmp/tractor-501"

names = st.text(min_size=0, max_size=300)
pids = st.integers(min_value=1, max_value=2**22)
folders = st.integers(min_value=1, max_value=60).map(lambda size: "/" + "d" * size)


def fits(directory: str, name: str) -> bool:
    return len(os.fsencode(os.path.join(directory, name))) < SUN_PATH_LIMIT


def test_a_name_that_fits_is_left_alone() -> None:
    assert bounded_name("brokerd.kraken", 77, SHORT) == "brokerd.kraken@77.sock"


def test_the_longest_path_has_103_bytes_and_its_nul() -> None:
    room = SUN_PATH_LIMIT - 1 - len(SHORT + "/" + "@77.sock")
    assert bounded_name("n" * room, 77, SHORT) == "n" * room + "@77.sock"
    longer = bounded_name("n" * (room + 1), 77, SHORT)
    assert longer != "n" * (room + 1) + "@77.sock"
    assert fits(SHORT, longer)


def test_a_shortened_name_begins_as_the_actors_does() -> None:
    name = bounded_name("chart." + "x" * 200, 77, SHORT)
    assert re.fullmatch(r"chart\.x+\.[0-9a-f]{16}@77\.sock", name)
    assert len(os.fsencode(f"{SHORT}/{name}")) == SUN_PATH_LIMIT - 1


@given(names, pids, folders)
def test_every_name_fits_and_ends_as_reapers_expect(name: str, pid: int, folder: str) -> None:
    bounded = bounded_name(name, pid, folder)
    assert fits(folder, bounded)
    assert bounded.endswith(f"@{pid}.sock")
    assert "/" not in bounded
    assert "\0" not in bounded


@given(names, names, pids, folders)
def test_different_actors_never_share_a_name(one: str, two: str, pid: int, folder: str) -> None:
    assume(one != two)
    assert bounded_name(one, pid, folder) != bounded_name(two, pid, folder)


@pytest.mark.parametrize("name", ["a/b", "../../etc/passwd", "/", "nul\0nul", "\udcff"])
def test_what_no_file_can_be_called_is_replaced(name: str) -> None:
    bounded = bounded_name(name, 1, SHORT)
    assert Path(bounded).name == bounded
    assert bounded.endswith("@1.sock")
    bounded.encode()  # APFS takes UTF-8 only


def test_names_that_differ_only_in_what_is_replaced_stay_different() -> None:
    assert len({bounded_name(name, 1, SHORT) for name in ("a/b", "a\0b", "a_b", "a\udc80b")}) == 4


def test_bytes_are_counted_not_characters() -> None:
    name = bounded_name("日本" * 40, 77, SHORT)
    assert fits(SHORT, name)
    assert name.startswith("日本")
    assert not fits(SHORT, "日本" * 15 + "@77.sock")  # 46 bytes of characters would have fitted


def test_a_folder_that_leaves_no_room_is_named() -> None:
    folder = "/" + "d" * 90
    with pytest.raises(ValueError, match=re.escape(folder)):
        bounded_name("actor" * 40, 77, folder)


def test_a_folder_may_leave_room_for_nothing_but_the_digest() -> None:
    room = len("0123456789abcdef@77.sock")
    folder = "/" + "d" * (SUN_PATH_LIMIT - 1 - len("//") - room)
    assert re.fullmatch(r"[0-9a-f]{16}@77\.sock", bounded_name("actor" * 40, 77, folder))
    with pytest.raises(ValueError, match=re.escape(folder)):
        bounded_name("actor" * 40, 77, folder + "d")


def test_a_short_name_still_fits_where_a_shortened_one_would_not() -> None:
    folder = "/" + "d" * 85
    assert bounded_name("a", 77, folder) == "a@77.sock"


def test_every_process_shortens_alike() -> None:
    code = (
        "from macfix.darwin.sockets.names import bounded_name;"
        f"print(bounded_name('é' * 200, 5, {SHORT!r}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-X", "utf8", "-c", code],
            env={"PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        .stdout.decode()
        .strip()
        for seed in ("1", "2")
    }
    assert seen == {bounded_name("é" * 200, 5, SHORT)}
