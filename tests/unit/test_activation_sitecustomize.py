"""What happens at the start of an interpreter that inherits macfix through ``PYTHONPATH``."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from macfix import _variables, patches
from macfix.activation.environment import SITE
from tests.support import environments
from tests.support.surroundings import REPOSITORY, STARTED_WITH

STATE = """\
import json, os, sys
print(json.dumps({
    "path": sys.path,
    "modules": sorted(sys.modules),
    "sitecustomize": getattr(sys.modules.get("sitecustomize"), "__file__", None),
    "PYTHONPATH": os.environ.get("PYTHONPATH"),
    "finders": sum(hasattr(finder, "is_macfix") for finder in sys.meta_path),
    "macfix": getattr(sys.modules.get("macfix"), "__file__", None),
}))
"""

ON = {"MACFIX_FORCE": "uds-backlog"}
"""Makes macfix active on any platform."""

IMPORTED = "import tractor\n" + STATE
"""After the import of an upstream."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the simulation needs Linux")


def start(
    *words: str,
    path: tuple[str | Path, ...] = (SITE,),
    python: str = sys.executable,
    cwd: Path | None = None,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    """Start an interpreter with *path* as its ``PYTHONPATH`` and *env* on top of a bare one."""
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    pythonpath = {"PYTHONPATH": os.pathsep.join(map(str, path))} if path else {}
    return subprocess.run(
        [python, *words],
        env=bare | pythonpath | {"PYTHONDONTWRITEBYTECODE": "1"} | env,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
    )


def state(*options: str, code: str = STATE, **how: object) -> dict[str, Any]:
    done = start(*options, "-c", code, **how)  # type: ignore[arg-type]
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_where_macfix_has_nothing_to_do_it_is_not_even_imported() -> None:
    with_site, without = state(), state(path=())
    if sys.platform == "darwin":
        pytest.skip("here it has something to do")
    assert set(with_site["modules"]) - set(without["modules"]) == {"_macfix_autoload"}
    assert (with_site["path"], with_site["finders"]) == (without["path"], 0)


def test_where_it_has_something_to_do_one_module_waits_and_nothing_else_is_imported() -> None:
    before, after = state(path=()), state(**ON)
    assert after["finders"] == 1
    assert set(after["modules"]) - set(before["modules"]) == {"_macfix_autoload"}


def test_what_it_knows_without_macfix_is_what_macfix_knows() -> None:
    spec = importlib.util.spec_from_file_location("autoload", Path(SITE, "_macfix_autoload.py"))
    assert spec is not None and spec.loader is not None
    autoload = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(autoload)
    assert autoload.PACKAGES == patches.PACKAGES
    assert {*autoload._OFF} == _variables._OFF


def test_macfix_is_imported_when_an_upstream_is(upstream: Path) -> None:
    answer = state(code=IMPORTED, path=(SITE, upstream), **ON)
    assert answer["finders"] == 1
    assert answer["macfix"] == str(REPOSITORY / "macfix" / "__init__.py")


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    (tmp_path / "upstream").mkdir()
    (tmp_path / "upstream" / "tractor.py").touch()
    return tmp_path / "upstream"


def test_off_means_off() -> None:
    assert state(**ON, MACFIX="off")["finders"] == 0


def test_the_folder_is_for_grandchildren_and_not_on_the_programs_path(tmp_path: Path) -> None:
    answer = state(path=(SITE, tmp_path, SITE), **ON)
    alone = state(path=(tmp_path,))
    assert answer["path"] == alone["path"]
    assert answer["PYTHONPATH"] == f"{SITE}:{tmp_path}:{SITE}"


def test_no_sitecustomize_is_left_where_there_is_no_other() -> None:
    assert state(**ON)["sitecustomize"] == state(path=())["sitecustomize"]
    imported = start("-c", "import sitecustomize", **ON)
    alone = start("-c", "import sitecustomize", path=())
    assert (imported.returncode, imported.stderr) == (alone.returncode, alone.stderr)


# -- the next sitecustomize ------------------------------------------------------------------------

NEXT = {
    "works": "import sys\nprint('mine', __name__, __file__, __spec__.name)\n",
    "is looked at again": "import sys\nprint(sys.modules[__name__].__dict__ is globals())\n",
    "raises": "1 / 0\n",
    "raises ImportError": "import no_such_module\n",
    "raises ImportError without a name": "raise ImportError('plain')\n",
    "raises ImportError by its own name": "raise ImportError('x', name='sitecustomize')\n",
    "is not Python": "def f(:\n",
    "exits": "import sys\nsys.exit(7)\n",
    "is interrupted": "raise KeyboardInterrupt\n",
    "removes itself": "import sys\ndel sys.modules[__name__]\n",
    "puts something else in its place": "import sys\nsys.modules[__name__] = sys\n",
    "imports itself": "import sitecustomize\nprint(sitecustomize.__dict__ is globals())\n",
    "changes the path": "import sys\nsys.path.append('/mine')\n",
}


@pytest.mark.parametrize("how", NEXT)
@pytest.mark.parametrize("env", [{}, ON], ids=["inactive", "active"])
def test_the_next_one_has_the_effect_it_has_alone(
    tmp_path: Path, how: str, env: dict[str, str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NEXT[how])
    program = (
        "import sys\nprint(sys.path)\nimport sitecustomize\n"
        "print(sitecustomize.__name__, getattr(sitecustomize, '__file__', None))"
    )
    ours = start("-c", program, path=(SITE, tmp_path), **env)
    alone = start("-c", program, path=(tmp_path,), **env)
    assert ours.stdout == alone.stdout
    assert ours.returncode == alone.returncode
    own = [line for line in ours.stderr.splitlines() if "activation/site" not in line]
    if how in ("exits", "is interrupted"):  # here the interpreter shows a traceback, and dies
        assert own[-1:] == alone.stderr.splitlines()[-1:]
    else:
        assert ours.stderr == alone.stderr


def test_the_next_one_runs_once_and_after_macfix(tmp_path: Path) -> None:
    look = "import sys\nprint(any(hasattr(f, 'is_macfix') for f in sys.meta_path))\n"
    (tmp_path / "sitecustomize.py").write_text(look)
    assert start("-c", "", path=(SITE, tmp_path), **ON).stdout == "True\n"


def test_a_package_can_be_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize").mkdir()
    (tmp_path / "sitecustomize" / "__init__.py").write_text("print('package', __path__ != [])\n")
    assert start("-c", "", path=(SITE, tmp_path), **ON).stdout == "package True\n"


def test_usercustomize_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "usercustomize.py").write_text("print('user')\n")
    alone = start("-c", "", path=(tmp_path,))
    assert start("-c", "", path=(SITE, tmp_path), **ON).stdout == alone.stdout


# -- where macfix comes from -----------------------------------------------------------------------


def test_macfix_comes_from_beside_the_folder_and_from_nowhere_else(
    tmp_path: Path, upstream: Path
) -> None:
    for name in ("macfix", "_macfix_autoload"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('the wrong one')")
    answer = state(code=IMPORTED, path=(SITE, "", ".", tmp_path, upstream), cwd=tmp_path, **ON)
    assert answer["macfix"] == str(REPOSITORY / "macfix" / "__init__.py")
    assert answer["finders"] == 1


def test_a_macfix_that_is_imported_already_is_used(tmp_path: Path, upstream: Path) -> None:
    shutil.copytree(REPOSITORY / "macfix", tmp_path / "macfix")
    code = "import macfix\n" + IMPORTED
    answer = state(code=code, path=(SITE, tmp_path, upstream), cwd=upstream, **ON)
    assert answer["macfix"] == str(tmp_path / "macfix" / "__init__.py")
    assert answer["finders"] == 1


def test_what_lies_beside_macfix_does_not_become_importable(tmp_path: Path, upstream: Path) -> None:
    shutil.copytree(REPOSITORY / "macfix", tmp_path / "macfix")
    site = tmp_path / "macfix" / "activation" / "site"
    assert str(tmp_path) not in state(code=IMPORTED, path=(site, upstream), **ON)["path"]


def test_what_macfix_needs_and_is_missing_comes_from_beside_it(
    tmp_path: Path, upstream: Path
) -> None:
    """So `pip install --target` lays it out; nothing else of that folder becomes importable."""
    shutil.copytree(REPOSITORY / "macfix", tmp_path / "macfix")
    environments.lay_out_dependencies(tmp_path)
    site = tmp_path / "macfix" / "activation" / "site"
    missing = "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
    from_where = "import wrapt, pluggy\nprint(wrapt.__file__)\nprint(pluggy.__file__)\n"
    code = f"{missing}import tractor\n{from_where}print({str(tmp_path)!r} in sys.path)"
    done = start("-c", code, path=(site, upstream), **ON)
    wrapt, pluggy, importable = done.stdout.splitlines()
    assert Path(wrapt).parents[1] == Path(pluggy).parents[1] == tmp_path
    assert importable == "False"


# -- failures --------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The ``site`` folder of a macfix that cannot be imported."""
    shutil.copytree(REPOSITORY / "macfix" / "activation", tmp_path / "macfix" / "activation")
    (tmp_path / "macfix" / "__init__.py").write_text("raise ValueError('two\\nlines')\n")
    return tmp_path / "macfix" / "activation" / "site"


def test_a_failure_of_macfix_is_one_line_and_no_more(
    broken: Path, tmp_path: Path, upstream: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('next')\n")
    program = "import tractor\nprint('program')"
    done = start("-c", program, path=(broken, tmp_path, upstream), **ON)
    assert done.returncode == 0
    assert done.stdout == "next\nprogram\n"
    assert done.stderr == "macfix: not active here: ValueError: two lines\n"


def test_half_a_macfix_is_not_left_in_sys_modules(broken: Path, upstream: Path) -> None:
    program = "import sys, tractor; print('macfix' in sys.modules)"
    done = start("-c", program, path=(broken, upstream), **ON)
    assert done.stdout == "False\n"


def test_a_missing_macfix_is_silent(tmp_path: Path, upstream: Path) -> None:
    shutil.copytree(SITE, tmp_path / "a" / "b" / "site")
    program = "import sys, tractor; print(any(hasattr(f, 'is_macfix') for f in sys.meta_path))"
    done = start("-c", program, path=(tmp_path / "a" / "b" / "site", upstream), **ON)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_a_missing_autoload_is_one_line(tmp_path: Path) -> None:
    shutil.copy(Path(SITE, "sitecustomize.py"), tmp_path)
    done = start("-c", "print('program')", path=(tmp_path,), **ON)
    assert (done.returncode, done.stdout) == (0, "program\n")
    assert done.stderr == (
        "macfix: not active here: "
        """ModuleNotFoundError("No module named '_macfix_autoload'")\n"""
    )


def run_beside_own(tmp_path: Path, name: str) -> subprocess.CompletedProcess[str]:
    environments.lay_out_upstream(tmp_path / "packages")
    (tmp_path / f"{name}.py").write_text("mine = 1\n")
    text = f"import {name}, tractor.thing\nprint({name}.mine, tractor.thing.answer)\n"
    (tmp_path / "prog.py").write_text(text)
    path = (SITE, tmp_path / "packages")
    bytecode = {"PYTHONDONTWRITEBYTECODE": ""}  # the cache of answers is written, too
    return start(str(tmp_path / "prog.py"), path=path, **bytecode, **environments.ON)


def test_a_json_of_the_programs_costs_the_cache_only(tmp_path: Path) -> None:
    done = run_beside_own(tmp_path, "json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 42\n", "")


def test_a_module_of_the_programs_that_hides_the_standard_librarys_is_named_in_one_line(
    tmp_path: Path,
) -> None:
    done = run_beside_own(tmp_path, "dataclasses")
    assert (done.returncode, done.stdout) == (0, "1 1\n")
    assert len(done.stderr.splitlines()) == 1
    place = f"{tmp_path}/dataclasses.py stands in the place of the standard library's dataclasses"
    assert place in done.stderr


def test_a_module_of_the_programs_that_the_engine_stumbles_over_is_named(tmp_path: Path) -> None:
    done = run_beside_own(tmp_path, "ast")
    assert (done.returncode, done.stdout) == (0, "1 1\n")
    (line,) = [line for line in done.stderr.splitlines() if f"{tmp_path}/ast.py" in line]
    assert line.startswith("macfix: not active here: ") or "MacfixWarning" in line


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_streams_do_no_harm(
    broken: Path, upstream: Path, closed: str, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    ran = tmp_path / "ran"
    script.write_text(f"import sys, tractor; open({str(ran)!r}, 'w').write(repr(sys.stderr))\n")
    shell = f"exec {sys.executable} {script} {closed}"
    done = start("-c", shell, path=(broken, upstream), python="/bin/sh", **ON)
    assert done.returncode == 0
    assert ran.read_text() == "None"


@on_linux
def test_a_simulation_that_cannot_start_ends_the_process_with_one_line() -> None:
    """On plain Linux the program would give false answers."""
    done = start("-c", "print('program')", MACFIX_SIMULATE="page=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("macfix: not active here: SimulationError: ")


OLD = ("2.7", "3.6", "3.7", "3.8", "3.9")


@pytest.mark.parametrize("version", OLD)
def test_an_interpreter_too_old_for_macfix_does_not_notice(version: str, tmp_path: Path) -> None:
    python = old_python(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    (tmp_path / "sitecustomize.py").write_text("print('next')\n")
    program = "import sys; print(sys.path, 'macfix' in sys.modules)"
    alone = start("-c", program, path=(tmp_path,), python=python, **ON)
    ours = start("-c", program, path=(SITE, tmp_path), python=python, **ON)
    assert ours.returncode == alone.returncode == 0
    assert (ours.stdout, ours.stderr) == (alone.stdout, alone.stderr)


def old_python(version: str) -> str | None:
    root = STARTED_WITH.get("PYENV_ROOT") or Path(STARTED_WITH.get("HOME", "/"), ".pyenv")
    kept = sorted(Path(root, "versions").glob(f"{version}.*/bin/python"))
    for candidate in [*map(str, kept), f"python{version}"]:
        found = shutil.which(candidate)
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    return None


# -- interpreters that do not want it --------------------------------------------------------------


@pytest.mark.parametrize("option", ["-E", "-I", "-S"])
def test_options_that_shut_it_out_are_obeyed(option: str) -> None:
    assert state(option, **ON)["finders"] == 0


@pytest.mark.parametrize("options", [["-s"], ["-O"], ["-X", "dev"], ["-B"], ["-u"]], ids=" ".join)
def test_other_options_make_no_difference(options: list[str]) -> None:
    assert state(*options, **ON)["finders"] == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has -P first")
def test_a_safe_path_makes_no_difference() -> None:
    assert state("-P", **ON)["finders"] == 1
    assert state(**ON, PYTHONSAFEPATH="1")["finders"] == 1


# -- the tree of processes -------------------------------------------------------------------------

COUNT = """\
import sys
print(sum(hasattr(finder, "is_macfix") for finder in sys.meta_path))
"""


def test_all_ways_in_together_are_one_activation(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(f"import macfix\nmacfix.activate()\n{COUNT}")
    done = start(
        *("-m", "macfix", "prog.py"),
        path=(SITE, REPOSITORY),
        cwd=tmp_path,
        **ON,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


TREE = """\
import multiprocessing as mp
import os
import subprocess
import sys

PROBE = ("import os, sys; print(sys.argv[1], "
         "sum(hasattr(f, 'is_macfix') for f in sys.meta_path), flush=True)")


def probe(name):
    subprocess.run([sys.executable, "-c", PROBE, name], check=True)


def child(name):
    exec(PROBE.replace("sys.argv[1]", "name"), {"name": name})
    probe("grandchild of " + name)


if __name__ == "__main__":
    child("parent")
    for method in ("spawn", "forkserver", "fork"):
        process = mp.get_context(method).Process(target=child, args=(method,))
        process.start()
        process.join()
    pid = os.fork()
    if pid == 0:
        child("os.fork")
        os._exit(0)
    os.waitpid(pid, 0)
    pid = os.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROBE, "exec"])
    os.waitpid(pid, 0)
"""

TREE_NAMES = {
    *("parent", "spawn", "forkserver", "fork", "os.fork", "exec"),
    *(f"grandchild of {n}" for n in ("parent", "spawn", "forkserver", "fork", "os.fork")),
}


@pytest.mark.parametrize("from_cwd", [False, True])
def test_every_descendant_of_a_program_comes_up_with_it_once(
    tmp_path: Path, from_cwd: bool
) -> None:
    (tmp_path / "prog.py").write_text(TREE)
    done = start(
        *("-m", "macfix", str(tmp_path / "prog.py")),
        path=() if from_cwd else (REPOSITORY,),
        cwd=REPOSITORY if from_cwd else tmp_path,
        PYTHONWARNINGS="ignore",
        **ON,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(f"{name} 1" for name in TREE_NAMES)


def test_deactivate_gives_children_their_old_environment(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys, macfix\n"
        "print(os.environ['PYTHONPATH'].count('activation/site'))\n"
        "print(macfix.deactivate(), os.environ['PYTHONPATH'])\n"
        "print(any(hasattr(finder, 'is_macfix') for finder in sys.meta_path))\n"
    )
    (tmp_path / "prog.py").write_text(program)
    done = start("-m", "macfix", str(tmp_path / "prog.py"), path=(REPOSITORY,), **ON)
    assert done.stdout == f"1\n[] {REPOSITORY}\nFalse\n", done.stderr


@on_linux
def test_the_simulation_comes_before_the_program_in_every_descendant(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "print(sys.platform, flush=True)\n"
        "if len(sys.argv) < 3:\n"
        "    subprocess.run([sys.executable, *sys.argv, 'x'], check=True)\n"
    )
    (tmp_path / "prog.py").write_text(program)
    for words in (["--simulate", "prog.py"], ["simulate", "prog.py"], ["prog.py"]):
        done = start("-m", "macfix", *words, path=(REPOSITORY,), cwd=tmp_path)
        expected = "linux" if words == ["prog.py"] else "darwin"
        assert done.stdout.split() == [expected] * 3, done.stderr
