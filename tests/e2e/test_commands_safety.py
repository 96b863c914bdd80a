"""macfix's own commands run nothing of the current folder, and whatever reads them is no error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment
from tests.support.plugin import add_entry_point
from tests.support.surroundings import every

TRAP = "open({trace!r}, 'a').write(__name__ + '\\n')\nraise RuntimeError('a trap was imported')\n"

LOADED = """\
import sys
before = sorted({name.partition(".")[0] for name in sys.modules})
import json
print(json.dumps(before))
"""

COMMANDS = {
    "--help": 0,
    "--version": 0,
    "status": 0,
    "status --json": 0,
    "--simulate status": 0,
    "doctor": 0,
    "--simulate doctor": 0,
    "doctor --report": 0,
    "conformance": 0 if sys.platform == "darwin" else 1,
    "--simulate conformance": 0,
    "shm ls": 0,
    "shm reap": 0,
    "--simulate shm ls": 0,
    "enable": 0,
    "enable --check": 0,
    "disable": 0,
    "demo": 2,  # it needs trio and numpy, which are not here
    "run --help": 0,
    "help": 0,
    "help simulation": 0,
    "new-patch acme-b --target tractor.c": 0,
    "completion bash": 1,  # argcomplete is not here, either
    "no-such-program": 2,
}
"""Every command, with its exit code."""


@pytest.fixture
def commanded(environment: Environment) -> Environment:
    """An environment that has the script `macfix`, as pip writes it."""
    script = environment.folder / "bin" / "macfix"
    script.write_text(
        f"#!{environment.python}\nimport sys\nfrom macfix.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return environment


def lay_traps(folder: Path, but: set[str]) -> Path:
    """Fill *folder* with a trap for everything that macfix may import; the answer is the trace."""
    folder.mkdir()
    trace = folder.parent / "trace"
    names = set(sys.stdlib_module_names) | {"wrapt", "pluggy", "tractor", "piker", "own_plugin"}
    names |= {"macfix", "_macfix_autoload", "sitecustomize", "usercustomize", "the_trap"}
    for name in names - but:
        (folder / f"{name}.py").write_text(TRAP.format(trace=str(trace)))
    add_entry_point(folder, "trap", "the_trap")
    return trace


def loaded_by_python(environment: Environment, tmp_path: Path) -> set[str]:
    """What `python -m` imports by itself before the first line of the module."""
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "__init__.py").touch()
    (tmp_path / "probe" / "__main__.py").write_text(LOADED)
    loaded: list[str] = json.loads(environment.run("-m", "probe", cwd=tmp_path))
    return set(loaded)


@pytest.mark.parametrize("way", every(2, ["-m", "script", "on PYTHONPATH"]))
def test_nothing_of_the_current_folder_or_an_open_one_is_run(
    commanded: Environment, tmp_path: Path, way: str
) -> None:
    """For `python -m macfix` this is true from macfix's first line on."""
    by_python = loaded_by_python(commanded, tmp_path) | {"macfix"}
    # what the interpreter takes from PYTHONPATH as it starts, before anything else
    by_python |= {"sitecustomize", "usercustomize", "_macfix_autoload"}
    trace = lay_traps(tmp_path / "trapped", set() if way == "script" else by_python)
    if way == "on PYTHONPATH":
        (tmp_path / "trapped").chmod(0o777)
    for command, code in COMMANDS.items():
        words = ["-m", "macfix"] if way != "script" else [commanded.folder / "bin" / "macfix"]
        env = {"PYTHONPATH": str(tmp_path / "trapped")} if way == "on PYTHONPATH" else {}
        cwd = tmp_path if way == "on PYTHONPATH" else tmp_path / "trapped"
        done = environments.run(commanded.python, *words, *command.split(), cwd=cwd, **env)
        sprung = trace.read_text() if trace.exists() else ""
        assert sprung == "", f"{command}: {sprung}{done.stderr}"
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, command


def test_the_traps_work(commanded: Environment, tmp_path: Path) -> None:
    trace = lay_traps(tmp_path / "trapped", set())
    done = environments.run(commanded.python, "-c", "import wrapt", cwd=tmp_path / "trapped")
    assert done.returncode == 1
    assert trace.read_text().startswith("wrapt\n")  # showing the error springs others


# -- whatever reads it -----------------------------------------------------------------------------

SHOWING = ["--help", "--version", "status", "doctor", "conformance", "shm ls", "enable --check"]
SHOWING += ["help variables"]


@pytest.mark.parametrize("command", SHOWING)
def test_a_reader_that_has_gone_is_no_traceback(enabled: Environment, command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = subprocess.run(
            [enabled.python, "-m", "macfix", *command.split()],
            env={"HOME": os.environ["HOME"], "PATH": os.environ["PATH"]},
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (1, "")


FULL = "macfix: cannot write to standard output: No space left on device\n"
on_a_full_disk = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="only Linux has /dev/full"
)


def on_full(environment: Environment, command: str) -> subprocess.CompletedProcess[str]:
    line = f"exec {environment.python} {command} >/dev/full"
    return environments.run("/bin/sh", "-c", line, cwd=environment.folder)


@on_a_full_disk
@pytest.mark.parametrize(("command", "options"), every(3, product(SHOWING, ["", "-u"])))
def test_a_disk_that_is_full_is_said_in_one_line(
    enabled: Environment, command: str, options: str
) -> None:
    done = on_full(enabled, f"{options} -m macfix {command}")
    assert (done.returncode, done.stderr) == (1, FULL)


@on_a_full_disk
@pytest.mark.parametrize("options", ["", "-u"], ids=["buffered", "unbuffered"])
def test_what_was_done_is_said_where_standard_output_takes_nothing(
    environment: Environment, options: str
) -> None:
    for command, said in {
        "enable": f"macfix is now enabled in {environment.folder}: {environment.pth}\n",
        "disable": f"removed {environment.pth}\nremoved {environment.autoload}\n",
        "shm reap": "0 segments, 0 B, freed\n",
    }.items():
        done = on_full(environment, f"{options} -m macfix {command}")
        assert (done.returncode, done.stderr) == (1, said + FULL)


CLOSING = product(
    ["status", "doctor", "shm ls", "nonsense", "--help"], [">&-", "2>&-", ">&- 2>&-", "<&-"]
)


@pytest.mark.parametrize(("command", "closed"), every(3, CLOSING))
def test_closed_streams_are_no_traceback(enabled: Environment, command: str, closed: str) -> None:
    line = f"exec {enabled.python} -m macfix {command} {closed}"
    done = environments.run("/bin/sh", "-c", line, cwd=enabled.folder)
    assert done.returncode == (2 if command == "nonsense" else 0)
    assert "Traceback" not in done.stderr + done.stdout
    assert "there is no program" not in done.stdout, "an error is no output"


def test_where_standard_error_is_closed_an_error_is_no_output(enabled: Environment) -> None:
    line = f"exec {enabled.python} -m macfix nonsense 2>&-"
    done = environments.run("/bin/sh", "-c", line, cwd=enabled.folder)
    assert (done.returncode, done.stdout) == (2, "")


IN_ASCII = product(
    ["status", "doctor", "shm ls", "--help", "nönsense"],
    [{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}],
)


@pytest.mark.parametrize(("command", "env"), every(3, IN_ASCII), ids=str)
def test_a_terminal_of_ascii_is_no_traceback(
    enabled: Environment, command: str, env: dict[str, str]
) -> None:
    done = environments.run(
        enabled.python, "-m", "macfix", *command.split(), cwd=enabled.folder, **env
    )
    assert done.returncode == (2 if command == "nönsense" else 0), done.stderr
    assert "Traceback" not in done.stderr


HOMELESS = product(
    ["status", "doctor", "shm ls", "shm reap", "enable --check"],
    ["/nonexistent", "", "relative", "/dev/null"],
)


@pytest.mark.parametrize(("command", "home"), every(3, HOMELESS))
def test_a_home_that_is_none_is_no_traceback(enabled: Environment, command: str, home: str) -> None:
    done = environments.run(
        enabled.python, "-m", "macfix", *command.split(), cwd=enabled.folder, HOME=home
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert not (enabled.folder / "relative").exists()


def status_beside(
    environment: Environment, file: Path, text: str
) -> subprocess.CompletedProcess[str]:
    """Run `macfix status` where a module with *text* is in the way."""
    file.write_text(text)
    words, folder = ["-m", "macfix", "status"], file.parent
    return environments.run(environment.python, *words, cwd=folder, PYTHONPATH=str(folder))


def test_a_module_that_hides_one_that_macfix_needs_is_named_in_one_line(
    enabled: Environment, tmp_path: Path
) -> None:
    done = status_beside(enabled, tmp_path / "json.py", "raise ImportError('mine')\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"macfix: cannot be imported: mine (in {tmp_path / 'json.py'})\n"


def test_a_stream_that_a_sitecustomize_has_closed_is_no_traceback(
    environment: Environment, tmp_path: Path
) -> None:
    done = status_beside(
        environment, tmp_path / "sitecustomize.py", "import sys; sys.stdout.close()\n"
    )
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_command_with_130_and_no_traceback(
    environment: Environment, tmp_path: Path
) -> None:
    """While `status` waits for an upstream that takes its time to be imported."""
    ready = tmp_path / "ready"
    (environment.packages / "tractor" / "thing.py").write_text(
        f"open({str(ready)!r}, 'w').close()\nimport time\ntime.sleep(60)\n"
    )
    command = ["--simulate", "status"] if sys.platform == "linux" else ["status"]
    process = subprocess.Popen(
        [environment.python, "-m", "macfix", *command],
        env={"HOME": os.environ["HOME"], "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not ready.exists():
            assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, told = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert (process.returncode, told) == (130, "")
