"""The harness itself: a test that leaves something behind fails, and the next one starts clean."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import pythons, upstream
from tests.support.isolation import meeting_place
from tests.support.processes import TookTooLongError, related, run, wait_until
from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY, STARTED_WITH

LEAKY = """
import os, socket, subprocess, sys
from conftest import sandbox
from tests.support import leaks

leaks.PATIENCE = 0.3
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]

def test_child():
    subprocess.Popen(SLEEP)

def test_orphan():
    # The parent ends at once, so that nobody is left whose child it is.
    start = f"import subprocess; subprocess.Popen({SLEEP!r}, start_new_session=True)"
    subprocess.run([sys.executable, "-c", start], check=True)

def test_socket():
    socket.socket(socket.AF_UNIX).bind(os.environ["XDG_RUNTIME_DIR"] + "/left.sock")

def test_segment():
    os.mkdir(os.environ["MACFIX_SIMULATE_DIR"])
    open(os.environ["MACFIX_SIMULATE_DIR"] + "/left", "w").close()

def test_clean():
    with subprocess.Popen(SLEEP) as child:
        child.kill()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.environ["XDG_RUNTIME_DIR"] + "/gone.sock")
    os.unlink(os.environ["XDG_RUNTIME_DIR"] + "/gone.sock")
"""

FOREIGN = """
import os, pathlib, socket, sys, time

folder, segments, tag = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
folder.mkdir(mode=0o700, exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(folder / f"{tag}@{os.getpid()}.sock"))
listener.listen()
while True:  # actors that come, and die without taking anything away
    if (actor := os.fork()) == 0:
        socket.socket(socket.AF_UNIX).bind(str(folder / f"{tag}@{os.getpid()}.sock"))
        if segments.is_dir():
            (segments / f"{tag}-{os.getpid()}").write_bytes(bytes(64))
        time.sleep(0.1)
        os._exit(0)
    os.waitpid(actor, 0)
"""
"""Another tractor on this machine, with actors that come and go as the tests run."""

INNOCENT = """
import glob, subprocess, time
from conftest import sandbox
from tests.support import isolation, leaks

leaks.PATIENCE = 0.3

def foreign():
    return set(glob.glob(PATTERN))

def test_while_actors_of_others_come_and_die():
    before = foreign()
    while len(foreign() - before) < 3:
        time.sleep(0.02)

def test_a_program_in_a_world_of_its_own(sandbox):
    seen = subprocess.check_output(isolation.isolated(["ls", "-A", PLACE], sandbox.meeting))
    assert isolation.possible() != bool(seen)
"""


def run_tests(folder: Path, text: str) -> str:
    """Run a file of tests by itself; the answer is what pytest printed."""
    (folder / "test_inner.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rE", "--tb=short", "."],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    ).stdout


def test_nobody_elses_processes_sockets_and_segments_are_a_tests_fault(tmp_path: Path) -> None:
    tag, place, segments = f"foreign-{os.getpid()}", meeting_place(), Path("/dev/shm")
    pattern = f"{tag}@*.sock"
    try:
        words = [sys.executable, "-c", FOREIGN, place, segments, tag]
        with subprocess.Popen(words, start_new_session=True) as other:
            try:
                assert wait_until(lambda: len([*place.glob(pattern)]) > 1, 10)
                names = f"PLACE = {str(place)!r}\nPATTERN = {str(place / pattern)!r}\n"
                said = run_tests(tmp_path, names + INNOCENT)
            finally:
                os.killpg(other.pid, signal.SIGKILL)
        assert "2 passed" in said and "error" not in said.lower(), said
        assert len([*place.glob(pattern)]) > 4  # nor does a test remove what is not its own
    finally:
        for path in [*place.glob(pattern), *segments.glob(f"{tag}-*")]:
            path.unlink()


def test_what_a_test_leaves_behind_fails_it(tmp_path: Path) -> None:
    stdout = run_tests(tmp_path, LEAKY)
    errors = re.findall(r"^ERROR test_inner.py::(\w+)", stdout, re.M)
    if sys.platform != "linux":
        errors.append("test_orphan")  # macOS does not show a process's environment
    assert set(errors) == {"test_child", "test_orphan", "test_socket", "test_segment"}, stdout
    assert "5 passed" in stdout, stdout
    for left in ("time.sleep(60)", "left.sock", "segment left"):
        assert left in stdout, stdout


def test_a_test_is_in_folders_of_its_own(sandbox: Sandbox) -> None:
    places = [os.environ[name] for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR", "XDG_RUNTIME_DIR")]
    assert len(set(places)) == 4
    for place in (*places, tempfile.gettempdir()):
        assert Path(place).is_relative_to(sandbox.root)
        assert len(place.encode()) < 30, "sockets have 104 bytes on macOS"


def test_macfix_variables_of_the_tester_do_not_reach_a_test() -> None:
    assert [name for name in os.environ if name.startswith("MACFIX")] == ["MACFIX_SIMULATE_DIR"]


def test_a_program_that_hangs_is_ended_with_all_its_children(sandbox: Sandbox) -> None:
    program = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('both are running', flush=True)\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(TookTooLongError, match="both are running"):
        run([sys.executable, "-c", program], env=os.environ, cwd=sandbox.home, timeout=6)
    assert not related(str(sandbox.root))


def test_a_missing_checkout_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(STARTED_WITH, "MACFIX_UPSTREAM", str(tmp_path))
    with pytest.raises(upstream.UpstreamMissingError) as caught:
        upstream.take("tractor", "3690e43a", tmp_path)
    assert f"git clone https://github.com/goodboy/tractor {tmp_path}/tractor" in str(caught.value)
    assert "MACFIX_UPSTREAM" in str(caught.value)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_is_taken_once_and_leaves_the_checkout_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout = tmp_path / "tractor"
    checkout.mkdir()
    git = ["git", "-C", str(checkout), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (checkout / "file").write_text("first")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    (checkout / "file").write_text("not committed")
    monkeypatch.setitem(STARTED_WITH, "MACFIX_UPSTREAM", str(tmp_path))
    into = tmp_path / "into"
    into.mkdir()

    taken = upstream.take("tractor", "HEAD", into)
    assert (taken / "file").read_text() == "first"
    assert (checkout / "file").read_text() == "not committed"
    (taken / "file").write_text("marked")
    assert (upstream.take("tractor", "HEAD", into) / "file").read_text() == "marked"
    assert [path.name for path in into.iterdir() if path.is_dir()] == ["tractor-HEAD"]


def test_an_interpreter_that_does_not_do_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STARTED_WITH, "MACFIX_UPSTREAM_PYTHON", "/no/such/python")
    with pytest.raises(pythons.NoPythonError, match=r"MACFIX_UPSTREAM_PYTHON=/no/such/python"):
        pythons.find_or_build()
