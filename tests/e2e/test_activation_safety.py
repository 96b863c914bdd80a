"""Surroundings that are broken, other people's import hooks, threads: the program goes on."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import LOOK, ON, Environment
from tests.support.once import made_once
from tests.support.plugin import ADD_41, lay_out_plugin
from tests.support.surroundings import every

PATCHED, ALONE = "42 1", "1 0"


# -- surroundings that are broken ------------------------------------------------------------------


def test_a_vanished_current_directory(enabled: Environment, tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
        gone.mkdir()
        shell = f'cd {gone} && rmdir {gone} && exec {enabled.python} -c "$CODE"'
        words = ("-c", shell)
        return environments.run("/bin/sh", *words, cwd=tmp_path, CODE=code, **env)

    if run("import socket").returncode:
        pytest.skip("this Python cannot import socket there (3.13.0), which wrapt does")
    done = run(LOOK, **ON)
    assert (done.stdout.strip(), done.stderr) == (PATCHED, "")


@pytest.mark.parametrize(
    "env",
    [
        {"HOME": "/nonexistent"},
        {"HOME": ""},
        {"HOME": "relative"},
        {"MACFIX_CACHE_DIR": "/dev/null/x"},
        {"MACFIX_CACHE_DIR": "/proc/macfix"},
    ],
)
def test_homes_and_caches_that_are_not_there(enabled: Environment, env: dict[str, str]) -> None:
    assert enabled.run("-c", LOOK, **env, **ON) == PATCHED


def test_a_full_disk_costs_the_cache_only(enabled: Environment, tmp_path: Path) -> None:
    full = (
        "import os, tempfile\n"
        "def full(*a, **k): raise OSError(28, 'No space left on device')\n"
        "os.makedirs = os.mkdir = tempfile.mkstemp = os.replace = full\n"
    )
    cache = {"MACFIX_CACHE_DIR": str(tmp_path / "cache")}
    assert enabled.run("-c", full + LOOK, **cache, **ON) == PATCHED


def test_a_kernel_that_takes_no_byte_costs_the_cache_only(
    enabled: Environment, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    for _ in range(2):
        assert enabled.run("-c", full + LOOK, MACFIX_CACHE_DIR=str(cache), **ON) == PATCHED
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_no_standard_error(enabled: Environment) -> None:
    broken = "import sys; sys.stderr = None; "
    assert enabled.run("-c", broken + LOOK, **ON) == PATCHED
    without_pluggy = f"{broken}sys.modules['pluggy'] = None; "
    assert enabled.run("-c", without_pluggy + LOOK, **ON) == ALONE


def test_a_macfix_that_cannot_be_imported_is_one_line(enabled: Environment) -> None:
    without_pluggy = "import sys; sys.modules['pluggy'] = None; "
    words = ("-c", without_pluggy + LOOK)
    done = environments.run(enabled.python, *words, cwd=enabled.folder, **ON)
    assert (done.returncode, done.stdout.strip()) == (0, ALONE)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("macfix: not active here: ModuleNotFoundError: import of pluggy")


UNABLE_TO_WARN = {
    "closed standard error": "sys.stderr.close()",
    "standard error that is no file": "sys.stderr = object()",
    "standard error that raises": """
class Raises:
    def write(self, text): raise RuntimeError('no')
sys.stderr = Raises()
""",
    "showwarning that raises": """
import warnings
def no(*arguments, **named): raise RuntimeError('no')
warnings.showwarning = no
""",
}


@pytest.mark.parametrize("how", UNABLE_TO_WARN)
def test_a_warning_that_cannot_be_shown_stops_no_import(enabled: Environment, how: str) -> None:
    code = f"import os, sys\n{UNABLE_TO_WARN[how]}\n{LOOK}\n"
    code += "sys.stdout.flush()\nos._exit(0)"  # Python's own last flush of such a stream fails
    done = environments.run(
        enabled.python, "-c", code, cwd=enabled.folder, MACFIX_SKIP="no-such-patch", **ON
    )
    assert (done.returncode, done.stdout.strip()) == (0, PATCHED)


IMPORTERS = {
    "finder that raises": "def find(name): raise RuntimeError('finder')",
    "finder that gives junk": "def find(name): return object()",
    "spec without a loader": "def find(name): return ModuleSpec(name, None, is_package=True)",
    "spec that cannot be changed": """
class Frozen(ModuleSpec):
    def __setattr__(self, name, value):
        if name == "loader" and hasattr(self, "loader"): raise TypeError("frozen")
        super().__setattr__(name, value)
def find(name): return Frozen(name, Loads())
""",
    "loader without a source": "def find(name): return ModuleSpec(name, Loads())",
    "loader of old": """
class Old:
    def load_module(self, name):
        module = sys.modules[name] = types.ModuleType(name)
        module.answer = 1
        return module
def find(name): return ModuleSpec(name, Old())
""",
    "get_data that raises": """
class Unreadable(Loads):
    def get_filename(self, name): return "/nowhere.py"
    def get_data(self, path): raise RuntimeError("get_data")
def find(name): return ModuleSpec(name, Unreadable())
""",
    "get_data that gives junk": """
class Junk(Loads):
    def get_filename(self, name): return "/nowhere.py"
    def get_data(self, path): return 17
def find(name): return ModuleSpec(name, Junk())
""",
    "get_filename that gives junk": """
class Junk(Loads):
    def get_filename(self, name): return None
    def get_data(self, path): return b""
def find(name): return ModuleSpec(name, Junk())
""",
    "module that takes no attributes": """
class Bare:
    __slots__ = ()
    answer = 1
class Slots(Loads):
    def create_module(self, spec): return Bare()
    def exec_module(self, module): pass
def find(name): return ModuleSpec(name, Slots())
""",
    "module that is nowhere": """
class Removes(Loads):
    def exec_module(self, module):
        super().exec_module(module)
        del sys.modules[module.__name__]
def find(name): return ModuleSpec(name, Removes())
""",
}

MISBEHAVING = """
import sys, types
from importlib.machinery import ModuleSpec
class Loads:
    def create_module(self, spec): return None
    def exec_module(self, module): module.answer = 1
{importer}
class Finder:
    def find_spec(self, name, path=None, target=None):
        return find(name) if name == {name!r} else None
{before}
sys.meta_path.insert(0, Finder())
{after}
try:
    import {name}
    print(sys.modules[{name!r}].answer)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("importer", "place"), every(2, product(IMPORTERS, ["before", "after", "by itself"]))
)
def test_with_an_importer_that_misbehaves_it_is_as_without_macfix_or_patched(
    enabled: Environment, importer: str, place: str
) -> None:
    given = {"before": "", "after": "", place: "import macfix; macfix.activate()"}
    name = "tractor" if place == "by itself" else "tractor.thing"  # what the autoload waits for
    code = MISBEHAVING.format(importer=IMPORTERS[importer], name=name, **given)
    answers = [
        enabled.run("-W", "ignore", "-c", code, MACFIX=value, **ON) for value in ("off", "on")
    ]
    assert answers[1] in (answers[0], "42")


def test_a_module_whose_spec_cannot_be_changed_is_said_to_be_left_as_it_is(
    enabled: Environment,
) -> None:
    frozen = IMPORTERS["spec that cannot be changed"]
    code = MISBEHAVING.format(importer=frozen, name="tractor.thing", before="", after="")
    done = environments.run(enabled.python, "-c", code, cwd=enabled.folder, **ON)
    assert done.stdout == "1\n"
    assert "tractor.thing is left as it is, as its spec cannot be changed: frozen" in done.stderr


def test_an_importer_whose_distributions_cannot_be_had_costs_no_patch(
    enabled: Environment,
) -> None:
    code = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None): return None
    def find_distributions(self, context): raise RuntimeError("no distributions")
sys.meta_path.insert(0, Finder())
"""
    assert enabled.run("-c", code + LOOK, **ON) == PATCHED


HOOKS = {
    "wrapt": "import wrapt; wrapt.register_post_import_hook(lambda m: None, 'tractor.thing')",
    "like ddtrace": """
import sys, importlib.util
class Hook:
    busy = False
    def find_spec(self, name, path=None, target=None):
        if Hook.busy or not name.startswith("tractor"): return None
        Hook.busy = True
        try: spec = importlib.util.find_spec(name)
        finally: Hook.busy = False
        inner = spec.loader
        class Chain:
            def create_module(self, spec): return inner.create_module(spec)
            def exec_module(self, module): inner.exec_module(module); module.seen = True
        spec.loader = Chain()
        return spec
sys.meta_path.insert(0, Hook())
""",
    "that raises": """
import sys
class Raises:
    def find_spec(self, name, path=None, target=None):
        if name == "tractor.other": raise RuntimeError
sys.meta_path.insert(0, Raises())
""",
    "old fashioned": """
import sys
class Old:
    def find_module(self, name, path=None): return None
sys.meta_path.insert(0, Old())
""",
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_other_import_hooks(enabled: Environment, hook: str, first: bool) -> None:
    activate = "import macfix; macfix.activate()\n"
    code = HOOKS[hook] + "\n" + activate if first else activate + HOOKS[hook] + "\n"
    assert enabled.run("-W", "ignore", "-c", code + LOOK, **ON) == PATCHED


REWRITE = """
import ast
from macfix import needed

def diagnose(source):
    return needed("it is 1")

def rewrite(tree):
    tree.body[0].value = ast.copy_location(ast.Constant(42), tree.body[0].value)
    return tree
"""

CHECKED = "answer = 1\n\ndef check(x: int) -> int:\n    return x\n"


@pytest.fixture(scope="module")
def checked(installed: Environment, run_folder: Path) -> Environment:
    """An environment with checkers of types, and two targets: one rewritten, one installed into."""

    def make(folder: Path) -> None:
        made = environments.like(installed, folder)
        made.run("-m", "macfix", "enable")
        environments.lay_out(made.packages, "beartype", "typeguard", "typing_extensions")
        for name in ("rewrite", "install"):
            (made.packages / "tractor" / f"{name}.py").write_text(CHECKED)
        patches = {"rewrite": REWRITE, "install": ADD_41}
        targets = {f"tractor.{name}": [name] for name in patches}
        lay_out_plugin(made.packages, "checked", patches, targets)

    return Environment(made_once(run_folder / "checked", make))


CHECKERS = {
    "beartype": "from beartype.claw import beartype_package; beartype_package('PACKAGE')",
    "typeguard": "from typeguard import install_import_hook; install_import_hook('PACKAGE')",
}

LOOK_AT = """
import importlib, macfix
for name in ("rewrite", "install"):
    module = importlib.import_module(f"tractor.{name}")
    try: module.check("no number")
    except BaseException as error: told = type(error).__module__.partition(".")[0]
    states = [str(e.state) for e in macfix.status().entries if e.patch == f"checked-{name}"]
    print(name, module.answer, told, *states)
"""


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("package", ["tractor", None], ids=["all of it", "a part"])
def test_hooks_that_check_types_still_do_in_what_is_patched(
    checked: Environment, checker: str, order: str, package: str | None
) -> None:
    packages = [package] if package else ["tractor.rewrite", "tractor.install"]
    hooks = [CHECKERS[checker].replace("PACKAGE", name) for name in packages]
    activate = "import macfix; macfix.activate()"
    code = "\n".join([*hooks, activate] if order == "before" else [activate, *hooks]) + LOOK_AT
    expected = [f"{act} 42 {checker} applied" for act in ("rewrite", "install")]
    if (checker, order, package) == ("typeguard", "after", "tractor"):
        # it asks nobody behind itself, until status() makes macfix go first again
        expected[0] = f"rewrite 1 {checker} target already imported"
    force = {"MACFIX_FORCE": "checked-rewrite,checked-install"}
    for _ in ("cold", "warm"):
        shown = checked.run("-W", "ignore", "-c", code, **force)
        assert shown.splitlines() == expected
    if package and order == "before":
        alone = checked.run("-c", "\n".join(hooks) + LOOK_AT, MACFIX="off", **force)
        assert alone.splitlines() == [f"{act} 1 {checker}" for act in ("rewrite", "install")]


# -- threads ---------------------------------------------------------------------------------------

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
names = ["tractor.thing", "tractor", "macfix.engine.engine", "hashlib"] * 3
threads = [threading.Thread(target=work, args=(name,)) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
import tractor.thing, macfix.engine.engine, macfix.activation.activate as a
print(tractor.thing.answer, failed, type(a.active_finder().engine) is macfix.engine.engine.Engine)
"""


@pytest.mark.parametrize(
    "start", ["", "import macfix; macfix.activate()\n"], ids=["waits", "active"]
)
def test_threads_that_import_at_once_get_the_same_modules(enabled: Environment, start: str) -> None:
    """A finder that imported something would wait for a thread that waits for the finder."""
    for _ in range(10):
        assert enabled.run("-c", start + THREADS, **ON) == "42 [] True"


ASK = (
    "import sys, importlib.util; before = set(sys.modules); "
    "spec = importlib.util.find_spec('tractor'); print(sorted(set(sys.modules) - before)); "
    "print(spec.loader.get_data(spec.origin), spec.loader.is_package('tractor')); " + LOOK
)


@pytest.mark.parametrize(
    "start", ["", "import macfix; macfix.activate(); "], ids=["waits", "active"]
)
def test_nothing_is_imported_while_the_import_system_asks_for_a_module(
    enabled: Environment, start: str
) -> None:
    """Then, it holds a lock that the imports of all other threads wait for."""
    assert enabled.run("-c", start + ASK, **ON).splitlines() == ["[]", "b'' True", PATCHED]


def test_threads_whose_first_import_is_a_target_patch_it_once(enabled: Environment) -> None:
    code = """
import threading
barrier = threading.Barrier(8)
def work():
    barrier.wait()
    import tractor.thing
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
"""
    for _ in range(3):
        assert enabled.run("-c", code + LOOK, **ON) == PATCHED


# -- what others do to the import system -----------------------------------------------------------

ODDITIES = {
    "a tuple for sys.meta_path": "import sys; sys.meta_path = tuple(sys.meta_path)",
    "None, a number and a Path in sys.path": (
        "import sys, pathlib; sys.path[1:1] = [None, 17, pathlib.Path('/nowhere')]"
    ),
    "bytes in sys.path": "import sys; sys.path.insert(1, b'/nowhere')",
    "sys.modules without macfix": (
        "import sys\n"
        "for name in [name for name in sys.modules if name.startswith('macfix')]:\n"
        "    del sys.modules[name]"
    ),
    "sys.modules without anything of that name": (
        "import sys\n"
        "for name in [name for name in sys.modules if 'macfix' in name]:\n"
        "    del sys.modules[name]"
    ),
    "an optimised interpreter without docstrings": "",
}


@pytest.mark.parametrize("oddity", ODDITIES)
@pytest.mark.parametrize(
    "start", ["", "import macfix; macfix.activate()\n"], ids=["waits", "active"]
)
def test_oddities_stop_no_import_and_keep_the_patches(
    enabled: Environment, oddity: str, start: str
) -> None:
    options = ["-OO"] if not ODDITIES[oddity] else []
    shown = enabled.run(*options, "-c", f"{start}{ODDITIES[oddity]}\n{LOOK}", **ON)
    assert shown == PATCHED


@pytest.mark.parametrize(
    "start", ["", "import macfix; macfix.activate()\n"], ids=["waits", "active"]
)
def test_modules_that_are_purged_while_it_runs_are_patched_again(
    enabled: Environment, start: str
) -> None:
    """As `coverage run --source` does before it begins, with tractor and with macfix's own."""
    purge = """
import tractor.thing, sys
for name in [name for name in sys.modules if name.partition(".")[0] in ("tractor", "macfix")]:
    del sys.modules[name]
"""
    assert enabled.run("-W", "error", "-c", start + purge + LOOK, **ON) == PATCHED
