"""The plugin that docs/plugins.md shows: its very files are built, installed and run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment
from tests.support.once import made_once
from tests.support.surroundings import REPOSITORY

DOC = REPOSITORY / "docs" / "plugins.md"
FILE = re.compile(r"^`([\w./]+)`.*?^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

LOOK = "import tractor.thing; print(tractor.thing.answer)"
ON = {"MACFIX_FORCE": "acme-answer"}


def files_of_the_doc() -> dict[str, str]:
    section = DOC.read_text().partition("## A patch in ten minutes")[2].partition("\n## ")[0]
    return dict(FILE.findall(section))


@pytest.fixture(scope="module")
def with_plugin(installed: Environment, run_folder: Path) -> Environment:
    """An environment with macfix, the plugin of the doc, and the upstream of which it speaks."""

    def make(folder: Path) -> None:
        made = environments.like(installed, folder)
        project = folder / "acme-macfix"
        for name, text in files_of_the_doc().items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text)
        wheels = folder / "wheels"
        done = environments.pip(
            *("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", wheels, project)
        )
        assert done.returncode == 0
        made.install(next(wheels.glob("*.whl")))

    pytest.importorskip("hatchling")
    return Environment(made_once(run_folder / "with-plugin", make))


NEW_PATCH = ("-m", "macfix", "new-patch", "acme-answer", "--target", "tractor.thing")


def test_the_doc_shows_what_new_patch_writes(installed: Environment, tmp_path: Path) -> None:
    said = installed.run(*NEW_PATCH, cwd=tmp_path)
    project = tmp_path / "acme-macfix"
    assert "acme-macfix has a patch" in said and " ".join(NEW_PATCH[1:]) in DOC.read_text()
    written = {
        str(file.relative_to(project)): file.read_text()
        for file in project.rglob("*")
        if file.is_file()
    }
    assert written == files_of_the_doc()


def test_new_patch_overwrites_nothing(installed: Environment, tmp_path: Path) -> None:
    installed.run(*NEW_PATCH, "-q", cwd=tmp_path)
    file = tmp_path / "acme-macfix" / "acme_macfix" / "answer.py"
    file.write_text("mine\n")
    done = environments.run(installed.python, *NEW_PATCH, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "macfix new-patch: acme-macfix is there: nothing was written\n"
    assert file.read_text() == "mine\n"


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("acme", "tractor.thing", "'acme' is no such name as mine-wrong-port"),
        ("acme-a_b", "tractor.thing", "'acme-a_b' is no such name"),
        ("../acme-b", "tractor.thing", "is no such name"),
        ("uds-mine", "tractor.thing", "'uds' is the name of a plugin of macfix's own"),
        ("acme-b", "os.path", "'os.path' is no module of tractor or piker"),
        ("acme-b", "tractor.a-b", "'tractor.a-b' is no module"),
    ],
)
def test_new_patch_refuses_what_could_not_work(
    installed: Environment, tmp_path: Path, name: str, target: str, said: str
) -> None:
    words = ("-m", "macfix", "new-patch", name, "--target", target)
    done = environments.run(installed.python, *words, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and not any(tmp_path.iterdir())


def test_its_own_test_passes_and_can_fail(with_plugin: Environment) -> None:
    """By the pytest of the tests, in the environment that has the plugin."""
    place = Path(pytest.__file__).parents[1]
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "acme-macfix")
    pytests = {"PYTHONPATH": str(place), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert "3 passed" in with_plugin.run(*words, **pytests)
    done = environments.run(
        with_plugin.python, *words, cwd=with_plugin.folder, **pytests, MACFIX_BLOCK="acme"
    )
    assert done.returncode == 1 and "1 failed, 2 passed" in done.stdout, done.stdout


def test_the_doc_has_the_commands() -> None:
    commands = re.findall(r"MACFIX_\w+=[\w-]+", DOC.read_text())
    assert {"MACFIX_FORCE=acme-answer", "MACFIX_SKIP=acme-answer"} <= set(commands)


def test_its_patch_is_applied_and_can_be_left_out(with_plugin: Environment) -> None:
    assert with_plugin.run("-m", "macfix", "-c", LOOK) == (
        "42" if sys.platform == "darwin" else "1"
    )
    assert with_plugin.run("-m", "macfix", "-c", LOOK, **ON) == "42"
    assert with_plugin.run("-OO", "-m", "macfix", "-c", LOOK, **ON) == "42"
    assert with_plugin.run("-m", "macfix", "-c", LOOK, **ON, MACFIX_BLOCK="own") == "42"
    left_out = with_plugin.run("-m", "macfix", "-c", LOOK, **ON, MACFIX_SKIP="acme-answer")
    assert left_out == "1"


def test_its_repro_shows_the_defect_and_the_fix(with_plugin: Environment) -> None:
    repro = "from acme_macfix.answer import repro; repro()"
    assert with_plugin.run("-m", "macfix", "-c", repro, **ON) == ""
    done = environments.run(
        *(with_plugin.python, "-c", repro), cwd=with_plugin.folder, MACFIX="off"
    )
    assert done.stderr.splitlines()[-1:] == ["AssertionError: the answer is 1"]


def test_status_lists_it_and_finds_nothing_wrong_with_it(with_plugin: Environment) -> None:
    words = ["-m", "macfix", *(["--simulate"] if sys.platform == "linux" else [])]
    data = json.loads(with_plugin.run(*words, "status", "--json"))
    assert data["problems"] == []
    entries = [entry for entry in data["entries"] if entry["patch"] == "acme-answer"]
    assert [(e["target"], e["state"], e["reason"]) for e in entries] == [
        ("tractor.thing", "applied", "line 1 sets the answer to 1")
    ]


@pytest.mark.parametrize(
    ("source", "state", "answer"),
    [("answer = 42\n", "not needed", "42"), ("answer = find_out = 3\n", "unknown upstream", "3")],
)
def test_another_upstream_is_left_alone(
    with_plugin: Environment, tmp_path: Path, source: str, state: str, answer: str
) -> None:
    (tmp_path / "tractor").mkdir()
    (tmp_path / "tractor" / "__init__.py").touch()
    (tmp_path / "tractor" / "thing.py").write_text(source)
    look = (
        f"{LOOK}; import macfix; "
        "print(*[str(e.state) for e in macfix.status().entries if e.patch == 'acme-answer'])"
    )
    shown = with_plugin.run(
        "-W", "ignore", "-m", "macfix", "-c", look, PYTHONPATH=str(tmp_path), **ON
    )
    assert shown.splitlines() == [answer, state]


CHECKOUT = """
import json, macfix
macfix.activate()
try: import tractor.ipc._uds
except Exception as error: print(error)
import tractor.thing
print(json.dumps(macfix.status().as_dict()["entries"]))
"""


def test_a_checkout_on_the_path_gives_the_same_ledger_as_an_installed_macfix(
    with_plugin: Environment, run_folder: Path, tmp_path: Path
) -> None:
    """Without entry points of its own, macfix registers its own plugins all the same."""
    bare = Environment.make(tmp_path / "bare")
    for path in with_plugin.packages.glob("acme_macfix*"):
        (bare.packages / path.name).symlink_to(path)
    environments.lay_out_macfix(tmp_path / "checkout")
    installed = json.loads(with_plugin.run("-c", CHECKOUT, **ON).splitlines()[-1])
    path = {"PYTHONPATH": str(tmp_path / "checkout")}
    checkout = json.loads(bare.run("-c", CHECKOUT, **path, **ON).splitlines()[-1])
    assert checkout == installed
    assert {"uds-backlog", "acme-answer", "own-thing"} <= {entry["patch"] for entry in checkout}
