"""The doors that a `.pth`, a cache, plugins and the current directory could be, each shut."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from macfix.activation.pth import what_others_can_change
from macfix.engine import Config
from macfix.engine._cache import Cache, Record, default_folder
from macfix.engine._patch_set import find_patches
from macfix.engine._safe_imports import SafeImports, safe_path
from macfix.engine._trust import is_private_folder
from tests.support import environments
from tests.support.environments import LOOK, ON, Environment

MENDED, ALONE = "42 1", "1 0"

TRAP = "open({trace!r}, 'a').write(__name__ + '\\n')\nraise RuntimeError('a trap was imported')\n"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment.make(tmp_path / "env")
    environments.lay_out_macfix(made.packages)
    made.run("-m", "macfix", "enable")
    return made


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder in which everything that macfix may import is a trap, and a plugin is one, too."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    trap = TRAP.format(trace=str(tmp_path / "trace"))
    stdlib = ("email", "csv", "zipfile", "json", "tempfile", "hashlib", "traceback", "resource")
    for name in ("macfix", "macfix_early", "wrapt", "pluggy", "the_trap", "sitecustomize", *stdlib):
        (folder / f"{name}.py").write_text(trap)
    info = folder / "the_trap-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: the-trap\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[macfix]\nthe-trap = the_trap\n")
    return folder


def was_sprung(trapped: Path) -> str:
    trace = trapped.parent / "trace"
    return trace.read_text() if trace.exists() else ""


# -- the current directory, and places that everybody can write to ---------------------------------


@pytest.mark.parametrize("words", [["-c", LOOK], ["-m", "looker"], ["-m", "macfix", "-c", LOOK]])
def test_nothing_of_the_current_directory_is_imported(
    environment: Environment, trapped: Path, words: list[str]
) -> None:
    (environment.packages / "looker.py").write_text(LOOK)
    if words == ["-m", "macfix", "-c", LOOK]:
        (trapped / "macfix.py").unlink()  # there, Python itself would take that one
    assert environment.run(*words, cwd=trapped, **ON) == MENDED
    assert was_sprung(trapped) == ""


def test_nothing_of_a_world_writable_place_is_imported(
    environment: Environment, trapped: Path
) -> None:
    trapped.chmod(0o777)
    for name in ("macfix", "sitecustomize", "email", "csv", "zipfile", "json", "tempfile"):
        (trapped / f"{name}.py").unlink()  # what Python, or its PYTHONPATH, would take by itself
    assert environment.run("-c", LOOK, PYTHONPATH=str(trapped), **ON) == MENDED
    assert was_sprung(trapped) == ""


@pytest.mark.parametrize(("mode", "others_can_replace_it"), [(0o777, True), (0o1777, False)])
def test_a_folder_that_others_can_replace_is_not_on_the_safe_path(
    mode: int, others_can_replace_it: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tmp_path / "open" / "packages"
    entry.mkdir(parents=True)
    entry.parent.chmod(mode)
    link = tmp_path / "link"
    link.symlink_to(entry)
    gone = entry.parent / "python.zip"  # where they can put one
    monkeypatch.setattr(sys, "path", [str(entry), str(link), str(gone)])
    assert safe_path() == ([] if others_can_replace_it else [str(entry), str(link), str(gone)])


def test_the_trap_works(environment: Environment, trapped: Path) -> None:
    done = environments.run(environment.python, "-c", "import wrapt", cwd=trapped)
    assert done.returncode == 1
    assert was_sprung(trapped).startswith("wrapt\n")  # showing the error springs others


def test_a_folder_that_the_user_names_is_searched(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    monkeypatch.setattr(sys, "path", ["", here, "/elsewhere", "relative"])
    assert safe_path() == [here, "/elsewhere"]
    monkeypatch.setattr(sys, "path", [here, "/elsewhere"])  # as `python -m` puts it there
    if not getattr(sys.flags, "safe_path", False):
        assert safe_path() == ["/elsewhere"]
    monkeypatch.setattr(sys, "path", [here, here])
    if not getattr(sys.flags, "safe_path", False):
        assert safe_path() == [here]


def test_other_threads_and_afterwards_see_the_whole_path() -> None:
    import threading

    before = list(sys.meta_path)
    found: list[object] = []
    with SafeImports():
        inside = list(sys.meta_path)
        finder = next(f for f in inside if f is SafeImports)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("macfix.engine._safe_imports.safe_path", list)
            assert finder.find_spec("tests") is None
            thread = threading.Thread(target=lambda: found.append(finder.find_spec("tests")))
            thread.start()
            thread.join()
    assert found and found[0] is not None
    assert len(inside) == len(before)
    assert sys.meta_path == before


# -- the bytecode cache ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o707])
def test_a_cache_below_a_folder_that_others_can_change_is_not_used(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    above = tmp_path / "above"
    above.mkdir(mode=0o700)
    Cache(str(above / "macfix")).write("k-1", Record({}, None))
    assert Cache(str(above / "macfix")).read("k-1") is not None
    other = tmp_path / "other"
    above.rename(other)  # under another name, as what was found to be safe is remembered
    other.chmod(mode)
    assert Cache(str(other / "macfix")).read("k-1") is None
    other.chmod(mode | 0o1000)  # a sticky one: others cannot replace what is in it
    assert Cache(str(other / "macfix")).read("k-1") is not None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_cache_below_another_users_folder_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    above = tmp_path / "above"
    above.mkdir(mode=0o700)
    os.chown(above, 12345, 12345)
    Cache(str(above / "macfix")).write("k-1", Record({}, None))
    assert Cache(str(above / "macfix")).read("k-1") is None


def test_a_relative_cache_folder_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACFIX_CACHE_DIR", "cache")
    assert default_folder() is None


def test_private_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    assert is_private_folder(str(folder))
    assert what_others_can_change(str(folder)) is None
    folder.chmod(0o1777)
    (folder / "file").touch()
    assert what_others_can_change(str(folder / "file")) == str(folder)


# -- plugins ---------------------------------------------------------------------------------------


def test_plugins_are_not_loaded_before_a_target_is_imported(environment: Environment) -> None:
    look = "import sys, json, socket; print('answer_plugin' in sys.modules); import tractor; "
    look += "print('answer_plugin' in sys.modules)"
    assert environment.run("-c", look, **ON).split() == ["False", "True"]


def test_an_allow_list_keeps_all_others_out(environment: Environment) -> None:
    look = "import sys; " + LOOK + "; print('answer_plugin' in sys.modules)"
    quiet = {"PYTHONWARNINGS": "ignore"}  # MACFIX_FORCE names a patch that is not there then
    allowed = environment.run("-c", look, MACFIX_PLUGINS="other,answer", **ON)
    assert allowed.splitlines() == [MENDED, "True"]
    for allow in ("other", ""):
        answer = environment.run("-c", look, MACFIX_PLUGINS=allow, **quiet, **ON)
        assert answer.splitlines() == ["1 1", "False"]


def test_the_built_in_patches_need_no_pluggy(environment: Environment) -> None:
    (environment.packages / "answer_plugin-1.dist-info" / "entry_points.txt").unlink()
    look = "import sys, tractor; print({'pluggy', 'importlib.metadata'} & set(sys.modules))"
    name = next(iter(find_patches(Config(), _builtin(), Cache(None)).origin))
    assert environment.run("-c", look, MACFIX_FORCE=name) == "set()"


def _builtin() -> tuple[str, ...]:
    from macfix.patches import BUILTIN

    return BUILTIN


def test_what_is_written_of_the_built_in_patches_is_true() -> None:
    from macfix.engine import load_patches
    from macfix.patches._contents import CONTENTS

    found = load_patches(Config(), _builtin())
    true = {patch.name: patch.targets for patch in found.patches()}
    lines = "\n".join(f'    "{name}": {targets!r},' for name, targets in true.items())
    assert true == CONTENTS, f"macfix/patches/_contents.py must have\n{lines}"
    assert found.origin == {name: name for name in CONTENTS}, "module and patch have one name"
    assert {patch.platforms for patch in found.patches()} == {frozenset({"darwin"})}


# -- surroundings that are broken ------------------------------------------------------------------


def test_a_vanished_current_directory(environment: Environment, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    shell = f'cd {gone} && rmdir {gone} && exec {environment.python} -c "$LOOK"'
    done = subprocess.run(
        ["sh", "-c", shell],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LOOK": LOOK, **ON},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (MENDED, "")


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
def test_homes_and_caches_that_are_not_there(environment: Environment, env: dict[str, str]) -> None:
    assert environment.run("-c", LOOK, **env, **ON) == MENDED


def test_a_full_disk_costs_the_cache_only(environment: Environment, tmp_path: Path) -> None:
    full = (
        "import os, tempfile\n"
        "def full(*a, **k): raise OSError(28, 'No space left on device')\n"
        "os.makedirs = os.mkdir = tempfile.mkstemp = os.replace = full\n"
    )
    cache = {"MACFIX_CACHE_DIR": str(tmp_path / "cache")}
    assert environment.run("-c", full + LOOK, **cache, **ON) == MENDED


def test_a_kernel_that_takes_no_byte_costs_the_cache_only(
    environment: Environment, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    for _ in range(2):
        assert environment.run("-c", full + LOOK, MACFIX_CACHE_DIR=str(cache), **ON) == MENDED
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_no_standard_error(environment: Environment) -> None:
    broken = "import sys; sys.stderr = None; "
    assert environment.run("-c", broken + LOOK, **ON) == MENDED
    shutil.rmtree(environment.packages / "pluggy")
    assert environment.run("-W", "ignore", "-c", broken + LOOK, **ON).split()[0] == "1"


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
def test_a_warning_that_cannot_be_shown_stops_no_import(environment: Environment, how: str) -> None:
    code = f"import os, sys\n{UNABLE_TO_WARN[how]}\n{LOOK}\n"
    code += "sys.stdout.flush()\nos._exit(0)"  # Python's own last flush of such a stream fails
    done = environments.run(
        environment.python, "-c", code, cwd=environment.folder, MACFIX_SKIP="no-such-patch", **ON
    )
    assert (done.returncode, done.stdout.strip()) == (0, MENDED)


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
        return find(name) if name == "tractor.thing" else None
{before}
sys.meta_path.insert(0, Finder())
{after}
try:
    import tractor.thing
    print(sys.modules["tractor.thing"].answer)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("importer", IMPORTERS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_with_an_importer_that_misbehaves_it_is_as_without_macfix_or_mended(
    environment: Environment, importer: str, place: str
) -> None:
    given = {"before": "", "after": "", place: "import macfix; macfix.activate()"}
    code = MISBEHAVING.format(importer=IMPORTERS[importer], **given)
    answers = [
        environment.run("-W", "ignore", "-c", code, MACFIX=value, **ON) for value in ("off", "on")
    ]
    assert answers[1] in (answers[0], "42")


def test_an_importer_whose_distributions_cannot_be_had_costs_no_patch(
    environment: Environment,
) -> None:
    code = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None): return None
    def find_distributions(self, context): raise RuntimeError("no distributions")
sys.meta_path.insert(0, Finder())
"""
    told = "\nimport macfix; print([p.message for p in macfix.status().problems])"
    answer = environment.run("-W", "ignore", "-c", code + LOOK + told, **ON).splitlines()
    assert answer[0] == MENDED
    assert "no distributions" in answer[1]


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
def test_other_import_hooks(environment: Environment, hook: str, first: bool) -> None:
    activate = "import macfix; macfix.activate()\n"
    code = HOOKS[hook] + "\n" + activate if first else activate + HOOKS[hook] + "\n"
    assert environment.run("-W", "ignore", "-c", code + LOOK, **ON) == MENDED


REWRITING = """\
import ast, macfix

def rewrite(tree):
    tree.body[0].value = ast.copy_location(ast.Constant(42), tree.body[0].value)
    return tree

@macfix.hookimpl
def macfix_patches():
    return [macfix.Patch(name="answer", targets=("tractor.thing",), summary="s", upstream="u",
        remove_when="r", needed=lambda source: macfix.needed("it is 1"), rewrite=rewrite)]
"""

CHECKERS = {
    "beartype": "from beartype.claw import beartype_package; beartype_package('tractor')",
    "typeguard": "from typeguard import install_import_hook; install_import_hook('tractor')",
}

CHECKED = """
import tractor.thing as t, macfix
try: t.check("no number")
except BaseException as error: told = type(error).__module__.partition(".")[0]
states = [str(e.state) for e in macfix.status().entries if e.patch == "answer"]
print(t.answer, told, *states)
"""


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("act", ["rewrite", "install"])
def test_hooks_that_check_types_still_do_in_what_is_mended(
    environment: Environment, checker: str, order: str, act: str
) -> None:
    environments.lay_out(environment.packages, "beartype", "typeguard", "typing_extensions")
    thing = environment.packages / "tractor" / "thing.py"
    thing.write_text("answer = 1\n\ndef check(x: int) -> int:\n    return x\n")
    if act == "rewrite":
        (environment.packages / "answer_plugin.py").write_text(REWRITING)
    lines = [CHECKERS[checker], "import macfix; macfix.activate()"]
    code = "\n".join(lines if order == "before" else lines[::-1]) + CHECKED
    expected = f"42 {checker} applied"
    if (checker, order) == ("typeguard", "after"):
        expected = f"1 {checker} target already imported"  # it asks nobody behind itself
    for _ in ("cold", "warm"):
        assert environment.run("-c", code, **ON) == expected
    alone = CHECKERS[checker] + CHECKED
    assert environment.run("-c", alone, MACFIX="off", **ON) == f"1 {checker}"


def test_a_fork_amid_another_threads_imports_leaves_nothing_behind() -> None:
    import threading

    inside, done = threading.Event(), threading.Event()

    def importing() -> None:
        with SafeImports():
            inside.set()
            done.wait(60)

    before = list(sys.meta_path)
    thread = threading.Thread(target=importing)
    thread.start()
    inside.wait(60)
    try:
        assert sys.meta_path != before
        child = os.fork()
        if child == 0:
            os._exit(0 if sys.meta_path == before and not SafeImports._entered else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()
    assert sys.meta_path == before


def test_threads_that_import_at_once_mend_once(environment: Environment) -> None:
    code = """
import threading
barrier = threading.Barrier(8)
def work():
    barrier.wait()
    import tractor.thing
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
"""
    for _ in range(5):
        assert environment.run("-c", code + LOOK, **ON) == MENDED
