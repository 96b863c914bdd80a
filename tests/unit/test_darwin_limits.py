"""The limit of open files is raised to what the kernel allows, and never lowered."""

from __future__ import annotations

import resource

import pytest

from macfix.darwin import limits
from macfix.darwin.limits import OPEN_MAX, OpenFiles, raise_open_files
from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated
from tests.support.worlds import ON_A_MAC

UNLIMITED = resource.RLIM_INFINITY


class Kernel:
    """A kernel's answers about open files: limits, and the most it takes."""

    def __init__(self, soft: int, hard: int, per_process: int | None, most: int) -> None:
        self.soft, self.hard, self.per_process, self.most = soft, hard, per_process, most

    def getrlimit(self, what: int) -> tuple[int, int]:
        assert what == resource.RLIMIT_NOFILE
        return self.soft, self.hard

    def setrlimit(self, what: int, wanted: tuple[int, int]) -> None:
        assert what == resource.RLIMIT_NOFILE and wanted[1] == self.hard
        if wanted[0] > self.most or (self.hard != UNLIMITED and wanted[0] > self.hard):
            raise ValueError("not allowed to raise maximum limit")
        self.soft = wanted[0]


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        # a Mac: no hard limit, and the kernel's own one for a process
        (Kernel(256, UNLIMITED, 61440, 61440), OpenFiles(256, 61440, 61440)),
        # the kernel does not say how much it allows
        (Kernel(256, UNLIMITED, None, 99999), OpenFiles(256, OPEN_MAX, OPEN_MAX)),
        # an administrator allows less than the kernel
        (Kernel(256, 4096, 61440, 61440), OpenFiles(256, 4096, 4096)),
        # the kernel refuses what it says it allows
        (Kernel(256, UNLIMITED, 61440, OPEN_MAX), OpenFiles(256, OPEN_MAX, 61440)),
        # and takes nothing at all
        (Kernel(256, UNLIMITED, 61440, 0), OpenFiles(256, 256, 61440)),
        # somebody has raised it already, as far as it goes or farther
        (Kernel(61440, UNLIMITED, 61440, 61440), OpenFiles(61440, 61440, 61440)),
        (Kernel(70000, UNLIMITED, 61440, 99999), OpenFiles(70000, 70000, 61440)),
        (Kernel(UNLIMITED, UNLIMITED, 61440, 61440), OpenFiles(UNLIMITED, UNLIMITED, 61440)),
    ],
)
def test_it_is_raised_as_far_as_the_kernel_allows(
    kernel: Kernel, expected: OpenFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", kernel.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", kernel.setrlimit)
    monkeypatch.setattr(limits, "sysctl_int", lambda name: kernel.per_process)
    assert raise_open_files() == expected
    assert kernel.soft == expected.after


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (OpenFiles(256, 61440, 61440), "61440 files may be open, 256 before"),
        (OpenFiles(256, 256, 61440), "256 files may be open; the kernel allows 61440"),
    ],
)
def test_it_says_what_it_did(outcome: OpenFiles, words: str) -> None:
    assert words in str(outcome)


@pytest.mark.skipif(ON_A_MAC, reason="simulates a Mac")
def test_a_simulated_mac_has_256_and_gets_more_for_its_children_too(sandbox: Sandbox) -> None:
    told = Simulated(sandbox).mac("""
import resource, subprocess, sys
from macfix.darwin.limits import raise_open_files
outcome = raise_open_files()
child = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
seen = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout
tell(before=outcome.before, after=outcome.after, child=int(seen),
     now=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
""")
    assert told["before"] == 256
    assert told["after"] == told["child"] == told["now"] > 256
