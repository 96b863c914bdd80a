"""`python -m macfix demo`: every failure is seen, every fix works, and nothing is left behind."""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import re
import subprocess
import sys
import textwrap
import zipapp
from pathlib import Path
from typing import Any

import pytest

from macfix.cli.demo import _patch_cases
from tests.support import builtin, environments, processes
from tests.support.once import made_once
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY, REPOSITORY
from tests.support.terminal import COLUMNS, at_a_terminal
from tests.unit.test_readme import messages_of_upstream

only_in_full = pytest.mark.skipif(HEAVY != "full", reason="each patch by itself: MACFIX_HEAVY=full")

REPLICAS = REPOSITORY / "macfix" / "cli" / "demo" / "replicas"

PROGRAMS = {
    "import tractor": "ImportError: cannot import name 'SO_PASSCRED'",
    "actors over sockets": "TypeError: 'NoneType' object",
    "shared market data": "OSError: [Errno ",
}
"""What each program ends with where its patch is left out: one defect a program."""

PLUGIN = """\
    import macfix, spoils
    @macfix.hookimpl
    def macfix_targets():
        return ["tractor.ipc._uds"]
    @macfix.hookimpl
    def macfix_patches(target):
        return [spoils]
"""
SPOILS = """\
    import macfix
    def diagnose(source):
        return macfix.needed("-")
    def install(module, changes):
        changes.set(module, "get_peer_info", lambda sock: (0, 0, 0))
"""


def demo(
    *arguments: str, program: tuple[str, ...] = ("-m", "macfix"), **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, "demo", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="session")
def answer(run_folder: Path) -> dict[str, Any]:
    """What the demo shows; it runs once, each day without the patches one by one."""

    def run(folder: Path) -> None:
        done = demo("--json", *([] if HEAVY == "full" else ["--quick"]))
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "answer.json").write_text(done.stdout)

    text = (made_once(run_folder / "demo", run) / "answer.json").read_text()
    shown: dict[str, Any] = json.loads(text)
    return shown


@pytest.fixture(scope="session")
def rows(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its rows, by title."""
    return {row["title"]: row for row in [*answer["programs"], *answer["patches"]]}


@pytest.mark.xdist_group("demo")  # one worker waits for it
def test_every_program_fails_without_macfix_and_works_with_it(
    rows: dict[str, dict[str, Any]],
) -> None:
    for title, message in PROGRAMS.items():
        row = rows[title]
        assert row["without"]["word"].startswith(message), row
        assert row["fixed"]["succeeded"], row
        assert not row["without"]["succeeded"], row


@only_in_full
@pytest.mark.xdist_group("demo")  # one worker waits for it
def test_the_messages_of_the_docs_are_those_that_are_seen(rows: dict[str, dict[str, Any]]) -> None:
    seen = 0
    for message, patches in messages_of_upstream().items():
        start = re.split(r"\[Errno|'/", message)[0]
        for row in (rows[patch] for patch in patches if patch in rows):
            said = row["without"]["word"]
            if not said.startswith("AssertionError"):  # a repro's own: upstream says nothing
                seen += said.startswith(start)
    assert seen >= 14, "and so many patches show theirs"


@only_in_full
@pytest.mark.xdist_group("demo")  # one worker waits for it
def test_each_patch_fixes_its_failure(rows: dict[str, dict[str, Any]]) -> None:
    shown, _ = _patch_cases()
    for case in shown:
        assert rows[case.title]["fixed"]["succeeded"], rows[case.title]


def test_every_patch_that_the_replicas_need_is_shown_by_itself() -> None:
    patches = {
        patch.name
        for patch, targets in builtin.plugins().all_patches().items()
        for target in targets
        if REPLICAS.joinpath(*target.split(".")).with_suffix(".py").exists()
    }
    shown, not_shown = _patch_cases()
    assert {case.left_out for case in shown} == patches
    every = {patch.name for patch in builtin.plugins().all_patches()}
    assert set(not_shown) == every - patches and "piker-quit" in not_shown


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells where processes are")
def test_ctrl_c_ends_it_with_all_that_it_has_started(sandbox: Sandbox) -> None:
    """That no process is left, the sandbox sees to."""
    folders: set[Path] = set()

    def running() -> bool:
        for pid in processes.related(str(sandbox.root)):
            with contextlib.suppress(OSError):
                folders.add(Path(f"/proc/{pid}/cwd").readlink())
        folders.discard(sandbox.temporary)  # the demo's own
        return bool(folders)

    def type_(seen: str) -> str:
        begun = "  0 of " in seen and not folders
        return "\x03" if begun and processes.wait_until(running, 20) else ""

    words = [sys.executable, "-m", "macfix", "demo"]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    code, seen = at_a_terminal(words, cwd=sandbox.temporary, env=env, type_=type_)
    assert code == 130 and seen.endswith("^C\nmacfix demo: interrupted\n"), seen
    assert folders and not any(folder.exists() for folder in folders)


def test_a_reader_that_has_seen_enough_ends_it() -> None:
    line = f"{sys.executable} -m macfix demo | head -3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    first, *_, code = done.stdout.splitlines()
    assert first.startswith("Small programs on replicas") and code == "1"


def test_it_runs_from_a_zip_file_on_an_ascii_terminal_and_leaves_nothing_in_the_home(
    sandbox: Sandbox,
) -> None:
    content = sandbox.temporary / "app"
    environments.lay_out_macfix(content)
    environments.lay_out_dependencies(content)
    # else each of a dozen processes would; but not the replicas, whose source macfix reads
    compileall.compile_dir(content, quiet=1, legacy=True, rx=re.compile("/demo/replicas/"))
    zipapp.create_archive(content, f"{content}.pyz", main="macfix.cli:main")
    env = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME")}
    code, seen = at_a_terminal(
        [sys.executable, f"{content}.pyz", "demo", "--quick"],
        cwd=sandbox.temporary,
        env=env | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"},
    )
    assert (code, seen.rpartition("\n\n")[2]) == (0, "3 of 3 failures fixed\n"), seen
    for done, title in enumerate(PROGRAMS):
        assert f"\n  {done} of 3\r  {title} " in seen, "a row covers the progress"
    assert seen.isascii() and "\\u" not in seen and "\x1b" not in seen
    assert max(len(line.rpartition("\r")[2]) for line in seen.splitlines()) <= COLUMNS
    assert [*sandbox.home.iterdir(), *sandbox.cache.iterdir()] == []


def test_a_fix_that_fails_is_an_exit_code(tmp_path: Path) -> None:
    """With a plugin that spoils one module, the demo must say so and not exit with 0."""
    (tmp_path / "spoil.py").write_text(textwrap.dedent(PLUGIN))
    (tmp_path / "spoils.py").write_text(textwrap.dedent(SPOILS))
    info = tmp_path / "spoil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spoil\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[macfix]\nspoil = spoil\n")
    one = """if True:
        from macfix.cli import demo, main
        demo.PROGRAM_CASES = demo.PROGRAM_CASES[1:2]
        raise SystemExit(main())
    """
    done = demo("--quick", program=("-c", one), PYTHONPATH=f"{REPOSITORY}:{tmp_path}")
    assert done.returncode == 1, done.stdout
    assert "still failing: actors over sockets" in done.stdout
    assert "  actors over sockets   FAILS   without uds-peer-credentials: " in done.stdout


def test_without_what_the_programs_need_it_says_what_to_install(tmp_path: Path) -> None:
    done = _without("trio", tmp_path)
    assert done.returncode == 2
    assert f"trio not installed: {sys.executable} -m pip install trio\n" in done.stderr


def _without(module: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import importlib.util as u, sys; find = u.find_spec;"
        f"u.find_spec = lambda name, package=None: None if name == {module!r} else find(name);"
        "from macfix.cli import main; sys.exit(main(['demo']))"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
