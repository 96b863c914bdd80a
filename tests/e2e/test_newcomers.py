"""The first five minutes, and the bad day: what a newcomer types, and what is seen then.

In a fresh environment, at a terminal of 80 by 24. On Linux `MACFIX_SIMULATE=1` makes it a Mac's.
What must be seen is given without its line breaks, and not all of it: the telling lines, in their
order. The tractor and piker that are installed are the demo's replicas.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import environments, isolation, upstream
from tests.support.environments import Environment
from tests.support.once import made_once
from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY, STARTED_WITH
from tests.support.terminal import COLUMNS, at_a_terminal

DEMO = REPOSITORY / "macfix" / "cli" / "demo"
SIMULATE = {} if sys.platform == "darwin" else {"MACFIX_SIMULATE": "1"}

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a stand-in for what a Mac has")


@pytest.fixture(scope="session")
def fresh(installed: Environment, run_folder: Path) -> Environment:
    """An environment with macfix, and what its tests run on; nobody changes it."""

    def make(folder: Path) -> None:
        made = environments.like(installed, folder)
        for example in ("tractor", "own_plugin"):
            shutil.rmtree(made.packages / example)
        for metadata in made.packages.glob("own*-info"):
            shutil.rmtree(metadata)
        places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        code = f"import sys; sys.path += {sorted(places)}"  # not site.addsitedir: no .pth of theirs
        (made.packages / "of_the_tests.pth").write_text(code)

    return Environment(made_once(run_folder / "fresh", make))


@pytest.fixture(scope="session")
def ready(fresh: Environment, run_folder: Path) -> Environment:
    """The same with tractor and piker; nobody changes it."""

    def make(folder: Path) -> None:
        add_upstreams(copy_of(fresh, folder))

    return Environment(made_once(run_folder / "ready", make))


def copy_of(environment: Environment, folder: Path) -> Environment:
    made = Environment(folder)
    shutil.copytree(environment.folder, folder, symlinks=True, dirs_exist_ok=True)
    return made


def add_upstreams(environment: Environment) -> None:
    for name in ("tractor", "piker"):
        shutil.copytree(DEMO / "replicas" / name, environment.packages / name)


class User:
    """Somebody who types commands, in a folder with some programs.

    Attributes:
        environment: the one that is activated.
        folder: where the user is.
        env: the variables that are set.
        before: the words of what the commands run in, if in something.
    """

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.before: list[str | Path] = []
        kept = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "MACFIX_SIMULATE_DIR")
        path = f"{environment.folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= SIMULATE | {"PATH": path}
        for program in DEMO.joinpath("programs").glob("*.py"):
            shutil.copy(program, folder)

    def types(self, command: str, *shown: str, code: int = 0, answer: str = "") -> str:
        """Type *command*, and *answer* where it asks; see what is *shown*, in this order."""
        given = [answer] if answer else []

        def reply(seen: str) -> str:
            return given.pop() if given and seen.rstrip(" ").endswith(("?", "]", ":")) else ""

        words = [*self.before, "/bin/sh", "-c", command]
        ended, seen = at_a_terminal(words, cwd=self.folder, env=self.env, type_=reply)
        screen = self._without_paths(seen)
        said = f"$ {command}\n{screen}[exit code {ended}]\n"
        with (self.folder.parent / "transcript.txt").open("a") as transcript:
            transcript.write(said)
        assert ended == code, said
        assert "Traceback" not in screen, said
        text, start = " ".join(screen.split()), 0
        for each in shown:
            found = text.find(each, start)
            assert found >= 0, f"{each!r} is not shown, or not there:\n{said}"
            start = found + len(each)
        return screen

    def _without_paths(self, text: str) -> str:
        text = re.sub(r"\x1b\[\d*m", "", text)
        places = {self.environment.folder: "ENV", self.folder: "HERE", self.env.get("HOME"): "~"}
        for place, name in places.items():
            text = text.replace(str(place), name)
        return text


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def user(ready: Environment, here: Path) -> User:
    return User(ready, here)


@pytest.fixture
def changing(ready: Environment, here: Path, tmp_path: Path) -> User:
    """One with an environment of the test's own."""
    return User(copy_of(ready, tmp_path / "env"), here)


def test_it_works_at_once(user: User) -> None:
    user.types("python -m macfix doctor", "works here")
    user.types("python -m macfix actors.py", "8 processes met, each known by its pid, uid and gid")
    user.types("python -m macfix -m market_data", "500 rows read", "destroyed by both processes")
    user.types("python -m macfix status", " applied.", "uds-socket-constants")


def test_nothing_is_installed(fresh: Environment, here: Path) -> None:
    user = User(fresh, here)
    user.types(
        "python -m macfix doctor",
        "neither tractor nor piker is installed",
        "-m pip install git+https://github.com/goodboy/tractor",
        code=1,
    )
    user.types("python -m macfix status", "neither tractor nor piker is installed in ENV")
    user.types("python -m macfix piker chart btcusdt.binance", "macfix: ", "piker", code=2)


# -- the wrong Python ------------------------------------------------------------------------------

TOO_OLD = "macfix needs Python 3.10 or newer, and this is 3."
PRETENDING = (
    "import runpy, sys; sys.version, sys.version_info = '3.9.1 (of old)', (3, 9, 1)\n"
    "try: runpy.run_module('macfix', run_name='__main__')\n"
    "except ImportError as error: sys.exit(str(error))\n"
)


def test_a_python_that_is_too_old_is_named(user: User) -> None:
    """Here a new one that says it is; a Python that really is follows, where there is one."""
    (user.folder / "old.py").write_text(PRETENDING)
    user.types("python old.py", TOO_OLD, code=1)


def test_a_real_python_that_is_too_old_says_one_line(user: User) -> None:
    home = Path(STARTED_WITH.get("HOME", "/"))
    found = [shutil.which(f"python3.{minor}") for minor in (9, 8, 7, 6)]
    found += map(str, home.glob(".pyenv/versions/3.[6-9].*/bin/python"))
    old = next((each for each in found if each and works(each)), None)
    if old is None:
        pytest.skip("there is no Python 3.6 to 3.9 here")
    user.env |= {"PYTHONPATH": str(user.environment.packages), "PYTHONDONTWRITEBYTECODE": "1"}
    screen = user.types(f"{old} -m macfix status", TOO_OLD, code=1)
    assert len(screen) < 4 * COLUMNS and screen.count("\n") == 1


def works(python: str) -> bool:
    """Whether it runs: a shim of pyenv's may have no Python behind it."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


# -- upstreams that nobody has seen ----------------------------------------------------------------


def test_the_newest_tractor(
    upstream_python: Path, upstream_at: Callable[[str, str], Path], user: User
) -> None:
    checkout = upstream_at("tractor", upstream.TRACTORS["HEAD"])
    user.env["PATH"] = f"{upstream_python.parent}:{user.env['PATH']}"
    user.env["PYTHONPATH"] = f"{REPOSITORY}:{checkout}"
    screen = user.types(f"{upstream_python} -m macfix status", "applied", "not needed.")
    assert "unknown" not in screen and "failed" not in screen
    user.types(
        f"{upstream_python} -m macfix -c 'import tractor; print(tractor.__name__, 1 + 1)'",
        "tractor 2",
    )


def test_a_commit_that_nobody_knows(changing: User) -> None:
    file = changing.environment.packages / "tractor" / "_state.py"
    text = file.read_text()
    file.write_text(text.replace("_rtdir / subdir", "Path(f'{_rtdir}/{subdir}')"))
    assert file.read_text() != text
    changing.types(
        "python -m macfix actors.py",
        "MacfixWarning: tractor._state: patch runtime-dir does not know this upstream",
        "8 processes met",
    )
    changing.types(
        "python -m macfix status",
        "unknown upstream",
        "where its get_rt_dir() is, is not known",
        code=1,
    )


# -- ways in ---------------------------------------------------------------------------------------


def test_it_is_activated_twice(changing: User) -> None:
    (changing.folder / "twice.py").write_text(
        "import sys, macfix\n"
        "macfix.activate()\n"
        "import tractor.ipc._uds\n"
        "print('finders of macfix:', sum(hasattr(f, 'is_macfix') for f in sys.meta_path))\n"
    )
    changing.types("python -m macfix enable", "macfix is now enabled in ENV")
    changing.types("python -m macfix enable", "macfix was already enabled in ENV")
    changing.types("python -m macfix twice.py", "finders of macfix: 1")
    changing.types("python -m macfix doctor", "works here", "enabled")
    changing.types("python -m macfix disable", "ENV")


HIDES = """\
import os
class Flagged:
    def __init__(self, found, flags):
        self.found, self.st_flags = found, flags
    def __getattr__(self, name):
        return getattr(self.found, name)
def stat(path, *, real=os.stat, **how):
    found = real(path, **how)
    hidden = str(path).endswith("macfix.pth") and os.access(f"{path}.hidden", os.F_OK)
    return Flagged(found, 0x8000) if hidden else found
def chflags(path, flags):
    os.remove(f"{path}.hidden")
os.stat, os.chflags = stat, chflags
"""
"""Linux has no flags: a file beside it stands for macOS's, and these for its calls."""


def test_its_pth_is_hidden(changing: User) -> None:
    changing.types("python -m macfix enable", "macfix is now enabled in ENV")
    if sys.platform != "darwin":
        (changing.environment.packages / "sitecustomize.py").write_text(HIDES)
        stub = changing.environment.folder / "bin" / "chflags"
        stub.write_text('#!/bin/sh\ntest "$1" = hidden && touch "$2.hidden"\n')
        stub.chmod(0o755)
    changing.types(f"chflags hidden {changing.environment.pth}")
    says = "is hidden (UF_HIDDEN), so site skips it: `macfix enable` shows it"
    changing.types("python -m macfix enable --check", says, code=1)
    changing.types(
        "python -m macfix doctor", "is hidden, so Python leaves it out", "chflags nohidden", code=1
    )
    changing.types("python -m macfix enable", "macfix is now enabled in ENV")
    changing.types("python -m macfix enable --check", "macfix is enabled in ENV")


# -- the bad day -----------------------------------------------------------------------------------

LEAKS = """\
import os
from contextlib import ExitStack
from types import SimpleNamespace
from piker.data._sharedmem import open_shm_array
from tractor import _state
_state._current_actor = SimpleNamespace(lifetime_stack=ExitStack())
open_shm_array(12_500_000, "piker.brokerd.btcusdt.hist", dtype=[("index", "i8"), ("close", "f8")])
os.abort()
"""
"""Dies with a history of 190 MB open."""


def test_a_segment_of_190_mb_is_leaked(user: User) -> None:
    (user.folder / "dies.py").write_text(LEAKS)
    user.types("python -m macfix dies.py", code=134)
    user.types("python -m macfix shm ls", "piker.brokerd.btcusdt.hist 190.7 MiB", "leaked")
    user.types("python -m macfix doctor", "leaked", " shm reap", code=1)
    if sys.platform == "linux":  # whoever forgets that it was a simulated Mac loses nothing
        user.types("MACFIX_SIMULATE= python -m macfix shm ls", "3 segments of a simulated Mac")
        user.types("MACFIX_SIMULATE= python -m macfix shm reap", "0 segments")
    user.types("python -m macfix shm reap", "190.7 MiB", "freed", answer="y\n")
    user.types("python -m macfix shm ls", "no shared memory segments")
    user.types("python -m macfix doctor", "works here")


def test_the_home_is_read_only(user: User, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root writes everywhere, and there is no setpriv to keep it from that")
        user.before = ["setpriv", "--bounding-set", "-dac_override"]
    user.env["HOME"] = str(home)
    for name in [name for name in user.env if name.startswith("XDG")]:
        del user.env[name]
    user.types("touch ~/file", code=1)
    user.types("python -m macfix market_data.py", "Permission denied", "500 rows read")
    export = 'export MACFIX_STATE_DIR="$(mktemp -d)"'
    user.types("python -m macfix doctor", "cannot write to ~", export, code=1)
    home.chmod(0o755)
    assert list(home.iterdir()) == []


@on_linux
def test_there_is_no_network(changing: User, sandbox: Sandbox, wheel: Path) -> None:
    if not isolation.possible():
        pytest.skip("this machine lets nobody have a network of his own")
    changing.before = isolation.isolated([], sandbox.meeting)
    for path in changing.environment.packages.glob("macfix*"):
        shutil.rmtree(path)
    changing.types("python -m macfix status", "No module named macfix", code=1)
    pip = f"{sys.executable} -m pip --python {changing.environment.python} install --no-deps"
    changing.types(f"{pip} --no-index {wheel}", "Successfully installed macfix")
    changing.types("python -m macfix doctor", "works here")
    changing.types("python -m macfix actors.py", "8 processes met")
