"""Each Unix socket patch is what fixes its defect: stand-ins of three vintages, real processes."""

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
    BARE_MAC,
    LINUX_WITH_MACFIX,
    MENDED_MAC,
    ON_A_MAC,
    World,
    lay_out_macfix,
)

pytest.importorskip("trio")

STUBS = REPOSITORY / "tests" / "replicas" / "stubs"
VINTAGES = {
    "2025-07": (REPOSITORY / "macfix" / "cli" / "demo" / "replicas",),
    "2026-03": (REPOSITORY / "tests" / "replicas" / "2026-03", STUBS),
    "HEAD": (REPOSITORY / "tests" / "replicas" / "HEAD", STUBS),
}

AT_HEAD = {
    "transport-eafnosupport",
    "transport-enotconn",
    "transport-eprototype",
    "uds-peer-credentials",
    "uds-removed-socket",
    "uds-vanished-peer",
}
IN_MARCH = AT_HEAD | {
    "runtime-dir",
    "transport-reset",
    "uds-backlog",
    "uds-socket-names",
    "uds-unbound-names",
}
IN_JULY = IN_MARCH | {
    "runtime-dir-env",
    "uds-connected-pid",
    "uds-passcred",
    "uds-socket-constants",
}
NAMES = sorted(IN_JULY)

FIXED_BY = {"2025-07": IN_JULY, "2026-03": IN_MARCH, "HEAD": AT_HEAD}
CASES = [(vintage, name) for vintage, names in FIXED_BY.items() for name in sorted(names)]

SHOW = """
import importlib, json, sys
seen = {}
for name in sys.argv[1:]:
    plugin, _, module = name.partition("-")
    patch = importlib.import_module(f"macfix.patches.{plugin}.{module.replace('-', '_')}")
    try:
        patch.repro()
    except BaseException as error:
        seen[name] = f"{type(error).__name__}: {error}"
    else:
        seen[name] = None
import macfix
applied = {e.patch for e in macfix.status().entries if e.state.value == "applied"}
print(json.dumps({"seen": seen, "applied": sorted(applied & set(sys.argv[1:]))}))
"""


@pytest.fixture(params=VINTAGES)
def vintage(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def launcher(vintage: str, sandbox: Sandbox, tmp_path: Path) -> Launcher:
    return Launcher(Path(sys.executable), sandbox, lay_out_macfix(tmp_path), VINTAGES[vintage])


def show(launcher: Launcher, *names: str, world: World = MENDED_MAC, **more: str) -> dict[str, Any]:
    """Run the repros `names` in a new process; return what they raised and what was applied."""
    finished = launcher.run(world, ["-c", SHOW, *names], more=more)
    assert finished.returncode == 0, str(finished)
    report: dict[str, Any] = json.loads(finished.stdout)
    return report


def test_with_every_patch_no_defect_shows_on_a_mac(launcher: Launcher, vintage: str) -> None:
    report = show(launcher, *NAMES)
    assert report["seen"] == dict.fromkeys(NAMES)
    assert report["applied"] == sorted(FIXED_BY[vintage])


@pytest.mark.parametrize(("vintage", "name"), CASES, indirect=["vintage"])
def test_without_the_patch_its_defect_shows(launcher: Launcher, name: str) -> None:
    assert show(launcher, name, MACFIX_SKIP=name)["seen"][name] is not None


@pytest.mark.parametrize("vintage", ["2026-03", "HEAD"], indirect=True)
def test_where_a_patch_is_not_needed_its_defect_does_not_show(
    launcher: Launcher, vintage: str
) -> None:
    names = sorted(IN_JULY - FIXED_BY[vintage])
    report = show(launcher, *names, MACFIX_SKIP=",".join(names))
    assert report["seen"] == dict.fromkeys(names)


def test_without_macfix_the_import_fails_before_march(launcher: Launcher, vintage: str) -> None:
    finished = launcher.run(BARE_MAC, ["-c", "import tractor"])
    if vintage == "2025-07":
        assert "XDG_RUNTIME_DIR" in finished.stderr
        assert finished.returncode == 1
    else:
        assert finished.returncode == 0, str(finished)


@pytest.mark.skipif(ON_A_MAC, reason="a Mac cannot be Linux")
def test_on_linux_nothing_is_applied_and_the_stand_ins_work(launcher: Launcher) -> None:
    working = ("runtime-dir-env", "uds-passcred", "uds-peer-credentials", "uds-socket-constants")
    report = show(launcher, *working, world=LINUX_WITH_MACFIX)
    assert report == {"seen": dict.fromkeys(working), "applied": []}
