"""Every key has a name that fits into the kernel's 30 bytes, and no two keys share one."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from macfix.darwin.segments import names as segment_names
from macfix.darwin.segments.names import (
    KERNEL_NAME_LIMIT,
    InvalidKeyError,
    is_shortened,
    kernel_name,
    key_digest,
)
from tests.support.surroundings import HEAVY, REPOSITORY

LONGEST_KEY_THAT_FITS = KERNEL_NAME_LIMIT - 1

PIKER_LIKE = 1_000_000 if HEAVY == "full" else 50_000

TABLE = {
    "a": "/a",
    "shm_list": "/shm_list",
    "x" * 29: "/" + "x" * 29,
    "x" * 30: "/xxxxxxxxxxxxxxx~mzvfs3psz4qyd",
    "日本": "/日本",
    "日本語の鍵はとても長い": "/___________~5lqvn7hbahuow",
    "é" * 14: "/" + "é" * 14,
    "é" * 15: "/_______________~dsmw34bpmhoax",
    "with space and : colon and more of it": "/with_space_and_~lq2kdkl6ybgyk",
    "piker.brokerd[0201211b-72d6-42].xsimusdt.simx.hist": "/piker.brokerd[0~fu642lvphihs2",
    "piker.brokerd[0201211b-72d6-42].xsimusdt.simx.hist_first": "/piker.brokerd[0~uedtnfn4y5ebo",
    "piker.brokerd[0201211b-72d6-42].xsimusdt.simx.hist_last": "/piker.brokerd[0~ibbdcztkuwzwv",
    "xxxxxxxxxxxxxxx~mzvfs3psz4qyd": "/xxxxxxxxxxxxxxx~sxpajl52vxfol",
}
"""What the names are, for ever: processes of different macfix releases meet by them."""

keys = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1)
long_keys = keys.map(lambda text: (text * 31)[:300]).filter(
    lambda key: len(key.encode()) > LONGEST_KEY_THAT_FITS
)


@pytest.mark.parametrize("key", TABLE)
def test_names_are_what_they_have_always_been(key: str) -> None:
    assert kernel_name(key) == TABLE[key]


@given(keys)
def test_a_name_has_a_slash_and_fits(key: str) -> None:
    name = kernel_name(key)
    assert name.startswith("/")
    assert "/" not in name[1:]
    assert 2 <= len(name.encode()) <= KERNEL_NAME_LIMIT


@given(keys)
def test_a_key_that_fits_is_its_own_name(key: str) -> None:
    assume(len(key.encode()) <= LONGEST_KEY_THAT_FITS)
    assert kernel_name(key) == "/" + key
    assert not is_shortened(key)


@pytest.mark.parametrize("character", ["x", "é", "€", "𝄞", "e\u0301"])
def test_every_length_in_bytes_has_a_name(character: str) -> None:
    size = len(character.encode())
    for count in range(1, 256):
        key = character * (count // size) + "x" * (count % size)
        assert len(key.encode()) == count
        assert len(kernel_name(key).encode()) <= KERNEL_NAME_LIMIT
        assert is_shortened(key) == (count > LONGEST_KEY_THAT_FITS)


@given(long_keys)
def test_a_long_keys_name_begins_as_the_key_does(key: str) -> None:
    prefix, _, digits = kernel_name(key)[1:].rpartition("~")
    assert prefix and len(digits) == 13
    for shown, meant in zip(prefix, key, strict=False):
        assert shown in (meant, "_")


@given(long_keys)
@example("\x7f" * 40)
def test_a_long_keys_name_is_printable_ascii_without_colon(key: str) -> None:
    name = kernel_name(key)
    assert name.isascii() and name.isprintable() and " " not in name and ":" not in name


@given(keys, keys)
def test_two_keys_have_two_names(one: str, other: str) -> None:
    assume(one != other)
    assert kernel_name(one) != kernel_name(other)


@given(long_keys)
def test_a_key_that_is_another_keys_name_has_a_name_of_its_own(key: str) -> None:
    name = kernel_name(key)
    assert kernel_name(name[1:]) != name
    assert kernel_name(kernel_name(name[1:])[1:]) not in (name, kernel_name(name[1:]))


@settings(max_examples=20)
@given(long_keys)
def test_array_first_and_last_have_three_names(key: str) -> None:
    assert len({kernel_name(key + suffix) for suffix in ("", "_first", "_last")}) == 3


@given(keys, keys)
def test_digests_tell_keys_apart(one: str, other: str) -> None:
    assert (key_digest(one) == key_digest(other)) == (one == other)


def piker_keys(count: int) -> Iterator[str]:
    """Yield `count` different keys as piker makes them."""
    rng = random.Random(20220204)
    hexes = "0123456789abcdef"
    for number in range(count):
        uid = "".join(rng.choices(hexes, k=8)) + "-" + "".join(rng.choices(hexes, k=4)) + "-4"
        actor = rng.choice(("brokerd", "pikerd", "chart", "fsp.dolla_vlm"))
        market = f"{rng.choice(('btc', 'eth', 'xsim'))}usdt.{rng.choice(('binance', 'kraken'))}"
        suffix = ("hist", "rt", "hist_first", "rt_last")[number % 4]
        yield f"piker.{actor}[{uid}].{number // 4}.{market}.{suffix}"


def test_piker_like_keys_never_meet() -> None:
    names = {kernel_name(key) for key in piker_keys(PIKER_LIKE)}
    assert len(names) == PIKER_LIKE
    assert max(len(name.encode()) for name in names) <= KERNEL_NAME_LIMIT


def test_another_process_with_another_hash_seed_finds_the_same_names() -> None:
    program = (
        "import sys; from macfix.darwin.segments.names import kernel_name\n"
        "print(*map(kernel_name, sys.argv[1:]), sep='\\n')"
    )
    for seed in ("0", "4711"):
        printed = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", program, *TABLE],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            encoding="utf8",
            check=True,
        ).stdout
        assert printed.splitlines() == list(TABLE.values())


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "is empty"),
        ("/", "has a slash at position 0"),
        ("a/b", "has a slash at position 1"),
        ("/abs", "has a slash at position 0"),
        ("nul\0nul", "has a NUL character at position 3"),
        ("lone \ud800", "has a lone surrogate at position 5"),
    ],
)
def test_what_no_system_takes_is_refused_and_named(key: str, complaint: str) -> None:
    with pytest.raises(InvalidKeyError, match=complaint) as caught:
        kernel_name(key)
    assert isinstance(caught.value, ValueError)
    if key:
        assert repr(key) in str(caught.value)


@pytest.mark.parametrize("key", [None, b"bytes", 7])
def test_a_key_is_text(key: object) -> None:
    with pytest.raises(TypeError, match="is text, not"):
        kernel_name(key)  # type: ignore[arg-type]


def test_names_do_not_depend_on_anything_but_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [kernel_name(key) for key in TABLE]
    for name in ("LANG", "LC_ALL", "USER", "HOME"):
        monkeypatch.setenv(name, "C")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert [kernel_name(key) for key in TABLE] == before
    assert segment_names.KERNEL_NAME_LIMIT == 30
