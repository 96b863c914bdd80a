"""Which program a command line means, and what is said where there is none."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from macfix.activation import programs
from macfix.activation.programs import CannotRunError, find_program, interpreter_of
from tests.support.surroundings import REPOSITORY
from tests.support.twins import Twins

TOOL = "import sys\nprint('tool', __name__, __file__, __spec__, sys.argv, sys.path[0])\n"


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scripts, in place of the environment's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(programs, "script_folders", lambda: [str(folder)])
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def refusal(*words: str) -> str:
    with pytest.raises(CannotRunError) as caught:
        find_program(words)
    return str(caught.value)


def distribution(folder: Path, name: str, entry: str) -> None:
    info = folder / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[console_scripts]\n{entry}\n")


def test_all_arguments_after_the_program_are_its_own() -> None:
    Path("prog.py").touch()
    for words in (["prog.py", "-m", "x", "--simulate"], ["-m", "mod", "-m", "x"], ["-mmod", "-c"]):
        assert find_program(words) == words
    assert find_program(["-", "-m", "x"]) == ["-", "-m", "x"]


def test_module_and_command_come_before_everything() -> None:
    Path("-m").touch()
    Path("mod").touch()
    assert find_program(["-m", "mod"]) == ["-m", "mod"]
    assert find_program(["-c", "1"]) == ["-c", "1"]


def test_a_path_is_not_taken_for_an_option() -> None:
    Path("-x.py").touch()
    assert find_program(["-x.py", "a"]) == ["--", "-x.py", "a"]


@pytest.mark.parametrize("option", ["-m", "-c"])
def test_an_option_without_its_argument_is_refused(option: str) -> None:
    assert refusal(option) == f"argument expected for the {option} option"


def test_nothing_is_refused() -> None:
    assert refusal() == "no program was given"


def test_a_path_comes_before_a_script_of_that_name(scripts: Path) -> None:
    (scripts / "tool").write_text(f"#!{sys.executable}\n")
    assert find_program(["tool"]) == [str(scripts / "tool")]
    Path("tool").touch()
    assert find_program(["tool"]) == ["tool"]


@pytest.mark.parametrize("main", ["__main__.py", "__main__.pyc"])
def test_a_folder_is_a_program_only_with_a_main(scripts: Path, main: str) -> None:
    (scripts / "tool").write_text(f"#!{sys.executable}\n")
    Path("tool").mkdir()
    assert find_program(["tool"]) == [str(scripts / "tool")]
    Path("tool", main).touch()
    assert find_program(["tool"]) == ["tool"]


def test_a_script_comes_before_an_entry_point(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(tmp_path, "dist", "tool = some.module:main.inner [extra]")
    option, code = find_program(["tool", "a"])[:2]
    assert option == "-c"
    assert code == (
        f"import sys; sys.argv[0] = {str(scripts / 'tool')!r}; from some.module import main; "
        "sys.exit(main.inner())"
    )
    (scripts / "tool").write_text(f"#!{sys.executable}\n")
    assert find_program(["tool", "a"]) == [str(scripts / "tool"), "a"]


def test_an_entry_point_comes_before_a_package(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "__main__.py").touch()
    assert find_program(["tool", "a"]) == ["-m", "tool", "a"]
    distribution(tmp_path, "dist", "tool = some.module:main")
    assert find_program(["tool", "a"])[0] == "-c"


def test_a_package_within_packages_is_found_without_importing_any(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    inner = tmp_path / "aa" / "bb" / "cc"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent, inner.parent.parent):
        (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (inner / "__main__.py").touch()
    assert find_program(["aa.bb.cc"]) == ["-m", "aa.bb.cc"]
    assert "no __main__" in refusal("aa.bb")


def test_a_package_in_the_current_directory_is_found_as_by_python(scripts: Path) -> None:
    Path("here").mkdir()
    Path("here/__init__.py").touch()
    Path("here/inner").mkdir()
    Path("here/inner/__main__.py").touch()
    assert find_program(["here.inner"]) == ["-m", "here.inner"]


def test_the_refusal_lists_what_was_tried(scripts: Path) -> None:
    text = refusal("no-such-tool")
    assert text.splitlines()[0] == "there is no program 'no-such-tool'; tried as"
    assert f"path: {os.getcwd()}/no-such-tool: No such file or directory" in text
    assert f"script of this environment: none of that name in {scripts}" in text
    assert "console script: no installed distribution declares one of that name" in text
    assert "package: that is not a name of one" in text


def test_a_broken_distribution_does_not_hide_the_others(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(tmp_path, "a-broken", "no value")
    distribution(tmp_path, "b-sound", "tool = some.module:main [extra]")
    assert "from some.module import main; sys.exit(main())" in find_program(["tool"])[1]
    text = refusal("absent")
    assert "console script: no installed distribution declares one of that name" in text
    assert f"cannot be read: {tmp_path}/a-broken-1.dist-info" in text


@pytest.mark.parametrize("value", ["some_module", "not a module!", "a:b!", ":main", ""])
def test_an_entry_point_that_is_no_function_is_pointed_out(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(tmp_path, "odd", f"odd-tool = {value}")
    assert f"what is declared by that name is no function: {value}" in refusal("odd-tool")


def test_a_module_that_is_no_package_is_pointed_out(scripts: Path) -> None:
    Path("single.py").touch()
    assert "`-m single` runs it" in refusal("single")


def test_what_is_plainly_a_path_is_looked_for_nowhere_else(scripts: Path) -> None:
    (scripts / "tool").write_text(f"#!{sys.executable}\n")
    text = refusal("./tool")
    assert "path:" in text
    assert "script of this environment" not in text


def test_a_program_that_is_not_python_is_refused(scripts: Path) -> None:
    (scripts / "tool").write_bytes(b"\x7fELF\x02\x01\x01\x00")
    assert f"{scripts / 'tool'} is not a Python script" in refusal("tool")
    (scripts / "tool").write_text("#!/bin/sh\necho hello\n")
    assert "is not a Python script" in refusal("tool")


@pytest.mark.parametrize("by", ["name", "path"])
def test_a_script_of_another_virtual_environment_is_refused(
    scripts: Path, tmp_path: Path, by: str
) -> None:
    (tmp_path / "other" / "bin").mkdir(parents=True)
    (tmp_path / "other" / "pyvenv.cfg").touch()
    python = tmp_path / "other" / "bin" / "python"
    (scripts / "tool").write_text(f"#!{python}\n")
    words = ["tool"] if by == "name" else [str(scripts / "tool")]
    assert find_program(words) == [str(scripts / "tool")]  # that environment is gone
    python.symlink_to(sys.executable)
    text = refusal(*words)
    assert "belongs to another Python" in text
    assert f"{python} -m macfix {scripts / 'tool'}" in text


def test_a_script_of_the_same_environment_by_another_spelling_is_not_refused(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "link").symlink_to(tmp_path / "env")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "link"))
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere")
    (scripts / "tool").write_text(f"#!{tmp_path / 'env' / 'bin' / 'python'}\n")
    assert find_program(["tool"]) == [str(scripts / "tool")]


def test_a_script_of_a_python_that_is_no_virtual_environment_is_not_refused(scripts: Path) -> None:
    """Its first line says `/usr/bin/python3`, say: people run such scripts with their own."""
    base = Path(sys.base_prefix, "bin", "python3")
    (scripts / "tool").write_text(f"#!{base}\n")
    assert find_program(["tool"]) == [str(scripts / "tool")]


def test_looking_at_a_program_reads_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS a descriptor of `/dev/fd/N` has one position with N, where Python starts to read."""
    file = tmp_path / "program"
    file.write_text("#!/usr/bin/env python\n")
    os.mkfifo(tmp_path / "pipe")
    with file.open("rb") as stream:
        shared = stream.fileno()
        monkeypatch.setattr(
            programs, "open", lambda name, mode: os.fdopen(os.dup(shared), mode), raising=False
        )
        assert interpreter_of(str(file)) == ""
        assert os.lseek(shared, 0, os.SEEK_CUR) == 0
    assert interpreter_of(str(tmp_path / "pipe")) is None, "nobody would ever write to it"


@pytest.mark.parametrize(
    ("text", "interpreter"),
    [
        ("#!/opt/env/bin/python3.12\nx", "/opt/env/bin/python3.12"),
        ("#! /opt/env/bin/python -I\nx", "/opt/env/bin/python"),
        ("#!/usr/bin/env python3\nx", ""),
        ("#!/opt/pypy/bin/pypy3\nx", "/opt/pypy/bin/pypy3"),
        ("#!/bin/sh\n'''exec' /long/bin/python \"$0\" \"$@\"\n' '''\n", "/long/bin/python"),
        ("#!/bin/sh\n'''exec' \"/a long/bin/python\" \"$0\" \"$@\"\n' '''\n", "/a long/bin/python"),
        ("#!/bin/sh\n'''exec' '/a long/bin/python3' \"$0\" \"$@\"\n' '''\n", "/a long/bin/python3"),
        ("#!/bin/sh\n'''exec' \"$(realpath -- \"$0\")\"/'python' \"$0\" \"$@\"\n", ""),
        ("#!/bin/sh\necho\n", None),
        ("#!/usr/bin/env bash\n", None),
        ("#!\n", None),
        ("", None),
        ("import sys\n", None),
        ("\x7fELF", None),
    ],
)  # fmt: skip
def test_the_python_that_a_script_asks_for(tmp_path: Path, text: str, interpreter: str) -> None:
    (tmp_path / "script").write_text(text)
    assert interpreter_of(str(tmp_path / "script")) == interpreter


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with a few scripts in it."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    purelib = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    (Path(purelib) / "macfix.pth").write_text(str(REPOSITORY))
    (Path(purelib) / "tool_of_dist.py").write_text(
        "import sys\ndef main():\n    print(__name__, sys.argv)\n    sys.exit(5)\n"
        "def bad():\n    1 / 0\n"
    )
    texts = {
        "plain": f"#!{python}\n{TOOL}",
        "trampoline": f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n{TOOL}",
        "tool": f"#!{python}\nimport sys\nfrom tool_of_dist import main\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n",
    }
    for name, text in texts.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    distribution(Path(purelib), "tool-of-dist", "entry = tool_of_dist:main\nbad = tool_of_dist:bad")
    return folder


def run(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": os.environ["HOME"]}
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, env=env)


@pytest.mark.parametrize("name", ["plain", "trampoline", "tool"])
def test_a_script_of_the_environment_is_what_it_is_in_the_shell(
    environment: Path, name: str
) -> None:
    alone = run(environment, environment / "bin" / name, "a", "-m", "--help")
    by_macfix = run(
        environment, environment / "bin" / "python", "-m", "macfix", name, "a", "-m", "--help"
    )
    assert (by_macfix.returncode, by_macfix.stdout) == (alone.returncode, alone.stdout)
    assert by_macfix.stderr == alone.stderr
    assert f"{environment}/bin/{name}" in by_macfix.stdout


def test_an_entry_point_without_a_script_runs_as_its_script_would(environment: Path) -> None:
    python = environment / "bin" / "python"
    done = run(environment, python, "-m", "macfix", "entry", "a")
    assert done.returncode == 5
    assert done.stdout == f"tool_of_dist ['{environment}/bin/entry', 'a']\n"


def test_an_entry_points_traceback_is_its_own(environment: Path) -> None:
    done = run(environment, environment / "bin" / "python", "-m", "macfix", "bad")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "tool_of_dist.py" in done.stderr
    assert "macfix" not in done.stderr


def test_a_script_named_like_a_command_runs_by_run(environment: Path) -> None:
    script = environment / "bin" / "status"
    script.write_text(f"#!{environment / 'bin' / 'python'}\n{TOOL}")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    done = run(environment, environment / "bin" / "python", "-m", "macfix", "run", "status", "-h")
    assert done.stdout.startswith("tool __main__")


def test_a_package_runs_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "inner").mkdir()
    (tmp_path / "outer" / "inner" / "__main__.py").write_text(TOOL)
    twins = Twins(tmp_path)
    assert twins.by_macfix(["outer.inner", "a"]) == twins.alone(["-m", "outer.inner", "a"])
