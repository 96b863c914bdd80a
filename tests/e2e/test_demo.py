"""`python -m macfix demo`: every failure is seen, and every cure works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.support import builtin
from tests.support.once import made_once
from tests.support.surroundings import REPOSITORY
from tests.unit.test_readme import messages_of_upstream

REPLICAS = REPOSITORY / "macfix" / "cli" / "demo" / "replicas"

PLUGIN = """\
    import macfix, spoils
    @macfix.hookimpl
    def macfix_targets():
        return ["tractor.ipc._uds"]
    @macfix.hookimpl
    def macfix_patches(target):
        return [spoils]
"""
SPOILS = """\
    import macfix
    def diagnose(source):
        return macfix.needed("-")
    def install(module, changes):
        changes.set(module, "get_peer_info", lambda sock: (0, 0, 0))
"""


def demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "macfix", "demo", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="session")
def rows(run_folder: Path) -> dict[str, dict[str, Any]]:
    """What the demo shows, by title; it runs once."""

    def run(folder: Path) -> None:
        done = demo("--json")
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "answer.json").write_text(done.stdout)

    answer = json.loads((made_once(run_folder / "demo", run) / "answer.json").read_text())
    return {row["title"]: row for row in [*answer["programs"], *answer["patches"]]}


@pytest.mark.xdist_group("demo")  # one worker waits for it
def test_every_program_fails_without_macfix_and_works_with_it(
    rows: dict[str, dict[str, Any]],
) -> None:
    titles = ["import tractor", "actors over sockets", "shared market data"]
    for title in titles:
        row = rows[title]
        assert row["fixed"]["succeeded"], row
        assert not row["without"]["succeeded"], row


@pytest.mark.xdist_group("demo")  # one worker waits for it
def test_the_messages_of_the_docs_are_those_that_are_seen(rows: dict[str, dict[str, Any]]) -> None:
    seen = 0
    for message, patches in messages_of_upstream().items():
        start = re.split(r"\[Errno|'/", message)[0]
        for row in (rows[patch] for patch in patches if patch in rows):
            said = row["without"]["word"]
            if not said.startswith("AssertionError"):  # a repro's own: upstream says nothing
                seen += said.startswith(start)
    assert seen >= 14, "and so many patches show theirs"


@pytest.mark.xdist_group("demo")  # one worker waits for it
def test_every_patch_that_the_replicas_need_is_shown_by_itself(
    rows: dict[str, dict[str, Any]],
) -> None:
    patches = {
        patch.name
        for patch, targets in builtin.plugins().all_patches().items()
        for target in targets
        if REPLICAS.joinpath(*target.split(".")).with_suffix(".py").exists()
    }
    assert patches <= rows.keys()
    for name in patches:
        assert rows[name]["fixed"]["succeeded"], rows[name]


def test_a_fix_that_fails_is_an_exit_code(tmp_path: Path) -> None:
    """With a plugin that spoils one module, the demo must say so and not exit with 0."""
    (tmp_path / "spoil.py").write_text(textwrap.dedent(PLUGIN))
    (tmp_path / "spoils.py").write_text(textwrap.dedent(SPOILS))
    info = tmp_path / "spoil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spoil\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[macfix]\nspoil = spoil\n")
    done = demo("--quick", PYTHONPATH=f"{REPOSITORY}:{tmp_path}")
    assert done.returncode == 1, done.stdout
    assert "still failing: actors over sockets" in done.stdout


def test_without_what_the_programs_need_it_says_what_to_install(tmp_path: Path) -> None:
    done = _without("trio", tmp_path)
    assert done.returncode == 2
    assert "trio not installed: pip install 'macfix[demo]'" in done.stderr


def _without(module: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import importlib.util as u, sys; find = u.find_spec;"
        f"u.find_spec = lambda name, package=None: None if name == {module!r} else find(name);"
        "from macfix.cli import main; sys.exit(main(['demo']))"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
