"""What macfix logs: nothing unless somebody wants it, and then one line a process tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.surroundings import REPOSITORY

PROGRAM = """
import logging, subprocess, sys
if "logging" in sys.argv:
    logging.basicConfig(level=logging.INFO, format="theirs %(name)s %(message)s")
import tractor.ipc._transport
if "child" not in sys.argv:
    words = [sys.executable, __file__, *sys.argv[1:], "child"]
    children = [subprocess.Popen(words) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
"""
SUMMARY = "patches applied: transport-enotconn, transport-eprototype"


def said(tmp_path: Path, *words: str, **variables: str) -> list[str]:
    """What such a program and its two children write on standard error, patched."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    replicas = REPOSITORY / "tests" / "replicas"
    done = subprocess.run(
        [sys.executable, "-m", "macfix", "--simulate", str(program), *words],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(
                map(str, [REPOSITORY, replicas / "HEAD", replicas / "stubs"])
            )
        }
        | {"MACFIX_ONLY": "transport-enotconn,transport-eprototype,transport-reset"}
        | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("level", ["", "off"])
def test_nothing_is_said_unless_somebody_wants_it(tmp_path: Path, level: str) -> None:
    assert said(tmp_path, MACFIX_LOG=level) == []


def test_one_line_a_tree_says_what_was_patched(tmp_path: Path) -> None:
    assert said(tmp_path, MACFIX_LOG="Info") == [f"macfix: {SUMMARY}"]


def test_a_program_that_logs_has_it_in_its_own_log(tmp_path: Path) -> None:
    assert said(tmp_path, "logging") == [f"theirs macfix {SUMMARY}"]


def test_debug_says_what_becomes_of_each_patch_in_each_process(tmp_path: Path) -> None:
    lines = said(tmp_path, MACFIX_LOG="debug")
    start = "macfix: tractor.ipc._transport: transport-"
    assert sum(line.startswith(f"{start}reset: not needed: ") for line in lines) == 3
    assert sum(line.startswith(f"{start}enotconn: applied: ") for line in lines) == 3


def test_another_level_is_a_complaint(tmp_path: Path) -> None:
    (line,) = [line for line in said(tmp_path, MACFIX_LOG="loud") if "Warning" in line]
    assert line.endswith("settings: MACFIX_LOG is 'loud', not info or debug")
