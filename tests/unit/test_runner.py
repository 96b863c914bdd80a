"""A program shows the same, to the last byte, whether Python or macfix's runner runs it."""

from __future__ import annotations

import json
import os
import py_compile
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from macfix.activation.environment import SITE
from tests.support.small_programs import (
    ENDINGS,
    GROUPS,
    IDENTITY,
    INTERRUPTED,
    MODULES,
    WHAT_PROGRAMS_DO,
)
from tests.support.surroundings import REPOSITORY, every
from tests.support.twins import Shown, Twins

needs_groups = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has these first")


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    return Twins(tmp_path)


def write(folder: Path, text: str, name: str = "prog.py") -> str:
    (folder / name).write_text(text)
    return name


def as_script(folder: Path, text: str) -> list[str]:
    return [write(folder, text)]


def as_absolute_script(folder: Path, text: str) -> list[str]:
    return [str(folder / write(folder, text))]


def as_script_below(folder: Path, text: str) -> list[str]:
    (folder / "below").mkdir()
    return [write(folder, text, "below/prog.py")]


def as_script_without_suffix(folder: Path, text: str) -> list[str]:
    return ["./" + write(folder, text, "prog")]


def as_linked_script(folder: Path, text: str) -> list[str]:
    (folder / "real").mkdir()
    (folder / "link.py").symlink_to(Path("real", "prog.py"))
    write(folder, text, "real/prog.py")
    return ["link.py"]


def as_bytecode(folder: Path, text: str) -> list[str]:
    py_compile.compile(str(folder / write(folder, text)), str(folder / "prog.pyc"))
    return ["prog.pyc"]


def as_bytecode_without_suffix(folder: Path, text: str) -> list[str]:
    py_compile.compile(str(folder / write(folder, text)), str(folder / "compiled"))
    return ["./compiled"]


def as_module(folder: Path, text: str) -> list[str]:
    write(folder, text)
    return ["-m", "prog"]


def as_module_in_one_word(folder: Path, text: str) -> list[str]:
    write(folder, text)
    return ["-mprog"]


def as_submodule(folder: Path, text: str) -> list[str]:
    (folder / "package").mkdir()
    write(folder, "import sys\nprint(__name__, sys.argv)", "package/__init__.py")
    write(folder, text, "package/prog.py")
    return ["-m", "package.prog"]


def as_package(folder: Path, text: str) -> list[str]:
    (folder / "package").mkdir()
    write(folder, "", "package/__init__.py")
    write(folder, text, "package/__main__.py")
    return ["-m", "package"]


def as_folder(folder: Path, text: str) -> list[str]:
    (folder / "folder").mkdir()
    write(folder, text, "folder/__main__.py")
    return ["folder"]


def as_zip(folder: Path, text: str) -> list[str]:
    with zipfile.ZipFile(folder / "prog.zip", "w") as archive:
        archive.writestr("__main__.py", text)
    return ["./prog.zip"]


def as_command(folder: Path, text: str) -> list[str]:
    return ["-c", text]


Kind = Callable[[Path, str], list[str]]

KINDS: list[Kind] = [
    as_script,
    as_absolute_script,
    as_script_below,
    as_script_without_suffix,
    as_linked_script,
    as_bytecode,
    as_bytecode_without_suffix,
    as_module,
    as_module_in_one_word,
    as_submodule,
    as_package,
    as_folder,
    as_zip,
    as_command,
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_is_who_it_is_alone(twins: Twins, kind: Kind) -> None:
    shown = twins.assert_same([*kind(twins.folder, IDENTITY), "an argument", "-m", "--help"])
    assert shown.returncode == 0
    assert "__name__ = __main__" in shown.stdout
    assert "'an argument', '-m', '--help'" in shown.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_traceback_has_the_programs_frames_only(twins: Twins, kind: Kind) -> None:
    shown = twins.assert_same(kind(twins.folder, "def f():\n    1 / 0\nf()\n"), merged=True)
    assert shown.returncode == 1
    assert "ZeroDivisionError" in shown.stdout
    assert "macfix" not in shown.stdout


ACTIVE = {"MACFIX_FORCE": "uds-backlog"}
"""Has macfix get into the program, also where no patch is needed."""


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_ends_as_it_does_alone(twins: Twins, ending: str) -> None:
    twins.assert_same(as_script(twins.folder, ENDINGS[ending]), merged=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_with_macfix_in_it_it_ends_as_it_does_alone(twins: Twins, ending: str) -> None:
    twins.assert_same(as_module(twins.folder, ENDINGS[ending]), env=ACTIVE)


@pytest.mark.parametrize("deed", WHAT_PROGRAMS_DO)
def test_it_does_what_it_does_alone(twins: Twins, deed: str) -> None:
    words = as_script(twins.folder, WHAT_PROGRAMS_DO[deed])
    twins.assert_same([*words, "--number", "x"], stdin="text", env=ACTIVE)


@needs_groups
@pytest.mark.parametrize("group", GROUPS)
def test_exception_groups_and_notes_are_shown_alike(twins: Twins, group: str) -> None:
    shown = twins.assert_same(as_script(twins.folder, GROUPS[group]), env=ACTIVE)
    assert shown.returncode == 1


OPTIONS = [
    *(["-O"], ["-OO"], ["-X", "dev"], ["-W", "error"], ["-B"], ["-s"], ["-S"], ["-u"], ["-q"]),
    *(["-X", "utf8"], ["-b"], ["-X", "frozen_modules=off"], ["-Werror", "-Xdev"]),
    ["--check-hash-based-pycs", "never"],
]


@pytest.mark.parametrize("kind", [as_script, as_command])
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_the_interpreters_options_hold(twins: Twins, kind: Kind, options: list[str]) -> None:
    text = IDENTITY + "print(sys.warnoptions, sys._xoptions, __debug__)\nassert 0, 'no -O'\n"
    twins.assert_same(kind(twins.folder, text), options=options)


@pytest.mark.parametrize("flags", ["O", "OB", "uOO"])
def test_options_in_one_word_with_macfix_hold(tmp_path: Path, flags: str) -> None:
    (tmp_path / "prog.py").write_text(IDENTITY)
    alone = Twins(tmp_path).alone(["prog.py", "a"], options=[f"-{flags}"])
    assert Twins(tmp_path, (f"-{flags}m", "macfix")).by_macfix(["prog.py", "a"]) == alone


def test_a_program_may_come_on_standard_input(twins: Twins) -> None:
    shown = twins.assert_same(["-", "a", "-m"], stdin=IDENTITY, env=ACTIVE)
    assert "['-', 'a', '-m']" in shown.stdout


@pytest.mark.parametrize("name", ["a b.py", "status.py", "-x.py", "ü.py", "a:b.py"])
def test_a_file_may_have_any_name(twins: Twins, name: str) -> None:
    write(twins.folder, "import sys\nprint(sys.argv, __file__)\n", name)
    twins.assert_same([str(twins.folder / name)], env=ACTIVE)
    twins.assert_same([f"./{name}" if name.startswith("-") else name], env=ACTIVE)


ENVIRONMENT = """\
import json, os, sys
print(json.dumps(dict(os.environ)))
"""


def environment_of(twins: Twins, *words: str, **env: str) -> dict[str, str]:
    write(twins.folder, ENVIRONMENT)
    shown = twins.alone([*words, "prog.py"], env=env)
    assert shown.returncode == 0, shown
    found: dict[str, str] = json.loads(shown.stdout)
    return found


@pytest.mark.skipif(sys.platform == "darwin", reason="there, macfix gets into the program")
def test_where_macfix_has_nothing_to_do_no_variable_is_set(twins: Twins) -> None:
    assert environment_of(twins, "-m", "macfix") == environment_of(twins)


def test_what_is_set_for_the_program_is_for_its_children_too(twins: Twins) -> None:
    before = environment_of(twins, **ACTIVE)
    after = environment_of(twins, "-m", "macfix", **ACTIVE)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"PYTHONPATH", "MACFIX_SHM_TREE", "MACFIX_TREE"}
    assert after["PYTHONPATH"] == f"{SITE}{os.pathsep}{before['PYTHONPATH']}"


def test_the_program_is_the_process_that_was_started(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "macfix", "-c", "import os; print(os.getpid())"]
    env = {"PYTHONPATH": str(REPOSITORY), "HOME": os.environ["HOME"], **ACTIVE}
    with subprocess.Popen(words, env=env, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid


def test_a_program_may_execute_itself_anew(twins: Twins) -> None:
    text = (
        "import os, sys\nprint(sys.argv, flush=True)\n"
        "if len(sys.argv) < 3: os.execv(sys.executable, [*sys.orig_argv, 'again'])\n"
    )
    shown = twins.assert_same([*as_script(twins.folder, text), "a"], env=ACTIVE)
    assert shown.stdout.count("'a'") == 2


# -- where macfix cannot get in --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-E"], "with -E Python ignores PYTHONPATH, so macfix cannot get into the program; "),
        (["-I"], "with -I Python ignores PYTHONPATH, so macfix cannot get into the program; "),
        (["-S"], "with -S Python executes neither sitecustomize nor .pth files"),
    ],
)
def test_options_that_shut_macfix_out_are_an_error(
    tmp_path: Path, zipapp: Path, options: list[str], told: str
) -> None:
    (tmp_path / "prog.py").write_text("print('ran')\n")
    shown = Twins(tmp_path, (str(zipapp),)).by_macfix(["prog.py"], options=options, env=ACTIVE)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert told in shown.stderr
    advice = "install it into the environment to enable it there"  # as a zip file it cannot be
    assert (advice in shown.stderr) == (options != ["-S"])


@pytest.mark.parametrize(
    ("words", "other"),
    [
        (["-m", "pdb", "-m", "macfix", "prog.py", "a"], "-m pdb prog.py a"),
        (["-m", "cProfile", "-m", "macfix", "prog.py"], "-m cProfile prog.py"),
        (["-m", "trace", "--listfuncs", "--module", "macfix", "prog.py"], None),
        (["-m", "coverage", "run", "-m", "macfix", "prog.py"], "-m coverage run prog.py"),
        (["-c", "import runpy; runpy.run_module('macfix', run_name='__main__')", "prog.py"], None),
    ],
    ids=["pdb", "cProfile", "trace", "coverage", "runpy"],
)
def test_whoever_runs_macfix_in_its_own_process_is_told_the_other_order(
    twins: Twins, words: list[str], other: str | None
) -> None:
    write(twins.folder, "print('ran')\n")
    (twins.folder / "coverage").mkdir()
    write(twins.folder, COVERAGE, "coverage/__main__.py")
    shown = twins.alone(words, stdin="continue\nquit\n")
    told = shown.stdout + shown.stderr
    assert "ran" not in told.split()
    assert "macfix replaces the process by the program" in told
    assert f"turn the order around: python -m macfix {other or ''}" in told
    if other is not None:
        write(twins.folder, "print('ran', __name__)\n")
        shown = twins.by_macfix(other.split(), stdin="continue\nquit\n")
        assert "ran __main__" in shown.stdout


def test_an_interpreter_that_was_given_nothing_is_told_the_order_too(twins: Twins) -> None:
    write(twins.folder, "print('ran')\n")
    calls = "import macfix.cli; print(macfix.cli.main(['run', 'prog.py']))\n"
    shown = twins.alone([], stdin=calls)
    assert (shown.stdout, "Traceback" in shown.stderr) == ("2\n", False)
    assert "turn the order around: python -m macfix prog.py" in shown.stderr


COVERAGE = """\
import runpy, sys
del sys.argv[:2]  # its own name, and `run`
if sys.argv[0] == "-m":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""As much of coverage as matters here: it runs a program in its own process."""


# -- afterwards ------------------------------------------------------------------------------------


def test_the_program_can_be_inspected_afterwards(twins: Twins) -> None:
    write(twins.folder, "x = 5")
    typed = "print(x, __name__, sorted(globals()))\n"
    shown = twins.assert_same(["prog.py"], options=["-i"], stdin=typed)
    assert "5 __main__" in shown.stdout


def test_the_exception_can_be_inspected_afterwards(twins: Twins) -> None:
    write(twins.folder, "def f():\n    1 / 0\nf()")
    typed = "import sys, traceback\ntraceback.print_tb(sys.last_traceback)\n"
    twins.assert_same(["prog.py"], options=["-i"], stdin=typed)


def test_an_exit_can_be_inspected(twins: Twins) -> None:
    write(twins.folder, "import sys\nsys.exit(3)\n")
    shown = twins.assert_same(["prog.py"], options=["-i"], stdin="print('still here')\n")
    assert "SystemExit: 3" in shown.stderr
    assert "still here" in shown.stdout


@pytest.mark.parametrize("kind", [as_script, as_module, as_folder])
@pytest.mark.parametrize(
    "ending", ["uncaught exception", "KeyboardInterrupt", "exit code", "exit with text"]
)
def test_the_console_script_runs_it_as_well(tmp_path: Path, kind: Kind, ending: str) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "macfix"
    script.write_text("import sys\nfrom macfix.cli import main\nsys.exit(main())\n")
    text = IDENTITY + ENDINGS[ending]
    Twins(tmp_path, (str(script),)).assert_same([*kind(tmp_path, text), "a"])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has -P first")
@pytest.mark.parametrize(
    ("kind", "how"),
    every(3, product(KINDS, [{"options": ["-P"]}, {"env": {"PYTHONSAFEPATH": "1"}}])),
)
def test_safe_path_puts_nothing_on_the_path(twins: Twins, kind: Kind, how: dict[str, Any]) -> None:
    words = kind(twins.folder, IDENTITY)
    env = {"PYTHONPATH": f"{Path(__file__).parents[2]}:{twins.folder}", **how.get("env", {})}
    shown = twins.assert_same(words, options=how.get("options", ()), env=env)
    assert shown.returncode == 0


@pytest.mark.parametrize("kind", [as_script, as_module, as_folder, as_zip])
@pytest.mark.parametrize("options", [[], ["-I"], ["-E"], ["-s"]], ids=" ".join)
def test_from_a_zipapp_that_needs_no_installation(
    tmp_path: Path, zipapp: Path, kind: Kind, options: list[str]
) -> None:
    twins = Twins(tmp_path, (str(zipapp),))
    twins.assert_same([*kind(tmp_path, IDENTITY), "a"], options=options)


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import zipapp as builder

    folder = tmp_path_factory.mktemp("zipapp")
    package = Path(__file__).parents[2] / "macfix"
    shutil.copytree(package, folder / "app/macfix", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package / "__main__.py", folder / "app/__main__.py")
    builder.create_archive(folder / "app", folder / "app.pyz")
    return folder / "app.pyz"


@pytest.mark.parametrize("kind", [as_script, as_module, as_zip, as_command])
@pytest.mark.parametrize("where", INTERRUPTED)
def test_an_interrupt_has_the_same_effect(twins: Twins, kind: Kind, where: str) -> None:
    words = kind(twins.folder, INTERRUPTED[where])
    alone = twins.alone(words, interrupted_after="ready")
    by_macfix = twins.by_macfix(words, interrupted_after="ready")
    # the signal does not always arrive in the same line, so of the traceback only the end is equal
    assert (by_macfix.returncode, by_macfix.stdout) == (alone.returncode, alone.stdout)
    assert by_macfix.stderr.splitlines()[-1:] == alone.stderr.splitlines()[-1:]
    assert "macfix" not in by_macfix.stderr
    if where == "at work":
        assert by_macfix.returncode == -signal.SIGINT


def test_a_file_that_cannot_be_opened(twins: Twins) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(Path(os.path.relpath(twins.folder), "socket")))
        shown = twins.assert_same(["./socket"])
    assert shown.returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_what_was_closed_stays_closed(tmp_path: Path, closed: str) -> None:
    """SQLite, which macfix uses before the program starts, opens `/dev/null` in its place."""
    look = (
        "import os, sys; found = [os.path.exists(f'/dev/fd/{n}') for n in range(3)]; "
        f"open({str(tmp_path / 'found')!r}, 'a').write(repr((found, sys.stdin is None)) + ';')"
    )
    (tmp_path / "prog.py").write_text(look)
    for words in ("", "-m macfix "):
        subprocess.run(
            ["sh", "-c", f"{sys.executable} {words}prog.py {closed}"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), **ACTIVE},
            check=True,
        )
    alone, by_macfix, _ = (tmp_path / "found").read_text().split(";")
    assert by_macfix == alone


def test_a_program_from_a_pipe_is_run_whole(twins: Twins) -> None:
    """As the shell's `<(…)` is one."""
    text = "#!/usr/bin/env python\nfirst = 1\n" + "x = 2\n" * 9000 + "print(first)\n"
    shown = twins.assert_same(["/dev/stdin"], stdin=text, env=ACTIVE)
    assert (shown.returncode, shown.stdout) == (0, "1\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(twins: Twins) -> None:
    write(twins.folder, "")
    (twins.folder / "prog.py").chmod(0)
    assert twins.assert_same(["prog.py"]).returncode == 2


@pytest.mark.parametrize(
    "source",
    [b"", b"#!/usr/bin/env python\nprint(1)", b"\xef\xbb\xbfprint('bom')",
     b"# coding: latin-1\nprint(ascii('\xe9'))", b"print(1)\r\nprint(2)\r\n", b"print(1)",
     b"if 1:\n  print(1)\n\x0c\nprint(2)"],
)  # fmt: skip
def test_encodings_and_line_ends(twins: Twins, source: bytes) -> None:
    (twins.folder / "prog.py").write_bytes(source)
    twins.assert_same(["prog.py"])


def test_bytecode_of_another_python_is_refused_alike(twins: Twins) -> None:
    (twins.folder / "prog.pyc").write_bytes(b"\0" * 32)
    assert twins.assert_same(["prog.pyc"]).returncode == 1


def test_a_module_that_does_not_exist_is_refused_alike(twins: Twins) -> None:
    shown = twins.assert_same(["-m", "no_such_module"])
    assert shown.returncode == 1
    assert "No module named no_such_module" in shown.stderr


def test_a_package_without_main_is_refused_alike(twins: Twins) -> None:
    (twins.folder / "package").mkdir()
    write(twins.folder, "", "package/__init__.py")
    assert twins.assert_same(["-m", "package"]).returncode == 1


def test_the_current_directory_may_have_vanished(twins: Twins) -> None:
    gone = twins.folder / "gone"
    gone.mkdir()
    write(twins.folder, IDENTITY)

    def run(*words: str) -> Shown:
        inner = "import os, sys; os.chdir({!r}); os.rmdir({!r}); os.execv(sys.executable, {!r})"
        argv = [sys.executable, *words, str(twins.folder / "prog.py")]
        gone.mkdir(exist_ok=True)
        return twins.alone(["-c", inner.format(str(gone), str(gone), argv)])

    assert run("-m", "macfix") == run()


@pytest.mark.parametrize(("env", "more"), [({}, set()), (ACTIVE, {"_macfix_autoload"})])
def test_little_is_imported_before_the_program(
    twins: Twins, env: dict[str, str], more: set[str]
) -> None:
    """What is imported before it, a program cannot have a module of its own by that name for."""
    if sys.platform == "darwin":
        more = {"_macfix_autoload"}
    write(twins.folder, MODULES)
    alone = set(twins.alone(["prog.py"]).stdout.split())
    by_macfix = set(twins.by_macfix(["prog.py"], env=env).stdout.split())
    assert by_macfix - alone == more


def test_modules_beside_the_program_come_first(twins: Twins) -> None:
    shadowed = ("argparse", "dataclasses", "inspect", "json", "sysconfig", "ast", "pluggy", "wrapt")
    for name in shadowed:
        write(twins.folder, "print(__name__, 'of the program')", f"{name}.py")
    write(twins.folder, "\n".join(f"import {name}" for name in shadowed))
    shown = twins.assert_same(["prog.py"], env=ACTIVE)
    assert shown.stdout.count("of the program") == len(shadowed)
