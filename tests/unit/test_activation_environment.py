"""The environment variables by which children come up with macfix, and how they are undone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from macfix.activation import environment
from macfix.activation.environment import SITE, variables, without_site


@pytest.fixture(autouse=True)
def _untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("MACFIX", raising=False)
    yield
    environment.restore()


def test_the_folder_has_two_files_and_nothing_else_to_import() -> None:
    names = {name for name in os.listdir(SITE) if not name.startswith(("__pycache__", "."))}
    assert names == {"_macfix_autoload.py", "sitecustomize.py"}


def with_site(pythonpath: str) -> str:
    return variables({"PYTHONPATH": pythonpath})["PYTHONPATH"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", SITE),
        ("/a", f"{SITE}:/a"),
        ("/a:/b", f"{SITE}:/a:/b"),
        (SITE, SITE),
        (f"{SITE}:/a", f"{SITE}:/a"),
        (f"/a:{SITE}:/b", f"{SITE}:/a:/b"),
        (f"{SITE}:{SITE}", SITE),
    ],
)
def test_the_folder_comes_first_and_once_and_the_users_own_stays(before: str, after: str) -> None:
    assert with_site(before) == after
    assert with_site(after) == after


def test_no_entry_for_the_current_directory_comes_into_being() -> None:
    assert "" not in with_site("").split(os.pathsep)
    assert "" not in with_site(SITE + os.pathsep + "/a").split(os.pathsep)


def test_the_users_own_entry_for_the_current_directory_stays() -> None:
    assert without_site(with_site("/a::/b")) == "/a::/b"


def test_variables_say_what_children_are_to_be() -> None:
    assert variables({}) == {"PYTHONPATH": SITE}
    assert variables({"PYTHONPATH": "/a"}, simulate="page=4096", patched=False) == {
        "PYTHONPATH": f"{SITE}:/a",
        "MACFIX_SIMULATE": "page=4096",
        "MACFIX": "off",
    }


@pytest.mark.parametrize("before", [None, "/a", "/a::/b", f"{SITE}:/a"])
@pytest.mark.parametrize("times", [1, 2])
def test_restore_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, before: str | None, times: int
) -> None:
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    was = dict(os.environ)
    for _ in range(times):
        environment.apply()
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == SITE
    environment.restore()
    assert dict(os.environ) == was


def test_restore_without_apply_does_nothing() -> None:
    was = dict(os.environ)
    environment.restore()
    assert dict(os.environ) == was


def test_restore_keeps_what_the_program_has_changed_since() -> None:
    environment.apply()
    os.environ["PYTHONPATH"] = f"/new:{os.environ['PYTHONPATH']}:/more"
    environment.restore()
    assert os.environ["PYTHONPATH"] == "/new:/more"


def test_restore_accepts_that_the_program_has_deleted_it() -> None:
    environment.apply()
    del os.environ["PYTHONPATH"]
    environment.restore()
    assert "PYTHONPATH" not in os.environ


@pytest.mark.parametrize(
    ("simulate", "left"), [(None, "/a"), ("", "/a"), ("off", "/a"), ("1", f"{SITE}:/a")], ids=str
)
def test_what_was_inherited_is_left_out_unless_it_simulates(
    monkeypatch: pytest.MonkeyPatch, simulate: str | None, left: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{SITE}:/a")
    if simulate is not None:
        monkeypatch.setenv("MACFIX_SIMULATE", simulate)
    environment.restore(inherited=True)
    assert os.environ["PYTHONPATH"] == left


def test_what_was_inherited_alone_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", SITE)
    environment.restore(inherited=True)
    assert "PYTHONPATH" not in os.environ
    environment.restore(inherited=True)
