"""Interpreters that can run the real upstreams: found, or built once and kept."""

from __future__ import annotations

import functools
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.once import locked
from tests.support.surroundings import REPOSITORY, STARTED_WITH, user_cache


@dataclass(frozen=True)
class Recipe:
    """What an interpreter must have in order to run one upstream.

    Attributes:
        upstream: what it is for, as messages call it.
        requirements: the file with the packages.
        suitable: the Python versions that will do, the best one first.
        named_by: the environment variable with which a user names an interpreter of his own.
    """

    upstream: str
    requirements: Path
    suitable: tuple[tuple[int, int], ...]
    named_by: str

    @property
    def versions(self) -> str:
        """The suitable versions, for a message."""
        return " or ".join(f"{major}.{minor}" for major, minor in self.suitable)


TRACTOR = Recipe(
    "tractor",
    REPOSITORY / "tests" / "upstream" / "requirements-tractor.txt",
    ((3, 13), (3, 12)),
    "MACFIX_UPSTREAM_PYTHON",
)
"""Runs tractor of every time, with trio 0.29, and tractor's tests."""

PIKER = Recipe(
    "piker",
    REPOSITORY / "tests" / "upstream" / "requirements-piker.txt",
    ((3, 12),),
    "MACFIX_PIKER_PYTHON",
)
"""Shows a piker chart: Qt, numba and the like, 700 MB."""

BUILDING = 1200.0
"""Seconds that building an environment may take; most of them are downloads."""

ASK = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
def look(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
print(json.dumps([sys.version_info[:2], {name: look(name) for name in sys.argv[1:]}]))
"""


class NoPythonError(LookupError):
    """No interpreter here can run the upstream; the message says why and what to do."""


def requirements(recipe: Recipe = TRACTOR) -> list[Requirement]:
    """Return what the environment must have."""
    text = recipe.requirements.read_text()
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def shortcoming(python: Path | str, recipe: Recipe = TRACTOR) -> str | None:
    """Say why `python` does not do for `recipe`, or return None if it does."""
    wanted = requirements(recipe)
    try:
        answer = _ask(python, *(requirement.name for requirement in wanted))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"it does not run: {error}"
    version, have = answer
    if tuple(version) not in recipe.suitable:
        return f"it is Python {'.'.join(map(str, version))}"
    for requirement in wanted:
        present = have[requirement.name]
        if present is None or not requirement.specifier.contains(present, prereleases=True):
            return f"it has {requirement.name} {present or 'not'} and must have {requirement}"
    return None


def find(recipe: Recipe = TRACTOR) -> Path | None:
    """Return an interpreter that does for `recipe`, or None if one would have to be built.

    In this order: the one that the variable `recipe.named_by` names, the one that runs the tests,
    one built earlier. Raises NoPythonError if the named one does not do.
    """
    named = STARTED_WITH.get(recipe.named_by)
    if named:
        problem = shortcoming(named, recipe)
        if problem:
            raise NoPythonError(f"{recipe.named_by}={named} does not do: {problem}")
        return Path(named)
    if shortcoming(sys.executable, recipe) is None:
        return Path(sys.executable)
    try:
        _, base = _base(recipe)
    except NoPythonError:
        return None
    folder = _folder(base, recipe)
    whole = _marker(folder).exists() and shortcoming(_python(folder), recipe) is None
    return _python(folder) if whole else None


def find_or_build(recipe: Recipe = TRACTOR) -> Path:
    """Return an interpreter that does for `recipe`: one that `find` finds, or one built now.

    It is built in the user's cache folder, and kept.

    Raises NoPythonError if the named one does not do, if no Python of the right version is
    installed, or if the packages cannot be installed (without a network, say).
    """
    return find(recipe) or _build_and_keep(recipe)


def _build_and_keep(recipe: Recipe) -> Path:
    _, base = _base(recipe)
    folder = _folder(base, recipe)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        python, marker = _python(folder), _marker(folder)
        if marker.exists() and shortcoming(python, recipe) is None:
            return python  # somebody else has built it while we waited
        # An environment cannot be moved once it is built (its scripts name their interpreter), so
        # it is built in place under the lock, and a marker that appears at once calls it whole.
        shutil.rmtree(folder, ignore_errors=True)
        _build(base, folder, recipe)
        _ask.cache_clear()
        problem = shortcoming(python, recipe)
        if problem:
            raise NoPythonError(f"the environment built at {folder} does not do: {problem}")
        half = marker.with_suffix(".half")
        half.write_text(recipe.requirements.read_text())
        half.rename(marker)
    return python


def _folder(base: Path, recipe: Recipe) -> Path:
    version = tuple(_ask(base)[0])
    key = hashlib.sha256(f"{version}\n{recipe.requirements.read_text()}".encode()).hexdigest()[:16]
    return user_cache() / "envs" / key


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _marker(folder: Path) -> Path:
    return folder / "complete"


def _build(base: Path, folder: Path, recipe: Recipe) -> None:
    steps = (
        [base, "-m", "venv", folder],
        [_python(folder), "-m", "pip", "install", "--no-input", "-r", recipe.requirements],
    )
    for step in steps:
        words = list(map(str, step))
        try:
            done = subprocess.run(
                words, env=_plain(STARTED_WITH), capture_output=True, text=True, timeout=BUILDING
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NoPythonError(f"{' '.join(words)} failed: {error}") from error
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            raise NoPythonError(
                f"{' '.join(words)} failed:\n{last}\nInstall {recipe.requirements} into a Python"
                f" {recipe.versions} yourself and set {recipe.named_by} to it"
            )


def _base(recipe: Recipe) -> tuple[tuple[int, ...], Path]:
    """Return version and path of the best installed Python to build an environment with."""
    found: dict[tuple[int, ...], Path] = {}
    for candidate in _installed(recipe):
        try:
            version = tuple(_ask(candidate)[0])
        except (OSError, subprocess.SubprocessError, ValueError):
            continue  # a pyenv shim without a version behind it, say
        if version in recipe.suitable:
            found.setdefault(version, candidate)
    for version in recipe.suitable:
        if version in found:
            return version, found[version]
    raise NoPythonError(
        f"{recipe.upstream} needs Python {recipe.versions} and none is installed: install one, or"
        f" set {recipe.named_by} to one that has everything in {recipe.requirements}"
    )


def _installed(recipe: Recipe) -> Iterator[Path]:
    yield Path(sys.executable)
    for major, minor in recipe.suitable:
        on_path = shutil.which(f"python{major}.{minor}", path=STARTED_WITH.get("PATH"))
        if on_path:
            yield Path(on_path)
    for root in _pyenv_roots():
        for major, minor in recipe.suitable:
            pattern = os.path.join(glob.escape(root), "versions", f"{major}.{minor}.*")
            yield from (Path(folder, "bin", "python") for folder in sorted(glob.glob(pattern)))


def _pyenv_roots() -> Iterator[str]:
    if "PYENV_ROOT" in STARTED_WITH:
        yield STARTED_WITH["PYENV_ROOT"]
    if "HOME" in STARTED_WITH:
        yield os.path.join(STARTED_WITH["HOME"], ".pyenv")


@functools.cache
def _ask(python: Path | str, *names: str) -> tuple[list[int], dict[str, str | None]]:
    done = subprocess.run(
        [str(python), "-I", "-c", ASK, *names],
        env=_plain(STARTED_WITH),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    version, have = json.loads(done.stdout)
    return version, have


def _plain(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` without what puts other packages into an interpreter, or starts macfix in it."""
    dropped = ("VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {
        name: value
        for name, value in env.items()
        if not name.startswith(("PYTHON", "MACFIX")) and name not in dropped
    }
