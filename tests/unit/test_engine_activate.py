"""`macfix.activate()`, `deactivate()` and `status()`, in processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from macfix.engine.ledger import Entry, Problem, State, Status
from tests.support.plugin import lay_out_plugin
from tests.support.surroundings import REPOSITORY

PATCH = """\
from macfix import needed

def diagnose(source):
    return needed("yes")

def install(module, changes):
    changes.set(module, "answer", 42)
    changes.wrap(module, "f", lambda wrapped, instance, args, kwargs: wrapped() + 10)
    changes.wrap(module.C, "m", lambda wrapped, instance, args, kwargs: wrapped() + 10)
    changes.wrap(module.C, "s", lambda wrapped, instance, args, kwargs: wrapped() + 10)
    changes.wrap(module.C, "k", lambda wrapped, instance, args, kwargs: wrapped() + 10)
"""

REWRITE = """\
from macfix import needed

def diagnose(source):
    return needed("yes")

def rewrite(tree):
    return tree
"""

UPSTREAM = """\
answer = 1
def f(): return 1
class C:
    def m(self): return 1
    @staticmethod
    def s(): return 1
    @classmethod
    def k(cls): return 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tractor").mkdir()
    (tmp_path / "tractor" / "__init__.py").touch()
    (tmp_path / "tractor" / "thing.py").write_text(UPSTREAM)
    lay_out_plugin(tmp_path, "own", {"p": PATCH}, {"tractor.thing": ["p"]})
    return tmp_path


def run(folder: Path, program: str, **env: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": f"{REPOSITORY}:{folder}", "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).splitlines()


def add_to_the_top(folder: Path, line: str) -> None:
    with (folder / "own_plugin" / "__init__.py").open("a") as file:
        file.write(f"\n{line}\n")


FORCED = {"MACFIX_FORCE": "own-p", "MACFIX_ONLY": "own-p"}


def test_off_darwin_nothing_happens(folder: Path) -> None:
    program = """
    import sys, macfix
    before = list(sys.meta_path)
    print(macfix.activate(), sys.meta_path == before, macfix.status())
    import tractor.thing
    print(tractor.thing.answer, macfix.deactivate())
    """
    lines = run(folder, program)
    if sys.platform != "darwin":
        assert lines == ["False True macfix is not active: linux does not need it", "1 []"]


def test_a_simulation_that_is_asked_for_too_late_is_said(folder: Path) -> None:
    program = """
    import warnings, macfix
    with warnings.catch_warnings(record=True) as said:
        print(macfix.activate(), len(said), str(said[0].message) == macfix.status().reason)
    print(macfix.status().reason)
    """
    first, reason = run(folder, program, MACFIX_SIMULATE="1")
    assert first == "False 1 True"
    assert "counts when an interpreter comes up" in reason and "macfix --simulate" in reason


def test_off_means_off(folder: Path) -> None:
    program = "import macfix; print(macfix.activate(), macfix.status())"
    assert run(folder, program, MACFIX="off", **FORCED) == [
        "False macfix is not active: MACFIX=off"
    ]


def test_activating_twice_is_activating_once(folder: Path) -> None:
    program = """
    import sys, macfix
    print(macfix.activate(), macfix.activate())
    print(sum("macfix" in repr(finder) for finder in sys.meta_path))
    import tractor.thing as t
    print(macfix.activate(), t.f())
    """
    assert run(folder, program, **FORCED) == ["True True", "1", "True 11"]


def test_threads_that_activate_at_once_activate_once(folder: Path) -> None:
    program = """
    import sys, threading, macfix
    barrier = threading.Barrier(8)
    def work():
        barrier.wait()
        macfix.activate()
        import tractor.thing
    threads = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
    import tractor.thing
    print(sum("macfix" in repr(finder) for finder in sys.meta_path), tractor.thing.f())
    """
    assert run(folder, program, **FORCED) == ["1 11"]


def test_of_engines_that_threads_build_at_once_only_one_sums_up(folder: Path) -> None:
    program = """
    import macfix
    from macfix.engine.config import Config
    from macfix.engine.engine import Engine
    Engine(Config.from_environ(), {})
    macfix.activate()
    import tractor.thing
    """
    lines = run(folder, program, MACFIX_LOG="info", **FORCED)
    (line,) = lines
    assert "patches applied" in line and "own-p" in line


def test_plugins_and_patches_are_loaded_when_they_are_needed(folder: Path) -> None:
    program = """
    import sys, macfix, macfix.simulate
    if sys.platform == "linux":
        macfix.simulate.start("1")
    def loaded():
        ours = ("own_plugin", "macfix.patches.uds")
        return sorted(name for name in sys.modules if name.startswith(ours))
    assert macfix.activate()
    import json, socket
    print(loaded())
    import tractor
    print(loaded())
    import tractor.thing
    print(loaded())
    """
    assert run(folder, program) == [
        "[]",
        "['macfix.patches.uds', 'own_plugin']",
        "['macfix.patches.uds', 'own_plugin', 'own_plugin.p']",
    ]


def test_a_target_imported_before_is_left_alone_with_one_warning(folder: Path) -> None:
    program = """
    import tractor.thing, macfix
    macfix.activate(); macfix.activate()
    print(tractor.thing.answer)
    print([str(e.state) for e in macfix.status().entries if e.patch == "own-p"])
    """
    lines = run(folder, program, **FORCED)
    assert lines[:2] == ["1", "['target already imported']"]
    warned = [line for line in lines if "MacfixWarning" in line]
    assert len(warned) == 1
    assert "tractor.thing left as imported: it was imported before" in warned[0]
    assert "`python -m macfix PROGRAM`" in warned[0]


def test_a_live_patch_at_an_importer_that_raises_costs_that_target_only(folder: Path) -> None:
    (folder / "own_plugin" / "p.py").write_text(PATCH + "\nLIVE = True\n")
    (folder / "tractor" / "other.py").write_text(UPSTREAM)
    hooks = folder / "own_plugin" / "__init__.py"
    targets = {"tractor.thing": ("p",), "tractor.other": ("p",)}
    hooks.write_text(re.sub("PATCHES = .*", f"PATCHES = {targets}", hooks.read_text()))
    program = """
    import tractor.thing, tractor.other, macfix
    class Raises:
        def get_filename(self, name): return "/nowhere.py"
        def get_data(self, path): raise RuntimeError("get_data")
    tractor.thing.__spec__.loader = Raises()
    macfix.activate()
    print(tractor.thing.answer, tractor.other.answer)
    print([str(e.state) for e in macfix.status().entries if e.patch == "own-p"])
    """
    lines = run(folder, program, **FORCED)
    assert lines[:2] == ["1 42", "['failed', 'applied']"]
    assert any("looking at the source raised: RuntimeError: get_data" in line for line in lines)


def test_what_only_status_comes_upon_is_in_it(folder: Path) -> None:
    (folder / "own_plugin" / "p.py").write_text("answer = 'no patch'\n")
    program = """
    import sys, macfix
    if sys.platform != "darwin":
        from macfix import simulate
        simulate.start("1")  # MACFIX_FORCE, as other tests have it, loads all patches at once
    macfix.activate()
    print([problem.where for problem in macfix.status().problems])
    """
    first, *others = run(folder, program, MACFIX_SIMULATE_DIR=str(folder / "shm"))
    assert first == "['own']"
    assert sum("it has no diagnose(source)" in line for line in others) == 1


def test_strict_raises_each_time(folder: Path) -> None:
    add_to_the_top(folder, "1 / 0")
    program = """
    import tractor, macfix
    for _ in range(2):
        try:
            macfix.activate()
        except Exception as error:
            print(error)
    """
    said = "own: the plugin cannot be loaded: ZeroDivisionError: division by zero"
    assert run(folder, program, MACFIX_STRICT="1", **FORCED) == [said, said]


def test_a_live_patch_is_installed_into_a_target_that_was_imported_before(folder: Path) -> None:
    (folder / "own_plugin" / "p.py").write_text(PATCH + "\nLIVE = True\n")
    program = """
        import tractor.thing, macfix
        macfix.activate()
        states = [e.state.value for e in macfix.status().entries if e.patch == "own-p"]
        print(tractor.thing.answer, states)
        macfix.deactivate()
        print(tractor.thing.answer)
    """
    assert run(folder, program, MACFIX_FORCE="own-p") == ["42 ['applied']", "1"]


def test_a_module_is_created_by_the_loader_that_it_has_without_macfix(folder: Path) -> None:
    program = """
        import importlib.machinery, importlib.util, sys, types, macfix
        class Module(types.ModuleType): pass
        class Loader(importlib.machinery.SourceFileLoader):
            def create_module(self, spec): return Module(spec.name)
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == "tractor.thing":
                    loader = Loader(name, "tractor/thing.py")
                    return importlib.util.spec_from_loader(name, loader)
        sys.meta_path.insert(0, Finder())
        macfix.activate()
        import tractor.thing
        print(type(tractor.thing).__name__, tractor.thing.answer)
    """
    assert run(folder, program, MACFIX_FORCE="own-p") == ["Module 42"]


def test_deactivating_puts_everything_back(folder: Path) -> None:
    program = """
    import os, sys, macfix
    environment, meta_path = dict(os.environ), list(sys.meta_path)
    macfix.activate()
    import tractor.thing as t
    print(t.answer, t.f(), t.C().m(), t.C.s(), t.C.k())
    print(macfix.deactivate())
    print(t.answer, t.f(), t.C().m(), t.C.s(), t.C.k())
    print(type(t.f).__name__, type(vars(t.C)["s"]).__name__, type(vars(t.C)["k"]).__name__)
    print(os.environ == environment, sys.meta_path == meta_path, sys.modules["tractor.thing"] is t)
    print(macfix.status().active)
    macfix.activate()
    """
    assert run(folder, program, **FORCED)[:6] == [
        "42 11 11 11 11",
        "[]",
        "1 1 1 1 1",
        "function staticmethod classmethod",
        "True True True",
        "False",
    ]


def test_what_somebody_else_changed_since_is_said_and_left(folder: Path) -> None:
    program = """
    import macfix
    macfix.activate()
    import tractor.thing as t
    t.answer = "mine"
    print(macfix.deactivate(), t.answer, t.f())
    """
    (line,) = run(folder, program, **FORCED)
    assert "thing.answer was changed again by somebody else" in line
    assert line.endswith("mine 1")


def test_rewritten_code_is_what_cannot_be_undone(folder: Path) -> None:
    (folder / "own_plugin" / "p.py").write_text(REWRITE)
    program = """
    import macfix
    macfix.activate()
    import tractor.thing
    print(macfix.deactivate())
    """
    assert run(folder, program, **FORCED) == [
        "['tractor.thing: its rewritten code stays until the process ends']"
    ]


def test_a_plugin_that_imports_a_target_does_not_execute_it_twice(folder: Path) -> None:
    (folder / "tractor" / "__init__.py").write_text("print('executing tractor')")
    add_to_the_top(folder, "import tractor")
    program = """
    import macfix
    macfix.activate()
    import tractor.thing
    print(tractor.thing.answer, tractor.__spec__.name)
    """
    assert run(folder, program, **FORCED) == ["executing tractor", "42 tractor"]


def test_a_target_that_a_plugin_imports_is_late_and_said_to_be(folder: Path) -> None:
    add_to_the_top(folder, "import tractor.thing")
    program = """
    import macfix
    macfix.activate()
    import tractor.thing
    entries = macfix.status().entries
    print(tractor.thing.answer, [str(e.state) for e in entries if e.patch == "own-p"])
    """
    lines = run(folder, program, **FORCED)
    assert lines[0] == "1 ['target already imported']"
    (warned,) = [line for line in lines if "a plugin imported it, at its top" in line]
    assert "python -m macfix" not in warned  # which would be too late as well


def test_status_is_plain_data_too(folder: Path) -> None:
    program = """
    import json, macfix
    macfix.activate()
    print(json.dumps(macfix.status().as_dict()["entries"]))
    """
    (line,) = run(folder, program, **FORCED)
    assert '"patch": "own-p", "target": "tractor.thing", "state": "pending"' in line


def test_status_is_text_for_a_reader_too() -> None:
    status = Status(
        True,
        "asked for",
        (Entry("own-p", "tractor.thing", State.APPLIED, "line 7 needs it"),),
        (Problem("own", "it cannot be loaded"),),
        {"open files": "256"},
    )
    assert str(status).splitlines() == [
        "macfix is active: asked for",
        "  tractor.thing: own-p: applied: line 7 needs it",
        "  note: open files: 256",
        "  problem: own: it cannot be loaded",
    ]


BROKEN = """\
import pluggy
def broken(*arguments, **named): raise RuntimeError("not today")
pluggy.PluginManager.__init__ = broken
"""


def test_macfix_that_cannot_work_lets_the_program_run(folder: Path) -> None:
    program = """
    import macfix
    print(macfix.activate())
    import tractor.thing
    print(tractor.thing.answer, macfix.activate(), macfix.status().active)
    """
    lines = run(folder, BROKEN + textwrap.dedent(program), **FORCED)
    assert lines[:2] == ["True", "1 False False"]
    assert (
        sum(
            "cannot work here and changes nothing: RuntimeError: not today" in line
            for line in lines
        )
        == 1
    )


def test_macfix_that_cannot_work_and_comes_late_lets_the_program_run(folder: Path) -> None:
    program = """
    import tractor.thing
    import macfix
    print(macfix.activate(), tractor.thing.answer, macfix.status().active)
    """
    lines = run(folder, BROKEN + textwrap.dedent(program), **FORCED)
    assert lines[0] == "False 1 False"
    assert any("RuntimeError: not today" in line for line in lines[1:])


def test_a_target_that_another_hook_imports_past_macfix_is_said_to_be(folder: Path) -> None:
    program = """
    import sys, macfix
    from importlib.machinery import PathFinder
    macfix.activate()
    class AsksNobody:
        def find_spec(self, name, path=None, target=None): return PathFinder.find_spec(name, path)
    sys.meta_path.insert(0, AsksNobody())
    import tractor.thing
    print(tractor.thing.answer)
    print([e.reason for e in macfix.status().entries if e.patch == "own-p"])
    """
    lines = run(folder, program, **FORCED)
    assert lines[0] == "1"
    assert "or past it by another import hook" in lines[1]


def test_what_a_patch_says_it_cannot_undo_is_told(folder: Path) -> None:
    with (folder / "own_plugin" / "p.py").open("a") as file:
        file.write('    changes.on_revert(lambda: "copies of f stay")\n')
    program = """
    import macfix
    macfix.activate()
    import tractor.thing
    print(macfix.deactivate(), tractor.thing.answer)
    """
    assert run(folder, program, **FORCED) == ["['tractor.thing: own-p: copies of f stay'] 1"]


CHILD = """
    import os, subprocess, sys, macfix
    before = dict(os.environ)
    assert macfix.activate(CHILDREN)
    ask = [sys.executable, "-c", "import tractor.thing; print(tractor.thing.answer)"]
    print(subprocess.run(ask, capture_output=True, text=True).stdout.strip())
    macfix.deactivate()
    print(os.environ == before)
    print(subprocess.run(ask, capture_output=True, text=True).stdout.strip())
"""


def test_children_of_a_host_are_patched_like_it_until_it_deactivates(folder: Path) -> None:
    assert run(folder, CHILD.replace("CHILDREN", ""), **FORCED) == ["42", "True", "1"]


def test_a_host_can_leave_its_children_alone(folder: Path) -> None:
    program = CHILD.replace("CHILDREN", "children=False")
    assert run(folder, program, **FORCED) == ["1", "True", "1"]
