"""The command line, in processes of its own, with a small upstream and plugin of the test's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import macfix
from macfix.activation.environment import SITE
from macfix.cli.commands import SUMMARIES, TOPICS
from macfix.simulate import Spec
from macfix.simulate._spec import _CHOICES as CHOICES
from tests.support.plugin import lay_out_plugin
from tests.support.surroundings import HEAVY, REPOSITORY

SIMULATED = () if sys.platform == "darwin" else ("--simulate",)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the simulation needs Linux")
on_mac = pytest.mark.skipif(sys.platform != "darwin", reason="what a Mac says")

PATCH = """\
import macfix

def diagnose(source):
    if "strange" in source.text:
        return macfix.unknown("it looks strange")
    if "fixed" in source.text:
        return macfix.not_needed("fixed upstream")
    return macfix.needed("the answer is wrong")

def install(module, changes):
    if getattr(module, "fails", False):
        raise ValueError("it fails")
    changes.set(module, "answer", 42)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to put on the path, with a plugin and an upstream that has its target."""
    (tmp_path / "tractor").mkdir()
    (tmp_path / "tractor" / "__init__.py").touch()
    (tmp_path / "tractor" / "own.py").write_text("answer = 1\n")
    targets = {"tractor.own": ["patch"], "tractor.absent": ["patch"]}
    lay_out_plugin(tmp_path, "own", {"patch": PATCH}, targets)
    (tmp_path / "prog.py").write_text(
        "import sys\nimport tractor.own\nprint(sys.platform, tractor.own.answer, sys.argv)\n"
    )
    return tmp_path


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """An empty folder: no upstream is installed."""
    return tmp_path


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "macfix", *words],
        env=bare | {"PYTHONPATH": f"{REPOSITORY}:{folder}"} | env,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )


def line(text: str, *words: str) -> str:
    """The one line of *text* that has all *words* in it."""
    lines = [line for line in text.splitlines() if all(word in line for word in words)]
    assert len(lines) == 1, f"{words} in {text}"
    return lines[0]


# -- the command line itself -----------------------------------------------------------------------


@on_linux
def test_a_simulation_that_cannot_start_is_one_line_of_every_command(folder: Path) -> None:
    for command in ("status", "shm ls", "doctor"):
        done = run(folder, "--simulate", *command.split(), MACFIX_SIMULATE_DIR="relative")
        assert done.returncode in (1, 2) and "Traceback" not in done.stderr, done
        assert "is not an absolute path" in done.stderr, done


@on_linux
def test_a_misspelt_variable_is_said_where_nothing_is_patched_too(folder: Path) -> None:
    done = run(folder, "-c", "print('ran')", MACFIX_SIMULAT="1")
    assert done.stdout == "ran\n"
    said = "macfix has no variable MACFIX_SIMULAT; did you mean MACFIX_SIMULATE?"
    assert done.stderr == f"macfix: {said}\n"
    done = run(folder, "status", MACFIX_SIMULAT="1", MACFIX_SKIP="own-patsh")
    assert f"problem  settings: {said}" in done.stdout and done.returncode == 1
    assert "there is no patch 'own-patsh'; did you mean own-patch?" in done.stdout


@pytest.mark.parametrize(("word", "hint"), [("docter", "doctor"), ("simulat", "simulate")])
def test_a_misspelt_command_gets_the_nearest(nothing: Path, word: str, hint: str) -> None:
    done = run(nothing, word)
    assert done.returncode == 2 and done.stderr.endswith(f"\nmacfix: did you mean {hint}?\n"), done


def test_help_on_what_there_is_none_names_all_that_there_is(nothing: Path) -> None:
    done = run(nothing, "help", "xyz")
    said = "there is no help on 'xyz', only on run, simulate, status, "
    assert done.returncode == 2 and said in done.stderr and "exit-codes" in done.stderr, done
    assert "'' is no program" in run(nothing, "").stderr


@on_linux
def test_looking_leaves_the_users_folders_alone(nothing: Path) -> None:
    """piker writes a configuration when it is imported."""
    writes = (
        "import os, pathlib, sys\n"
        "for place in '~/Library/Application Support/piker', '~/.config/piker':\n"
        "    pathlib.Path(os.path.expanduser(place)).mkdir(parents=True, exist_ok=True)\n"
    )
    (nothing / "piker").mkdir()
    (nothing / "piker" / "__init__.py").write_text(writes)
    (nothing / "piker" / "config.py").touch()
    home = nothing / "home"
    home.mkdir()
    for command in ("status", "doctor"):
        done = run(nothing, "--simulate", command, HOME=str(home))
        assert "Traceback" not in done.stdout + done.stderr, done
        left = [path for path in home.rglob("*") if ".cache" not in path.parts]
        assert left == [], done


def test_what_every_user_can_change_is_left_out_and_named(tmp_path: Path) -> None:
    place = tmp_path / "open"
    for package in ("pluggy", "wrapt"):
        (place / package).mkdir(parents=True)
        (place / package / "__init__.py").touch()
    place.chmod(0o777)
    code = (
        "import sys, macfix.cli; sys.argv = ['macfix', 'status']; "
        f"sys.path = ['', {str(place)!r}, *[p for p in sys.path if 'site-packages' not in p]]; "
        "sys.exit(macfix.cli.main())"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "No module named" in done.stderr, done
    assert f"macfix: left out, as every user can change it: {place}\n" in done.stderr


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(nothing: Path, option: str) -> None:
    done = run(nothing, option)
    assert (done.returncode, done.stdout) == (0, f"macfix {macfix.__version__}\n")


def test_help_names_every_command_and_topic_and_explains_it(nothing: Path) -> None:
    shown = run(nothing, "--help").stdout
    for name in (*SUMMARIES, *TOPICS):
        assert re.search(rf"^  {name} |^  help .* {name}\b", shown, re.MULTILINE), name
    assert run(nothing, "help").stdout == run(nothing, "-h").stdout == shown


@pytest.mark.parametrize("words", ["", *SUMMARIES, "shm ls", "shm reap"])
def test_help_fits_a_screen_and_has_examples(nothing: Path, words: str) -> None:
    done = run(nothing, *words.split(), "-h", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert run(nothing, "help", *words.split(), COLUMNS="80").stdout == done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert done.stdout.count("macfix ") > 1, "an example besides the usage"


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_a_text_that_fits_a_screen(nothing: Path, topic: str) -> None:
    done = run(nothing, "help", topic)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "") and 5 < len(lines) <= 24
    assert max(map(len, lines)) <= (100 if topic == "variables" else 80)


def test_the_help_on_the_simulation_has_every_key_and_value(nothing: Path) -> None:
    allowed = Spec.__dataclass_fields__.keys() | {
        str(one) for each in CHOICES.values() for one in each
    }
    assert allowed <= set(re.findall(r"\w+", run(nothing, "help", "simulation").stdout))


@pytest.mark.parametrize(
    "words",
    [[], ["--bogus"], ["--bogus", "prog.py"], ["run"], ["run", "--bogus", "prog.py"],
     ["simulate"], ["status", "--bogus"], ["no-such-program"], ["-m"], ["./missing.py"],
     ["--sim", "status"], ["--"], ["enable", "--che"], ["help", "bogus"], ["status", "-qv"]],
    ids=" ".join,
)  # fmt: skip
def test_nonsense_is_exit_code_2_and_says_so(nothing: Path, words: list[str]) -> None:
    done = run(nothing, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "macfix" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("-E prog.py", "try `python -E -m macfix prog.py`"),
        ("-OB -X dev -m mod", "try `python -OB -X dev -m macfix -m mod`"),
        ("simulate -I prog.py", "try `python -I -m macfix simulate prog.py`"),
        ("-- prog.py", "try `python -m macfix prog.py`"),
        ("--sim prog", "did you mean --simulate?"),
        ("run --simul=page=4096 prog", "did you mean --simulate?"),
        ("--bogus prog", "(those of a program come after it)"),
        ("-q prog.py", "-q is for macfix's own commands: leave it out"),
        ("--simulate page=4096 prog.py", "did you mean --simulate=page=4096?"),
        ("status --jsno", "did you mean --json?"),
        ("shm sl", "did you mean ls?"),
        ("shm ls --jsno", "did you mean --json?"),
        ("help stauts", "did you mean status?"),
        ("help STATUS", "did you mean status?"),
        ("new-pach", "did you mean new-patch?"),
    ],
)
def test_a_word_that_there_is_not_gets_a_hint(nothing: Path, words: str, hint: str) -> None:
    done = run(nothing, *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert hint in done.stderr


@pytest.mark.parametrize("variable", ["MACFIX_SKIP", "MACFIX_ONLY", "MACFIX_FORCE"])
def test_a_wrong_name_is_said_once_a_tree_and_is_an_error_if_strict(
    folder: Path, variable: str
) -> None:
    wrong = {"MACFIX_FORCE": "own-patch"} | {variable: "own-patch,own-pach"}
    tree = (
        "import subprocess, sys\nimport tractor.own\nprint(tractor.own.answer, flush=True)\n"
        "if sys.argv[1:] != ['leaf']:\n"
        "    for _ in range(2): subprocess.run([sys.executable, sys.argv[0], 'leaf'], check=True)\n"
    )
    (folder / "tree.py").write_text(tree)
    done = run(folder, "tree.py", **wrong)
    assert done.returncode == 0
    assert set(done.stdout.split()) == {"1" if variable == "MACFIX_SKIP" else "42"}
    assert done.stdout.count("\n") == 3
    said = f"{variable}: there is no patch 'own-pach'; did you mean own-patch?"
    assert done.stderr.count(said) == 1
    done = run(folder, "tree.py", MACFIX_STRICT="1", **wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_a_wrong_variable_is_said_and_names_the_nearest(folder: Path) -> None:
    wrong = {"MACFIX_FORCE": "own-patch", "MACFIX_SKIPP": "own-patch"}
    done = run(folder, "prog.py", **wrong)
    assert done.stdout.startswith(f"{sys.platform} 42")
    assert "macfix has no variable MACFIX_SKIPP; did you mean MACFIX_SKIP?" in done.stderr
    assert run(folder, "prog.py", MACFIX_STRICT="1", **wrong).returncode == 1


# -- running ---------------------------------------------------------------------------------------


@on_linux
@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["prog.py"], "linux 1 ['prog.py']"),
        (["run", "prog.py", "status"], "linux 1 ['prog.py', 'status']"),
        (["--simulate", "prog.py"], "darwin 42 ['prog.py']"),
        (["--simulate=page=4096,names=31", "prog.py"], "darwin 42 ['prog.py']"),
        (["run", "--simulate", "prog.py", "--simulate"], "darwin 42 ['prog.py', '--simulate']"),
        (["--simulate", "-m", "prog", "-h"], "darwin 42 "),
        (["simulate", "prog.py"], "darwin 1 ['prog.py']"),
        (["simulate", "--simulate=page=4096", "prog.py"], "darwin 1 ['prog.py']"),
        (["simulate", "-m", "prog"], "darwin 1 "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_program_is_patched_where_it_should_be(
    folder: Path, words: list[str], shown: str
) -> None:
    done = run(folder, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(shown)


@on_linux
def test_the_variable_simulates_as_the_option_does(folder: Path) -> None:
    assert run(folder, "prog.py", MACFIX_SIMULATE="1").stdout.startswith("darwin 42")
    done = run(folder, "prog.py", MACFIX_SIMULATE="1", MACFIX="off")
    assert done.stdout.startswith("darwin 1")
    for off in ("", " ", "0", "Off", "no", "false "):
        done = run(folder, "prog.py", MACFIX_SIMULATE=off)
        assert (done.stderr, done.stdout.split(" [")[0]) == ("", "linux 1")
        done = run(folder, "simulate", "prog.py", MACFIX_SIMULATE=off)
        assert (done.stderr, done.stdout.split(" [")[0]) == ("", "darwin 1")


def test_what_the_runner_has_named_stays_after_deactivating(folder: Path) -> None:
    """Relatives of the process have these names, too."""
    program = (
        "import os, macfix, tractor.own; before = {**os.environ}; macfix.deactivate(); "
        "names = 'MACFIX_TREE', 'MACFIX_SHM_TREE'; "
        "print(*(os.environ[name] == before[name] for name in names))"
    )
    assert run(folder, *SIMULATED, "-c", program).stdout == "True True\n"


@on_linux
def test_simulate_leaves_the_patches_out_where_they_were_inherited(folder: Path) -> None:
    path = f"{SITE}:{REPOSITORY}:{folder}"
    inherited = run(folder, "prog.py", PYTHONPATH=path, MACFIX_SIMULATE="1")
    assert inherited.stdout.startswith("darwin 42")
    done = run(folder, "simulate", "prog.py", PYTHONPATH=path, MACFIX_SIMULATE="1")
    assert (done.stdout.split(" [")[0], done.stderr) == ("darwin 1", "")


@on_linux
def test_patches_are_chosen_by_name(folder: Path) -> None:
    assert run(folder, "prog.py", MACFIX_FORCE="own-patch").stdout.startswith("linux 42")
    skipped = run(folder, "--simulate", "prog.py", MACFIX_SKIP="own-patch")
    assert skipped.stdout.startswith("darwin 1")


@on_linux
@pytest.mark.parametrize("words", [["--simulate=page=3", "prog.py"], ["--simulate=x", "status"]])
def test_a_simulation_that_makes_no_sense_is_refused(folder: Path, words: list[str]) -> None:
    done = run(folder, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("macfix: simulation: ")


def test_siblings_say_it_once_though_their_parent_imports_no_upstream(folder: Path) -> None:
    (folder / "parent.py").write_text(
        "import subprocess, sys\n"
        "words = [sys.executable, '-c', 'import tractor.own']\n"
        "for child in [subprocess.Popen(words) for _ in range(3)]:\n"
        "    assert child.wait() == 0\n"
    )
    for _ in range(2):  # another run is another tree
        done = run(folder, *SIMULATED, "parent.py", MACFIX_SKIPP="x")
        assert done.returncode == 0
        assert done.stderr.count("macfix has no variable MACFIX_SKIPP") == 1, done.stderr


@on_mac
@pytest.mark.parametrize("words", [["--simulate", "prog.py"], ["simulate", "prog.py"]])
def test_a_mac_has_nothing_to_simulate(folder: Path, words: list[str]) -> None:
    done = run(folder, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "this is a Mac, there is nothing to simulate" in done.stderr


# -- status ----------------------------------------------------------------------------------------


def break_plugin(folder: Path, line: str) -> None:
    (folder / "own_plugin" / "__init__.py").write_text(f"{line}\n")


def status(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run(folder, *SIMULATED, "status", *words, **env)


@on_linux
def test_off_darwin_status_says_what_would_happen(folder: Path) -> None:
    done = run(folder, "status")
    assert done.returncode == 0
    assert "inactive: linux does not need it" in done.stdout
    assert " needed." in done.stdout and line(done.stdout, "  needed  ", "own-patch")
    assert "`macfix --simulate status`" in done.stdout
    assert "tractor.absent" not in done.stdout
    shown = run(folder, "status", "-v").stdout
    assert "the answer is wrong" in line(shown, "tractor.own", "own-patch", "needed")


@on_linux
def test_off_darwin_what_is_forced_is_no_word_of_inactive(folder: Path) -> None:
    done = run(folder, "status", MACFIX_FORCE="own-patch")
    assert "active on linux, for what MACFIX_FORCE names. On macOS:\n" in done.stdout
    assert "inactive" not in done.stdout
    for force in ({}, {"MACFIX_FORCE": "own-patch"}):
        data = json.loads(run(folder, "status", "--json", **force).stdout)
        assert data["active"] is bool(force)


@on_linux
def test_off_darwin_no_upstream_is_imported(folder: Path) -> None:
    (folder / "tractor" / "__init__.py").write_text("raise AssertionError('imported')\n")
    assert "own-patch" in run(folder, "status").stdout


@on_linux
def test_off_darwin_an_unknown_upstream_is_exit_code_1(folder: Path) -> None:
    (folder / "tractor" / "own.py").write_text("strange = 1\n")
    done = run(folder, "status")
    assert done.returncode == 1
    assert "it looks strange" in done.stdout


@on_linux
def test_off_darwin_a_broken_plugin_is_a_problem_unless_it_is_kept_out(folder: Path) -> None:
    break_plugin(folder, "raise SystemExit('broken')")
    done = run(folder, "status")
    assert done.returncode == 1
    assert "SystemExit: broken" in line(done.stdout, "  problem  ", "own: ")
    data = json.loads(run(folder, "status", "--json").stdout)
    assert [problem["where"] for problem in data["problems"]] == ["own"]
    for keep_out in ({"MACFIX_BLOCK": "own"}, {"MACFIX_PLUGINS": ""}):
        assert run(folder, "status", **keep_out).returncode == 0


@on_linux
def test_off_darwin_without_upstream(nothing: Path) -> None:
    done = run(nothing, "status")
    assert done.returncode == 0
    assert "neither tractor nor piker is installed" in done.stdout


def test_the_ledger_on_darwin(folder: Path) -> None:
    done = status(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert " applied." in done.stdout and line(done.stdout, "  applied ", "own-patch")
    assert " absent" in line(done.stdout, "not installed ")
    for words in (("status", "-v"), ("status", "--verbose"), ("-v", "status")):
        shown = run(folder, *SIMULATED, *words).stdout
        assert "the answer is wrong" in line(shown, "tractor.own ", "own-patch", "applied")
    assert status(folder, "-q").stdout == run(folder, "-q", *SIMULATED, "status").stdout == ""


def test_the_ledger_on_darwin_without_upstream(nothing: Path) -> None:
    done = status(nothing)
    assert (done.returncode, done.stderr) == (0, "")
    assert "neither tractor nor piker is installed" in done.stdout


@pytest.mark.parametrize(
    ("source", "state", "code"),
    [
        ("fixed = 1\n", "not needed", 0),
        ("strange = 1\n", "unknown upstream", 1),
        ("fails = True\n", "failed", 1),
    ],
)
def test_every_state_and_its_exit_code(folder: Path, source: str, state: str, code: int) -> None:
    (folder / "tractor" / "own.py").write_text(source)
    done = status(folder)
    assert done.returncode == code
    assert re.search(rf"^(\d applied, )?1 {state}[.,]", done.stdout, re.MULTILINE)
    told = line(done.stdout, f"  {state} ", "own-patch")
    assert ("own-patch in tractor.own: " in told) is bool(code)
    assert status(folder, "-q").stdout == f"{told}\n" * code


def test_the_traceback_of_a_failed_patch_is_shown_on_demand(folder: Path) -> None:
    (folder / "tractor" / "own.py").write_text("fails = True\n")
    assert "Traceback" not in status(folder).stdout
    assert 'raise ValueError("it fails")' in status(folder, "-v").stdout


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no')\n", "SystemExit: no"),
        ("import os\nos._exit(3)\n", "importing it ended the process: exit code 3"),
        ("import os\nos.abort()\n", "importing it ended the process: signal 6"),
        (
            "import os, sys\nprint('noise', file=sys.stderr)\nos.abort()\n",
            "importing it ended the process: signal 6",
        ),
    ],
)
def test_a_target_that_cannot_be_imported_is_shown_as_such(
    folder: Path, source: str, told: str
) -> None:
    (folder / "tractor" / "own.py").write_text(source)
    done = status(folder)
    assert done.returncode == 1
    assert told in line(done.stdout, "  problem  tractor.own: cannot be imported: ")


def test_what_lacks_a_package_is_named_once_though_another_target_ends_the_process(
    folder: Path,
) -> None:
    (folder / "own_plugin" / "__init__.py").unlink()
    given = {"tractor.a": ["patch"], "tractor.b": ["patch"]}
    lay_out_plugin(folder / "more", "more", {"patch": PATCH}, given)
    (folder / "tractor" / "a.py").write_text("import not_installed_anywhere\n")
    (folder / "tractor" / "b.py").write_text("import os\nos._exit(3)\n")
    path = f"{REPOSITORY}:{folder}:{folder / 'more'}"
    done = run(folder, *SIMULATED, "status", "--json", MACFIX_BLOCK="own", PYTHONPATH=path)
    answer = json.loads(done.stdout)
    assert answer["missing_packages"] == {"not_installed_anywhere": ["tractor.a"]}
    assert list(answer["not_imported"]) == ["tractor.b"]


def test_what_is_wrong_of_several_targets_is_said_once_and_first(folder: Path) -> None:
    (folder / "own_plugin" / "__init__.py").unlink()
    names = ["bad", "good", "worse"]
    lay_out_plugin(
        folder / "more", "more", {"patch": PATCH}, {f"tractor.{n}": ["patch"] for n in names}
    )
    for name in names:
        (folder / "tractor" / f"{name}.py").write_text(
            "answer = 1\n" if name == "good" else "strange = 1\n"
        )
    done = run(
        folder,
        *SIMULATED,
        "status",
        MACFIX_BLOCK="own",
        PYTHONPATH=f"{REPOSITORY}:{folder}:{folder / 'more'}",
    )
    assert re.search(r"^1 unknown upstream, 1 applied.$", done.stdout, re.MULTILINE)
    bad = line(done.stdout, "more-patch")  # once, although it is applied to another target
    assert "  unknown upstream  more-patch in tractor.bad, worse: it looks strange" in bad
    assert done.stdout.index(bad) < done.stdout.index(line(done.stdout, "  applied "))


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
    ids=str,
)
def test_colours_are_for_terminals_and_the_variables_rule(
    folder: Path, env: dict[str, str], coloured: bool
) -> None:
    (folder / "tractor" / "own.py").write_text("fails = True\n")
    assert ("\033[31mfailed\033[0m" in status(folder, **env).stdout) is coloured


def test_what_upstream_prints_is_not_in_the_report(folder: Path) -> None:
    (folder / "tractor" / "own.py").write_text("print('{\"status\": 1}')\nanswer = 1\n")
    done = status(folder)
    assert done.returncode == 0
    assert '"status"' not in done.stdout


def test_what_the_user_skips_is_shown(folder: Path) -> None:
    done = status(folder, MACFIX_SKIP="own-patch")
    assert done.returncode == 0
    assert "own-patch" in line(done.stdout, "  skipped by the user  ")


def test_a_wrong_name_that_is_an_error_is_said_in_one_line(folder: Path) -> None:
    done = run(folder, *SIMULATED, "status", MACFIX_SKIP="own-pach", MACFIX_STRICT="1")
    assert done.returncode == 1
    assert "there is no patch 'own-pach'; did you mean own-patch?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_macfix_that_is_off_says_so(folder: Path) -> None:
    done = status(folder, MACFIX="off")
    assert "not active: MACFIX=off" in done.stdout


def test_a_broken_plugin_is_a_problem(folder: Path) -> None:
    break_plugin(folder, "raise ValueError('broken')")
    done = status(folder)
    assert done.returncode == 1
    assert "ValueError: broken" in line(done.stdout, "  problem  ", "own: ")


@pytest.mark.parametrize("words", [SIMULATED, ()], ids=["ledger", "survey"])
def test_a_patch_whose_docstring_is_malformed_is_a_problem_with_file_and_section(
    folder: Path, words: tuple[str, ...]
) -> None:
    file = folder / "own_plugin" / "patch.py"
    file.write_text(file.read_text().replace("Remove when:\n    It is right.\n", ""))
    done = run(folder, *words, "status")
    assert done.returncode == 1
    assert f"{file}: the section 'Remove when' is missing or empty" in done.stdout
    assert re.search(r"^  (applied|needed) .*\bown-patch$", done.stdout, re.MULTILINE)


def test_json_has_all_of_it(folder: Path) -> None:
    done = status(folder, "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 0
    assert data["macfix"] == macfix.__version__
    assert data["active"] is True
    assert (data["simulated"] is None) == (sys.platform == "darwin")
    entry = next(entry for entry in data["entries"] if entry["target"] == "tractor.own")
    assert (entry["patch"], entry["state"]) == ("own-patch", "applied")


@on_linux
def test_json_off_darwin(folder: Path) -> None:
    data = json.loads(run(folder, "status", "--json").stdout)
    assert data["active"] is False
    found = [finding for finding in data["survey"] if finding["patch"] == "own-patch"]
    assert [(f["target"], f["state"]) for f in found] == [("tractor.own", "needed")]


# -- doctor ----------------------------------------------------------------------------------------


def doctor(folder: Path, *words: str, **env: str) -> dict[str, str]:
    """What doctor finds, by name."""
    done = run(folder, *words, "doctor", "--json", **env)
    assert done.stderr == ""
    return dict(json.loads(done.stdout)["found"])


def test_doctor_reports_versions_and_places(folder: Path) -> None:
    found = doctor(folder)
    assert sys.executable in found["Python"]
    assert found["macfix"].endswith(f"in {REPOSITORY / 'macfix'}")
    assert re.match(r"\d", found["wrapt"])
    assert found["tractor"] == f"(without metadata) in {folder / 'tractor'}"
    assert found["piker"] == "not installed"
    for name in (
        "system",
        "activation",
        "patches",
        "sockets",
        "open files",
        "segments",
        "TLS roots",
    ):
        assert name in found


def test_doctor_shows_the_settings(folder: Path) -> None:
    found = doctor(folder, MACFIX_SKIP="own-patch", MACFIX_STRICT="1")
    assert (found["MACFIX_SKIP"], found["MACFIX_STRICT"]) == ("own-patch", "1")


def test_doctor_lists_patches_and_what_is_wrong_with_plugins(folder: Path) -> None:
    assert doctor(folder)["own-patch"].startswith("tractor.own: needed: ")
    assert {"own", "shm"} <= set(doctor(folder)["plugins"].split(", "))
    break_plugin(folder, "raise ValueError('broken')")
    assert "ValueError: broken" in line(run(folder, "doctor").stdout, "warning", "own: ")


@on_linux
def test_doctor_knows_the_simulation(folder: Path) -> None:
    assert "This is not XNU" in doctor(folder)["system"]
    assert "simulated (names=30,page=4096" in doctor(folder, "--simulate=page=4096")["system"]


def test_doctor_names_the_pth_file_that_activates(folder: Path) -> None:
    packages = folder / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "macfix.pth").write_text(
        "# Written by `macfix enable`; `macfix disable` removes it.\n"
    )
    home = {"PYTHONUSERBASE": str(folder)}
    # no virtual environment sees the user's packages
    base = [sys.executable, "-c", "import site; print(site.ENABLE_USER_SITE)"]
    seen = subprocess.check_output(base, env=os.environ | home, text=True).strip() == "True"
    assert (str(packages / "macfix.pth") in doctor(folder, **home)["activation"]) == seen


# -- whatever reads it -----------------------------------------------------------------------------

LEAVE_A_SEGMENT = """\
import os, sys
from macfix.darwin.segments.shared_memory import SharedMemory
SharedMemory(sys.argv[1], create=True, size=64, track=False)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def left_behind(nothing: Path) -> Iterator[str]:
    """A key in letters that not every terminal has, whose segment a dead process left."""
    key = f"日本語.{os.getpid()}.simx.hist"
    words = [sys.executable, "-c", LEAVE_A_SEGMENT, key]
    subprocess.run(words, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, check=False)
    yield key
    assert "1 segment, 64 B, freed" in run(nothing, "shm", "reap").stdout


@pytest.mark.parametrize("words", [("ls",), ("reap", "--dry-run"), ("show", "KEY")])
def test_a_terminal_that_lacks_letters_is_told_all_the_same(
    nothing: Path, left_behind: str, words: tuple[str, ...]
) -> None:
    words = tuple(word.replace("KEY", left_behind) for word in words)
    done = run(nothing, "shm", *words, PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert done.returncode == 0, done.stderr
    assert left_behind.encode("ascii", "backslashreplace").decode() in done.stdout


def test_whoever_reads_no_further_is_no_error(nothing: Path, left_behind: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "macfix", "shm", "ls"],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "")


# -- completion ------------------------------------------------------------------------------------

BASH = """\
eval "$(macfix completion bash)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1) COMP_TYPE=9
_python_argcomplete macfix
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = 'macfix completion fish | source; complete -C "$argv[1]" | string split -f1 \\t'
ZSH = """\
zmodload zsh/zpty; zpty z zsh -f -i
zpty -w z 'autoload -Uz compinit; compinit -u -D; eval "$(macfix completion zsh)"; echo READ''Y'
zpty -r -m z line '*READY*'
zpty -w -n z "$1"$'\\t'; zpty -r -m z line "*$1*$2*" && print -r -- $2
"""


def complete(folder: Path, shell: str, line: str, *words: str) -> list[str]:
    """What a real shell makes of *line* when its user presses Tab at its end."""
    macfix = folder / "bin" / "macfix"
    macfix.parent.mkdir(exist_ok=True)
    macfix.write_text(f'#!/bin/sh\nexec {sys.executable} -m macfix "$@"\n')
    macfix.chmod(0o755)
    script = {"bash": BASH, "fish": FISH, "zsh": ZSH}[shell]
    done = subprocess.run(
        [shell, "-c", script, *(["x"] if shell != "fish" else []), line, *words],
        env={
            "PATH": f"{macfix.parent}:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],
            "PYTHONPATH": f"{REPOSITORY}:{folder}",
        },
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [word.strip() for word in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("macfix conf", {"conformance"}),
        ("macfix shm re", {"reap"}),
        ("macfix -v status --js", {"--json"}),
        ("macfix help exi", {"exit-codes"}),
        ("macfix new-patch --t", {"--target"}),
        ("macfix completion fi", {"fish"}),
        ("macfix run prog", {"prog.py"}),
    ],
)
def test_bash_completes(folder: Path, line: str, found: set[str]) -> None:
    assert set(complete(folder, "bash", line)) == found


@pytest.mark.skipif(HEAVY != "full", reason="shells that few have: MACFIX_HEAVY=full")
@pytest.mark.parametrize("shell", ["fish", "zsh"])
def test_other_shells_complete(folder: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert "conformance" in complete(folder, shell, "macfix conf", "conformance")
    assert "reap" in complete(folder, shell, "macfix shm re", "reap")


def test_no_program_loads_what_completes(folder: Path) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "macfix", "-c", "pass"]
    env = os.environ | {"PYTHONPATH": f"{REPOSITORY}:{folder}"}
    loaded = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stderr
    assert "macfix.cli.commands" in loaded
    for module in (
        "argcomplete",
        "macfix.cli.completion",
        "macfix.cli.status",
    ):
        assert not re.search(rf"\| +{module}$", loaded, re.MULTILINE), module


@on_linux
def test_v_before_a_program_says_what_was_patched(folder: Path) -> None:
    for words in (["-v", "--simulate", "prog.py"], ["run", "--simulate", "--verbose", "prog.py"]):
        done = run(folder, *words)
        assert done.stdout.startswith("darwin 42") and "own-patch" in done.stderr, done
    assert "own-patch" not in run(folder, "--simulate", "prog.py", "-v").stderr
    done = run(folder, "-v", "--simulate", "prog.py", MACFIX_LOG="debug")
    assert "the answer is wrong" in done.stderr
