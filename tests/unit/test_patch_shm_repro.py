"""Each shared memory patch is what fixes its defect: stand-ins of two vintages, real processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.launcher import Launcher
from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY
from tests.support.worlds import (
    LINUX_WITH_MACFIX,
    MENDED_MAC,
    ON_A_MAC,
    World,
    lay_out_macfix,
)

pytest.importorskip("numpy")

STUBS = REPOSITORY / "tests" / "replicas" / "stubs"
VINTAGES = {
    "piker": ("piker.data._sharedmem", (REPOSITORY / "macfix" / "cli" / "demo" / "replicas",)),
    "HEAD": ("tractor.ipc._shm", (REPOSITORY / "tests" / "replicas" / "HEAD", STUBS)),
}

EVERYWHERE = {
    "shm-half-open",
    "shm-index",
    "shm-names",
    "shm-open-files",
    "shm-resource-tracker",
    "shm-token-check",
    "shm-token-key",
}
FIXED_BY = {
    "piker": EVERYWHERE | {"shm-teardown"},
    "HEAD": EVERYWHERE | {"shm-shortening", "shm-maybe-open"},
}
CASES = [(vintage, name) for vintage, names in FIXED_BY.items() for name in sorted(names)]

SHOW = """
import importlib, json, os, sys
target, *names = sys.argv[1:]
if target.startswith("piker."):
    # it would find tractor's module beside it, of another vintage, first
    sys.modules["tractor.ipc._shm"] = sys.modules["tractor._shm"] = None
importlib.import_module(target)
seen = {}
for name in names:
    plugin, _, module = name.partition("-")
    patch = importlib.import_module(f"macfix.patches.{plugin}.{module.replace('-', '_')}")
    try:
        patch.repro()
    except BaseException as error:
        seen[name] = f"{type(error).__name__}: {error}"
    else:
        seen[name] = None
import macfix
of = (target, "tractor.ipc._mp_bs")
entries = [e for e in macfix.status().entries if e.target in of]
problems = [e.reason for e in entries if e.state.value in ("failed", "unknown upstream")]
applied = sorted(e.patch for e in entries if e.state.value == "applied")
print(json.dumps({"seen": seen, "applied": applied, "problems": problems}))
"""


def launcher_of(vintage: str, sandbox: Sandbox, folder: Path) -> Launcher:
    return Launcher(Path(sys.executable), sandbox, lay_out_macfix(folder), VINTAGES[vintage][1])


def show(
    launcher: Launcher, vintage: str, *names: str, world: World = MENDED_MAC, **more: str
) -> dict[str, Any]:
    """Run the repros `names` in a new process; return what they raised and what was applied."""
    finished = launcher.run(world, ["-c", SHOW, VINTAGES[vintage][0], *names], more=more)
    assert finished.returncode == 0, str(finished)
    report: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("vintage", VINTAGES)
def test_with_every_patch_no_defect_shows_on_a_mac(
    vintage: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    names = sorted(FIXED_BY[vintage])
    report = show(launcher_of(vintage, sandbox, tmp_path), vintage, *names)
    assert report == {"seen": dict.fromkeys(names), "applied": names, "problems": []}


@pytest.mark.parametrize(("vintage", "name"), CASES)
def test_without_the_patch_its_defect_shows(
    vintage: str, name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    report = show(launcher_of(vintage, sandbox, tmp_path), vintage, name, MACFIX_SKIP=name)
    assert report["seen"][name] is not None
    assert report["applied"] == sorted(FIXED_BY[vintage] - {name})


@pytest.mark.skipif(ON_A_MAC, reason="a Mac cannot be Linux")
@pytest.mark.parametrize("vintage", VINTAGES)
def test_on_linux_nothing_is_applied(vintage: str, sandbox: Sandbox, tmp_path: Path) -> None:
    report = show(launcher_of(vintage, sandbox, tmp_path), vintage, world=LINUX_WITH_MACFIX)
    assert report == {"seen": {}, "applied": [], "problems": []}


REVERT = """
import importlib, json, os, resource, sys
from multiprocessing import shared_memory
import macfix
target = sys.argv[1]
if target.startswith("piker."):
    sys.modules["tractor.ipc._shm"] = sys.modules["tractor._shm"] = None
limits = [resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
module = importlib.import_module(target)
limits.append(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
lists = getattr(module, "ShmList", None)

def stock():
    segment = getattr(module.SharedMemory, "func", module.SharedMemory)
    token = getattr(module, "NDToken", None) or module._Token
    return {
        "SharedMemory": segment is shared_memory.SharedMemory,
        "shm_unlink": type(module.shm_unlink).__module__.startswith("macfix.simulate")
            or getattr(module.shm_unlink, "__module__", "") == "_posixshmem",
        "ShmList": lists is None or lists.__bases__ == (shared_memory.ShareableList,),
        "SharedInt": module.SharedInt.__bases__ == (object,),
        "value": isinstance(vars(module.SharedInt)["value"], property),
        "key": "key" not in vars(token) or vars(token)["key"] is None,
        "tree": "MACFIX_SHM_TREE" not in os.environ,
    }

patched = stock()
left = macfix.deactivate()
limits.append(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(json.dumps({"patched": patched, "reverted": stock(), "left": left, "limits": limits}))
"""


@pytest.mark.parametrize("vintage", VINTAGES)
def test_every_change_can_be_taken_back(vintage: str, sandbox: Sandbox, tmp_path: Path) -> None:
    launcher = launcher_of(vintage, sandbox, tmp_path)
    finished = launcher.run(MENDED_MAC, ["-c", REVERT, VINTAGES[vintage][0]])
    assert finished.returncode == 0, str(finished)
    report = json.loads(finished.stdout.splitlines()[-1])
    patched = {name for name, is_stock in report["patched"].items() if not is_stock}
    assert {"SharedMemory", "shm_unlink", "SharedInt", "tree"} <= patched
    assert all(report["reverted"].values()), report["reverted"]
    assert [text for text in report["left"] if text.startswith(VINTAGES[vintage][0])] == []
    before, during, after = report["limits"]
    assert during > before == after
