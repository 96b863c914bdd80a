"""What the user asks for through variables, and what is said of a wrong one."""

from __future__ import annotations

import os
import sys

import pytest

from macfix._variables import if_on, is_off
from macfix.engine.config import VARIABLES, Config


def config(**variables: str) -> Config:
    return Config.from_environ({"HOME": "/home/someone"} | variables)


def test_nothing_is_chosen_where_nothing_is_set() -> None:
    chosen = config()
    assert chosen == Config(cache=chosen.cache)
    assert chosen.complaints == ()


@pytest.mark.parametrize(
    ("value", "enabled"),
    [
        *((value, False) for value in ("off", " OFF ", "0", "no", "false")),
        *((value, True) for value in ("", "1", "on", "yes")),
    ],
)
def test_off_has_several_spellings(value: str, enabled: bool) -> None:
    assert config(MACFIX=value).enabled is enabled
    assert config(MACFIX_STRICT=value).strict is (enabled and value != "")


def test_names_are_separated_by_commas_and_blanks_do_not_count() -> None:
    chosen = config(MACFIX_SKIP=" a, b-c ,,", MACFIX_ONLY="b-c,d")
    assert chosen.skip == {"a", "b-c"}
    assert [name for name in ("a", "b-c", "d", "e") if chosen.selects(name)] == ["d"]


def test_which_plugins_of_others_may_be_loaded() -> None:
    assert config().allows("theirs")
    assert not config(MACFIX_BLOCK="theirs").allows("theirs")
    assert not config(MACFIX_PLUGINS="").allows("theirs")
    assert config(MACFIX_PLUGINS="theirs").allows("theirs")
    assert not config(MACFIX_PLUGINS="theirs", MACFIX_BLOCK="theirs").allows("theirs")


def test_this_platform_or_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert not config().wanted
    assert config(MACFIX_FORCE="a").wanted
    monkeypatch.setattr(sys, "platform", "darwin")
    assert config().wanted
    assert not config(MACFIX="off", MACFIX_FORCE="a").wanted


# -- wrong ones ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"MACFIX_SKIPP": "a"}, "macfix has no variable MACFIX_SKIPP; did you mean MACFIX_SKIP?"),
        ({"MACFIX_QWERTYUIOP": ""}, "macfix has no variable MACFIX_QWERTYUIOP"),
        ({"MACFIX_SKIP": " , "}, "MACFIX_SKIP is set and names nothing: unset it"),
        ({"MACFIX_ONLY": ""}, "MACFIX_ONLY is set and names nothing: unset it"),
        (
            {"MACFIX_CACHE_DIR": "here"},
            "MACFIX_CACHE_DIR is 'here', no absolute path: no answers are kept",
        ),
        (
            {"MACFIX_ONLY": "a,b", "MACFIX_SKIP": "b"},
            "MACFIX_ONLY and MACFIX_SKIP both name b, which is left out",
        ),
    ],
)
def test_a_variable_that_makes_no_sense_is_complained_of(
    variables: dict[str, str], complaint: str
) -> None:
    assert config(**variables).complaints == (complaint,)


@pytest.mark.parametrize("value", ["", " ", "0", "Off", "no", " false"])
def test_what_says_off_is_off(value: str) -> None:
    assert if_on(value) is None and if_on(None) is None
    assert is_off(value) == bool(value.strip())
    assert not config(MACFIX_STRICT=value).strict
    assert config(MACFIX=value).enabled == (not value.strip())


def test_what_says_anything_else_is_on() -> None:
    assert if_on(" page=4096 ") == "page=4096"
    assert not is_off("1") and config(MACFIX_STRICT="1").strict and config(MACFIX="1").enabled


def test_every_variable_that_there_is_can_be_set() -> None:
    said = config(**dict.fromkeys(VARIABLES, "x")).complaints
    assert [each for each in said if "has no variable" in each] == []
    assert config(MACFIX_TREE="x", MACFIX_SHM_TREE="x", MACFIX_HEAVY="full").complaints == ()
    assert config(MACFIX_PLUGINS="").complaints == ()  # this one says something: no other plugin
    assert config(MACFIXED="x", PYTHONMACFIX_X="y").complaints == ()


def test_a_wrong_name_is_complained_of_with_the_nearest_right_one() -> None:
    chosen = config(
        MACFIX_SKIP="uds-backlok,uds-backlog",
        MACFIX_ONLY="zzz",
        MACFIX_FORCE="uds-backlg",
        MACFIX_BLOCK="their",
        MACFIX_PLUGINS="theirs,own",
    )
    assert chosen.wrong_names(["uds-backlog"], ["theirs"]) == [
        "MACFIX_SKIP: there is no patch 'uds-backlok'; did you mean uds-backlog?",
        "MACFIX_ONLY: there is no patch 'zzz'",
        "MACFIX_FORCE: there is no patch 'uds-backlg'; did you mean uds-backlog?",
        "MACFIX_BLOCK: there is no plugin 'their'; did you mean theirs?",
        "MACFIX_PLUGINS: there is no plugin 'own'",
    ]


@pytest.mark.parametrize("name", ["MACFIX", "MACFIX_STRICT", "MACFIX_SHM_REAP"])
def test_what_is_neither_on_nor_off_is_complained_of(name: str) -> None:
    said = (f"{name}=maybe says neither on nor off, and counts as on",)
    assert config(**{name: "maybe"}).complaints == said
    for clear in ("", " ", "1", "On", "yes", "true", "0", "off", "no", "FALSE"):
        assert config(**{name: clear}).complaints == ()


# -- the cache's folder ----------------------------------------------------------------------------


def test_the_cache_is_where_the_platform_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setattr(sys, "platform", "linux")
    assert config(XDG_CACHE_HOME="/xdg").cache == "/xdg/macfix"
    assert config(XDG_CACHE_HOME="not/absolute").cache == "/home/someone/.cache/macfix"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert config().cache == "/home/someone/Library/Caches/macfix"
    assert config(MACFIX_CACHE_DIR="/chosen").cache == "/chosen"


def test_there_is_no_cache_below_the_current_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config(MACFIX_CACHE_DIR="cache").cache is None
    monkeypatch.setenv("HOME", "relative")
    assert config().cache is None


def test_a_privileged_process_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert config(MACFIX_CACHE_DIR="/chosen").cache is None
