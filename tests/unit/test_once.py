"""What is said once in a tree of processes, siblings included."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from macfix import MacfixWarning
from macfix import _once as once
from macfix.engine.errors import warn
from tests.support.surroundings import REPOSITORY

SAY = (
    "import sys; from macfix import _once; from macfix.engine.errors import warn; "
    "_once.join_tree(); _once.is_first(sys.argv[1], sys.argv[2] or None) and warn(sys.argv[1])"
)

PARENT = f"""
import subprocess, sys
from macfix import _once
_once.join_tree()
words = [sys.executable, "-c", {SAY!r}, *sys.argv[1:]]
children = [subprocess.Popen(words) for _ in range(4)]
print([child.wait() for child in children])
"""


def run(code: str, *words: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={"PYTHONPATH": str(REPOSITORY), "HOME": os.environ["HOME"], **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, in a process tree that has a name."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv(once.VARIABLE, "0a")
    monkeypatch.setattr(once, "_said", set())
    return folder


def count_of_warnings(folder: Path | None, message: str = "said") -> int:
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if once.is_first(message, None if folder is None else str(folder)):
            warn(message)
    return sum(warning.category is MacfixWarning for warning in caught)


def start_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_said", set())


def test_siblings_say_it_once_and_another_tree_again(tmp_path: Path) -> None:
    for number in (1, 2):
        said = run(PARENT, f"siblings say {number}", str(tmp_path / "cache"))
        assert said.count(f"MacfixWarning: siblings say {number}") == 1
    assert run(PARENT, "siblings say 1", str(tmp_path / "cache")).count("siblings say 1") == 1


@pytest.mark.parametrize("folder", ["", "no folder"], ids=["none", "unusable"])
def test_without_a_folder_of_macfixs_that_for_temporary_files_serves(
    tmp_path: Path, temporary: Path, folder: str
) -> None:
    """A read-only home, for instance."""
    if folder:
        (tmp_path / folder).touch()
        folder = str(tmp_path / folder)
    said = run(PARENT, "siblings say", folder, TMPDIR=str(temporary))
    assert said.count("MacfixWarning: siblings say") == 1
    (place,) = temporary.iterdir()
    assert place.name == f"macfix-said-{os.geteuid()}" and place.stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_written_each_process_says_it(temporary: Path) -> None:
    temporary.chmod(0o777)  # others could take the file away, or put one there
    said = run(PARENT, "siblings say", "", TMPDIR=str(temporary))
    assert said.count("MacfixWarning: siblings say") == 4
    assert [count_of_warnings(None) for _ in range(2)] == [1, 0]


def test_another_message_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [count_of_warnings(tmp_path, text) for text in ("a", "b", "a")]
    start_another_process(monkeypatch)
    assert [*said, count_of_warnings(tmp_path, "a")] == [1, 1, 0, 0]


@pytest.mark.parametrize("tree", ["", "../up", "a/b", "a b"])
def test_a_name_of_a_tree_that_is_none_names_no_file(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, tree: str
) -> None:
    monkeypatch.setenv(once.VARIABLE, tree)
    for _ in range(2):
        start_another_process(monkeypatch)
        assert count_of_warnings(temporary) == 1
    assert list(temporary.iterdir()) == []


def test_a_folder_that_others_can_change_is_not_asked(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary.chmod(0o777)
    for _ in range(2):
        start_another_process(monkeypatch)
        assert count_of_warnings(temporary / "cache") == 1


@pytest.mark.parametrize("error", [FileNotFoundError("no usable folder"), AttributeError("mine")])
def test_without_a_folder_for_temporary_files_it_is_said_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def gettempdir() -> str:
        raise error

    monkeypatch.setattr(tempfile, "gettempdir", gettempdir)
    assert count_of_warnings(None, "nowhere") == 1
    for count in (1, 0):  # what it has suffices
        start_another_process(monkeypatch)
        assert count_of_warnings(tmp_path / "cache") == count


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_where_the_folder_is_another_users_nothing_is_written(tmp_path: Path) -> None:
    """So it is under sudo."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 12345)
    assert count_of_warnings(home / "cache") == 1
    assert list(home.iterdir()) == []


def test_files_of_yesterday_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_of_warnings(tmp_path) == 1
    (file,) = (tmp_path / "said").iterdir()
    old = time.time() - 2 * 86400
    os.utime(file, (old, old))
    start_another_process(monkeypatch)
    assert count_of_warnings(tmp_path, "another") == 1
    assert file not in list((tmp_path / "said").iterdir())


def test_a_tree_is_named_once_and_its_name_can_be_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once.join_tree()
    once.leave_tree()
    assert os.environ[once.VARIABLE] == "0a"  # it had a name before
    monkeypatch.delenv(once.VARIABLE)
    once.join_tree()
    name = os.environ[once.VARIABLE]
    once.join_tree()  # as of two engines that are built at once
    assert os.environ[once.VARIABLE] == name and name.isalnum()
    once.leave_tree()
    assert once.VARIABLE not in os.environ
