"""The bundle of macfix's modules: used where it is of this very macfix, and never in the way."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from macfix.engine._bundle import FIXED_SIZE
from tests.support import environments
from tests.support.environments import ON, Environment

LOOK = (
    "import tractor.thing, macfix.engine._bundle as b; "
    "print(tractor.thing.answer, b._current is not None)"
)
USED, UNUSED = "42 True", "42 False"


@pytest.fixture
def spoilable(enabled: Environment) -> Iterator[Environment]:
    """An enabled environment whose macfix is put right again."""
    macfix = enabled.packages / "macfix"
    kept = enabled.folder / "kept"
    shutil.copytree(macfix, kept)
    bundle = enabled.bundle.read_bytes()
    yield enabled
    _remove(enabled.bundle)
    enabled.bundle.write_bytes(bundle)  # it counts: a copy has the times of what was copied
    shutil.rmtree(macfix)
    kept.rename(macfix)


def _remove(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def test_macfix_is_imported_out_of_it(enabled: Environment) -> None:
    assert enabled.run("-c", LOOK, **ON) == USED
    assert enabled.run("-I", "-c", LOOK, **ON) == USED
    assert enabled.run("-O", "-c", LOOK, **ON) == UNUSED  # its code has the assertions in it


DESCRIBE = """
import json, sys, tractor.thing
def describe(name, module):
    spec = module.__spec__
    package, _, last = name.rpartition(".")
    return [module.__name__, module.__file__, getattr(module, "__cached__", None),
        module.__package__, getattr(module, "__path__", None), module.__doc__,
        type(module.__loader__).__name__, module.__loader__ is spec.loader, spec.name, spec.origin,
        spec.cached, spec.parent, spec.has_location, spec.submodule_search_locations,
        spec.loader.name, spec.loader.path,
        not package or getattr(sys.modules[package], last) is module, sorted(vars(module))]
found = {n: describe(n, m) for n, m in sys.modules.items() if n.partition(".")[0] == "macfix"}
print(json.dumps(found))
"""


def test_its_modules_are_as_the_import_system_makes_them(spoilable: Environment) -> None:
    def look(**env: str) -> dict[str, list[object]]:
        found: dict[str, list[object]] = json.loads(spoilable.run("-c", DESCRIBE, **ON, **env))
        for name in ("macfix", "macfix.engine"):  # what was imported by then is named in them
            del found[name][-1]
        return found

    elsewhere = {"PYTHONPYCACHEPREFIX": str(spoilable.folder / "pycache")}
    out_of_it, out_of_it_elsewhere = look(), look(**elsewhere)
    spoilable.bundle.unlink()
    for bundled, plain in ((out_of_it, look()), (out_of_it_elsewhere, look(**elsewhere))):
        both = bundled.keys() & plain.keys()
        assert len(both) > 15
        assert {name: bundled[name] for name in both} == {name: plain[name] for name in both}


ALL = """
import sys, tractor.thing, macfix.engine._bundle as bundle
from importlib.machinery import SourceFileLoader
read = []
get_code = SourceFileLoader.get_code
SourceFileLoader.get_code = lambda self, name: read.append(name) or get_code(self, name)
names = sorted(bundle._current._members)
for name in names:
    assert bundle.import_own(name) is sys.modules[name]
print(len(names), [name for name in read if name.startswith("macfix")])
"""


def test_it_has_every_module_and_all_that_they_need(enabled: Environment) -> None:
    folders = ("macfix", "macfix/engine", "macfix/patches", "macfix/darwin")
    count = sum(len(list((enabled.packages / folder).glob("*.py"))) for folder in folders)
    wanted = f"{count - 1} []"  # without macfix's __main__.py
    assert enabled.run("-c", ALL, **ON) == wanted


def _cut(size: int) -> Callable[[Environment], None]:
    return lambda env: env.bundle.write_bytes(env.bundle.read_bytes()[:size])


def _flip(place: int) -> Callable[[Environment], None]:
    def spoil(env: Environment) -> None:
        data = bytearray(env.bundle.read_bytes())
        data[place] ^= 1
        env.bundle.write_bytes(data)

    return spoil


def _make_a_folder(env: Environment) -> None:
    env.bundle.unlink()
    env.bundle.mkdir()


def _edit(env: Environment) -> None:
    with open(env.packages / "macfix" / "engine" / "_cache.py", "a") as file:
        file.write("\n# edited\n")


def _touch(env: Environment) -> None:
    file = env.packages / "macfix" / "patches" / "_shapes.py"
    state = file.stat()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


def _add(env: Environment) -> None:
    (env.packages / "macfix" / "patches" / "one_more.py").write_text("")


def _take_away(env: Environment) -> None:
    (env.packages / "macfix" / "patches" / "uds_backlog.py").unlink()


SPOILS = {
    "empty": _cut(0),
    "cut in the mark": _cut(10),
    "cut in the head": _cut(100),
    "cut in the code": _cut(30_000),
    "of another Python": _flip(0),
    "not macfix's": _flip(9),
    "damaged length": _flip(FIXED_SIZE - 1),
    "damaged head": _flip(FIXED_SIZE + 50),
    "a folder": _make_a_folder,
    "missing": lambda env: env.bundle.unlink(),
    "an edited source": _edit,
    "a touched source": _touch,
    "a new source": _add,
    "a source less": _take_away,
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_one_that_does_not_count_is_not_used_and_enable_makes_it_anew(
    spoilable: Environment, spoil: Callable[[Environment], None]
) -> None:
    spoil(spoilable)
    assert spoilable.run("-c", LOOK, **ON) == UNUSED
    check = ("-m", "macfix", "enable", "--check")
    done = environments.run(spoilable.python, *check, cwd=spoilable.folder)
    assert done.returncode == 0 and f"{spoilable.bundle} is out of date" in done.stdout
    if spoilable.bundle.is_dir():
        spoilable.bundle.rmdir()
    elif spoil is SPOILS["not macfix's"]:
        spoilable.bundle.unlink()
    assert "is now enabled" in spoilable.run("-m", "macfix", "enable")
    assert spoilable.run("-c", LOOK, **ON) == USED
    assert "out of date" not in spoilable.run(*check)


ONE_LATER = """
import sys, tractor.thing, macfix.engine._bundle as bundle
path = bundle._current._file
data = bytearray(open(path, "rb").read())
start, end = bundle._current._parts[bundle._current._members["macfix.patches.uds_backlog"][2]]
SPOIL
module = bundle.import_own("macfix.patches.uds_backlog")
print(module.macfix_patches()[0].name, module is sys.modules["macfix.patches.uds_backlog"])
"""


@pytest.mark.parametrize(
    "spoil",
    [
        "data[bundle._current._base + end - 5] ^= 1; open(path, 'wb').write(data)",
        "open(path, 'wb').write(data[:bundle._current._base + start + 20])",
        "import os; os.unlink(path)",
    ],
    ids=["damaged", "cut off", "gone"],
)
def test_what_is_read_of_it_later_is_looked_at_as_well(spoilable: Environment, spoil: str) -> None:
    code = ONE_LATER.replace("SPOIL", spoil)
    assert spoilable.run("-c", code, **ON) == "uds-backlog True"


def test_a_folder_that_is_needed_later_is_looked_at_then(spoilable: Environment) -> None:
    with open(spoilable.packages / "macfix" / "darwin" / "runtime_dir.py", "a") as file:
        file.write("\nEDITED = True\n")
    look = "from macfix.darwin import runtime_dir; print(runtime_dir.EDITED)"
    own = "macfix.engine._bundle.import_own('macfix.patches.runtime_dir')"
    code = f"{LOOK}; import macfix.engine._bundle; {own}; {look}"
    assert spoilable.run("-c", code, **ON).splitlines() == [USED, "True"]


THREADS = """
import sys, threading
start = threading.Barrier(12)
failed = []
def work(name):
    start.wait()
    try:
        __import__(name)
    except BaseException as error:
        failed.append(error)
names = ["tractor.thing", "tractor", "macfix.engine._engine", "hashlib"] * 3
threads = [threading.Thread(target=work, args=(name,)) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
import tractor.thing, macfix.engine._engine, macfix.engine._activate as a
print(tractor.thing.answer, failed, type(a.active_finder().engine) is macfix.engine._engine.Engine)
"""


def test_threads_that_import_at_once_get_the_same_modules(enabled: Environment) -> None:
    for _ in range(10):
        assert enabled.run("-c", THREADS, **ON) == "42 [] True"


ASK = (
    "import sys, importlib.util; before = set(sys.modules); "
    "spec = importlib.util.find_spec('tractor'); print(sorted(set(sys.modules) - before)); "
    "print(spec.loader.get_data(spec.origin), spec.loader.is_package('tractor')); " + LOOK
)


def test_nothing_is_imported_while_the_import_system_asks_for_a_module(
    enabled: Environment,
) -> None:
    """Then, it holds a lock that the imports of all other threads wait for."""
    assert enabled.run("-c", ASK, **ON).splitlines() == ["[]", "b'' True", USED]
    active = "import macfix; macfix.activate(); " + ASK
    assert enabled.run("-c", active, **ON).splitlines() == ["[]", "b'' True", UNUSED]


def test_disable_takes_it_away(spoilable: Environment) -> None:
    assert f"removed {spoilable.bundle}" in spoilable.run("-m", "macfix", "disable")
    assert not spoilable.bundle.exists()


def test_somebody_elses_file_of_that_name_is_left_alone(spoilable: Environment) -> None:
    spoilable.run("-m", "macfix", "disable")
    spoilable.bundle.write_text("this is not macfix's\n")
    done = environments.run(spoilable.python, "-m", "macfix", "enable", cwd=spoilable.folder)
    assert done.returncode == 1 and "was not written by macfix" in done.stderr
    assert spoilable.bundle.read_text() == "this is not macfix's\n"
    assert not spoilable.pth.exists()
