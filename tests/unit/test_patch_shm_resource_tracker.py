"""The resource tracker of `multiprocessing` stays the process's own, whatever upstream does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from multiprocessing import resource_tracker, shared_memory
from types import ModuleType

import pytest

from macfix import Changes, Source
from macfix.darwin.segments.shared_memory import ShareableList, SharedMemory
from macfix.patches.shm import resource_tracker as patch
from tests.support.segment_owners import fresh_registry

KEY = f"macfix-tracker-{os.getpid()}"
NAMES = ("_resource_tracker", "register", "unregister", "ensure_running", "getfd")

TRACKER = """
from multiprocessing import resource_tracker as mantracker

class ManTracker(mantracker.ResourceTracker):
    def register(self, name, rtype):
        pass

    def unregister(self, name, rtype):
        pass

    def ensure_running(self):
        pass

mantracker._resource_tracker = ManTracker()
mantracker.register = mantracker._resource_tracker.register
mantracker.ensure_running = mantracker._resource_tracker.ensure_running
mantracker.unregister = mantracker._resource_tracker.unregister
mantracker.getfd = mantracker._resource_tracker.getfd
"""
"""As piker had it until 2022-04."""


def indented(text: str, times: int = 1) -> str:
    return "".join("    " * times + line for line in text.splitlines(keepends=True))


FUNCTION = f"def disable_mantracker():\n{indented(TRACKER)}\n"
"""As tractor has had it from 2022-10 on: in `_shm` first, then in `_mp_bs`."""

BEFORE_313 = f"""
import platform
from functools import partial
from multiprocessing.shared_memory import SharedMemory

def disable_mantracker():
    if (_py_313 := (platform.python_version_tuple()[:-1] >= ('3', '13'))):
        return partial(SharedMemory, track=False)
    else:
{indented(TRACKER, 2)}
"""
"""As tractor had it from 2025-08 to 2026-06."""

RUNNING = TRACKER.replace("running(self):\n        pass", "running(self):\n        start()")
USED = "from multiprocessing import resource_tracker\nresource_tracker.register('/x', 'x')\n"
HELPED = "from tractor.ipc._mp_bs import disable_mantracker\nSharedMemory = disable_mantracker()\n"


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what a test replaces of `multiprocessing`, and keep its registry apart."""
    own = resource_tracker._resource_tracker
    for name in NAMES:
        monkeypatch.setattr(resource_tracker, name, getattr(resource_tracker, name))
    with fresh_registry(monkeypatch):
        yield
    for tracker in (resource_tracker._resource_tracker, own):  # whose process a test has started
        if hasattr(tracker, "_stop"):
            tracker._stop()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tracker is told, which is put in place of the process's own."""
    names: list[str] = []

    def note(name: str, rtype: str) -> None:
        names.append(name)

    monkeypatch.setattr(resource_tracker, "register", note)
    monkeypatch.setattr(resource_tracker, "unregister", note)
    monkeypatch.setattr(patch, "_before", current())
    return names


@pytest.fixture
def changes() -> Iterator[Changes]:
    made = Changes()
    yield made
    made.revert()


def current() -> dict[str, object]:
    return {name: getattr(resource_tracker, name) for name in NAMES}


def module_of(text: str) -> ModuleType:
    """Execute `text` as upstream's module, with the class that `shm-names` gives it."""
    module = ModuleType("tractor._shm")
    exec(compile(text, "<upstream>", "exec"), vars(module))
    vars(module).setdefault("SharedMemory", SharedMemory)
    return module


@pytest.mark.parametrize(
    ("text", "version", "state"),
    [
        (TRACKER, (3, 13), "needed"),
        (FUNCTION, (3, 12), "needed"),
        (FUNCTION, (3, 13), "needed"),
        (BEFORE_313, (3, 12), "needed"),
        (BEFORE_313, (3, 13), "not needed"),
        (HELPED, (3, 13), "not needed"),
        ("x = 1\n", (3, 13), "not needed"),
        (RUNNING, (3, 13), "unknown"),
        (USED, (3, 13), "unknown"),
    ],
)
def test_a_tracker_that_never_runs_is_recognised(
    text: str, version: tuple[int, int], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch.sys, "version_info", version)
    answer = patch.diagnose(Source("tractor._shm", "source.py", text.encode()))
    assert answer.state == state


@pytest.mark.parametrize("text", [TRACKER, f"{FUNCTION}disable_mantracker()"])
def test_the_tracker_of_before_is_back(text: str, told: list[str], changes: Changes) -> None:
    before = current()
    module = module_of(text)
    assert not {*before.values()} & {*current().values()}
    patch.install(module, changes)
    assert current() == before


def test_a_helper_that_is_called_later_replaces_nothing(told: list[str], changes: Changes) -> None:
    before = current()
    module = module_of(f"{FUNCTION}    return 'what upstream returns'\n")
    patch.install(module, changes)
    assert module.disable_mantracker() == "what upstream returns"
    assert current() == before


@pytest.mark.parametrize("made", [SharedMemory, partial(SharedMemory, track=False)])
def test_upstreams_segments_are_not_tracked(
    made: type[SharedMemory], told: list[str], changes: Changes
) -> None:
    patch.install(module_of(TRACKER), changes)
    segment = made(KEY, create=True, size=8)
    segment.close()
    segment.unlink()
    shared = ShareableList([1, 2], name=KEY)
    shared.shm.close()
    shared.shm.unlink()
    assert told == []


def test_segments_of_the_program_are_tracked_as_before(told: list[str], changes: Changes) -> None:
    patch.install(module_of(TRACKER), changes)
    segment = shared_memory.SharedMemory(create=True, size=8)
    segment.close()
    segment.unlink()
    asked = SharedMemory(KEY, create=True, size=8, track=True)
    asked.close()
    asked.unlink()
    assert told == [segment._name] * 2 + [asked.kernel_name] * 2


def test_without_shm_names_upstreams_segments_stay_untracked(
    told: list[str], changes: Changes
) -> None:
    before = current()
    module = module_of(f"{TRACKER}\nfrom multiprocessing.shared_memory import SharedMemory\n")
    patch.install(module, changes)
    assert resource_tracker.getfd is before["getfd"]
    segment = module.SharedMemory(create=True, size=8)
    segment.close()
    segment.unlink()
    assert told == []


def test_an_upstream_that_was_imported_unpatched_costs_a_new_tracker() -> None:
    module_of(TRACKER)
    found = patch._current()
    assert type(found["_resource_tracker"]) is resource_tracker.ResourceTracker
    assert found["getfd"] == found["_resource_tracker"].getfd


def test_every_change_can_be_taken_back() -> None:
    module, changes = module_of(FUNCTION), Changes()
    before = current(), module.disable_mantracker, SharedMemory.__init__
    patch.install(module, changes)
    assert changes.revert() == []
    assert (current(), module.disable_mantracker, SharedMemory.__init__) == before
