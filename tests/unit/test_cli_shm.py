"""`macfix shm`: what a user is told of segments, and what a script can read."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from macfix.cli import commands, shm
from macfix.darwin.segments import database, place, reaping
from macfix.darwin.segments.kernel import open_segment
from macfix.darwin.segments.names import kernel_name
from tests.support.segment_owners import (
    SegmentOwner,
    exists,
    fresh_registry,
    remove,
    segment_owners,
)
from tests.support.surroundings import REPOSITORY

MakeOwner = Callable[..., SegmentOwner]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the registry of this process where this test's home is."""
    with fresh_registry(monkeypatch):
        yield


@pytest.fixture
def owner() -> Iterator[MakeOwner]:
    with segment_owners() as make:
        yield make


@pytest.fixture
def key() -> Iterator[str]:
    """A key that is too long for the kernel; its segments are gone when the test is over."""
    made = f"macfix-cli-test-{os.getpid()}.xsimusdt.simx.hist"
    yield made
    names = (made + end for end in ("", "1", "_first", "_last"))
    assert not remove(*names), "a segment was left behind"


class Shell:
    """Runs `macfix shm` in this process; keeps the exit code and what was printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code = 0
        self.err = ""

    def run(self, *words: str) -> str:
        args, unknown = commands.parse("shm", words)
        if unknown:
            raise SystemExit(2)
        self.code = shm.main(args)
        out, self.err = self._capsys.readouterr()
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def test_where_there_is_nothing_it_says_so(shell: Shell) -> None:
    assert shell.run("ls") == "no shared memory segments\n" and shell.code == 0
    assert shell.json("ls") == {"segments": []}
    assert shell.run("reap") == "0 segments, 0 B, freed\n" and shell.code == 0
    assert shell.json("reap") == []
    for words in (("show", "nothing"), ("reap", "--force", "nothing"), ("forget", "nothing")):
        assert shell.run(*words) == "" and shell.code == 1
        assert "'nothing'" in shell.err and "macfix shm ls" in shell.err
    assert not Path(place.location()).parent.exists()


def test_ls_shows_what_whose_since_when_how_large_and_why(
    key: str, owner: MakeOwner, shell: Shell
) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 14_000_000)")
    assert shell.run("ls").split()[:6] == ["key", "size", "age", "state", "why", "-" * len(key)]
    _, _, row, name, program, total = shell.run("ls", "-v").splitlines()
    for said in (key, "13.4 MiB", "alive", f"process {creator.pid} lives"):
        assert said in row
    assert name.strip() == f"kernel name: {kernel_name(key)}"
    assert program.strip().startswith(f"creator: {creator.pid} ")
    assert total.startswith("1 segment, 13.4 MiB")
    creator.do(f"shm_unlink({key!r})")
    assert shell.run("ls").startswith("no shared memory segments")


def test_ls_as_json_has_every_fact(key: str, owner: MakeOwner, shell: Shell) -> None:
    creator = owner()
    creator.do(f"create({key!r}, 400)")
    (found,) = shell.json("ls")["segments"]
    names = ("key", "kernel_name", "size", "state", "owner_pid", "freed")
    assert [found[name] for name in names] == [
        *(key, kernel_name(key), 400, "alive", creator.pid, False)
    ]
    assert str(creator.pid) in found["reason"] and found["kernel_size"] >= 400
    assert found["owner_program"] and found["created"] > 0
    creator.do(f"shm_unlink({key!r})")


@pytest.mark.parametrize("named", ["key", "kernel name", "kernel name without slash"])
def test_show_finds_by_key_and_by_kernel_name(
    key: str, named: str, owner: MakeOwner, shell: Shell
) -> None:
    creator = owner()
    creator.do(f"do(create({key!r}, 100), held[{key!r}].annotate('what it holds'))")
    name = kernel_name(key)
    word = {"key": key, "kernel name": name, "kernel name without slash": name[1:]}[named]
    out = shell.run("show", word)
    for said in (key, name, "100 bytes", "alive", str(creator.pid), "what it holds", " ago"):
        assert said in out
    (found,) = shell.json("show", word)
    assert found["key"] == key and found["contents"] == "what it holds"
    creator.do(f"shm_unlink({key!r})")


def test_reap_says_what_it_frees_what_it_leaves_and_why(
    key: str, owner: MakeOwner, shell: Shell
) -> None:
    creator, other = owner(), owner()
    creator.do(f"create({key!r}, 2048)")
    other.do(f"create({key + '1'!r})")
    creator.kill()
    assert "leaked" in shell.run("ls")
    assert shell.run("ls", "-q").count(key) == 1
    for words in (("reap", "--dry-run"), ("reap",)):
        out = shell.run(*words)
        freed, stays = out.splitlines()[2:4]
        assert key in freed and freed.endswith("freed")
        assert key + "1" in stays and f"stays: process {other.pid} lives" in stays
        assert "1 segment, 2.0 KiB" in out and shell.code == 0
        assert ("would be" in out) is exists(key) is (words[-1] == "--dry-run")
    other.do(f"shm_unlink({key + '1'!r})")


def test_reap_as_json(key: str, owner: MakeOwner, shell: Shell) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()
    (would,) = shell.json("reap", "--dry-run")
    assert would["state"] == "leaked" and not would["freed"] and exists(key)
    (freed,) = shell.json("reap")
    assert freed["freed"] and freed["owner_pid"] == creator.pid and not exists(key)


def test_what_stays_although_nobody_lives_is_a_failure(
    key: str, owner: MakeOwner, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()

    def denied(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    with monkeypatch.context() as kernel:
        kernel.setattr(reaping, "unlink_segment", denied)
        assert "Permission denied" in shell.run("reap") and shell.code == 1
    assert shell.run("reap") and shell.code == 0


def at_a_terminal(answer: str, *words: str) -> tuple[str, int]:
    """Run `macfix shm` on a terminal and type `answer` when it asks; return what it showed."""
    leader, follower = pty.openpty()
    program = "import sys; from macfix.cli import main; sys.exit(main(['shm', *sys.argv[1:]]))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "300"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    try:
        while select.select([leader], [], [], 60)[0]:
            shown += os.read(leader, 65536)
            if shown.rstrip().endswith(b"[y/N]"):
                os.write(leader, answer.encode() + b"\n")
                shown += b"\n"
    except OSError:  # nobody has the other end open any more
        pass
    os.close(leader)
    return shown.decode(), process.wait()


def test_on_a_terminal_reap_says_first_what_it_would_free(key: str, owner: MakeOwner) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    creator.kill()
    shown, code = at_a_terminal("n", "reap")
    assert "would be freed" in shown and "Free them? [y/N]" in shown
    assert exists(key) and code == 0
    shown, code = at_a_terminal("y", "reap")
    assert shown.count(key) == 2 and "1 segment, 64 B, freed" in shown
    assert not exists(key) and code == 0
    shown, code = at_a_terminal("y", "reap")
    assert "[y/N]" not in shown and code == 0


def test_force_says_first_who_lives(key: str, owner: MakeOwner, shell: Shell) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    shown, _ = at_a_terminal("n", "reap", "--force", key)
    assert f"process {creator.pid} lives" in shown and exists(key)
    out = shell.run("reap", "--force", key)
    assert out.index(f"process {creator.pid} lives") < out.index("3 segments freed")
    assert shell.code == 0 and not exists(key) and not exists(key + "_last")
    assert shell.json("ls")["segments"] == []


def test_force_frees_what_was_never_on_record(key: str, shell: Shell) -> None:
    os.close(open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR))
    out = shell.run("reap", "--force", key)
    assert "not on record" in out and "1 segment freed" in out
    assert shell.code == 0 and not exists(key)


def test_force_frees_the_indexes_of_an_array_that_was_never_on_record(
    key: str, owner: MakeOwner, shell: Shell
) -> None:
    owner().do(f"array({key!r})")
    shell.run("forget", key)
    out = shell.run("reap", "--force", key)
    assert "not on record" in out and "3 segments freed" in out
    assert not any(exists(key + end) for end in ("", "_first", "_last"))


def test_force_as_json(key: str, owner: MakeOwner, shell: Shell) -> None:
    owner().do(f"create({key!r})")
    (freed,) = shell.json("reap", "--force", kernel_name(key))
    assert freed["freed"] and freed["key"] == key and not exists(key)
    os.close(open_segment(kernel_name(key), os.O_CREAT | os.O_EXCL | os.O_RDWR))
    name = kernel_name(key)
    assert shell.json("reap", "--force", key) == [{"kernel_name": name, "freed": True}]
    assert not exists(key)


def test_forget_removes_the_record_only(key: str, owner: MakeOwner, shell: Shell) -> None:
    creator = owner()
    creator.do(f"array({key!r})")
    out = shell.run("forget", key)
    assert out.count("no longer on record") == 3 and shell.code == 0
    assert out.count(f"; process {creator.pid} lives") == 3
    assert shell.json("ls")["segments"] == [] and exists(key)
    creator.kill()
    assert shell.json("reap") == [] and exists(key)
    assert len(remove(key, key + "_first", key + "_last")) == 3


def test_what_a_terminal_cannot_show_is_written_out(owner: MakeOwner, shell: Shell) -> None:
    key = f"bad\x1b[31m\n{os.getpid()}"
    creator = owner()
    creator.do(f"create({key!r})")
    out = shell.run("ls")
    assert "\x1b" not in out and "bad\\x1b[31m\\n" in out and len(out.splitlines()) == 4
    assert shell.json("ls")["segments"][0]["key"] == key
    creator.do(f"shm_unlink({key!r})")


ODD = [
    (None, b"\xff\xfe", None, "who", 7, "yesterday", "x"),
    ("m", "\x1b[31m", "many", None, None, None, None),
    ("m2", "huge", 2**62, 2**62, "p", 1e300, 1),
    ("m3", "early", -5, -1, "p", float("-inf"), 0),
]


@pytest.mark.parametrize("odd", range(len(ODD)))
def test_odd_rows_are_shown(key: str, odd: int, owner: MakeOwner, shell: Shell) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    mark, odd_key, size, pid, program, created, made = ODD[odd]
    row = (kernel_name(key), mark or "", odd_key, size, kernel_name(key), pid, program)
    with database.transaction(place.location()) as db:
        db.execute("DELETE FROM segment")
        db.execute(database.ADD_SEGMENT, (*row, created, made))
    assert len(shell.json("ls")["segments"]) == 1
    for words in (("ls", "-v"), ("show", kernel_name(key)), ("reap", "--dry-run"), ("reap",)):
        assert kernel_name(key)[:12] in shell.run(*words) or words[0] == "reap"
    creator.kill()
    shell.run("reap")
    assert shell.run("reap", "--force", kernel_name(key)) and shell.code == 0
    assert not exists(key)


@pytest.mark.parametrize("label", [b"[" * 2000, b"[1, 1e999, 2, 3, 4]", b"\xff\xfe", b"{}", b"[]"])
def test_a_malformed_label_is_shown_too(
    key: str, label: bytes, owner: MakeOwner, shell: Shell
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    write = (
        "__import__('macfix.darwin.segments.label', fromlist=['x'])._write_slot(memoryview("
        f"held[{key!r}].lend()), len(held[{key!r}].lend()) - 4096, b'macfix segment\\0\\1',"
        f" type('', (), dict(encode=lambda self: {label!r}))())"
    )
    creator.do(write)
    assert key in shell.run("ls") and key in shell.run("show", key)
    attached = owner()
    attached.do(f"attach({key!r})")
    creator.kill()
    attached.kill()
    assert "bears no mark" in shell.run("reap") and exists(key)
    shell.run("reap", "--force", key)


@pytest.mark.parametrize("words", [("ls",), ("show", "x"), ("reap",), ("forget", "x")])
def test_a_registry_that_cannot_be_used_is_said(words: tuple[str, ...], shell: Shell) -> None:
    path = Path(place.location())
    path.parent.parent.mkdir(parents=True)
    path.parent.symlink_to("/tmp")
    path.touch()
    try:
        assert shell.run(*words) == "" and shell.code == 1
    finally:
        path.unlink()
    assert "no registry of shared memory" in shell.err and str(path.parent) in shell.err


@pytest.mark.parametrize("words", [("ls",), ("show", "x"), ("reap",), ("forget", "x")])
def test_so_is_a_place_for_it_that_can_be_none(
    words: tuple[str, ...], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(place.STATE_DIR_VARIABLE, "/dev/null/x")
    assert shell.run(*words) == "" and shell.code == 1
    assert "cannot write to /dev/null/x/shm: Not a directory" in shell.err


def test_whoever_has_no_home_or_no_registry_is_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as homeless:
        homeless.setattr(os.path, "expanduser", lambda path: path)
        assert shell.run("ls") == "" and shell.code == 1
        assert "set MACFIX_STATE_DIR" in shell.err
    monkeypatch.setenv(place.JOURNAL_VARIABLE, "off")
    assert shell.run("ls") == "" and shell.code == 1
    assert "MACFIX_SHM_JOURNAL switches it off" in shell.err


@pytest.mark.parametrize(
    "words",
    [(), ("frobnicate",), ("show",), ("ls", "--yaml"), ("reap", "--dry-run", "--force", "x")],
)
def test_a_wrong_command_line_is_refused(words: tuple[str, ...], shell: Shell) -> None:
    with pytest.raises(SystemExit) as caught:
        shell.run(*words)
    assert caught.value.code == 2
