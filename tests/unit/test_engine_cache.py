"""The cache of answers: used when it can be trusted, never in the way, and never any code."""

from __future__ import annotations

import importlib
import json
import os
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from macfix import Diagnosis
from macfix.engine import cache
from macfix.engine.cache import Cache, key_of
from macfix.engine.config import Config
from tests.support.engine import MOD, FakeUpstream

PLUGIN = """
from macfix import hookimpl

@hookimpl
def macfix_targets():
    return ["fakeup.mod"]

@hookimpl
def macfix_patches(target):
    from fake_macfix_on_disk import number
    return [number]
"""

PATCH = """
import ast, sys
from macfix import needed
from fake_macfix_on_disk._helper import NUMBER

PLATFORMS = frozenset({sys.platform})
asked = []

def diagnose(source):
    asked.append(source.module)
    return needed("it is wrong")

def rewrite(tree):
    tree.body[0].value = ast.copy_location(ast.Constant(NUMBER), tree.body[0].value)
    return tree
"""

OWN = "fake_macfix_on_disk"


class Tries:
    """Imports the target again and again, each time as a process of its own would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cache" / "answers"
        self.config = Config(cache=str(folder / "cache"))
        self.upstream = FakeUpstream(folder / "up")
        self.upstream.write(MOD, "answer = 1")
        self.plugin = folder / "plugins" / OWN
        self.plugin.mkdir(parents=True)
        sys.path.insert(0, str(self.plugin.parent))
        (self.plugin / "__init__.py").write_text(PLUGIN)
        (self.plugin / "number.py").write_text(PATCH)
        self.write_helper(2)

    def write_helper(self, number: int) -> None:
        (self.plugin / "_helper.py").write_text(f"NUMBER = {number}\n")

    def load(self) -> tuple[int, int]:
        """The target's answer, and how often the patch was asked for it."""
        importlib.invalidate_caches()
        cache._digest_of_code.cache_clear()
        engine = self.upstream.patch(config=self.config, plugins={"disk": OWN})
        answer = self.upstream.load().answer
        asked = len(sys.modules[f"{OWN}.number"].asked)  # type: ignore[attr-defined]
        assert [str(entry.state) for entry in engine.entries()] == ["applied"]
        self.upstream.forget()
        for name in [name for name in sys.modules if name.partition(".")[0] == OWN]:
            del sys.modules[name]
        return answer, asked

    def file(self) -> Path:
        (file,) = self.folder.iterdir()
        return file


@pytest.fixture
def tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tries]:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    made = Tries(tmp_path)
    yield made
    made.upstream.close()


def test_the_second_import_asks_no_patch(tries: Tries) -> None:
    assert [tries.load() for _ in range(3)] == [(2, 1), (2, 0), (2, 0)]


def test_what_is_kept_is_answers_and_no_code(tries: Tries) -> None:
    tries.load()
    assert json.loads(tries.file().read_text()) == {"disk-number": ["needed", "it is wrong"]}
    assert tries.file().name.startswith(f"{MOD}-")


def test_what_is_unknown_is_not_kept(tries: Tries) -> None:
    """It may be so for now only: for lack of memory, or because warnings are errors."""
    tries.upstream.write(MOD, "answer = 1\nodd = '\\d'")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine = tries.upstream.patch(config=tries.config, plugins={"disk": OWN})
        with pytest.raises(SyntaxError, match="invalid escape"):
            tries.upstream.load()
    assert [str(entry.state) for entry in engine.entries()] == ["unknown upstream"]
    tries.upstream.forget()
    with pytest.warns(match="invalid escape"):
        assert tries.load() == (2, 1)


def test_a_changed_source_is_looked_at_again(tries: Tries) -> None:
    tries.load()
    tries.upstream.write(MOD, "answer = [1, 3]")
    assert tries.load() == (2, 1)


def test_a_change_in_any_file_of_the_plugin_has_it_asked_again(tries: Tries) -> None:
    assert tries.load() == (2, 1)
    tries.write_helper(300)
    assert tries.load() == (300, 1)
    (tries.plugin / "another.py").touch()
    assert tries.load() == (300, 1)
    assert tries.load() == (300, 0)


@pytest.mark.parametrize("what", ["macfix.engine.cache.__version__", "sys.version"])
def test_another_version_asks_again(
    tries: Tries, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    tries.load()
    monkeypatch.setattr(what, "another")
    assert tries.load() == (2, 1)


def test_the_cache_is_the_users_alone(tries: Tries) -> None:
    tries.load()
    assert stat.S_IMODE(tries.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(tries.file().stat().st_mode) == 0o600


# -- damaged, foreign ------------------------------------------------------------------------------


def cut_off(folder: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def empty(folder: Path, file: Path) -> None:
    file.write_bytes(b"")


def not_text(folder: Path, file: Path) -> None:
    file.write_bytes(b"\xff\xfe\0")


def nested(folder: Path, file: Path) -> None:
    file.write_text("[" * 100_000)


def no_answers(folder: Path, file: Path) -> None:
    file.write_text("17")


def other_answers(folder: Path, file: Path) -> None:
    file.write_text('{"disk-other": ["needed", "x"]}')


def unknown_state(folder: Path, file: Path) -> None:
    file.write_text('{"disk-number": ["perhaps", "x"]}')


def no_reason(folder: Path, file: Path) -> None:
    file.write_text('{"disk-number": ["needed", 17]}')


def half_an_answer(folder: Path, file: Path) -> None:
    file.write_text('{"disk-number": ["needed"]}')


def others_write_the_file(folder: Path, file: Path) -> None:
    file.chmod(0o666)


def others_write_the_folder(folder: Path, file: Path) -> None:
    folder.chmod(0o777)


def others_write_the_folder_above(folder: Path, file: Path) -> None:
    folder.parent.chmod(0o777)


def a_link(folder: Path, file: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def a_fifo(folder: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def the_folder_a_link(folder: Path, file: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


DAMAGES = [cut_off, empty, not_text, nested, no_answers, other_answers, unknown_state, no_reason]
DAMAGES += [half_an_answer, others_write_the_file, a_link]
FOREIGN = [others_write_the_folder_above, the_folder_a_link, a_fifo]


@pytest.mark.parametrize("spoil", [*DAMAGES, *FOREIGN, others_write_the_folder])
def test_a_file_that_cannot_be_trusted_is_not_believed(
    tries: Tries, spoil: Callable[[Path, Path], None]
) -> None:
    tries.load()
    spoil(tries.folder, tries.file())
    assert tries.load() == (2, 1)
    if spoil in DAMAGES:  # and it is written anew
        assert tries.load() == (2, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_believed(tries: Tries) -> None:
    tries.load()
    os.chown(tries.file(), 12345, 12345)
    assert tries.load() == (2, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_where_the_folder_is_another_users_nothing_is_written_or_believed(tries: Tries) -> None:
    """So it is under sudo, which on macOS keeps HOME."""
    home = tries.folder.parent.parent
    os.chown(home, 12345, 12345)
    assert [tries.load() for _ in range(2)] == [(2, 1), (2, 1)]
    assert not tries.folder.parent.exists()
    os.chown(home, 0, 0)
    tries.load()
    os.chown(tries.folder, 12345, 12345)
    assert tries.load() == (2, 1)
    assert tries.folder.stat().st_uid == 12345


# -- not possible ----------------------------------------------------------------------------------


def test_without_a_usable_folder_all_works_uncached(tries: Tries, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    for folder in (None, str(tmp_path / "a file" / "cache"), "/dev/null/x"):
        tries.config = Config(cache=folder)
        assert [tries.load() for _ in range(2)] == [(2, 1), (2, 1)]


def test_nothing_is_written_when_python_is_told_to_write_no_bytecode(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    tries.load()
    assert not tries.folder.exists()


def test_a_full_disk_leaves_nothing_half_written(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: str, destination: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert tries.load() == (2, 1)
    assert list(tries.folder.iterdir()) == []


def test_code_that_lies_in_no_folder_cannot_be_digested(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_of("a.b", b"", [], []) is not None
    assert key_of("a.b", b"", [], ["no_such_module"]) is None
    assert key_of("a.b", b"", [object()], []) is None  # of the module builtins


# -- by itself -------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return Cache(str(tmp_path / "cache"))


def test_what_is_read_is_what_was_written(own: Cache) -> None:
    answers = {"a": Diagnosis("needed", "wäre"), "b": Diagnosis("not needed", "")}
    own.write("k-1", answers)
    assert own.read("k-1") == answers
    assert own.read("k-2") is None
    own.write("k-3", {"a": Diagnosis("unknown", "a lone surrogate \udc80")})
    assert own.read("k-3") is not None


def test_versions_of_a_module_make_room_for_newer_ones(own: Cache, tmp_path: Path) -> None:
    for number in range(20):
        own.write(f"a.b-{number:02}", {})
        os.utime(tmp_path / "cache" / "answers" / f"a.b-{number:02}", (number, number))
    own.write("a.c-1", {})
    left = sorted(file.name for file in (tmp_path / "cache" / "answers").iterdir())
    assert left == [*(f"a.b-{number:02}" for number in range(12, 20)), "a.c-1"]
