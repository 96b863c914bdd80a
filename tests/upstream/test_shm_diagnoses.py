"""Every version of the modules that share arrays is known to every shared memory patch."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from macfix import Source
from macfix.engine.patch import Patch
from tests.support import builtin, upstream
from tests.support.reports import Tables

PATHS = {
    "tractor": {
        "tractor/_shm.py": "tractor._shm",
        "tractor/ipc/_mp_bs.py": "tractor.ipc._mp_bs",
        "tractor/ipc/_shm.py": "tractor.ipc._shm",
    },
    "piker": {
        "piker/data/_sharedmem.py": "piker.data._sharedmem",
        "piker/tsp/__init__.py": "piker.tsp",
        "piker/data/history.py": "piker.data.history",
        "piker/storage/cli.py": "piker.storage.cli",
    },
}
SINCE = "2022-01-01"

ALWAYS = {"shm-names", "shm-index", "shm-open-files", "shm-half-open", "shm-token-check"}
"""Needed by every version there is: upstream has fixed none of these."""


def git(name: str, *words: str) -> str:
    folder = upstream.checkout(name)
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=False)
    return done.stdout.decode() if done.returncode == 0 else ""


def versions(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield commit, module and text of each version of each file that any branch has had."""
    for path, module in PATHS[name].items():
        seen = set()
        listing = git(name, "log", "--all", f"--since={SINCE}", "--format=%h", "--", path)
        for commit in listing.split():
            text = git(name, "show", f"{commit}:{path}")
            if text and text not in seen:
                seen.add(text)
                yield commit, module, text


def patches_for(module: str) -> list[Patch]:
    return [patch for patch in builtin.patches_for(module) if patch.plugin == "shm"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PATHS)
def test_no_version_is_unknown_to_a_patch(name: str, tables: Tables) -> None:
    try:
        all_versions = list(versions(name))
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    assert len(all_versions) > 15
    count: Counter[tuple[str, str]] = Counter()
    puzzled, missed = [], []
    for commit, module, text in all_versions:
        source = Source(module, f"{commit}:{module}", text.encode())
        for patch in patches_for(module):
            answer = patch.diagnose(source)
            count[patch.name, answer.state] += 1
            if answer.state == "unknown":
                puzzled.append(f"{commit} {module}: {patch.name}: {answer.reason}")
            if patch.name in ALWAYS and answer.state != "needed":
                missed.append(f"{commit} {module}: {patch.name}: {answer.reason}")
    assert not puzzled
    assert not missed
    for (patch_name, state), number in sorted(count.items()):
        tables.add(f"versions of {name}'s modules", patch_name, state, str(number))
