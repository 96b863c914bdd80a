"""The bytecode cache: used when it can be trusted, and never in the way."""

from __future__ import annotations

import importlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from macfix import needed
from macfix.engine._cache import Cache, Record, default_folder, key_of
from macfix.engine._patch import Verdict
from tests.support.engine import ROOT, World, make_patch, replace_constant

MOD = f"{ROOT}.mod"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setenv("MACFIX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bytecode"


@pytest.fixture
def world(tmp_path: Path, folder: Path) -> Iterator[World]:
    made = World(tmp_path / "up")
    made.write(MOD, "answer = 1")
    yield made
    made.close()


class Counted:
    """A patch that counts how often it is asked and rewrites 1 to its number."""

    def __init__(self, number: int = 2) -> None:
        self.asked = 0
        self.rewrite = replace_constant(1, number)

    def needed(self, source: Any) -> Verdict:
        self.asked += 1
        return needed("always")

    def import_once(self, world: World) -> int:
        world.mend(make_patch(needed=self.needed_function(), rewrite=self.rewrite))
        sys.modules.pop(MOD, None)
        answer: int = world.load().answer
        sys.meta_path.remove(world.finders.pop())
        return answer

    def needed_function(self) -> Any:
        # a plain function: the fingerprint is taken of the module that defines it
        return lambda source: self.needed(source)


def test_the_second_import_asks_no_patch_and_rewrites_nothing(world: World, folder: Path) -> None:
    counted = Counted()
    assert [counted.import_once(world) for _ in range(3)] == [2, 2, 2]
    assert counted.asked == 1
    assert len(list(folder.iterdir())) == 1


def test_a_changed_source_is_looked_at_again(world: World) -> None:
    counted = Counted()
    assert counted.import_once(world) == 2
    world.write(MOD, "answer = [1, 3]")
    assert counted.import_once(world) == [2, 3]
    assert counted.asked == 2


def test_a_changed_patch_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    assert counted.import_once(world) == 2
    monkeypatch.setattr("macfix.engine._fingerprint._folder_state", lambda folder: b"edited")
    assert counted.import_once(world) == 2
    assert counted.asked == 2


HELPERS = """
import ast
from macfix import needed

def always(source):
    return needed("always")

def putting(number):
    def rewrite(tree):
        tree.body[0].value = ast.copy_location(ast.Constant(number), tree.body[0].value)
        return tree
    return rewrite
"""

PLUGIN = """
import sys
from functools import partial
from macfix import Patch, hookimpl
from fake_macfix_plugin_helpers import always, putting

@hookimpl
def macfix_patches():
    return [Patch(name="p", targets=("fakeup.mod",), summary="s", upstream="u", remove_when="r",
        platforms=frozenset({sys.platform}), needed=NEEDED, rewrite=putting(NUMBER))]
"""


@pytest.mark.parametrize("asking", ["always", "partial(always)"])
def test_a_plugin_that_changes_is_asked_again_though_its_helpers_lie_elsewhere(
    world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asking: str
) -> None:
    for name in ("plugin", "helpers"):
        (tmp_path / name).mkdir()
        monkeypatch.syspath_prepend(str(tmp_path / name))
    (tmp_path / "helpers" / "fake_macfix_plugin_helpers.py").write_text(HELPERS)
    seen = []
    for number in (20, 300, 300):
        text = PLUGIN.replace("NUMBER", str(number)).replace("NEEDED", asking)
        file = tmp_path / "plugin" / "fake_macfix_plugin_of_helpers.py"
        if not seen or seen[-1] != number:
            file.write_text(text)
            importlib.invalidate_caches()
        world.mend(plugin="fake_macfix_plugin_of_helpers")
        seen.append(world.load().answer)
        sys.meta_path.remove(world.finders.pop())
        for module in (MOD, "fake_macfix_plugin_of_helpers"):
            del sys.modules[module]
    assert seen == [20, 300, 300]
    assert len(list(folder.iterdir())) == 2


def test_the_cache_is_the_users_alone(world: World, folder: Path) -> None:
    Counted().import_once(world)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def spoil_by_truncation(folder: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def spoil_one_byte(folder: Path, file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 0xFF
    file.write_bytes(data)


def spoil_by_emptying(folder: Path, file: Path) -> None:
    file.write_bytes(b"")


def let_others_write_the_file(folder: Path, file: Path) -> None:
    file.chmod(0o666)


def let_others_write_the_folder(folder: Path, file: Path) -> None:
    folder.chmod(0o777)


def put_a_link_in_its_place(folder: Path, file: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def put_a_fifo_in_its_place(folder: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def link_the_folder(folder: Path, file: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_by_truncation,
        spoil_one_byte,
        spoil_by_emptying,
        let_others_write_the_file,
        let_others_write_the_folder,
        put_a_link_in_its_place,
        put_a_fifo_in_its_place,
        link_the_folder,
    ],
)
def test_a_file_that_cannot_be_trusted_is_not_executed(
    world: World, folder: Path, spoil: Any
) -> None:
    counted = Counted()
    assert counted.import_once(world) == 2
    (file,) = folder.iterdir()
    spoil(folder, file)
    assert counted.import_once(world) == 2
    assert counted.asked == 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_executed(world: World, folder: Path) -> None:
    counted = Counted()
    assert counted.import_once(world) == 2
    (file,) = folder.iterdir()
    os.chown(file, 12345, 12345)
    assert counted.import_once(world) == 2
    assert counted.asked == 2


def test_without_a_usable_folder_all_works_uncached(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("MACFIX_CACHE_DIR", str(tmp_path / "a file" / "cache"))
    counted = Counted()
    assert [counted.import_once(world) for _ in range(2)] == [2, 2]
    assert counted.asked == 2


def test_nothing_is_written_when_python_is_told_to_write_no_bytecode(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert Counted().import_once(world) == 2
    assert not folder.exists()


def test_a_privileged_process_uses_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert default_folder() is None


def test_the_default_folder_is_where_the_platform_keeps_caches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MACFIX_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == "/xdg/macfix"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert default_folder() == "/home/someone/.cache/macfix"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == "/home/someone/Library/Caches/macfix"


def test_old_vintages_of_a_module_make_room_for_new_ones(folder: Path) -> None:
    cache = Cache(str(folder.parent))
    for number in range(20):
        cache.write(key_of("a.b", "/x", str(number).encode(), "p"), Record({}, None))
    cache.write(key_of("a.c", "/x", b"", "p"), Record({}, None))
    names = [file.name.partition("-")[0] for file in folder.iterdir()]
    assert (names.count("a.b"), names.count("a.c")) == (8, 1)


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    cache = Cache(str(folder.parent))
    record = Record({"a": Verdict("needed", "wäre"), "b": Verdict("not needed", "")}, None)
    cache.write("k-1", record)
    assert cache.read("k-1") == record
    assert cache.read("k-2") is None
