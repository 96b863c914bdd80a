"""What is built, and what installers make of it.

The tools of others (uv, pipx, poetry, twine, shiv, PyInstaller) come from the package index, and
run with `MACFIX_HEAVY=full` only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.support import environments, upstream
from tests.support.environments import LOOK, ON, Environment
from tests.support.once import made_once
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY, REPOSITORY, STARTED_WITH

PATCHED = "42 1"
OWN_PAGES = re.compile(r"https://github\.com/macfix/macfix/(?:blob|tree)/main/(\S+)")

heavy = [
    pytest.mark.skipif(HEAVY != "full", reason="tools from the package index: MACFIX_HEAVY=full"),
    pytest.mark.xdist_group("packaging tools"),
]


# -- what is built ---------------------------------------------------------------------------------


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_says_under_which_licence_it_is_and_where_to_read_more(wheel: Path) -> None:
    metadata = metadata_of(wheel)
    assert metadata["License-Expression"] == "AGPL-3.0-or-later"
    assert metadata.get_all("License-File") == ["LICENSE"]
    classifiers = metadata.get_all("Classifier") or []
    assert [each for each in classifiers if each.startswith("License ::")] == []
    assert {f"Programming Language :: Python :: 3.{n}" for n in range(10, 15)} <= set(classifiers)
    urls = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL") or [])
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= urls.keys()
    for url in urls.values():
        found = OWN_PAGES.fullmatch(url)
        assert found is None or (REPOSITORY / found[1]).exists(), url


def test_the_index_can_follow_every_link_of_the_readme(wheel: Path) -> None:
    """It shows the README alone: a relative link would lead to a page of the index."""
    text = str(metadata_of(wheel).get_payload())
    assert text == (REPOSITORY / "README.md").read_text()
    definitions = dict(re.findall(r"^\[([^]]+)\]: (\S+)$", text, re.MULTILINE))
    links = [*definitions.values(), *re.findall(r"\]\(([^)\s]+)\)", text)]
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    pages = [OWN_PAGES.fullmatch(link) for link in links]
    own = [page[1] for page in pages if page is not None]
    assert "docs/activation.md" in own
    assert [page for page in own if not (REPOSITORY / page).exists()] == []
    prose = re.sub(r"^```.*?^```$|`[^`]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    used = set(re.findall(r"\[([^]]+)\](?![(:])", prose))
    assert used == definitions.keys()


def test_the_wheel_has_types_data_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = re.compile(r"macfix/cli/(new_patch|help/[\w-]+)\.txt")
        names = [name for name in archive.namelist() if not texts.fullmatch(name)]
        assert len(names) == len(archive.namelist()) - 5
    assert {name.partition("/")[0] for name in names} == {"macfix", "macfix-0.1.0.dist-info"}
    assert "macfix/py.typed" in names
    assert "macfix/activation/site/sitecustomize.py" in names
    assert "macfix/cli/demo/replicas/tractor/ipc/_uds.py" in names
    assert [name for name in names if "test" in name and "pytest" not in name] == []
    assert [name for name in names if not name.endswith((".py", "py.typed")) and "/" in name] == [
        name for name in names if ".dist-info/" in name
    ]


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")

    def build(project: Path, kind: str) -> Path:
        into = tmp_path / kind
        words = ["-m", "hatchling", "build", "--target", kind, "--directory", str(into)]
        done = environments.run(sys.executable, *words, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        return next(into.iterdir())

    with tarfile.open(build(REPOSITORY, "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", **SAFELY)
    again = build(next((tmp_path / "unpacked").iterdir()), "wheel")
    assert again.name == wheel.name
    assert contents(again) == contents(wheel)


SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def test_upstream_is_asked_for_only_where_it_can_be_installed() -> None:
    """uv looks for one solution for every Python that macfix allows."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    requirements = pytest.importorskip("packaging.requirements")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    for text in project["dependency-groups"]["upstream"]:
        marker = requirements.Requirement(text).marker
        asked = [n for n in range(10, 15) if marker.evaluate({"python_version": f"3.{n}"})]
        assert asked == [13, 14]


# -- what pip makes of it --------------------------------------------------------------------------


def check_that_it_works(environment: Environment) -> None:
    """In every way in which macfix can be started, in an environment that has the upstream."""
    assert environment.run("-m", "macfix", "-c", LOOK, **ON) == PATCHED
    script = environment.folder / "bin" / "macfix"
    done = environments.run(script, "-c", LOOK, cwd=environment.folder, **ON)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, PATCHED, "")
    assert environment.run("-c", LOOK, **ON) == "1 0"
    environment.run("-m", "macfix", "enable")
    assert "macfix is enabled in" in environment.run("-m", "macfix", "enable", "--check")
    assert environment.run("-I", "-c", LOOK, **ON) == PATCHED
    environment.run("-m", "macfix", "disable")
    assert environment.run("-c", LOOK, **ON) == "1 0"


def test_pip_installs_the_wheel(wheel: Path, tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "env")
    environment.install(wheel)
    check_that_it_works(environment)


def test_pip_installs_a_checkout_editably(tmp_path: Path) -> None:
    """In two steps, as pip does it: the build backend need not come from the index then."""
    pytest.importorskip("hatchling")
    build = f"from hatchling.build import build_editable; build_editable({str(tmp_path)!r})"
    done = environments.run(sys.executable, "-c", build, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    environment = Environment.make(tmp_path / "env")
    environment.install(next(tmp_path.glob("*.whl")))
    check_that_it_works(environment)
    where = environment.run("-c", "import macfix; print(macfix.__file__)")
    assert where == str(REPOSITORY / "macfix" / "__init__.py")


def test_pyinstaller_is_told_where_the_hook_lies(installed: Environment) -> None:
    ask = (
        "from importlib.metadata import entry_points\n"
        "(point,) = entry_points(group='pyinstaller40', name='hook-dirs')\n"
        "print(*point.load()())"
    )
    assert (Path(installed.run("-c", ask)) / "hook-macfix.py").is_file()


# -- what the tools of others make of it -----------------------------------------------------------

TOOLS = ("uv", "pipx", "poetry", "twine", "shiv")


@pytest.fixture(scope="module")
def tools(run_folder: Path) -> Path:
    """The folder of their commands."""

    def make(folder: Path) -> None:
        words = [sys.executable, "-m", "venv", str(folder)]
        subprocess.run(words, check=True, timeout=environments.PATIENCE)
        pip_from_the_index(Environment(folder), *TOOLS)

    return made_once(run_folder / "tools", make) / "bin"


def pip_from_the_index(environment: Environment, *names: str) -> None:
    done = environments.pip(
        *("--python", environment.python, "install", "--quiet", "--no-cache-dir", *names),
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")


def use(command: Path, *words: str | Path, cwd: Path, sandbox: Sandbox, **env: str) -> str:
    """Run a tool as its user would, with homes of its own; the answer is all it printed."""
    dropped = ("VIRTUAL_ENV", "PYTHONPATH")
    kept = {name: text for name, text in STARTED_WITH.items() if name not in dropped}
    done = subprocess.run(
        [str(command), *map(str, words)],
        env=sandbox.environment(kept) | env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, f"{command.name} {words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class TestTools:
    pytestmark = heavy

    def test_twine(self, tools: Path, wheel: Path, sandbox: Sandbox, tmp_path: Path) -> None:
        words = ["-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
        environments.run(sys.executable, *words, cwd=REPOSITORY)
        built = [wheel, *tmp_path.glob("*.tar.gz")]
        said = use(tools / "twine", "check", "--strict", *built, cwd=tmp_path, sandbox=sandbox)
        assert (said.count("PASSED"), "WARNING" in said) == (2, False), said

    def test_uv_pip(self, tools: Path, wheel: Path, sandbox: Sandbox, tmp_path: Path) -> None:
        environment = Environment(tmp_path / "env")
        uv, here = tools / "uv", {"cwd": tmp_path, "sandbox": sandbox}
        use(uv, "venv", "--python", sys.executable, environment.folder, **here)
        use(uv, "pip", "install", "--python", environment.python, wheel, **here)
        environments.lay_out_upstream(environment.packages)
        check_that_it_works(environment)

    def test_uvx_and_pipx_run_enable_nothing_and_say_what_would(
        self, tools: Path, wheel: Path, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        uv, here = tools / "uv", {"cwd": tmp_path, "sandbox": sandbox}
        for words in (
            [tools / "uvx", "--python", sys.executable, "--from", wheel, "macfix", "enable"],
            [
                tools / "pipx",
                "run",
                "--python",
                sys.executable,
                "--spec",
                wheel,
                "macfix",
                "enable",
            ],
        ):
            with pytest.raises(AssertionError, match="an environment for this one command"):
                use(*words, **here)
        use(uv, "venv", "--python", sys.executable, **here)
        use(uv, "pip", "install", "macfix", **here, UV_FIND_LINKS=str(wheel.parent))
        said = use(uv, "run", "--no-project", "macfix", "enable", **here)
        assert f"is now enabled in {tmp_path / '.venv'}" in said

    @pytest.mark.parametrize("editable", ["", ", editable = true"], ids=["copied", "editable"])
    def test_a_project_of_uv(
        self, tools: Path, sandbox: Sandbox, tmp_path: Path, editable: str
    ) -> None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        (tmp_path / "pyproject.toml").write_text(
            f'[project]\nname = "mine"\nversion = "1"\nrequires-python = ">={version}"\n'
            'dependencies = ["macfix"]\n'
            f"[tool.uv.sources]\nmacfix = {{ path = {json.dumps(str(REPOSITORY))}{editable} }}\n"
        )
        words = ["sync", "--python", sys.executable]
        use(tools / "uv", *words, cwd=tmp_path, sandbox=sandbox)
        environment = Environment(tmp_path / ".venv")
        environments.lay_out_upstream(environment.packages)
        check_that_it_works(environment)
        words = ["run", "--no-sync", "macfix", "-c", LOOK]
        assert PATCHED in use(tools / "uv", *words, cwd=tmp_path, sandbox=sandbox, **ON)

    def test_uv_resolves_the_group_of_the_upstream(
        self, tools: Path, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        """From the checkout on this machine, in place of upstream's own repository."""
        try:
            checkout = upstream.checkout("tractor")
        except upstream.UpstreamMissingError as error:
            pytest.skip(str(error))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
        (tmp_path / "macfix").mkdir()
        version = REPOSITORY / "macfix" / "__init__.py"
        (tmp_path / "macfix" / "__init__.py").write_bytes(version.read_bytes())
        git = {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"url.{checkout.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/goodboy/tractor",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
        }
        words = ["lock", "--python", sys.executable]
        use(tools / "uv", *words, cwd=tmp_path, sandbox=sandbox, **git)
        assert 'name = "tractor"' in (tmp_path / "uv.lock").read_text()

    def test_pipx(self, tools: Path, wheel: Path, sandbox: Sandbox, tmp_path: Path) -> None:
        """An application has its own environment, into which macfix is injected."""
        app = tmp_path / "app"
        app.mkdir()
        (app / "pyproject.toml").write_text(
            '[project]\nname = "app"\nversion = "1"\n[project.scripts]\napp = "app:main"\n'
            '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
            '[tool.hatch.build.targets.wheel]\ninclude = ["app.py"]\n'
        )
        (app / "app.py").write_text(f"def main():\n    {LOOK}\n")
        home = {"PIPX_HOME": str(tmp_path / "p"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
        pipx = tools / "pipx"
        words = ["install", "--python", sys.executable, app]
        use(pipx, *words, cwd=tmp_path, sandbox=sandbox, **home)
        words = ["inject", "--include-apps", "app", wheel]
        use(pipx, *words, cwd=tmp_path, sandbox=sandbox, **home)
        environment = Environment(tmp_path / "p" / "venvs" / "app")
        environments.lay_out_upstream(environment.packages)
        command, macfix = tmp_path / "bin" / "app", tmp_path / "bin" / "macfix"

        def look(*words: str | Path) -> tuple[str, str]:
            done = environments.run(*words, cwd=tmp_path, **ON)
            return done.stdout.strip(), done.stderr

        assert look(command) == ("1 0", "")
        if (tmp_path / "bin" / "macfix").read_text().partition("\n")[0].endswith(" -E"):
            assert "`macfix enable` does it" in look(macfix, "app")[1]
        assert "is now enabled" in look(macfix, "enable")[0]
        for words in [command], [macfix, command], [macfix, "app"]:
            assert look(*words) == (PATCHED, ""), words

    def test_poetry(self, tools: Path, wheel: Path, sandbox: Sandbox, tmp_path: Path) -> None:
        words = ["wheel", "--quiet", "--no-cache-dir", "-w", tmp_path / "wheels", "wrapt", "pluggy"]
        environments.pip(*words)
        wheels = [wheel, *(tmp_path / "wheels").glob("*.whl")]
        needed = [f"{each.name.partition('-')[0]} @ {each.as_uri()}" for each in wheels]
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        (tmp_path / "pyproject.toml").write_text(
            f'[project]\nname = "mine"\nversion = "1"\nrequires-python = "~={version}.0"\n'
            f"dependencies = {json.dumps(needed)}\n[tool.poetry]\npackage-mode = false\n"
        )
        inside = {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_NO_INTERACTION": "1"}
        poetry, here = tools / "poetry", {"cwd": tmp_path, "sandbox": sandbox}
        use(poetry, "env", "use", sys.executable, **here, **inside)
        use(poetry, "install", **here, **inside)
        environment = Environment(tmp_path / ".venv")
        environments.lay_out_upstream(environment.packages)
        check_that_it_works(environment)
        said = use(poetry, "run", "macfix", "-c", LOOK, **here, **inside, **ON)
        assert PATCHED in said

    def test_shiv(self, tools: Path, wheel: Path, sandbox: Sandbox, tmp_path: Path) -> None:
        """A zip file that unpacks itself into a folder, and puts that on `sys.path`."""
        app = tmp_path / "macfix.pyz"
        words = ["-o", app, "-p", sys.executable, "-e", "macfix.cli:main", wheel]
        use(tools / "shiv", *words, cwd=tmp_path, sandbox=sandbox)
        environment = Environment.make(tmp_path / "env")
        root = {"SHIV_ROOT": str(tmp_path / "root")}
        assert environment.run(app, "-c", LOOK, **ON, **root) == PATCHED

    def test_pips_user_site(self, wheel: Path, tmp_path: Path) -> None:
        base = {"PYTHONUSERBASE": str(tmp_path / "user"), "PIP_BREAK_SYSTEM_PACKAGES": "1"}
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        python = Path(sys.base_prefix, "bin", version)
        words = ["-m", "pip", "install", "--user", "--no-deps", "--no-index", wheel]
        done = environments.run(python, *words, cwd=tmp_path, **base)
        if "No module named pip" in done.stderr:
            pytest.skip(f"{python} has no pip")
        assert done.returncode == 0, done.stderr
        packages = tmp_path / "user" / "lib" / version / "site-packages"
        environments.lay_out_upstream(packages)
        environments.lay_out_dependencies(packages)
        for words in ["-m", "macfix"], [str(tmp_path / "user" / "bin" / "macfix")]:
            done = environments.run(python, *words, "-c", LOOK, cwd=tmp_path, **base, **ON)
            assert (done.stdout.strip(), done.stderr) == (PATCHED, "")

    @pytest.mark.parametrize("kind", ["--onedir", "--onefile"])
    def test_pyinstaller(
        self, installed: Environment, sandbox: Sandbox, tmp_path: Path, kind: str
    ) -> None:
        """A frozen program has the built-in patches and those of the plugin `own`."""
        environment = environments.like(installed, tmp_path / "env")
        pip_from_the_index(environment, "pyinstaller", "trio")
        replicas = environment.packages / "macfix" / "cli" / "demo" / "replicas" / "tractor"
        for file in replicas.rglob("*.py"):
            place = environment.packages / "tractor" / file.relative_to(replicas)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(file.read_bytes())
        environments.program(
            tmp_path,
            """
            import macfix
            macfix.activate()
            import tractor.ipc._uds, tractor.thing
            print(tractor.thing.answer, macfix.status().problems)
            for entry in macfix.status().entries:
                if entry.state == "applied": print(entry.patch)
            """,
        )
        words = ["-m", "PyInstaller", kind, "--log-level", "WARN", "program.py"]
        use(environment.python, *words, cwd=tmp_path, sandbox=sandbox)
        built = tmp_path / "dist" / "program"
        command = built / "program" if kind == "--onedir" else built
        environment.folder.rename(tmp_path / "elsewhere")  # nothing of it may be needed
        force = "uds-backlog,uds-socket-names,transport-reset,own-thing"
        done = environments.run(
            command, cwd=tmp_path, MACFIX_FORCE=force, XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"]
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        first, *applied = done.stdout.splitlines()
        assert (first, sorted(applied)) == ("42 ()", sorted(force.split(",")))
