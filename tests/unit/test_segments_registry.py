"""The registry never keeps a program from working: what it cannot keep, it says once."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from macfix.darwin.segments import database, place, reaping, registry, shared_memory
from macfix.darwin.segments.kernel import probe
from macfix.darwin.segments.label import UNLABELLED
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.place import UnavailableError
from macfix.darwin.segments.shared_memory import SharedMemory, shm_unlink
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
    """A key whose segments are gone when the test is over."""
    made = f"macfix-registry-test-{os.getpid()}-segment"
    yield made
    assert not remove(made, made + "1", made + "_first"), "segments were left behind"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait long for a locked database."""
    monkeypatch.setattr(database, "_patience", 0.05)


def use(key: str) -> None:
    """Do everything that a program does with a segment."""
    made = SharedMemory(key, create=True, size=100, track=False)
    made.buf[:3] = b"abc"
    again = SharedMemory(key, track=False)
    assert bytes(again.buf[:3]) == b"abc" and again.size == 100
    again.close()
    made.close()
    made.unlink()
    assert not exists(key)


def rows(table: str) -> list[tuple[object, ...]]:
    with database.transaction(place.location()) as db:
        return list(db.execute(f"SELECT * FROM {table}"))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# -- where it lies ---------------------------------------------------------------------------------


def test_it_lies_in_the_users_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = os.environ["HOME"]
    assert place.location().startswith(f"{home}/.local/state/macfix/shm/")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert place.location().startswith(f"{home}/Library/Application Support/macfix/shm/")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert place.location().startswith(f"{home}/.local/state/macfix/shm/")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert place.location().startswith(f"{tmp_path}/macfix/shm/")
    monkeypatch.setenv(place.STATE_DIR_VARIABLE, str(tmp_path / "mine"))
    assert place.location().startswith(f"{tmp_path}/mine/shm/")


def test_folder_and_file_are_the_users_alone(key: str) -> None:
    use(key)
    path = Path(place.location())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_stays_open(key: str) -> None:
    before = set(os.listdir("/dev/fd"))
    use(key)
    assert set(os.listdir("/dev/fd")) == before


def test_the_trees_registry_is_used_whatever_home_has_become(
    key: str, owner: MakeOwner, tmp_path: Path
) -> None:
    root = owner()
    root.do("registry.join() and None")
    variable = {registry.VARIABLE: root.do("os.environ[registry.VARIABLE]")}
    child = owner(HOME=str(tmp_path), **variable)
    child.do(f"create({key!r})")
    assert [row[0] for row in rows("segment")] == [kernel_name(key)]
    child.do(f"do(os.environ.update(HOME='/nowhere'), shm_unlink({key!r}))")
    assert rows("segment") == [] and os.listdir(tmp_path) == []


def test_a_variable_that_is_no_text_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.VARIABLE, f"\udcff:{place.location()}")
    registry.join()
    assert os.environ[registry.VARIABLE].partition(":")[0].isalnum()
    assert len(rows("tree")) == 1


@pytest.mark.parametrize("path", ["/tmp/x.2.sqlite3", "relative", "", "/tmp/{boot}.2.sqlite3"])
def test_a_variable_that_names_no_registry_of_this_boot_is_ignored(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = place.location()
    boot = os.path.basename(right).partition(".")[0]
    monkeypatch.setenv(registry.VARIABLE, "abcd:" + path.format(boot=boot))
    assert place.location() == right
    variables = registry.variables()
    assert variables[registry.VARIABLE].endswith(":" + right)
    assert not variables[registry.VARIABLE].startswith("abcd:")


def test_switched_off_it_is_silent_and_writes_nothing(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(place.JOURNAL_VARIABLE, "off")
    assert registry.variables() == {} and registry.join() is None
    use(key)
    assert registry.VARIABLE not in os.environ and said(caplog) == []
    assert not Path(os.environ["HOME"], ".local").exists()


# -- what goes wrong with it -----------------------------------------------------------------------


def damage(kind: str, path: str) -> None:
    for end in ("", "-journal"):
        if os.path.exists(path + end):
            os.unlink(path + end)
    if kind == "rubbish":
        Path(path).write_bytes(os.urandom(20_000))
    elif kind == "a torn header":
        Path(path).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    elif kind == "a directory":
        Path(path).mkdir()
    elif kind == "a symbolic link":
        Path(path).symlink_to("/etc/passwd")
    else:
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE tree (new)")
        db.execute(f"PRAGMA user_version = {place.VERSION + 1}")
        db.close()


KINDS = ("rubbish", "a torn header", "a directory", "a symbolic link", "a future version's")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_registry_is_set_aside_and_frees_nothing(
    key: str, owner: MakeOwner, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    creator, dead = owner(), owner()
    creator.do(f"create({key!r})")
    dead.do(f"create({key + '1'!r})")
    dead.kill()
    damage(kind, place.location())
    assert reaping.sort_out(place.location(), free=True) == []
    assert len(said(caplog)) == 1 and "set-aside" in said(caplog)[0]
    aside = [name for name in os.listdir(os.path.dirname(place.location())) if "aside" in name]
    assert len(aside) == 1
    use(key + "_first")
    creator.do(f"create({key + '_first'!r}, 100)")  # it is on record again, its tree is not
    assert [row[1] for row in rows("process")].count(creator.pid) == 1
    creator.kill()
    assert [one.freed for one in reaping.sort_out(place.location(), free=True)] == [False]
    assert exists(key) and exists(key + "1")
    assert len(said(caplog)) == 1
    assert remove(key, key + "1", key + "_first")


def test_a_page_that_is_damaged_is_found_while_it_is_read(
    key: str, owner: MakeOwner, caplog: pytest.LogCaptureFixture
) -> None:
    creator = owner()
    creator.do(f"create({key!r})")
    path = place.location()
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (os.path.getsize(path) - 4096))
    with pytest.raises(UnavailableError):
        reaping.sort_out(path, free=True)
    assert reaping.sort_out(path, free=True) == []
    assert len(said(caplog)) == 1 and "set-aside" in said(caplog)[0]
    aside = [name for name in os.listdir(os.path.dirname(path)) if "set-aside" in name]
    assert sorted(name.endswith("-journal") for name in aside) == [False, True]
    creator.do(f"shm_unlink({key!r})")


def test_what_only_looks_damaged_stays(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry.join()
    real = database._connect
    looks: list[str] = []

    def connect(path: str) -> sqlite3.Connection:
        looks.append(path)
        if len(looks) == 1:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return real(path)

    monkeypatch.setattr(database, "_connect", connect)
    made = SharedMemory(key, create=True, size=100, track=False)
    assert len(rows("segment")) == 1 and len(looks) > 2
    assert said(caplog) == []
    assert not [n for n in os.listdir(os.path.dirname(place.location())) if "aside" in n]
    made.close()
    made.unlink()


BLOCKED_HOMES = {
    "a file in the way": lambda home: Path(home, ".local").write_text(""),
    "a link in the way": lambda home: (
        Path(home, ".local/state/macfix").mkdir(parents=True),
        Path(home, ".local/state/macfix/shm").symlink_to(home),
    ),
}


@pytest.mark.parametrize("how", BLOCKED_HOMES)
def test_without_a_place_programs_run_and_one_of_a_tree_says_so(
    key: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    BLOCKED_HOMES[how](os.environ["HOME"])
    assert registry.variables() == {}
    assert said(caplog) == []  # the program that is about to be run says it
    registry.join()
    for _ in range(3):
        use(key)
    assert len(said(caplog)) == 1
    with pytest.raises(UnavailableError):
        reaping.sort_out(place.location(), free=True)


@pytest.mark.parametrize("what", ["no home", "no boot", "no start"])
def test_without_a_home_a_boot_or_a_start_of_the_process_it_is_the_same(
    key: str, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if what == "no home":
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    elif what == "no boot":
        monkeypatch.setattr(place, "boot_id", lambda: "")
    else:
        monkeypatch.setattr(registry, "start_of", mock.Mock(side_effect=OSError("no start")))
    assert registry.variables() == {} and registry.join() is None
    use(key)
    (text,) = said(caplog)
    hints = {"no home": "MACFIX_STATE_DIR", "no boot": "this boot", "no start": "no start"}
    assert hints[what] in text


NOBODY = 65534
WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
PROGRAM = """
import logging
logging.basicConfig()
from macfix.darwin.segments import place, reaping, registry
from macfix.darwin.segments.shared_memory import SharedMemory
print(registry.variables()); registry.join()
made = SharedMemory({key!r}, create=True, size=100, track=False)
SharedMemory({key!r}, track=False).close()
made.close(); made.unlink()
try:
    reaping.sort_out(place.location(), free=True)
except place.UnavailableError as error:
    print("unavailable:", error)
"""


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere"
)
@pytest.mark.parametrize("what", ["a read-only home", "a read-only file"])
def test_what_cannot_be_written_keeps_nobody_from_working(key: str, what: str) -> None:
    home = Path(os.environ["HOME"])
    shm = home / ".local/state/macfix/shm"
    if what == "a read-only file":
        registry.variables()
        Path(place.location()).chmod(0o400)
    else:
        home.chmod(0o555)
    before = sorted(shm.iterdir()) if shm.exists() else []
    ran = run_program(key, *(WITHOUT_PRIVILEGES if os.geteuid() == 0 else ()))
    home.chmod(0o700)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("{}\nunavailable: "), ran.stdout
    assert ran.stderr.count("WARNING") == 1, ran.stderr
    after = sorted(shm.iterdir()) if shm.exists() else []
    assert [path for path in after if path.name != "said"] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_leaves_nothing_in_a_users_home(key: str) -> None:
    shm = Path(os.environ["HOME"], ".local/state/macfix/shm")
    shm.mkdir(parents=True)
    for folder in (shm, *list(shm.parents)[:4]):
        os.chown(folder, NOBODY, NOBODY)
    ran = run_program(key)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("{}\nunavailable: root leaves nothing"), ran.stdout
    assert ran.stderr.count("WARNING") == 1 and os.listdir(shm) == []


def run_program(key: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-c", PROGRAM.format(key=key)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )


FULL = """
import logging, os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logging.basicConfig()
from macfix.darwin.segments import registry
from macfix.darwin.segments.shared_memory import SharedMemory
registry.join()
path = registry._own.path
for number in range(300):
    if number == 5:  # from now on no file may grow, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path), -1))
    made = SharedMemory(f"{key}{{number}}", create=True, size=100, track=False)
    SharedMemory(made.name, track=False).close()
    if number >= 5:
        made.close()
        made.unlink()
print("done")
"""


def test_a_full_disk_keeps_nobody_from_working(key: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL.format(key=key)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "done\n", ran.stderr
    assert ran.stderr.count("WARNING") <= 1, ran.stderr
    found = reaping.sort_out(place.location(), free=True)
    assert sorted(one.record.key for one in found if one.freed) == [f"{key}{n}" for n in range(5)]


# -- locked ----------------------------------------------------------------------------------------


def hold_locked(owner: SegmentOwner) -> None:
    owner.do(
        "do(registry.join(), globals().update(lock=database.sqlite3.connect(place.location())),"
        " lock.execute('BEGIN IMMEDIATE'))"
    )


@pytest.mark.usefixtures("patience")
def test_a_locked_database_is_waited_for_once(
    key: str, owner: MakeOwner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = owner()
    hold_locked(writer)
    os.kill(writer.pid, signal.SIGSTOP)
    slept: list[float] = []
    real = time.sleep
    monkeypatch.setattr(database.time, "sleep", lambda s: (slept.append(s), real(s)))
    registry.join()
    assert slept
    slept.clear()
    use(key)
    use(key)
    assert slept == []
    assert len(said(caplog)) == 1 and "is locked" in said(caplog)[0]
    with pytest.raises(UnavailableError, match="locked"):
        reaping.sort_out(place.location(), free=True)


def test_one_warning_a_tree(key: str, owner: MakeOwner) -> None:
    writer = owner()
    hold_locked(writer)
    program = (
        "import logging, subprocess, sys; logging.basicConfig()\n"
        "from macfix.darwin.segments import database, registry\n"
        "database._patience = 0.01\n"
        "registry.join()\n"
        "if len(sys.argv) < 4:\n"
        "    for _ in range(2):\n"
        "        subprocess.run([sys.executable, '-c', sys.argv[1], *sys.argv[1:], 'x'])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, program, "x"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0 and ran.stderr.count("WARNING") == 1, ran.stderr


def test_a_child_that_is_forked_in_the_midst_of_a_write_gets_through(
    key: str, owner: MakeOwner
) -> None:
    program = owner()
    program.do("registry.join() and None")
    program.do(
        "globals().update(entered=threading.Event(), go=threading.Event(), thread="
        "threading.Thread(target=lambda: [entered.set() or go.wait() for db in"
        " [database.transaction(place.location()).__enter__()]])) or None"
    )
    slow = (
        "def slow():\n"
        "    with database.transaction(place.location()):\n"
        "        entered.set(); time.sleep(0.3)\n"
    )
    program.do(f"exec({slow!r}, globals())")
    program.do("globals().update(thread=threading.Thread(target=slow)) or thread.start()")
    child = program.do("entered.wait() and fork(lambda: create(" + repr(key) + "))")
    assert (child,) in [(row[1],) for row in rows("process")]
    assert [row[2] for row in rows("segment")] == [key]
    program.do("thread.join()")
    program.kill()
    os.kill(child, signal.SIGKILL)
    shm_unlink(key)


def test_every_thread_of_a_forked_child_gets_through(key: str, owner: MakeOwner) -> None:
    program = owner()
    program.do("registry.join() and None")
    create = f"threading.Thread(target=create, args=({key!r},), daemon=True)"
    child = program.do(f"fork(lambda: (thread := {create}).start() or thread.join(10))")
    assert [row[2] for row in rows("segment")] == [key]
    program.kill()
    os.kill(child, signal.SIGKILL)
    shm_unlink(key)


def test_a_finalizer_in_the_midst_of_a_call_does_not_wait_for_itself(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = SharedMemory(key, create=True, size=100, track=False)
    with database.transaction(place.location()):
        made.unlink()
    made.close()
    assert not exists(key) and said(caplog) == []
    assert reaping.sort_out(place.location(), free=True) == []


def test_a_creation_that_fails_leaves_no_record(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "ftruncate", full)
        with pytest.raises(OSError, match="No space left"):
            SharedMemory(key, create=True, size=100, track=False)
    assert rows("segment") == [] and rows("holder") == [] and not exists(key)
    use(key)


def test_what_is_broken_off_is_not_written(key: str) -> None:
    registry.join()
    with pytest.raises(KeyboardInterrupt), registry.registered() as (db, _):
        assert db is not None
        db.execute(database.ADD_TREE, ("broken off",))
        raise KeyboardInterrupt
    assert ("broken off",) not in rows("tree")
    use(key)


# -- odd rows -------------------------------------------------------------------------------


ODD = [
    ("/x" * 40, "m", "long", 10, "/x" * 40, 1, "p", 1.0, 1),
    ("no slash", "m", "no slash", 10, "no slash", 1, "p", 1.0, 1),
    ("", "m", "empty", 10, "", 1, "p", 1.0, 1),
    ("/nul\0nul", "m", "nul", 10, "/nul\0nul", 1, "p", 1.0, 1),
    ("/odd1", "m", "\x1b[31m", "many", "/odd1", "who", 7, "yesterday", "x"),
    ("/odd2", b"\xff\xfe", b"\xff", None, "/odd2", None, None, None, None),
    ("/odd3", "m", "huge", 2**62, "/odd3", 2**62, "p", 1e300, 1),
    ("/odd4", "m", "index of itself", -5, "/none", -1, "p", float("-inf"), 0),
]


def test_odd_rows_are_survived(key: str) -> None:
    registry.join()
    with database.transaction(place.location()) as db:
        for row in ODD:
            db.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            db.execute("INSERT INTO holder VALUES (?, 'unknown')", (row[0],))
        db.execute("INSERT INTO process VALUES ('odd', 'x', 5, NULL)")
        db.execute("INSERT INTO process VALUES ('odd', ?, 'x', 'p')", (2**62,))
    use(key)
    for free in (False, True):
        reaping.sort_out(place.location(), free=free)
    SharedMemory("odd1_first", create=True, size=4, track=False).unlink()
    assert reaping.remove(place.location(), "long", unlink=False)


@pytest.mark.parametrize("size", [4, UNLABELLED, UNLABELLED + 1])
def test_what_is_no_larger_than_a_counter_is_the_index_of_its_array(key: str, size: int) -> None:
    made = [
        SharedMemory(key, create=True, size=100, track=False),
        SharedMemory(key + "_first", create=True, size=size, track=False),
    ]
    with database.transaction(place.location()) as db:
        (index,) = database.records(db, database.RECORDS_OF, (kernel_name(key + "_first"),))
    assert index.head == kernel_name(key if size <= UNLABELLED else key + "_first")
    for segment in made:
        segment.close()
        segment.unlink()


@pytest.mark.parametrize("length", [200, 201])
def test_a_program_is_its_command_line_cut_at_200_characters(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["pikerd", "x" * (length - len("pikerd "))])
    assert registry._program() == "pikerd " + "x" * 193


def test_nothing_is_synchronised_to_the_disk() -> None:
    with database.transaction(place.location()) as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (0,)


def test_unlinking_takes_what_is_not_known_to_be_complete_off_the_record(key: str) -> None:
    made = SharedMemory(key, create=True, size=100, track=False)
    made.close()
    with database.transaction(place.location()) as db:
        db.execute("UPDATE segment SET made = 0")
    shm_unlink(key)
    assert rows("segment") == []


def test_a_race_is_counted_and_told(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(shared_memory, "observers", [lambda *what: told.append(what)])
    before = shared_memory.races
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            shm_unlink(key)
    assert told == [(key, before + 1), (key, before + 2)]


def test_at_the_interpreters_end_nothing_is_said(key: str) -> None:
    program = (
        "from macfix.darwin.segments.shared_memory import SharedMemory\n"
        "import sys, atexit\n"
        f"kept = SharedMemory({key!r}, create=True, size=100, track=False)\n"
        "view = kept.buf[:3]\n"
        "class Last:\n"
        "    def __init__(self): self.segment = kept; self.loop = self\n"
        "sys.modules['last'] = Last()\n"
        "kept.unlink()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert probe(kernel_name(key)) is None


@pytest.mark.parametrize("statement", ["ADD_SEGMENT", "HOLD", "COMPLETE", "ADD_PROCESS", "ERASE"])
def test_a_statement_that_fails_keeps_nobody_from_working(
    key: str, statement: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, statement, "SELECT nonsense")
    registry.join()
    use(key)
    assert len(said(caplog)) == 1


def test_a_commit_that_fails_keeps_nobody_from_working(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = database.patiently

    def failing(db: sqlite3.Connection, statement: str) -> None:
        real(db, "SELECT nonsense" if statement == "COMMIT" else statement)

    monkeypatch.setattr(database, "patiently", failing)
    monkeypatch.setattr(registry, "patiently", failing)
    registry.join()
    use(key)
    assert len(said(caplog)) == 1
