"""The workflows and forms for GitHub, which is not at hand: their schemas, and their scripts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.surroundings import REPOSITORY

GITHUB = REPOSITORY / ".github"
SCHEMAS = {
    "vendor.github-workflows": "workflows/*.yml",
    "vendor.github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.github-issue-config": "ISSUE_TEMPLATE/config.yml",
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_file_is_what_github_reads(schema: str) -> None:
    files = [str(file) for file in sorted(GITHUB.glob(SCHEMAS[schema]))]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert files and done.returncode == 0, done.stdout + done.stderr


def test_every_script_that_a_workflow_runs_is_there() -> None:
    named = {
        name
        for file in (GITHUB / "workflows").glob("*.yml")
        for name in re.findall(r"(?:bash|python) (\.[\w./-]+)", file.read_text())
    }
    assert named == {".ci/run", ".github/scripts/upstream.sh", ".github/scripts/states.py"}
    assert all((REPOSITORY / name).is_file() for name in named)


def test_both_upstreams_are_cloned(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for name in ("tractor", "piker"):
        subprocess.run([*git, "init", "-q", tmp_path / name], check=True)
        commit = [*git, "commit", "-q", "--allow-empty", "-m", name]
        subprocess.run(commit, cwd=tmp_path / name, check=True)
    urls = {f"{name.upper()}_URL": str(tmp_path / name) for name in ("tractor", "piker")}
    into = tmp_path / "upstream"
    subprocess.run(
        ["bash", str(GITHUB / "scripts" / "upstream.sh")],
        env=os.environ | urls | {"MACFIX_UPSTREAM": str(into)},
        check=True,
    )
    assert sorted(folder.name for folder in into.iterdir()) == ["piker", "tractor"]


def test_a_changed_upstream_is_a_table(tmp_path: Path) -> None:
    scripts = tmp_path / ".github" / "scripts"
    scripts.mkdir(parents=True)
    script = scripts / "states.py"
    script.write_bytes((GITHUB / "scripts" / "states.py").read_bytes())
    replicas = REPOSITORY / "macfix" / "cli" / "demo" / "replicas"

    def run(*words: str, upstream: Path = replicas) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"PYTHONPATH": f"{REPOSITORY}:{upstream}"}
        command = [sys.executable, str(script), *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    assert run("--write").returncode == 0
    same = run()
    assert (same.returncode, same.stdout) == (0, ""), same.stderr
    (tmp_path / "changed" / "tractor").mkdir(parents=True)
    (tmp_path / "changed" / "tractor" / "__init__.py").touch()
    changed = run(upstream=tmp_path / "changed")
    assert changed.returncode == 1
    assert "| tractor.ipc._uds: uds-backlog | needed:" in changed.stdout
    assert "| not there |" in changed.stdout
