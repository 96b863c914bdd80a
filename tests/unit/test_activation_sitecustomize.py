"""What happens at the start of an interpreter that inherits macfix through ``PYTHONPATH``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from macfix.activation.environment import SITE
from tests.support.surroundings import REPOSITORY, STARTED_WITH

EXPENSIVE = {
    "typing", "dataclasses", "inspect", "ast", "importlib.metadata", "pluggy", "wrapt", "re",
    "argparse", "json", "contextlib", "functools", "collections",
}  # fmt: skip

STATE = """\
import json, os, sys
print(json.dumps({
    "path": sys.path,
    "modules": sorted(sys.modules),
    "sitecustomize": getattr(sys.modules.get("sitecustomize"), "__file__", None),
    "PYTHONPATH": os.environ.get("PYTHONPATH"),
    "finders": [repr(f) for f in sys.meta_path if type(f).__module__.startswith("macfix.engine")],
    "macfix": getattr(sys.modules.get("macfix"), "__file__", None),
}))
"""

ON = {"MACFIX_FORCE": "no-patch"}
"""Makes macfix active on any platform, and mends nothing there."""

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


def state(*options: str, **how: object) -> dict[str, object]:
    done = start(*options, "-c", STATE, **how)  # type: ignore[arg-type]
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_where_macfix_has_nothing_to_do_it_is_not_even_imported() -> None:
    with_site, without = state(), state(path=())
    if sys.platform == "darwin":
        pytest.skip("here it has something to do")
    assert with_site["modules"] == without["modules"]
    assert with_site["path"] == without["path"]


def test_where_it_has_something_to_do_the_finder_is_there() -> None:
    answer = state(**ON)
    assert len(answer["finders"]) == 1  # type: ignore[arg-type]
    assert answer["macfix"] == str(REPOSITORY / "macfix" / "__init__.py")


def test_nothing_expensive_is_imported() -> None:
    before, after = state(path=()), state(**ON)
    added = set(after["modules"]) - set(before["modules"])  # type: ignore[call-overload]
    assert added & EXPENSIVE == set()
    assert {name for name in added if not name.startswith("macfix")} <= {"__future__"}


def test_off_means_off() -> None:
    assert state(**ON, MACFIX="off")["finders"] == []


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
    (tmp_path / "sitecustomize.py").write_text("import sys\nprint('macfix' in sys.modules)\n")
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


def test_macfix_comes_from_beside_the_folder_and_from_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "macfix.py").write_text("raise AssertionError('the wrong one')")
    answer = state(path=(SITE, "", ".", tmp_path), cwd=tmp_path, **ON)
    assert answer["macfix"] == str(REPOSITORY / "macfix" / "__init__.py")
    assert len(answer["finders"]) == 1  # type: ignore[arg-type]


def test_a_macfix_that_is_imported_already_is_used(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "macfix", tmp_path / "macfix")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'macfix' not in sys.modules:\n"
        "    import macfix\n"
        f"    sys.path.insert(0, {SITE!r})\n"
        "    del sys.modules[__name__]\n"
        "    import sitecustomize\n"
    )
    answer = state(path=(tmp_path,), **ON)
    assert answer["macfix"] == str(tmp_path / "macfix" / "__init__.py")


def test_what_lies_beside_macfix_does_not_become_importable(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "macfix", tmp_path / "macfix")
    site = tmp_path / "macfix" / "activation" / "site"
    assert str(tmp_path) not in state(path=(site,), **ON)["path"]  # type: ignore[operator]


def test_dependencies_that_lie_beside_macfix_do(tmp_path: Path) -> None:
    """So ``pip install --target`` lays them out; they come last on the path."""
    shutil.copytree(REPOSITORY / "macfix", tmp_path / "macfix")
    (tmp_path / "wrapt").mkdir()
    (tmp_path / "wrapt" / "__init__.py").touch()
    site = tmp_path / "macfix" / "activation" / "site"
    assert state(path=(site,), **ON)["path"][-1] == str(tmp_path)  # type: ignore[index]


# -- failures --------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The ``site`` folder of a macfix that cannot be imported."""
    shutil.copytree(REPOSITORY / "macfix" / "activation", tmp_path / "macfix" / "activation")
    (tmp_path / "macfix" / "__init__.py").write_text("raise ValueError('two\\nlines')\n")
    return tmp_path / "macfix" / "activation" / "site"


def test_a_failure_of_macfix_is_one_line_and_no_more(broken: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('next')\n")
    done = start("-c", "print('program')", path=(broken, tmp_path), **ON)
    assert done.returncode == 0
    assert done.stdout == "next\nprogram\n"
    assert done.stderr == "macfix: not active here: ValueError: two lines\n"


def test_half_a_macfix_is_not_left_in_sys_modules(broken: Path) -> None:
    done = start("-c", "import sys; print('macfix' in sys.modules)", path=(broken,), **ON)
    assert done.stdout == "False\n"


def test_a_missing_macfix_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(SITE, tmp_path / "a" / "b" / "site")
    done = start("-c", "print('program')", path=(tmp_path / "a" / "b" / "site",), **ON)
    assert (done.returncode, done.stdout) == (0, "program\n")
    assert len(done.stderr.splitlines()) == 1
    assert "there is no macfix in" in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_streams_do_no_harm(broken: Path, closed: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import sys; open({str(tmp_path / 'ran')!r}, 'w').write(repr(sys.stderr))\n")
    done = start(
        "-c", f"exec {sys.executable} {script} {closed}", path=(broken,), python="/bin/sh", **ON
    )
    assert done.returncode == 0
    assert (tmp_path / "ran").read_text() == "None"


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
    assert state(option, **ON)["finders"] == []


@pytest.mark.parametrize("options", [["-s"], ["-O"], ["-X", "dev"], ["-B"], ["-u"]], ids=" ".join)
def test_other_options_make_no_difference(options: list[str]) -> None:
    assert len(state(*options, **ON)["finders"]) == 1  # type: ignore[arg-type]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has -P first")
def test_a_safe_path_makes_no_difference() -> None:
    assert len(state("-P", **ON)["finders"]) == 1  # type: ignore[arg-type]
    assert len(state(**ON, PYTHONSAFEPATH="1")["finders"]) == 1  # type: ignore[arg-type]


# -- the tree of processes -------------------------------------------------------------------------

COUNT = """\
import sys
print(sum(type(f).__module__.startswith("macfix.engine") for f in sys.meta_path))
"""


def test_all_ways_in_together_are_one_activation(tmp_path: Path, patch_name: str) -> None:
    (tmp_path / "prog.py").write_text(f"import macfix\nmacfix.activate()\n{COUNT}")
    done = start(
        *("-m", "macfix", "prog.py"),
        path=(SITE, REPOSITORY),
        cwd=tmp_path,
        MACFIX_FORCE=patch_name,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


TREE = """\
import multiprocessing as mp
import os
import subprocess
import sys

PROBE = ("import os, sys; print(sys.argv[1], sum(type(f).__module__.startswith('macfix.engine') "
         "for f in sys.meta_path), flush=True)")


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


@pytest.fixture
def patch_name() -> str:
    """The name of some patch, so that the command line accepts it."""
    from macfix.engine import Config, load_patches
    from macfix.patches import BUILTIN

    return next(iter(load_patches(Config(), BUILTIN).origin))


@pytest.mark.parametrize("from_cwd", [False, True])
def test_every_descendant_of_a_program_is_mended_once(
    tmp_path: Path, patch_name: str, from_cwd: bool
) -> None:
    (tmp_path / "prog.py").write_text(TREE)
    done = start(
        *("-m", "macfix", str(tmp_path / "prog.py")),
        path=() if from_cwd else (REPOSITORY,),
        cwd=REPOSITORY if from_cwd else tmp_path,
        MACFIX_FORCE=patch_name,
        PYTHONWARNINGS="ignore",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(f"{name} 1" for name in TREE_NAMES)


def test_deactivate_gives_children_their_old_environment(tmp_path: Path, patch_name: str) -> None:
    program = (
        "import os, subprocess, sys, macfix\n"
        "print(os.environ['PYTHONPATH'].count('activation/site'))\n"
        "print(macfix.deactivate(), os.environ['PYTHONPATH'])\n"
        "print(any(type(f).__module__.startswith('macfix') for f in sys.meta_path))\n"
    )
    (tmp_path / "prog.py").write_text(program)
    done = start("-m", "macfix", str(tmp_path / "prog.py"), path=(REPOSITORY,),
                 MACFIX_FORCE=patch_name)  # fmt: skip
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
