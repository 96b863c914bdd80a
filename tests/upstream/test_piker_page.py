"""What docs/piker.md says of piker's and tractor's own files is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.support import pythons
from tests.support.surroundings import REPOSITORY
from tests.support.upstream import PIKER, PIKERS_TRACTOR, TRACTORS

TEXT = (REPOSITORY / "docs" / "piker.md").read_text()


def test_its_python_is_what_piker_tractor_and_numpy_agree_on(
    upstream_at: Callable[[str, str], Path],
) -> None:
    piker = (upstream_at("piker", PIKER) / "pyproject.toml").read_text()
    tractor = (upstream_at("tractor", PIKERS_TRACTOR) / "pyproject.toml").read_text()
    newest = (upstream_at("tractor", TRACTORS["HEAD"]) / "pyproject.toml").read_text()
    found = (
        re.search(r'^python = "\^(3\.\d+)"', piker, re.MULTILINE),
        re.search(r'^requires-python = ">= ?(3\.\d+)', tractor, re.MULTILINE),
        re.search(r'^requires-python = ">= ?(3\.\d+)', newest, re.MULTILINE),
    )
    pikers, tractors, heads = (each[1] if each else "" for each in found)
    own = re.findall(
        r'"Programming Language :: Python :: (3\.\d+)"', (REPOSITORY / "pyproject.toml").read_text()
    )
    said = " ".join(TEXT.split())
    ((major, minor),) = pythons.PIKER.suitable
    assert f"1. Python {major}.{minor}. " in said and f"python{major}.{minor} -m venv" in said
    assert f"piker itself asks for {pikers} or newer" in said
    assert f"macfix runs on {own[0]} to {own[-1]}" in said
    assert f"this tractor needs at least {tractors}" in said
    assert any(str(each) == "numpy<2,>=1.26" for each in pythons.requirements(pythons.PIKER))
    for page in ("README.md", "docs/install.md"):
        text = " ".join((REPOSITORY / page).read_text().split())
        assert f"Python {heads}" in text


def test_the_lines_that_it_names_are_there(upstream_at: Callable[[str, str], Path]) -> None:
    """As in `piker/ui/_exec.py:207`."""
    at = {
        "piker": [upstream_at("piker", PIKER)],
        "tractor": [
            upstream_at("tractor", PIKERS_TRACTOR),
            upstream_at("tractor", TRACTORS["HEAD"]),
        ],
    }
    named = re.findall(r"`((piker|tractor)/[\w/]+\.py)(?::(\d+))?", TEXT)
    assert len(named) > 10
    for path, package, line in named:
        files = [folder / path for folder in at[package] if (folder / path).exists()]
        assert files, path
        lines = files[0].read_text().splitlines()
        assert not line or lines[int(line) - 1].strip(), f"{path}:{line}"
