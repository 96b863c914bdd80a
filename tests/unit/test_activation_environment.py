"""The environment variables by which children come up mended, and how they are taken back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from macfix.activation import environment
from macfix.activation.environment import SITE, variables, with_site, without_site


@pytest.fixture(autouse=True)
def _untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("MACFIX", raising=False)
    yield
    environment.restore()


def test_the_folder_has_a_sitecustomize_and_nothing_else_to_import() -> None:
    names = {name for name in os.listdir(SITE) if not name.startswith(("__pycache__", "."))}
    assert names == {"sitecustomize.py"}


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
    assert variables({"PYTHONPATH": "/a"}, simulate="page=4096", cure=False) == {
        "PYTHONPATH": f"{SITE}:/a",
        "MACFIX_SIMULATE": "page=4096",
        "MACFIX": "off",
    }


@pytest.mark.parametrize("before", [None, "", "/a", "/a::/b", f"{SITE}:/a"])
@pytest.mark.parametrize("times", [1, 2])
def test_restore_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, before: str | None, times: int
) -> None:
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    was = dict(os.environ)
    for _ in range(times):
        environment.apply(cure=times == 1)
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == SITE
    environment.restore()
    assert dict(os.environ) == was


def test_restore_without_apply_does_nothing() -> None:
    was = dict(os.environ)
    environment.restore()
    assert dict(os.environ) == was


def test_restore_keeps_what_the_program_has_changed_since() -> None:
    environment.apply(cure=False)
    os.environ["PYTHONPATH"] = f"/new:{os.environ['PYTHONPATH']}:/more"
    os.environ["MACFIX"] = "on"
    environment.restore()
    assert os.environ["PYTHONPATH"] == "/new:/more"
    assert os.environ["MACFIX"] == "on"


def test_restore_accepts_that_the_program_has_deleted_it() -> None:
    environment.apply()
    del os.environ["PYTHONPATH"]
    environment.restore()
    assert "PYTHONPATH" not in os.environ
