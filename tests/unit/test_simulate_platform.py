"""Who sees a Mac and who sees Linux, in one process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="simulates on Linux")


@pytest.fixture
def on(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


def test_the_program_sees_darwin_however_it_asks(on: Simulated) -> None:
    snippet = """
import os, platform, sys
from sys import platform as imported
from platform import system, machine
from dataclasses import dataclass, field
space = {"__name__": __name__}
exec("import sys; answer = sys.platform", space)
exec("import sys; nameless = sys.platform", bare := {})
class Holder:
    here = sys.platform
    def ask(self, default=sys.platform): return default
@dataclass
class Data:
    where: str = field(default_factory=lambda: sys.platform)
tell(all={sys.platform, imported, getattr(sys, "platform"), space["answer"], Holder.here,
          bare["nameless"], Holder().ask(), Data().where, eval("sys.platform"),
          *[sys.platform for _ in "x"], *(sys.platform for _ in "x")} == {"darwin"},
     true=[vars(sys)["platform"], hasattr(sys, "platform")])
tell(platform=[system(), machine(), platform.processor(), platform.mac_ver()[0],
               platform.platform(terse=True), platform.libc_ver(), platform.uname().system],
     uname=[os.uname().sysname, os.uname()[4], os.uname().nodename == platform.node()])
"""
    mac, linux = on.mac(snippet), on.linux(snippet)
    assert mac["all"] is True and mac["true"] == ["linux", True]
    assert mac["platform"] == [
        "Darwin",
        "arm64",
        "arm",
        "14.6.1",
        "macOS-14.6.1",
        ["", ""],
        "Darwin",
    ]
    assert mac["uname"] == ["Darwin", "arm64", True]
    assert linux["all"] is False and linux["uname"][0] == "Linux"


def test_an_intel_mac_says_so(on: Simulated) -> None:
    snippet = "import os, platform; tell(m=[platform.machine(), os.uname().machine])"
    assert on.mac(snippet, "page=4096") == {"m": ["x86_64", "x86_64"]}


def test_the_standard_library_sees_linux(on: Simulated) -> None:
    snippet = """
import asyncio, ctypes.util, platform, selectors, shutil, subprocess, sysconfig
tell(selector=selectors.DefaultSelector.__name__, sendfile=shutil._USE_CP_SENDFILE,
     config=sysconfig.get_platform().split("-")[0], c=ctypes.util.find_library("c"),
     inner=platform._sys_version()[0] if hasattr(platform, "_sys_version") else "")
"""
    seen = on.mac(snippet)
    assert seen["selector"] == "KqueueSelector" and seen["sendfile"] is True
    assert seen["config"] == "linux" and seen["c"].startswith("libc.so")


def test_multiprocessing_is_the_macs(on: Simulated) -> None:
    snippet = """
import multiprocessing, multiprocessing.heap, multiprocessing.queues
from multiprocessing import reduction, util
tell(method=multiprocessing.get_start_method(), acknowledge=reduction.ACKNOWLEDGE,
     abstract=util.abstract_sockets_supported,
     heap="/dev/shm" in multiprocessing.heap.Arena._dir_candidates,
     sizes=[outcome(multiprocessing.Queue().qsize), outcome(multiprocessing.Semaphore().get_value)])
"""
    mac, linux = on.mac(snippet), on.linux(snippet)
    assert mac == {
        "method": "spawn",
        "acknowledge": True,
        "abstract": False,
        "heap": False,
        "sizes": ["NotImplementedError"] * 2,
    }
    assert linux["abstract"] is True and linux["sizes"] == ["ok", "ok"]


def package(folder: Path, name: str, text: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    return folder


ASK = "import os, platform, sys\nseen = [sys.platform, platform.system(), os.uname().sysname]\n"
MAC = ["darwin", "Darwin", "Darwin"]
LINUX = ["linux", "Linux", "Linux"]


@pytest.mark.parametrize(
    ("name", "installed", "seen"),
    [
        ("tractor", True, MAC),
        ("tractor", False, MAC),
        ("piker", True, MAC),
        ("platformdirs", True, MAC),
        ("somelib", True, LINUX),
        ("somelib", False, MAC),
        ("trio", True, LINUX),
        ("trio", False, LINUX),
        ("numpy", False, LINUX),
    ],
)
def test_who_sees_what(
    on: Simulated, tmp_path: Path, name: str, installed: bool, seen: list[str]
) -> None:
    folder = tmp_path / "lib/python3/site-packages" if installed else tmp_path / "checkout"
    package(folder, name, ASK + "from . import deep\n")
    (folder / name / "deep.py").write_text(ASK)
    snippet = f"import sys; sys.path.insert(0, {str(folder)!r}); import {name}\n"
    snippet += f"tell(top={name}.seen, deep={name}.deep.seen)"
    assert on.mac(snippet) == {"top": seen, "deep": seen}


def test_the_spec_may_name_more_guests(on: Simulated, tmp_path: Path) -> None:
    folder = package(tmp_path / "site-packages", "somelib", ASK)
    (folder / "other.py").write_text(ASK)
    snippet = f"import sys; sys.path.insert(0, {str(folder)!r}); import somelib, other\n"
    snippet += "tell(some=somelib.seen[0], other=other.seen[0])"
    assert on.mac(snippet, "guests=other") == {"some": "linux", "other": "darwin"}


def test_macfix_itself_is_a_guest_and_the_simulation_is_not(on: Simulated) -> None:
    snippet = """
from macfix.simulate import _platform
tell(engine=_platform.is_guest("macfix.engine._config", "/x/macfix/engine/_config.py"),
     truth=_platform.is_guest("macfix.simulate._start", "/x/macfix/simulate/_start.py"),
     similar=_platform.is_guest("macfix.simulated", "/x/macfix/simulated.py"))
"""
    assert on.mac(snippet) == {"engine": True, "truth": False, "similar": True}


def test_the_class_of_sys_still_makes_and_recognises_modules(on: Simulated) -> None:
    snippet = """
import json, sys, types
tell(kinds=[isinstance(json, type(sys)), isinstance(sys, types.ModuleType),
            isinstance(1, type(sys)), type(json) is types.ModuleType,
            type(type(sys)("new", "doc")) is types.ModuleType],
     made=type(sys)("new", "doc").__doc__, repr=repr(sys))
"""
    assert on.mac(snippet) == {
        "kinds": [True, True, False, True, True],
        "made": "doc",
        "repr": "<module 'sys' (built-in)>",
    }


def test_a_program_may_set_the_platform_and_put_it_back(on: Simulated) -> None:
    snippet = """
import sys
from unittest import mock
seen = [sys.platform]
with mock.patch.object(sys, "platform", "win32"):
    seen.append(sys.platform)
seen.append(sys.platform)
before = sys.platform
sys.platform = "linux"; seen.append(sys.platform)
sys.platform = before; seen.append(sys.platform)
tell(seen=seen)
"""
    assert on.mac(snippet) == {"seen": ["darwin", "win32", "darwin", "linux", "darwin"]}


def test_replaced_functions_behave_like_builtins(on: Simulated) -> None:
    snippet = """
import copy, inspect, io, os, pickle
class Accessor:
    stat = os.stat
    open = io.open
    unlink = os.unlink
functions = [os.stat, os.open, os.listdir, open, os.read, os.confstr, os.uname]
tell(unbound=[outcome(Accessor().stat, "."), outcome(Accessor().open, "new", "w"),
              outcome(Accessor().unlink, "new")],
     pickled=[pickle.loads(pickle.dumps(f)) is f and copy.deepcopy(f) is f for f in functions],
     names=[f.__name__ for f in functions], where=[f.__module__ for f in functions],
     signature=str(inspect.signature(os.stat)),
     sets=[os.stat in os.supports_fd, os.stat in os.supports_dir_fd, os.open in os.supports_dir_fd,
           os.stat in os.supports_follow_symlinks, os.scandir in os.supports_fd,
           os.access in os.supports_effective_ids])
"""
    seen = on.mac(snippet)
    assert seen["unbound"] == ["ok"] * 3 and seen["pickled"] == [True] * 7
    assert seen["names"] == ["stat", "open", "listdir", "open", "read", "confstr", "uname"]
    assert set(seen["where"]) == {"os", "builtins"}
    assert seen["signature"] == "(path, *, dir_fd=None, follow_symlinks=True)"
    assert seen["sets"] == [True] * 6


def test_modules_that_are_changed_on_import_keep_their_own_loaders(on: Simulated) -> None:
    snippet = """
import importlib, inspect, platform, socket
for module in (platform, socket):
    loaders = [type(module.__loader__).__name__, type(module.__spec__.loader).__name__]
    tell(**{module.__name__: [*loaders, "def " in inspect.getsource(module)]})
again = importlib.reload(socket)
tell(again=[hasattr(again, "SO_PEERCRED"), len(again.socketpair()[0].getsockopt(0, 1, 99))])
"""
    seen = on.mac(snippet)
    assert "_Loader" not in [*seen["platform"], *seen["socket"]]
    assert seen["socket"][2] is True and seen["again"] == [False, 76]


def test_a_tests_monkeypatch_counts_for_guests_and_is_undone(on: Simulated) -> None:
    """pytest's own monkeypatch is a host: it saves and puts back what hosts see."""
    snippet = """
import sys
import pytest
seen = []
for value in ("linux", "darwin", "win32"):
    patch = pytest.MonkeyPatch()
    patch.setattr(sys, "platform", value)
    seen.append(sys.platform)
    patch.undo()
    seen.append(sys.platform)
tell(seen=seen)
"""
    answer = on.mac(snippet)
    assert answer["seen"] == ["linux", "darwin", "darwin", "darwin", "win32", "darwin"]
