"""Starting the simulation: specifications, refusals, the session that children inherit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from macfix.simulate import SimulationError, Spec, active, start
from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated

on_linux = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="simulates on Linux")


@pytest.fixture
def on(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


def test_the_default_is_the_strictest_mac() -> None:
    assert Spec.parse("1") == Spec.parse("") == Spec() == Spec(30, 16384, 256)
    assert str(Spec()) == "names=30,page=16384,files=256"


@pytest.mark.parametrize(
    "text",
    [
        "names=31",
        "page=4096,names=30",
        "files=1024",
        "guests=one:two",
        "write=ECONNRESET,peercred=present",
        " names = 31 , page = 4096 ",
    ],
)
def test_a_spec_survives_being_written_and_read(text: str) -> None:
    spec = Spec.parse(text)
    assert Spec.parse(str(spec)) == spec != Spec()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names=29", "names=29 is not possible, only 30 or 31"),
        ("page=8192", "page=8192 is not possible"),
        ("page=many", "page='many' is no number"),
        ("names=", "names='' is no number"),
        ("files=3", "files=3 is too few"),
        ("files=-1", "files='-1' is no number"),
        ("write=EPERM", "write=EPERM is not possible"),
        ("peercred=yes", "peercred=yes is not possible"),
        ("guests=a.b", "guests='a.b' is no top-level module's name"),
        ("nmes=30", "unknown key 'nmes' in 'nmes=30'; did you mean names?"),
        ("write=EPIP", "did you mean EPIPE?"),
        ("peercred=abesnt", "did you mean absent?"),
        ("guests=", "guests='' is no top-level module's name"),
        ("guests=a::b", "guests='' is no top-level module's name"),
        ("names", "cannot read 'names'"),
        ("names=30,names=31", "names is given twice"),
        ("names=30,", "cannot read ''"),
        ("2", "cannot read '2'"),
    ],
)
def test_a_bad_spec_is_a_clear_error(text: str, said: str) -> None:
    with pytest.raises(SimulationError, match=r"^simulation: ") as failed:
        Spec.parse(text)
    assert said in str(failed.value)


def test_a_bad_spec_starts_nothing() -> None:
    with pytest.raises(SimulationError):
        start("names=5")
    assert active() is None and "MACFIX_SIMULATE" not in os.environ


@on_linux
def test_starting_again_is_the_same_mac_or_an_error(on: Simulated) -> None:
    snippet = """
import os
from macfix.simulate import Spec, active, start
tell(same=str(start("names=31")), spec=str(start(Spec(names=31))), none=str(start()),
     active=str(active()), variable=os.environ["MACFIX_SIMULATE"])
try: start("names=30")
except RuntimeError as error: tell(error=str(error))
"""
    seen = on.mac(snippet, "names=31")
    kind = "names=31,page=16384,files=256"
    assert seen.pop("error").startswith(f"simulation: this process is a Mac of kind {kind} already")
    assert set(seen.values()) == {kind}


@on_linux
def test_without_a_spec_the_variable_decides(on: Simulated) -> None:
    code = "import macfix.simulate as s; print(s.start())"
    assert on.finish(code, MACFIX_SIMULATE="page=4096").stdout.startswith("names=30,page=4096")
    assert on.finish(code).stdout.startswith("names=30,page=16384")
    assert on.finish(code, MACFIX_SIMULATE="off").stdout.startswith("names=30,page=16384")


@on_linux
@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("import multiprocessing.shared_memory", "multiprocessing.shared_memory"),
        ("import multiprocessing", "multiprocessing.context"),
        ("import sys, types; sys.modules['trio'] = types.ModuleType('x')", "trio"),
        ("import sys, types; sys.modules['tractor'] = types.ModuleType('x')", "tractor"),
        ("import sys; sys.platform = 'darwin'", "needs Linux, this is darwin"),
        ("import macfix, sys; sys.version_info = (3, 9, 0)", "needs CPython 3.10 to 3."),
        ("import os; os.environ['MACFIX_SIMULATE_DIR'] = '/no/such/folder'", "no place"),
        ("import os; os.environ['MACFIX_SIMULATE_DIR'] = 'here'", "is not an absolute path"),
    ],
)
def test_it_refuses_where_it_cannot_be_faithful(on: Simulated, before: str, said: str) -> None:
    code = before + "\nimport macfix.simulate\ntry: macfix.simulate.start('1')\n"
    code += "except macfix.simulate.SimulationError as e: print(e, macfix.simulate.active())"
    finished = on.finish(code)
    assert finished.stdout.startswith("simulation: "), str(finished)
    assert said in finished.stdout and finished.stdout.endswith("None\n")


SESSION = """
import os, resource, stat, tempfile
tmp = os.environ["TMPDIR"]
tell(runtime=os.environ.get("XDG_RUNTIME_DIR"), length=len(tmp), tmp=tmp,
     confstr=os.confstr(65537) if os.confstr.__module__ == "os" else None,
     mode=stat.S_IMODE(os.stat(tmp).st_mode), folder=tempfile.gettempdir() + "/",
     soft=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@on_linux
def test_the_session_is_a_macs(on: Simulated) -> None:
    seen = on.mac(SESSION)
    assert seen["runtime"] is None and seen["soft"] == 256
    assert seen["length"] == 49 and seen["tmp"].endswith("/") and seen["mode"] == 0o700
    assert seen["folder"] == seen["tmp"] == seen["confstr"]
    assert seen["tmp"].startswith(str(on.sandbox.temporary))
    assert on.mac(SESSION, "files=100")["soft"] == 100
    assert on.linux(SESSION.replace("os.confstr(65537)", "0"))["runtime"] is not None


@on_linux
def test_a_temporary_folder_too_long_to_hold_a_macs_is_not_used(on: Simulated) -> None:
    long = on.sandbox.temporary / ("d" * 40)
    long.mkdir()
    seen = on.mac(SESSION, TMPDIR=str(long))
    assert seen["length"] == 49 and seen["tmp"].startswith("/tmp/") and seen["tmp"] != "/tmp/"
    assert on.mac(SESSION, TMPDIR="/no/such/folder")["length"] == 49


@on_linux
def test_the_name_of_the_confstr_is_unknown_to_python_on_a_mac_too(on: Simulated) -> None:
    snippet = """
import os
tell(name=outcome(os.confstr, "CS_DARWIN_USER_TEMP_DIR"), path=os.confstr("CS_PATH") != "")
"""
    assert on.mac(snippet) == {"name": "ValueError", "path": True}


@on_linux
def test_temporary_files_follow_even_if_tempfile_was_used_before(on: Simulated) -> None:
    code = "import tempfile; tempfile.gettempdir()\nimport macfix.simulate, os\n"
    code += "macfix.simulate.start('1'); print(tempfile.gettempdir() + '/' == os.environ['TMPDIR'])"
    assert on.finish(code).stdout == "True\n"


@on_linux
def test_a_temporary_folder_of_others_is_refused(on: Simulated) -> None:
    snippet = "import os; tell(tmp=os.environ['TMPDIR'])"
    outer = os.path.dirname(on.mac(snippet)["tmp"].rstrip("/"))
    os.chmod(outer, 0o777)
    finished = on.finish("import macfix.simulate; macfix.simulate.start('1')")
    assert "SimulationError" in finished.stderr and "open to others" in finished.stderr
    os.chmod(outer, 0o700)
    os.rename(outer, outer + "x")
    os.symlink(outer + "x", outer)
    finished = on.finish("import macfix.simulate; macfix.simulate.start('1')")
    assert "SimulationError" in finished.stderr and "not a folder of this user" in finished.stderr


CHANGING = """
import os, resource, subprocess, sys
os.environ["XDG_RUNTIME_DIR"] = "/run/mine"
os.environ["TMPDIR"] = "/tmp"
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
child = '''
import os, resource, sys
names = "XDG_RUNTIME_DIR", "TMPDIR", "MACFIX_SIMULATE"
print(sys.platform, *map(os.environ.get, names), len(os.confstr(65537)),
      resource.getrlimit(resource.RLIMIT_NOFILE)[0])
'''
tell(child=subprocess.check_output([sys.executable, "-c", child], text=True).split())
"""


@on_linux
def test_children_inherit_and_keep_what_the_program_changed(on: Simulated) -> None:
    seen = on.tree(CHANGING, "names=31,write=ECONNRESET")["child"]
    kind = "names=31,page=16384,files=256,write=ECONNRESET"
    assert seen == ["darwin", "/run/mine", "/tmp", kind, "49", "512"]


FOLDERS = """
from macfix.darwin.segments import place
from macfix.engine.config import Config
tell(state=place.folder(), cache=Config.from_environ().cache)
"""


@on_linux
def test_macfix_keeps_its_own_files_where_it_does_on_linux(on: Simulated) -> None:
    """So that no `~/Library` comes to be; its segments have a registry of their own."""
    bases: list[dict[str, str]] = [{}, {"XDG_STATE_HOME": "/a", "XDG_CACHE_HOME": "/b"}]
    for base in bases:
        of_linux = on.linux(FOLDERS, **base)
        state = of_linux["state"].replace("/macfix/shm", "/macfix/simulated/shm")
        assert on.mac(FOLDERS, **base) == of_linux | {"state": state} != of_linux
    given = {"MACFIX_STATE_DIR": "/c", "MACFIX_CACHE_DIR": "/d"}
    assert on.mac(FOLDERS, **given) == {"state": "/c/shm", "cache": "/d"}


@on_linux
def test_too_many_open_files_come_as_soon_as_on_a_mac(on: Simulated) -> None:
    snippet = """
import socket
held = []
try:
    while len(held) < 2000: held.append(socket.socket())
except OSError as error: tell(e=error.strerror, n=250 - len(held) < 20)
"""
    assert on.mac(snippet) == {"e": "Too many open files", "n": True}


@on_linux
def test_starting_imports_the_standard_library_only_and_none_of_its_big_parts() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import macfix.simulate; macfix.simulate.start('1')\n"
        "print(*sorted(n for n in set(sys.modules) - before if not n.startswith('macfix')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    outside = [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names]
    assert outside == []
    assert not {"socket", "platform", "multiprocessing", "asyncio", "subprocess"} & set(loaded)
