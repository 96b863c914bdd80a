"""`python -m macfix demo`: every failure is seen, and every cure works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from macfix.engine import Config, load_patches
from macfix.patches import BUILTIN
from tests.support.surroundings import REPOSITORY


def demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "macfix", "demo", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    done = demo("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    return {row["title"]: row for row in [*answer["programs"], *answer["patches"]]}


def test_every_program_fails_without_macfix_and_works_with_it(
    rows: dict[str, dict[str, Any]],
) -> None:
    titles = ["import tractor", "actors talk over Unix sockets", "market data in shared memory"]
    for title in titles:
        row = rows[title]
        assert row["cured"]["succeeded"], row
        assert not row["without"]["succeeded"], row


def test_every_patch_that_the_replicas_need_is_shown_by_itself(
    rows: dict[str, dict[str, Any]],
) -> None:
    replicas = REPOSITORY / "macfix" / "demo" / "replicas"
    patches = {
        patch.name
        for patch in load_patches(Config(), BUILTIN).patches()
        for target in patch.targets
        if replicas.joinpath(*target.split(".")).with_suffix(".py").exists()
    }
    assert patches <= rows.keys()
    for name in patches:
        assert rows[name]["cured"]["succeeded"], rows[name]


def test_a_cure_that_fails_is_an_exit_code(tmp_path: Path) -> None:
    """With a plugin that spoils one module, the demo must say so and not exit with 0."""
    (tmp_path / "spoil.py").write_text(
        "import macfix\n\n"
        "def spoil(module, changes):\n"
        "    changes.set(module, 'get_peer_info', lambda sock: (0, 0, 0))\n\n"
        "@macfix.hookimpl\ndef macfix_patches():\n"
        "    return [macfix.Patch(name='spoil', targets=('tractor.ipc._uds',), summary='-',\n"
        "        upstream='-', remove_when='-', needed=lambda source: macfix.needed('-'),\n"
        "        install=spoil)]\n"
    )
    info = tmp_path / "spoil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spoil\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[macfix]\nspoil = spoil\n")
    done = demo("--quick", PYTHONPATH=f"{REPOSITORY}:{tmp_path}")
    assert done.returncode == 1, done.stdout
    assert "still failing: actors talk over Unix sockets" in done.stdout


def test_without_what_the_programs_need_it_says_what_to_install(tmp_path: Path) -> None:
    done = _without("trio", tmp_path)
    assert done.returncode == 2
    assert "trio not installed: pip install 'macfix[demo]'" in done.stderr


def _without(module: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import importlib.util as u, sys; find = u.find_spec;"
        f"u.find_spec = lambda name, package=None: None if name == {module!r} else find(name);"
        "from macfix.demo import main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
