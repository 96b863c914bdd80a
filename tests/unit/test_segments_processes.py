"""A process is known by its pid and its start; what cannot be found out is alive."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from macfix.darwin import sysctl
from macfix.darwin.segments import processes
from macfix.darwin.segments.processes import (
    environments_with,
    is_alive,
    start_of,
)
from tests.support.processes import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start programs, which are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*words: str, **more: object) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(words or SLEEP, **more))  # type: ignore[call-overload]
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def state_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]


def as_process(pid: int) -> tuple[int, str]:
    start = processes._start_of(pid)
    assert start is not None
    return pid, start


def test_a_process_lives_until_it_ends(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start()
    known = as_process(process.pid)
    assert is_alive(*known) and is_alive(os.getpid(), start_of(os.getpid()))
    assert not is_alive(process.pid, known[1] + "1")
    process.kill()
    assert wait_until(lambda: state_of(process.pid) == b"Z", 20)
    assert not is_alive(*known)
    process.wait()
    assert not is_alive(*known)


def test_a_stopped_process_lives(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start()
    os.kill(process.pid, signal.SIGSTOP)
    assert wait_until(lambda: state_of(process.pid) == b"T", 20)
    assert is_alive(*as_process(process.pid))


def test_a_name_of_any_kind_does_not_confuse(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    odd = tmp_path / ") Z 1 (x) 2"
    odd.symlink_to("/bin/sleep")
    process = start(str(odd), "600")
    assert wait_until(lambda: b") Z 1 (x)" in Path(f"/proc/{process.pid}/stat").read_bytes(), 20)
    assert is_alive(*as_process(process.pid))


def test_a_process_whose_first_thread_has_ended_lives(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    program = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    process = start(sys.executable, "-c", program)
    assert wait_until(lambda: state_of(process.pid) == b"Z", 20)
    known = as_process(process.pid)
    assert is_alive(*known)
    process.kill()
    process.wait()
    assert not is_alive(*known)


def test_a_forked_child_is_another_process() -> None:
    mine = start_of(os.getpid())
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writing, repr((os.getpid(), start_of(os.getpid()))).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    said = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert said.startswith(f"({pid}, ") and start_of(os.getpid()) == mine


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EIO])
def test_what_cannot_be_found_out_is_alive(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> object:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("builtins.open", refused)
    assert is_alive(os.getpid(), "another start")


def test_without_proc_everything_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> object:
        raise FileNotFoundError(errno.ENOENT, "no such file")

    monkeypatch.setattr("builtins.open", missing)
    monkeypatch.setattr(os, "stat", missing)
    assert is_alive(2**22 - 1, "1")


def test_environments_are_those_of_the_start(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    variable, value = f"MACFIX_TEST_{os.getpid()}", "some=thing: é"
    os.environ[variable] = value
    try:
        process = start(env={variable: value})
        assert wait_until(lambda: list(environments_with(variable)) != [], 20)
        assert list(environments_with(variable)) == [(value, *as_process(process.pid))]
    finally:
        del os.environ[variable]
    process.kill()
    process.wait()
    assert list(environments_with(variable)) == []
    assert list(environments_with(variable[5:])) == []


def test_a_child_that_appears_while_one_looks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    listings = iter([{1, 2}, {1, 3}, {1, 3}])
    blocks = {1: b"", 2: b"", 3: b"X=1\0V=found\0"}
    monkeypatch.setattr(processes, "_pids", lambda: next(listings))
    monkeypatch.setattr(processes, "_environment", blocks.get)
    monkeypatch.setattr(processes, "_start_of", lambda pid: f"start of {pid}")
    assert list(environments_with("V")) == [("found", 3, "start of 3")]


def test_one_in_the_midst_of_an_exec_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([b"", b"V=later\0"])
    monkeypatch.setattr(processes, "_pids", lambda: {7})
    monkeypatch.setattr(processes, "_environment", lambda pid: next(looks))
    monkeypatch.setattr(processes, "_start_of", lambda pid: f"start of {pid}")
    assert list(environments_with("V")) == [("later", 7, "start of 7")]


def test_processes_that_come_too_fast_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(1000))
    monkeypatch.setattr(processes, "_pids", lambda: {next(numbers)})
    monkeypatch.setattr(processes, "_environment", lambda pid: b"A=1")
    with pytest.raises(OSError, match="faster"):
        list(environments_with("V"))


# -- Darwin's calls, as its headers have them (test_darwin_abi), answered by a kernel of our own ---


class Kernel:
    """What XNU's `sysctl` answers of a few processes, or with which error it refuses."""

    def __init__(self) -> None:
        self.answers: dict[tuple[int, ...], bytes | int] = {}

    def __call__(self, mib: tuple[int, ...]) -> bytes:
        answer = self.answers.get(tuple((ctypes.c_int * len(mib))(*mib)), b"")
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return answer


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(processes, "_is_darwin", lambda: True)
    monkeypatch.setattr(processes, "sysctl_bytes", made)
    return made


def kinfo(pid: int, status: int = 2, seconds: int = 1795718467, microseconds: int = 42) -> bytes:
    whole = bytearray(b"\xbb" * 648)
    struct.pack_into("=qi", whole, 0, seconds, microseconds)
    struct.pack_into("=b", whole, 36, status)
    struct.pack_into("=i", whole, 40, pid)
    return bytes(whole)


def test_on_darwin_the_start_is_in_microseconds(kernel: Kernel) -> None:
    kernel.answers[1, 14, 1, 7] = kinfo(7)
    assert processes._start_of(7) == "1795718467.000042"
    assert is_alive(7, "1795718467.000042")
    assert not is_alive(7, "1795718467.000043")
    assert not is_alive(9, "1795718467.000042")
    kernel.answers[1, 14, 1, 7] = kinfo(7, status=5)  # a zombie
    assert not is_alive(7, "1795718467.000042")


@pytest.mark.parametrize("answer", [errno.EPERM, errno.ENOMEM, b"\0" * 600, b"\0" * 656])
def test_on_darwin_an_answer_that_says_nothing_is_alive(
    kernel: Kernel, answer: bytes | int
) -> None:
    kernel.answers[1, 14, 1, 7] = answer
    assert is_alive(7, "1795718467.000042")
    assert is_alive("no pid", 5)  # type: ignore[arg-type]


def test_on_darwin_environments_come_from_procargs(kernel: Kernel) -> None:
    kernel.answers = {
        (1, 14, 0): kinfo(7) + kinfo(8),
        (1, 49, 7): errno.EINVAL,
        (1, 49, 8): b"\1\0\0\0/bin/x\0\0\0x\0A=1\0V=tree:/path\0B=2\0",
    }
    assert list(environments_with("V")) == [("tree:/path", 8, None)]
    kernel.answers[1, 49, 7] = errno.ENOMEM
    with pytest.raises(OSError, match="memory"):
        list(environments_with("V"))
    kernel.answers[1, 14, 0] = errno.EPERM
    with pytest.raises(OSError, match="permitted"):
        list(environments_with("V"))


def test_a_boot_id_that_cannot_be_read_is_none_and_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sysctl, "_boot", "")
    monkeypatch.setattr(sysctl, "_LINUX_BOOT_ID", tmp_path / "boot_id")
    assert sysctl.boot_id() == ""
    (tmp_path / "boot_id").write_text("one-boot\n")
    assert sysctl.boot_id() == "one-boot"
    (tmp_path / "boot_id").unlink()
    assert sysctl.boot_id() == "one-boot"


def test_sysctl_without_an_answer_is_an_error() -> None:
    with pytest.raises(OSError):
        sysctl.sysctl_bytes((1, 49, os.getpid()))


def test_sysctl_tells_what_the_kernel_says_and_none_where_it_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Libc:
        def sysctlbyname(self, name: bytes, answer: Any, *rest: object) -> int:
            answer._obj.value = {b"a.number": 7, b"a.text": b"seven"}.get(name, answer._obj.value)
            return -(name == b"refused")

    monkeypatch.setattr(sysctl.ctypes, "CDLL", lambda name: Libc())
    assert (sysctl.sysctl_int("a.number"), sysctl.sysctl_text("a.text")) == (7, "seven")
    assert (sysctl.sysctl_int("refused"), sysctl.sysctl_text("refused")) == (None, None)
