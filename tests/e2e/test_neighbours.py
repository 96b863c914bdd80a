"""macfix beside others that reach into the import system: no import stops, the patches stay.

The upstream is the replica of tractor that the demo uses, on a simulated Mac where this is none.
What is not among the tests' own requirements (ddtrace, opentelemetry, pytest-cov) comes from the
package index, and only with `MACFIX_HEAVY=full`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment
from tests.support.once import made_once
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY

MACFIX = ["-m", "macfix", *(["--simulate"] if sys.platform == "linux" else [])]

LOOK = """
import macfix, tractor.ipc._uds
found = macfix.status()
states = {str(entry.state) for entry in found.entries if entry.target == "tractor.ipc._uds"}
print("macfix:", found.active, *states, *found.problems)
"""
PATCHED = "macfix: True applied"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def populated(installed: Environment, run_folder: Path) -> Environment:
    """An environment with macfix's wheel that also sees what the tests themselves run on."""

    def make(folder: Path) -> None:
        made = environments.like(installed, folder)
        places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (made.packages / "of_the_tests.pth").write_text("\n".join(places))

    return Environment(made_once(run_folder / "populated", make))


def runner(environment: Environment, folder: Path, sandbox: Sandbox) -> Run:
    """What runs a command line of Python with the replica; the answer is its standard output."""

    def run(*words: str | Path, **env: str) -> str:
        replicas = environment.packages / "macfix" / "cli" / "demo" / "replicas"
        of_the_test = {
            "PYTHONPATH": str(replicas),
            "PATH": f"{environment.folder / 'bin'}:/usr/bin:/bin",
            "MACFIX_SIMULATE_DIR": str(sandbox.segments),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = environments.run(environment.python, *words, cwd=folder, **of_the_test | env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "macfix" not in done.stderr, done.stderr
        return done.stdout

    return run


@pytest.fixture
def run(populated: Environment, tmp_path: Path, sandbox: Sandbox) -> Run:
    return runner(populated, tmp_path, sandbox)


# -- what checks types, and what measures coverage -------------------------------------------------

CHECKERS = {
    "beartype": "from beartype.claw import beartype_package; beartype_package('tractor.ipc')",
    "typeguard": "from typeguard import install_import_hook; install_import_hook('tractor.ipc')",
}
CHECK = """
try: tractor.ipc._uds.UDSAddress.get_random("no path")
except Exception as error: print(type(error).__module__.partition(".")[0])
"""


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_of_types_on_a_subpackage(run: Run, checker: str) -> None:
    shown = run(*MACFIX, "-c", CHECKERS[checker] + LOOK + CHECK)
    assert shown.splitlines() == [PATCHED, checker]


@pytest.mark.skipif(importlib.util.find_spec("coverage") is None, reason="no coverage installed")
@pytest.mark.parametrize("source", ["tractor.ipc", "tractor", "tractor.ipc._uds"])
def test_coverage_of_a_package_that_it_imports_and_purges(
    run: Run, tmp_path: Path, source: str
) -> None:
    """To find the files of the package, it imports it, and macfix with it, and takes it back."""
    (tmp_path / "program.py").write_text(LOOK)
    words = ["coverage", "run", f"--source={source}", "program.py"]
    shown = run("-W", "error", *MACFIX, *words)
    assert shown.splitlines() == [PATCHED]
    assert "_uds.py" in run("-m", "coverage", "report")


# -- pytest ----------------------------------------------------------------------------------------

SUITE = "import pytest\ndef test_it(capsys):\n" + "".join(
    f"    {line}\n" for line in LOOK.strip().splitlines()
)
SUITE += f"    assert capsys.readouterr().out.strip() == {PATCHED!r}\n"
QUIET = ("-p", "no:cacheprovider", "-p", "no:xdist", "-q")


@pytest.mark.parametrize("option", [[], ["--macfix"]], ids=["by the runner", "and by its plugin"])
def test_pytest_with_warnings_that_are_errors(run: Run, tmp_path: Path, option: list[str]) -> None:
    """macfix is installed, so pytest finds its plugin; it warns of those that came before it."""
    (tmp_path / "test_it.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    assert "1 passed" in run(*MACFIX, "pytest", *QUIET, *option)
    assert "1 passed" in run(*MACFIX, "-m", "pytest", *QUIET, *option, "-W", "error")


@pytest.mark.parametrize("asks", ["", "PYTEST_DONT_REWRITE"], ids=["rewritten", "not rewritten"])
def test_pytests_rewriting_of_assertions_in_a_target(
    run: Run, populated: Environment, tmp_path: Path, asks: str
) -> None:
    replica = populated.packages / "macfix" / "cli" / "demo" / "replicas" / "tractor"
    for file in replica.rglob("*.py"):
        place = tmp_path / "up" / "tractor" / file.relative_to(replica)
        place.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text()
        if file.name == "_uds.py":
            text = text.replace('"""', f'"""{asks} ', 1)
            text += "def compare(one, other):\n    assert one == other\n"
        place.write_text(text)
    (tmp_path / "conftest.py").write_text(
        "import pytest\npytest.register_assert_rewrite('tractor.ipc._uds')\n"
    )
    suite = SUITE + "    with pytest.raises(AssertionError) as raised:\n"
    suite += "        tractor.ipc._uds.compare(1, 2)\n    assert ('1 == 2' in str(raised.value))"
    (tmp_path / "test_it.py").write_text(f"{suite} is {not asks}\n")
    shown = run(*MACFIX, "pytest", *QUIET, "-W", "error", PYTHONPATH=str(tmp_path / "up"))
    assert "1 passed" in shown


# -- what programs do to the import system ---------------------------------------------------------

ODDITIES = {
    "a tuple for sys.meta_path": "import sys; sys.meta_path = tuple(sys.meta_path)",
    "no string in sys.path": (
        "import sys, pathlib; sys.path[1:1] = [None, 17, b'/nowhere', pathlib.Path('/nowhere')]"
    ),
    "sys.modules without macfix": (
        "import sys\n"
        "for name in [n for n in sys.modules if 'macfix' in n and 'simulate' not in n]:\n"
        "    del sys.modules[name]"
    ),
}


@pytest.mark.parametrize("oddity", ODDITIES)
@pytest.mark.parametrize(
    "before",
    ["", "import macfix; macfix.activate()\n", LOOK],
    ids=["while macfix waits", "once it is active", "and the upstream imported"],
)
def test_oddities_stop_no_import_and_keep_the_patches(run: Run, oddity: str, before: str) -> None:
    again = "import sys\nfor n in [n for n in sys.modules if 'tractor' in n]: del sys.modules[n]\n"
    shown = run(*MACFIX, "-c", f"{before}{ODDITIES[oddity]}\n{again}{LOOK}")
    assert set(shown.splitlines()) == {PATCHED}


@pytest.mark.parametrize("text", ["", "raise RuntimeError('mine')\n"], ids=["empty", "raises"])
@pytest.mark.parametrize("name", ["json", "ast", "hashlib", "secrets", "sqlite3"])
def test_a_file_of_the_program_in_the_place_of_a_module_that_macfix_needs(
    populated: Environment, tmp_path: Path, sandbox: Sandbox, name: str, text: str
) -> None:
    """The patches are there, or one line names the file; the program goes on."""
    (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "program.py").write_text(
        "try: import tractor.ipc._uds\nexcept Exception: pass\n"
        "import macfix\n"
        "try: print('applied' in {str(entry.state) for entry in macfix.status().entries})\n"
        "except Exception: print(False)\n"
    )
    replicas = populated.packages / "macfix" / "cli" / "demo" / "replicas"
    env = {"PYTHONPATH": str(replicas), "MACFIX_SIMULATE_DIR": str(sandbox.segments)}
    done = environments.run(populated.python, *MACFIX, "program.py", cwd=tmp_path, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "macfix" in line]
    if done.stdout != "True\n":
        assert len(lines) == 1 and str(tmp_path / f"{name}.py") in lines[0], done.stderr


LIKE_OPENTELEMETRY = """
from importlib.metadata import entry_points
for point in entry_points(group="opentelemetry_pre_instrument"):
    point.load()()
"""
"""It does not run the next sitecustomize."""


def test_a_sitecustomize_like_opentelemetrys_does_not_keep_macfix_out(
    run: Run, populated: Environment, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LIKE_OPENTELEMETRY)
    package = populated.packages / "macfix"
    others = [str(tmp_path), str(package / "cli" / "demo" / "replicas")]
    simulated = {"MACFIX_SIMULATE": "1"} if sys.platform == "linux" else {}
    site = str(package / "activation" / "site")
    with_macfix = os.pathsep.join([others[0], site, others[1]])
    look = f"{LOOK}import sys; print({site!r} in sys.path)"
    shown = run("-c", look, PYTHONPATH=with_macfix, **simulated)
    assert shown.splitlines() == [PATCHED, "False"]
    loaded = "import sys; print([name for name in sys.modules if 'autoload' in name], sys.platform)"
    alone = run("-c", loaded, PYTHONPATH=os.pathsep.join(others), **simulated)
    assert alone.strip() == f"[] {sys.platform}"


# -- from the package index ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def instrumented(wheel: Path, run_folder: Path) -> Environment:
    """An environment with macfix's wheel, ddtrace, opentelemetry and pytest-cov."""

    def make(folder: Path) -> None:
        made = Environment.make(folder)
        words = ["--python", made.python, "install", "--quiet", "--no-cache-dir", wheel]
        names = ["opentelemetry-distro", "opentelemetry-instrumentation", "ddtrace", "pytest-cov"]
        done = environments.pip(*words, *names, "trio", check=False)
        if done.returncode:
            pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")

    return Environment(made_once(run_folder / "instrumented", make))


SILENT = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0",
    "DD_REMOTE_CONFIGURATION_ENABLED": "0",
    "DD_TRACE_ENABLED": "0",
    **{f"OTEL_{what}_EXPORTER": "none" for what in ("TRACES", "METRICS", "LOGS")},
}
"""Nothing is sent anywhere."""


@pytest.mark.skipif(HEAVY != "full", reason="from the package index: MACFIX_HEAVY=full")
@pytest.mark.xdist_group("instrumented")
class TestInstrumented:
    @pytest.mark.parametrize(
        ("words", "seen"),
        [
            (["MACFIX", "ddtrace-run", "python"], "ddtrace"),
            (["MACFIX", "opentelemetry-instrument", "python"], "opentelemetry"),
            (["BIN/ddtrace-run", "python", "MACFIX"], "ddtrace"),
            (["BIN/opentelemetry-instrument", "python", "MACFIX"], "opentelemetry"),
            (["MACFIX", "opentelemetry-instrument", "ddtrace-run", "python"], "ddtrace"),
            (["BIN/ddtrace-run", "opentelemetry-instrument", "python", "MACFIX"], "opentelemetry"),
        ],
        ids=" ".join,
    )
    def test_its_sitecustomize_in_either_order(
        self,
        instrumented: Environment,
        tmp_path: Path,
        sandbox: Sandbox,
        words: list[str],
        seen: str,
    ) -> None:
        scripts = str(instrumented.folder / "bin")
        given: list[str] = []
        for word in words:
            given += MACFIX if word == "MACFIX" else [word.replace("BIN", scripts)]
        code = LOOK + f"import sys; print({seen!r} in sys.modules)"
        run = runner(instrumented, tmp_path, sandbox)
        assert run(*given, "-c", code, **SILENT).splitlines() == [PATCHED, "True"]

    @pytest.mark.parametrize("option", [[], ["--macfix"]], ids=["by the runner", "and its plugin"])
    @pytest.mark.parametrize("package", ["tractor", "tractor.ipc"])
    def test_pytest_cov(
        self,
        instrumented: Environment,
        tmp_path: Path,
        sandbox: Sandbox,
        option: list[str],
        package: str,
    ) -> None:
        (tmp_path / "test_it.py").write_text(SUITE)
        run = runner(instrumented, tmp_path, sandbox)
        words = ["-p", "no:cacheprovider", "-p", "no:ddtrace", f"--cov={package}", *option]
        shown = run(*MACFIX, "pytest", "-q", "-W", "error", *words, **SILENT)
        assert "1 passed" in shown and "_uds.py" in shown
