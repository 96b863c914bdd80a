"""Tables and lists are aligned, and wrapped to the terminal."""

from __future__ import annotations

import sys

import pytest

from macfix.cli.output import agrees, facts, table


def test_columns_are_aligned_below_their_titles() -> None:
    assert table(("a", "long title"), [("first", "1"), ("2", "second")]).splitlines() == [
        "a      long title",
        "-----  ----------",
        "first  1",
        "2      second",
    ]


def test_no_line_ends_in_blanks() -> None:
    text = table(("a", "b"), [("1", ""), ("2", "x y")]) + facts([("name", ""), ("n", "x\n\ny")])
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_table_without_rows_is_its_head() -> None:
    assert table(("a", "b"), []).splitlines() == ["a  b", "-  -"]


def test_long_text_is_wrapped_within_its_column() -> None:
    lines = table(("a", "why"), [("1", "word " * 20)], width=40).splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 40
    assert all(line.startswith("   word") for line in lines[3:])


def test_a_last_column_without_room_stands_below() -> None:
    why = "because of a reason with many words"
    lines = table(("key", "why"), [("k" * 30, why), ("short", "x")], width=40).splitlines()
    assert lines == [
        "key",
        "-" * 30,
        "k" * 30,
        "    because of a reason with many words",
        "short",
        "    x",
    ]
    assert table(("key", "size", "why"), [("k" * 38, "1 B", why)], width=40).splitlines()[2:] == [
        "k" * 38,
        "    1 B",
        f"    {why}",
    ]


def test_ctrl_d_answers_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def end_of_file(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end_of_file)
    assert agrees("Free them?") is False


def test_what_cannot_be_wrapped_is_shown_whole() -> None:
    path = "/a/long/path" * 10
    assert path in table(("a", "why"), [("1", path)], width=40)


def test_nothing_is_wrapped_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "word " * 100
    assert text.strip() in table(("a", "b"), [("1", text)])
    monkeypatch.setattr(sys, "stdout", None)
    assert text.strip() in table(("a", "b"), [("1", text)])


def test_facts_are_aligned_and_may_have_several_lines() -> None:
    assert facts([("name", "value"), ("longer name", "one\ntwo")]).splitlines() == [
        "  name         value",
        "  longer name  one",
        "               two",
    ]


def test_no_facts_are_nothing() -> None:
    assert facts([]) == ""
