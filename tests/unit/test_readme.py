"""The README says what the code does: its table of patches, its commands, its links."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from macfix import _once
from macfix.cli.documentation import SUMMARY, documentation_of
from macfix.darwin.segments import place
from macfix.engine.config import VARIABLES
from macfix.engine.patch import Patch
from macfix.simulate._limits import SESSION_VARIABLE
from tests.support import builtin
from tests.support.pages import PAGES, README, errors, variables
from tests.support.surroundings import REPOSITORY

TABLE = re.compile(r"(?<=<!-- patches -->\n).*?(?=<!-- /patches -->)", re.DOTALL)


def messages_of_upstream() -> dict[str, list[str]]:
    """The messages that docs/errors.md explains, with the patches that it names for them."""
    rows = re.findall(r"^\| (`+)(.+?)\1 \|.*\| (`.*`) \|$", errors()[0], re.MULTILINE)
    return {message: re.findall(r"`([\w-]+)`", patches) for _, message, patches in rows}


def table_of_patches() -> str:
    """What stands between the two marks in the README."""
    rows = ["| patch | defect | in |", "|---|---|---|"]
    rows += [_row(*each) for each in builtin.plugins().all_patches().items()]
    return "\n".join(rows) + "\n"


def _row(patch: Patch, targets: list[str]) -> str:
    summary = documentation_of(patch.module)[SUMMARY]
    return f"| `{patch.name}` | {summary} | {', '.join(f'`{target}`' for target in targets)} |"


def test_the_table_of_patches_is_up_to_date() -> None:
    """If this fails: `python -m tests.unit.test_readme` writes the table anew."""
    found = TABLE.search(README.read_text())
    assert found is not None
    assert found.group() == table_of_patches()


def test_the_table_of_variables_has_all_of_them() -> None:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()]
    names = (_once.VARIABLE, place.TREE_VARIABLE, SESSION_VARIABLE)
    ours = [f"| `{name}` | set by macfix: " for name in names]
    shown = variables(README)
    assert shown[: len(rows)] == rows
    assert all(map(str.startswith, shown[len(rows) :], ours)) and len(shown) == len(rows + ours)


def test_each_message_has_a_patch_and_the_readme_names_none_that_the_page_lacks() -> None:
    known = {patch.name for patch in builtin.plugins().all_patches()}
    messages = messages_of_upstream()
    assert {patch for patches in messages.values() for patch in patches} <= known
    shown = re.findall(r"^\| (`+)(.+?)\1", README.read_text().partition("```sh")[0], re.MULTILINE)
    assert len(shown) == 4 and {message for _, message in shown} <= messages.keys()


def test_ci_runs_the_readmes_own_test_command() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text()
    extract = re.search(r"^command=\$\((.*)\)$", script, re.MULTILINE)
    assert extract is not None
    done = subprocess.run(
        ["bash", "-c", extract[1]], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("python -m pytest")
    assert done.stdout in README.read_text()


def test_every_relative_link_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_nothing_committed_names_a_path_of_one_machine() -> None:
    listing = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    foreign = re.compile(r"(?<![\w./])/(?:root|work|home/(?!someone)\w+)/")
    for name in listing.stdout.splitlines():
        file = REPOSITORY / name
        if file.suffix in {".py", ".md", ".toml", ".yml", ".txt"} and file != Path(__file__):
            found = foreign.search(file.read_text())
            assert found is None, f"{name}: {found}"


if __name__ == "__main__":
    README.write_text(TABLE.sub(table_of_patches(), README.read_text()))
