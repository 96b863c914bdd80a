"""`macfix doctor`: what is wrong is found, and the command that it gives puts it right."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import pwd
import re
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from macfix.cli import commands, doctor, output
from macfix.cli.doctor import BROKEN, WARNING, Problem
from macfix.darwin.sockets import runtime_dir
from tests.support import isolation, processes
from tests.support.plugin import NEEDED, lay_out_plugin
from tests.support.processes import Finished
from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY, STARTED_WITH

is_mac = sys.platform == "darwin"
on_linux = pytest.mark.skipif(is_mac, reason="the simulation needs Linux")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
ARGS = argparse.Namespace(simulate=None)
MACFIX = f"{output.PYTHON} -m macfix"

PATCH = (
    NEEDED
    + """

def install(module, changes):
    if hasattr(module, "fails"):
        raise ValueError("it fails")
    changes.set(module, "answer", 42)
"""
)


@dataclass
class Patient:
    """An account with a small upstream and a plugin for it, and no trouble.

    Attributes:
        folder: what is on its PYTHONPATH.
        env: its environment.
    """

    sandbox: Sandbox
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, line: str) -> Finished:
        """Run a line of shell; in it `macfix` is what the tests run from."""
        words = f'macfix() {{ {MACFIX} "$@"; }}\n{line}'
        return processes.run(["/bin/sh", "-c", words], env=self.env, cwd=self.folder, timeout=120)

    def problems(self, before: str = ":", simulate: str = "") -> dict[str, str]:
        """What doctor finds wrong after the line *before*, each with the command that fixes it."""
        answer = self.answer(before, simulate)
        found = {problem["what"]: problem["fix"] for problem in answer["problems"]}
        assert len(found) == len(answer["problems"]), "a problem is said twice"
        return found

    def answer(self, before: str = ":", simulate: str = "") -> dict[str, Any]:
        done = self.run(f"{{ {before}\n}} >/dev/null || exit 9\nmacfix {simulate} doctor --json")
        assert done.stderr == "", str(done)
        data: dict[str, Any] = json.loads(done.stdout)
        assert data["verdict"] == doctor.LEVELS[done.returncode], str(done)
        return data

    def has_stub(self, name: str, text: str) -> None:
        """Put a program of that name before all others."""
        file = self.sandbox.root / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def is_healed_of(self, words: str, simulate: str = "") -> None:
        """Assert that doctor complains of *words*, and no more once its command was run."""
        found = {
            what: fix for what, fix in self.problems(simulate=simulate).items() if words in what
        }
        assert len(found) == 1, found
        (fix,) = found.values()
        left = self.problems(fix, simulate)
        assert not any(words in what for what in left), (fix, left)


@pytest.fixture
def patient(sandbox: Sandbox) -> Patient:
    folder = sandbox.root / "p"
    (folder / "tractor").mkdir(parents=True)
    (folder / "tractor" / "__init__.py").touch()
    (folder / "tractor" / "own.py").write_text("answer = 1\n")
    lay_out_plugin(folder, "own", {"patch": PATCH}, {"tractor.own": ["patch"]})
    path = f"{sandbox.root}/bin:{STARTED_WITH['PATH']}"
    env = sandbox.variables() | {"PATH": path, "PYTHONPATH": f"{REPOSITORY}:{folder}"}
    roots = sandbox.root / "roots.pem"
    roots.touch()  # of a machine that may have none
    return Patient(sandbox, folder, env | {"SSL_CERT_FILE": str(roots)})


# -- all that is wrong, and its cure ---------------------------------------------------------------


def test_a_healthy_account_has_no_problem(patient: Patient) -> None:
    assert patient.problems() == {}
    assert patient.run("macfix doctor").returncode == 0


@on_linux
def test_a_healthy_simulated_mac_has_no_problem(patient: Patient) -> None:
    answer = patient.answer(simulate="--simulate")
    assert (answer["verdict"], answer["problems"]) == ("fine", [])
    found = dict(answer["found"])
    assert " applied" in found["patches"]
    assert found["kernel"].startswith("0 of ")
    assert found["own-patch"] == "tractor.own: applied: it is 1"


def test_leaked_segments(patient: Patient) -> None:
    key = f"macfix-doctor-{os.getpid()}"
    leave = (
        "import os; from macfix.darwin.segments.shared_memory import SharedMemory\n"
        f"SharedMemory({key!r}, create=True, size=64, track=False); os.kill(os.getpid(), 9)\n"
    )
    (patient.folder / "leave.py").write_text(leave)
    patient.run(f"{output.PYTHON} leave.py")
    patient.is_healed_of("leaked: 1 segment, 64 B")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MACFIX", "off", "nothing is patched"),
        ("MACFIX_SKIPP", "own-patch", "macfix has no variable MACFIX_SKIPP"),
        ("MACFIX_SKIP", "", "MACFIX_SKIP is set and names nothing"),
        ("MACFIX_STATE_DIR", "relative", "relative is not an absolute path"),
        ("MACFIX_STATE_DIR", "/dev/null/x", "cannot write to /dev/null/x/shm: Not a"),
    ],
)
def test_a_variable(patient: Patient, variable: str, value: str, words: str) -> None:
    patient.env[variable] = value
    patient.is_healed_of(words)


def test_a_patch_name_that_there_is_not(patient: Patient) -> None:
    patient.env["MACFIX_SKIP"] = "own-pach"
    simulate = "" if is_mac else "--simulate"
    patient.is_healed_of("there is no patch 'own-pach'; did you mean own-patch?", simulate)


def test_a_plugin_that_cannot_be_loaded(patient: Patient) -> None:
    (patient.folder / "own_plugin" / "__init__.py").write_text("raise ValueError('torn')\n")
    patient.is_healed_of("own: the plugin cannot be loaded: ValueError: torn")


@pytest.mark.skipif(importlib.util.find_spec("certifi") is None, reason="needs certifi")
def test_no_root_certificates(patient: Patient) -> None:
    patient.env |= {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}
    patient.env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    patient.is_healed_of("no root certificates")


@as_root
@pytest.mark.parametrize("deep", [True, False])
def test_files_of_another_user(patient: Patient, deep: bool) -> None:
    """As sudo leaves them on macOS; here root has another user's."""
    patient.has_stub("sudo", 'exec "$@"')
    folder = patient.sandbox.cache / "macfix" / "it's"
    folder.mkdir(parents=True)
    os.chown(folder if deep else folder.parent, 12345, 12345)
    patient.is_healed_of("belongs to user 12345, not to 0")


@as_root
def test_files_of_others_in_a_folder_for_all_are_theirs(patient: Patient) -> None:
    folder = patient.sandbox.root / "all"
    (folder / "theirs").mkdir(parents=True)
    folder.chmod(0o1777)
    os.chown(folder / "theirs", 12345, 12345)
    patient.env["MACFIX_CACHE_DIR"] = str(folder)
    assert patient.problems() == {}


@as_root
def test_under_sudo_the_user_is_whoever_called_it(patient: Patient) -> None:
    folder = patient.sandbox.cache / "macfix"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    patient.env["SUDO_UID"] = "12345"
    assert patient.problems() == {}


def test_a_home_that_nothing_can_be_kept_in(patient: Patient) -> None:
    patient.env["HOME"] = "/dev/null"
    del patient.env["XDG_CACHE_HOME"]
    fixes = [fix for what, fix in patient.problems().items() if "cannot write to" in what]
    assert len(fixes) == 2
    assert not any("kept" in what for what in patient.problems(" && ".join(fixes)))


def test_a_runtime_folder_that_is_unsafe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runtime_dir, "BASE", tmp_path)
    folder = tmp_path / f"tractor-{os.getuid()}"
    folder.symlink_to("elsewhere")
    problem, _ = doctor._sockets(ARGS)
    assert isinstance(problem, Problem) and problem.level == BROKEN
    assert "symbolic link" in problem.what
    subprocess.run(problem.fix, shell=True, check=True)
    assert [row[1].split(":")[0] for row in doctor._sockets(ARGS)] == [f"{folder} (not there yet)"]
    assert not folder.exists()


def test_the_room_for_sockets(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_dir, "BASE", sandbox.root)
    folder = runtime_dir.runtime_dir()
    path = folder / "actor@1.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        ((_, text),) = doctor._sockets(ARGS)
    path.unlink()
    taken = len(str(folder)) + 1
    assert f"(mode 0700): room for names of {103 - taken} bytes" in text
    assert text.endswith(f"the longest path has {len(str(path))} of 103")


def test_too_few_open_files(patient: Patient) -> None:
    """To raise a hard limit again takes root's rights: here it is lowered to what root would."""
    patient.has_stub("sudo", 'exec "$@"')
    patient.has_stub("su", "exec sh")  # with what the user types there
    if patient.run("ulimit -n 10240").returncode:
        pytest.skip("this machine allows fewer files")
    ((what, fix),) = patient.problems("ulimit -n 300").items()
    assert "no more than 300 files" in what
    typed = f"echo 'ulimit -n; {MACFIX} doctor --json' | {fix}"
    limit, _, answer = patient.run(typed).stdout.partition("\n")
    assert (limit, json.loads(answer)["problems"]) == ("10240", [])


def test_a_hidden_pth_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hidden as the Finder hides it: a flag that Linux does not have."""
    file = tmp_path / "an editable's.pth"
    file.touch()
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "chflags"
    stub.write_text('#!/bin/sh\ntest "$1" = nohidden && echo shown > "$2"\n')
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setattr(doctor.site, "getsitepackages", lambda: [str(tmp_path)])
    stat_of = os.stat

    def stat(path: Any, **more: Any) -> Any:
        return stat_of(path, **more) if path != str(file) else SimpleNamespace(st_flags=flags())

    def flags() -> int:
        return 0 if file.read_text() else 0x8000

    monkeypatch.setattr(os, "stat", stat)
    problem = next(one for one in doctor._neighbours(ARGS) if isinstance(one, Problem))
    assert (problem.level, problem.what) == (WARNING, f"{file} is hidden, so Python leaves it out")
    subprocess.run(problem.fix, shell=True, check=True)
    assert not any(isinstance(one, Problem) for one in doctor._neighbours(ARGS))


def test_no_upstream(patient: Patient, tmp_path: Path) -> None:
    """The command installs it from its git, here from a small one in that one's place."""
    (patient.folder / "tractor" / "own.py").unlink()
    (patient.folder / "tractor" / "__init__.py").unlink()
    (patient.folder / "tractor").rmdir()
    source = tmp_path / "goodboy" / "tractor"
    (source / "tractor").mkdir(parents=True)
    (source / "tractor" / "__init__.py").touch()
    (source / "pyproject.toml").write_text(
        '[project]\nname = "tractor"\nversion = "7"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    patient.env |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "PIP_TARGET": str(patient.folder),
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_DEPS": "1",
        "PIP_QUIET": "2",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    patient.is_healed_of("neither tractor nor piker is installed")
    found = dict(patient.answer()["found"])
    assert found["tractor"] == f"7 of commit {commit[:12]} in {patient.folder / 'tractor'}"


@on_linux
def test_a_patch_that_fails_is_broken_and_its_command_reports_it(patient: Patient) -> None:
    (patient.folder / "tractor" / "own.py").write_text("answer = fails = 1\n")
    ((what, fix),) = patient.problems(simulate="--simulate").items()
    assert what.startswith("patch own-patch: tractor.own: failed: ")
    assert patient.run("macfix --simulate doctor").returncode == BROKEN
    patient.env["MACFIX_SIMULATE"] = "1"
    assert what in patient.run(fix).stdout


def test_an_upstream_that_no_patch_knows_is_a_warning(patient: Patient) -> None:
    strange = "from macfix import unknown\ndef diagnose(source): return unknown('strange')\n"
    install = "def install(module, changes): pass\n"
    (patient.folder / "own_plugin" / "patch.py").write_text(strange + install)
    answer = patient.answer()
    assert answer["verdict"] == "warning"
    (problem,) = answer["problems"]
    assert problem["what"].startswith("patch own-patch: tractor.own: unknown")
    assert problem["what"].endswith("strange")
    assert "strange" in patient.run(problem["fix"]).stdout


@on_linux
def test_an_upstream_that_cannot_be_imported_is_broken_and_its_command_shows_it(
    patient: Patient,
) -> None:
    for name in ("own", "other"):  # it is said once of both
        (patient.folder / "tractor" / f"{name}.py").write_text("from os import nowhere\n")
    hooks = patient.folder / "own_plugin" / "__init__.py"
    both = "PATCHES = {'tractor.other': ('patch',), "
    hooks.write_text(hooks.read_text().replace("PATCHES = {", both))
    ((what, fix),) = patient.problems(simulate="--simulate").items()
    modules = "tractor.other, own cannot be imported: ImportError"
    assert what.startswith(modules)
    patient.env["MACFIX_SIMULATE"] = "1"
    assert patient.run("macfix doctor").returncode == BROKEN
    assert 'other.py", line 1' in patient.run(fix).stdout


@on_linux
def test_a_package_that_a_part_of_upstream_needs_is_said_and_no_problem(patient: Patient) -> None:
    (patient.folder / "tractor" / "own.py").write_text("import nowhere_to_be_found.part\n")
    assert patient.problems(simulate="--simulate") == {}
    done = patient.run("macfix --simulate doctor")
    assert "missing       nowhere_to_be_found, for tractor.own" in done.stdout, done.stdout
    done = patient.run("macfix --simulate status")
    said = "note           missing packages: nowhere_to_be_found, for tractor.own"
    assert said in done.stdout and done.returncode == 0, done.stdout


@on_linux
def test_a_package_that_all_of_upstream_needs_is_a_problem(patient: Patient) -> None:
    (patient.folder / "tractor" / "__init__.py").write_text("import nowhere_to_be_found\n")
    ((what, _),) = patient.problems(simulate="--simulate").items()
    assert what.endswith(
        "cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    )


@on_linux
def test_a_kernel_that_does_otherwise_is_a_warning_and_its_command_shows_it(
    patient: Patient,
) -> None:
    ((what, fix),) = patient.problems(simulate="--simulate=write=ECONNRESET").items()
    assert what.startswith("kernel: 1 of ")
    patient.env["MACFIX_SIMULATE"] = "write=ECONNRESET"
    assert "differs        write, peer closed: ECONNRESET" in patient.run(fix).stdout


# -- what is found ---------------------------------------------------------------------------------


def test_a_check_that_fails_is_a_warning_and_stops_no_other(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def torn(_: argparse.Namespace) -> doctor.Found:
        yield "before", "it"
        raise ValueError("torn")

    monkeypatch.setattr(doctor, "CHECKS", (torn, doctor._open_files))
    args, _ = commands.parse("doctor", [])
    args.simulate = None
    assert doctor.main(args) == WARNING
    said = capsys.readouterr().out
    assert "torn: ValueError: torn" in said and "before" in said and "open files" in said


def test_the_worst_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def all_kinds(_: argparse.Namespace) -> doctor.Found:
        yield Problem(WARNING, "it limps", "walk")
        yield Problem(BROKEN, "it fell", "get up")
        yield Problem(WARNING, "it is cold", "run")
        yield "fact", "true"

    monkeypatch.setattr(doctor, "CHECKS", (all_kinds,))
    assert doctor.main(commands.parse("doctor", [])[0]) == BROKEN
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0].endswith(": 1 broken, 2 warnings")
    assert lines[1:] == [
        "broken  it fell",
        "$ get up",
        "warning  it limps",
        "$ walk",
        "warning  it is cold",
        "$ run",
        "fact  true",
    ]


@pytest.mark.parametrize("branch", [True, False])
def test_the_commit_of_a_checkout(tmp_path: Path, branch: bool) -> None:
    (tmp_path / ".git" / "refs").mkdir(parents=True)
    (tmp_path / ".git" / "refs" / "main").write_text("c0ffee" * 6 + "\n")
    head = "ref: refs/main\n" if branch else "c0ffee" * 6 + "\n"
    (tmp_path / ".git" / "HEAD").write_text(head)
    text = doctor._version("no-such-distribution", str(tmp_path / "tractor" / "__init__.py"))
    assert text == f"(without metadata) of commit c0ffeec0ffee in {tmp_path / 'tractor'}"


@pytest.mark.parametrize("translated", [None, 0, 1])
def test_rosetta_is_told(monkeypatch: pytest.MonkeyPatch, translated: int | None) -> None:
    monkeypatch.setattr(doctor, "sysctl_int", {"sysctl.proc_translated": translated}.get)
    system = dict(row[:2] for row in doctor._system(ARGS))["system"]
    assert ("under Rosetta" in system) == (translated == 1)


def test_import_hooks_of_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def hooks() -> str:
        return dict(row[:2] for row in doctor._neighbours(ARGS))["import hooks"]

    class Stranger:
        pass

    assert "Stranger" not in hooks()
    monkeypatch.setattr(sys, "meta_path", [Stranger(), *sys.meta_path])
    assert "Stranger" in hooks()
    assert "BuiltinImporter" not in hooks()


# -- the report ------------------------------------------------------------------------------------


@pytest.fixture
def anna(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's user is Anna Smith, at her Mac."""
    entry = SimpleNamespace(pw_name="anna", pw_dir="/Users/anna", pw_gecos="Anna Smith,,,")
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    monkeypatch.setattr(platform, "node", lambda: "Annas-MacBook.local")
    monkeypatch.setenv("HOME", "/Users/anna")
    monkeypatch.setenv("USER", "anna")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/Users/anna/.venv/bin/python", "~/.venv/bin/python"),
        ("'/Users/anna'", "'~'"),
        ("/Users/annabelle/x", "/Users/<user>/x"),
        ("/Users/bob/Library: /home/carl:2", "/Users/<user>/Library: /home/<user>:2"),
        ("/var/folders/ab/secret/T/", "/var/folders/ab/<user>/T/"),
        ("anna@Annas-MacBook.local", "<user>@<host>"),
        ("of Anna Smith, ANNA_feed", "of <user>, <user>_feed"),
        ("annas-macbook up", "<host> up"),
        ("Johanna", "Johanna"),
    ],
)
def test_names_and_homes_are_left_out(anna: None, text: str, left: str) -> None:
    assert doctor.anonymous(text) == left


@pytest.mark.parametrize("home", ["", "/", "x"])
def test_no_home_is_no_reason_to_leave_out_all(
    anna: None, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os.path, "realpath", str)
    assert doctor.anonymous("/opt/x/python") == "/opt/x/python"


@pytest.mark.parametrize("kind", ["", "--json"])
def test_a_report_says_what_it_leaves_out_and_does(patient: Patient, kind: str) -> None:
    patient.env |= {"USER": "annabel", "MACFIX_SKIP": "annabel", "MACFIX_ONLY": "/Users/carl/é"}
    plain = patient.run(f"macfix doctor {kind or '--json'}")
    assert "annabel" in plain.stdout and str(patient.sandbox.home) in plain.stdout
    report = patient.run(f"macfix doctor {kind} --report")
    assert doctor.LEFT_OUT in report.stdout
    host = platform.node()
    for name in ("annabel", "carl", str(patient.sandbox.home)):
        assert name not in report.stdout
    # as a word: a host may be called `vm`, and the name of a temporary folder may end so
    of_host = rf"(?i)(?<![a-z0-9]){re.escape(host)}(?![a-z0-9])"
    assert host == "localhost" or not re.search(of_host, report.stdout)
    assert "<user>" in report.stdout and "sys.path" in report.stdout
    assert report.returncode == plain.returncode
    if kind:
        assert json.loads(report.stdout)["note"] == doctor.LEFT_OUT


@pytest.mark.skipif(
    not isolation.possible() or os.geteuid() != 0, reason="needs a small disk of its own"
)
def test_on_a_full_disk_nothing_can_be_kept_and_no_half_a_report_stays(patient: Patient) -> None:
    disk, script = patient.sandbox.root / "disk", patient.sandbox.root / "look.sh"
    disk.mkdir()
    patient.env["MACFIX_CACHE_DIR"] = str(disk / "cache")
    script.write_text(
        f"mount -t tmpfs -o size=64k none {disk} && cd {disk}\n"
        "head -c 1000000 /dev/zero >full 2>/dev/null\n"
        f"{MACFIX} doctor\n{MACFIX} doctor --report it.txt\necho $?\nls -A\n"
    )
    done = patient.run(f"unshare --mount sh {script}")
    assert "cannot write to" in done.stdout and "No space left on device" in done.stdout
    assert done.stdout.endswith("1\nfull\n"), str(done)
    assert "macfix: [Errno 28] No space left on device: 'it.txt'" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_home_that_may_not_be_read_costs_no_check(patient: Patient) -> None:
    home = patient.sandbox.root / "closed"
    (home / ".local").mkdir(parents=True)
    home.chmod(0o700)
    patient.env["HOME"] = str(home)
    patient.sandbox.root.chmod(0o755)
    done = patient.run(f"setpriv --reuid 65534 --clear-groups {MACFIX} doctor")
    assert "_neighbours" not in done.stdout and "TLS roots" in done.stdout, str(done)


def test_a_report_goes_to_a_file(patient: Patient) -> None:
    printed = patient.run("macfix doctor --report")
    told = patient.run("macfix doctor --report it.txt")
    assert told.stdout == f"it.txt: {doctor.LEFT_OUT}\n"
    written = (patient.folder / "it.txt").read_text()
    assert [line.split()[:1] for line in written.splitlines()] == [
        line.split()[:1] for line in printed.stdout.splitlines()
    ]
    refused = patient.run("macfix doctor --report /nonexistent/it.txt")
    assert refused.returncode == 1
    assert refused.stderr == (
        "macfix: [Errno 2] No such file or directory: '/nonexistent/it.txt'\n"
    )


def test_details_are_for_reports(patient: Patient) -> None:
    screen, report = (patient.run(f"macfix doctor {more}").stdout for more in ("", "--report"))
    for detail in ("sys.path", "own-patch", "wrapt", "registry"):
        assert f"  {detail} " in report and f"  {detail} " not in screen
    assert len(screen.splitlines()) < 24
    assert "  own-patch " in patient.run("macfix doctor -v").stdout


def test_quietly_it_says_what_is_wrong_and_nothing_else(patient: Patient) -> None:
    assert patient.run("macfix doctor -q").stdout == ""
    shown = patient.run("export MACFIX=off; macfix -q doctor").stdout
    assert "MACFIX=off: nothing is patched" in shown and "  system " not in shown
