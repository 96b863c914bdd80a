"""`macfix shm`: what a user is told of segments, and what a script can read."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from macfix.cli import shm
from macfix.darwin import journal
from macfix.darwin.segment_names import kernel_name
from tests.support.segment_owners import SegmentOwner, exists, remove, segment_owners

MakeOwner = Callable[..., SegmentOwner]


@pytest.fixture(autouse=True)
def own_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the journal of this process where this test's home is."""
    monkeypatch.setattr(journal, "_current", None)
    monkeypatch.delenv(journal.TREE_VARIABLE, raising=False)


@pytest.fixture
def owner() -> Iterator[MakeOwner]:
    with segment_owners() as make:
        yield make


@pytest.fixture
def key() -> Iterator[str]:
    """A key that is too long for the kernel; its segment is gone when the test is over."""
    made = f"macfix-cli-test-{os.getpid()}.xsimusdt.simx.hist"
    yield made
    assert not remove(made), "a segment was left behind"


class Shell:
    """Runs `macfix shm` in this process; keeps the exit code and what was printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code = 0
        self.err = ""

    def run(self, *words: str) -> str:
        parser = argparse.ArgumentParser(prog="macfix shm")
        shm.add_arguments(parser)
        self.code = shm.main(parser.parse_args(words))
        out, self.err = self._capsys.readouterr()
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def test_where_there_is_nothing_it_says_so(shell: Shell) -> None:
    assert shell.run("ls") == "no shared memory segments\n" and shell.code == 0
    assert shell.json("ls") == {"segments": [], "races": {"count": 0, "latest": []}}
    assert shell.run("reap") == "0 segments, 0 B, freed\n" and shell.code == 0
    assert shell.json("reap") == []
    assert shell.run("show", "nothing") == "" and shell.code == 1
    assert "no segment 'nothing'" in shell.err and "macfix shm ls" in shell.err
    assert not journal.shm_folder().exists()


def test_ls_shows_key_size_state_and_owner(key: str, owner: MakeOwner, shell: Shell) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 14_000_000)")
    out = shell.run("ls")
    titles, _, row, total = out.splitlines()
    assert titles.split() == ["key", "size", "age", "state", "kernel", "name", "owner"]
    for told in (key, "13.4 MiB", "live", kernel_name(key), str(creator.pid)):
        assert told in row
    assert total.startswith("1 segment, 13.4 MiB")
    creator.do(f"shm_unlink({key!r})")
    assert shell.run("ls").startswith("no shared memory segments")


def test_ls_as_json_has_every_fact(key: str, owner: MakeOwner, shell: Shell) -> None:
    creator, user = owner(), owner()
    creator.do(f"create({key!r}, 4)")
    user.do(f"attach({key!r})")
    (found,) = shell.json("ls")["segments"]
    facts = {name: found[name] for name in ("key", "kernel_name", "size", "state", "owner_pid")}
    assert facts == {
        "key": key,
        "kernel_name": kernel_name(key),
        "size": 4,
        "state": "live",
        "owner_pid": creator.pid,
    }
    assert sorted(found["mapped_by"]) == sorted([creator.pid, user.pid])
    assert found["owner_lives"] and found["tree_lives"] and found["kernel_size"] >= 4
    creator.do(f"shm_unlink({key!r})")


@pytest.mark.parametrize("named", ["key", "kernel name", "kernel name without slash"])
def test_show_finds_by_key_and_by_kernel_name(
    key: str, named: str, owner: MakeOwner, shell: Shell
) -> None:
    creator = owner()
    creator.do(f"[create({key!r}, 100), held[{key!r}].annotate('what it holds')] and None")
    name = kernel_name(key)
    word = {"key": key, "kernel name": name, "kernel name without slash": name[1:]}[named]
    out = shell.run("show", word)
    for told in (key, name, "100 bytes", "live", str(creator.pid), "what it holds"):
        assert told in out
    (found,) = shell.json("show", word)
    assert found["key"] == key and found["contents"] == "what it holds"
    creator.do(f"shm_unlink({key!r})")


def test_reap_says_what_it_frees_and_a_dry_run_what_it_would(
    key: str, owner: MakeOwner, shell: Shell
) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 2048)")
    creator.kill()
    assert "left behind" in shell.run("ls")
    out = shell.run("reap", "--dry-run")
    assert key in out and "would be freed" in out and "1 segment, 2.0 KiB" in out
    assert exists(key)
    (would,) = shell.json("reap", "--dry-run")
    assert would["freed"] and would["owner_pid"] == creator.pid and exists(key)
    out = shell.run("reap")
    assert key in out and out.endswith("1 segment, 2.0 KiB, freed\n") and shell.code == 0
    assert not exists(key)


def test_what_is_in_use_stays_and_that_is_no_failure(
    key: str, owner: MakeOwner, shell: Shell
) -> None:
    creator, user = owner(), owner()
    creator.do(f"create({key!r})")
    user.do(f"attach({key!r})")
    creator.kill()
    assert "in use" in shell.run("ls")
    out = shell.run("reap")
    assert f"stays: process {user.pid} has it mapped" in out and shell.code == 0
    assert exists(key)
    user.do(f"close({key!r})")
    assert key in shell.run("reap") and not exists(key)


def test_what_cannot_be_freed_is_a_failure(
    key: str, owner: MakeOwner, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()

    def denied(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    with monkeypatch.context() as kernel:
        kernel.setattr("macfix.darwin.reaping.unlink_segment", denied)
        assert "Permission denied" in shell.run("reap") and shell.code == 1
    shell.run("reap")


def test_races_are_counted_and_told(key: str, owner: MakeOwner, shell: Shell) -> None:
    for _ in range(2):
        late = owner()
        with pytest.raises(AssertionError, match="FileNotFoundError"):
            late.do(f"shm_unlink({key!r})")
    out = shell.run("ls")
    assert "2 teardown races" in out and repr(key) in out and str(late.pid) in out
    races = shell.json("ls")["races"]
    assert races["count"] == 2
    assert [race["key"] for race in races["latest"]] == [key, key]


def test_what_a_terminal_cannot_show_is_written_out(owner: MakeOwner, shell: Shell) -> None:
    key = f"bad\x1b[31m\n{os.getpid()}"
    creator = owner()
    creator.do(f"create({key!r})")
    out = shell.run("ls")
    assert "\x1b" not in out and "bad\\x1b[31m\\n" in out and len(out.splitlines()) == 4
    assert shell.json("ls")["segments"][0]["key"] == key
    creator.do(f"shm_unlink({key!r})")


def test_journals_that_cannot_be_read_are_said(shell: Shell) -> None:
    journal.shm_folder().parent.mkdir(parents=True)
    journal.shm_folder().write_text("in the way")
    for words in (("ls",), ("show", "x")):
        assert shell.run(*words) == "" and shell.code == 1
        assert str(journal.shm_folder()) in shell.err


def test_whoever_has_no_home_is_told_what_to_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for name in ("MACFIX_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for words in (("ls",), ("show", "x"), ("reap",)):
        assert shell.run(*words) == "" and shell.code == 1
        assert "home directory. Set MACFIX_STATE_DIR" in shell.err


@pytest.mark.parametrize("words", [(), ("frobnicate",), ("show",), ("ls", "--yaml")])
def test_a_wrong_command_line_is_refused(words: tuple[str, ...], shell: Shell) -> None:
    with pytest.raises(SystemExit) as caught:
        shell.run(*words)
    assert caught.value.code == 2
