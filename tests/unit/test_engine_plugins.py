"""Plugins: found, isolated, blocked, observed; and a patch says clearly what is wrong with it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from macfix import Entry, MacfixWarning, Patch, State
from macfix.engine import Config, PatchDefinitionError, PatchFailedError, load_patches
from tests.support.engine import (
    ROOT,
    World,
    make_patch,
    make_plugin,
    without_installed_plugins,
)

MOD = f"{ROOT}.mod"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    without_installed_plugins(monkeypatch)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.write(MOD, "answer = 1")
    yield made
    made.close()


def test_a_broken_plugin_costs_one_warning_and_nothing_else(world: World) -> None:
    def broken() -> Any:
        raise ZeroDivisionError("the plugin is wrong")

    from macfix.engine import Engine

    with pytest.warns(MacfixWarning, match="the plugin is wrong") as warned:
        engine = Engine(Config(), [make_plugin(broken), make_plugin([make_patch()])])
    assert len(warned) == 1
    assert [patch.name for patch in engine.patches.patches()] == ["some-patch"]
    (problem,) = engine.ledger.problems
    assert "in broken" in (problem.traceback or "")


def test_a_plugin_that_cannot_be_imported_is_a_problem_and_no_more() -> None:
    found = load_patches(Config(), ["no_such_plugin", make_plugin([make_patch()])])
    assert [patch.name for patch in found.patches()] == ["some-patch"]
    assert [problem.where for problem in found.problems] == ["no-such-plugin"]


@pytest.mark.parametrize("error", [SystemExit(3), BaseException("base")], ids=repr)
@pytest.mark.parametrize("place", ["import", "macfix_patches", "macfix_outcome"])
def test_a_plugin_cannot_end_the_program(
    world: World, tmp_path: Path, place: str, error: BaseException
) -> None:
    def broken() -> Any:
        raise error

    def macfix_outcome(entry: Any) -> None:
        raise error

    name = make_plugin(
        broken if place == "macfix_patches" else [],
        **({"macfix_outcome": macfix_outcome} if place == "macfix_outcome" else {}),
    )
    if place == "import":
        name = "fake_macfix_plugin_in_a_file"
        (tmp_path / f"{name}.py").write_text(f"raise {error!r}")
    found = load_patches(Config(), [name, make_plugin([make_patch()])])
    found.observe(Entry("some-patch", MOD, State.PENDING, "not imported yet"))
    assert [patch.name for patch in found.patches()] == ["some-patch"]
    (problem,) = found.problems
    assert problem.where == name.replace("_", "-")
    assert f"{type(error).__name__}: {error}" in problem.message


def test_a_hook_that_macfix_does_not_have_is_pointed_out() -> None:
    def macfix_patchez() -> list[Patch]:
        return []

    name = make_plugin([make_patch()], macfix_patchez=macfix_patchez)
    found = load_patches(Config(), [name])
    assert [patch.name for patch in found.patches()] == ["some-patch"]
    (problem,) = found.problems
    assert "no hook 'macfix_patchez'" in problem.message


def test_strict_makes_a_broken_plugin_an_error() -> None:
    from macfix.engine import Engine

    with (
        pytest.raises(PatchFailedError, match="no_such_plugin"),
        pytest.warns(MacfixWarning),
    ):
        Engine(Config(strict=True), ["no_such_plugin"])


def test_what_is_no_patch_is_refused_with_its_plugins_name() -> None:
    found = load_patches(Config(), [make_plugin(["not a patch"])])
    assert found.patches() == []
    assert "not a macfix.Patch" in found.problems[0].message


def test_a_patch_name_counts_once() -> None:
    first, second = make_patch(summary="first"), make_patch(summary="second")
    found = load_patches(Config(), [make_plugin([first]), make_plugin([second])])
    assert [patch.summary for patch in found.patches()] == ["first"]
    assert "is taken by plugin" in found.problems[0].message


def test_a_blocked_plugin_is_not_loaded() -> None:
    name = make_plugin([make_patch()])
    found = load_patches(Config(block={name.replace("_", "-")}), [name])
    assert found.patches() == []
    assert found.problems == []


def test_plugins_are_told_what_becomes_of_each_patch(world: World) -> None:
    seen: list[str] = []

    def macfix_outcome(entry: Any) -> None:
        seen.append(f"{entry.patch} {entry.target} {entry.state}")

    world.mend(plugin=make_plugin([make_patch()], macfix_outcome=macfix_outcome))
    world.load()
    assert seen == [f"some-patch {MOD} applied"]


def test_an_observer_that_raises_does_not_stop_the_import(world: World) -> None:
    def macfix_outcome(entry: Any) -> None:
        raise ZeroDivisionError("the observer is wrong")

    engine = world.mend(plugin=make_plugin([make_patch()], macfix_outcome=macfix_outcome))
    assert world.load().answer == 42
    assert "the observer is wrong" in engine.ledger.problems[0].message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Not Kebab"}, "kebab-case"),
        ({"targets": ()}, "targets must be a non-empty tuple"),
        ({"targets": ("a-b",)}, "dotted module names"),
        ({"summary": " "}, "summary must be a non-empty text"),
        ({"install": None}, "at least one of the two"),
        ({"platforms": frozenset()}, "platforms must be"),
        ({"needed": None}, "needed must be a function"),
    ],
)
def test_a_patch_that_is_not_well_formed_says_what_is_wrong(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(PatchDefinitionError, match=message):
        make_patch(**({"install": lambda m, c: None} | fields))


def test_a_patch_is_a_frozen_value() -> None:
    patch = make_patch()
    with pytest.raises(AttributeError):
        patch.name = "other"  # type: ignore[misc]
    assert isinstance(patch, Patch)


def test_a_third_partys_plugin_is_installed_and_its_patch_applied(tmp_path: Path) -> None:
    """A real distribution with an entry point, installed by pip into a folder of its own."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        textwrap.dedent("""\
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "macfix-third-party"
        version = "1"
        [project.entry-points.macfix]
        third-party = "third_party_plugin"
        [tool.hatch.build.targets.wheel]
        include = ["third_party_plugin.py"]
        """)
    )
    (project / "third_party_plugin.py").write_text(
        textwrap.dedent("""\
        import macfix

        @macfix.hookimpl
        def macfix_patches():
            return [macfix.Patch(
                name="third-party", targets=("tractor.thing",), summary="it is 1", upstream="-",
                remove_when="never", platforms=frozenset({"linux", "darwin"}),
                needed=lambda source: macfix.needed("a third party says so"),
                install=lambda module, changes: changes.set(module, "answer", 42),
            )]
        """)
    )
    site = tmp_path / "site"
    (site / "tractor").mkdir(parents=True)
    (site / "tractor" / "__init__.py").touch()
    (site / "tractor" / "thing.py").write_text("answer = 1")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(project)], check=True, timeout=240)
    program = (
        "import macfix; assert macfix.activate();"
        "import tractor.thing; print(tractor.thing.answer);"
        "print([str(e.state) for e in macfix.status().entries if e.patch == 'third-party'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PYTHONPATH": f"{REPOSITORY}:{site}",
            "HOME": str(tmp_path),
            "MACFIX_FORCE": "third-party",
            "MACFIX_ONLY": "third-party",
        },
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["42", "['applied']"], done.stderr


class Site:
    """A folder with distributions that contribute plugins, and no other one on the path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.undo()  # installed plugins are what these tests are about
        monkeypatch.setattr("macfix.engine._plugins.safe_path", lambda: [str(folder)])

    def add(self, name: str, entry_points: bytes, metadata: bytes | None = None) -> None:
        """Lay out what is left of an installed distribution."""
        place = self.folder / f"{name}-1.dist-info"
        place.mkdir()
        (place / "entry_points.txt").write_bytes(entry_points)
        (place / "METADATA").write_bytes(
            f"Name: {name}\n".encode() if metadata is None else metadata
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield Site(tmp_path, monkeypatch)
    for name in [name for name in sys.modules if name.startswith("fake_macfix_plugin")]:
        del sys.modules[name]


def entry_point(name: str, module: str) -> bytes:
    return f"[macfix]\n{name} = {module}\n".encode()


@pytest.mark.parametrize("broken", [b"[macfix]\nno value\n", b"[macfix]\nb = \xff\xfe\n"])
def test_entry_points_that_cannot_be_read_cost_their_distribution_only(
    site: Site, broken: bytes
) -> None:
    site.add("a-broken", broken)
    site.add("b-sound", entry_point("sound", make_plugin([make_patch()])))
    found = load_patches(Config())
    assert [patch.name for patch in found.patches()] == ["some-patch"]
    (problem,) = found.problems
    assert "a-broken-1.dist-info" in problem.where
    assert "entry points cannot be read" in problem.message


def test_a_distribution_whose_metadata_cannot_be_read_may_have_plugins(site: Site) -> None:
    """Somebody else's old package is no reason for a warning, nor to lose a plugin."""
    site.add("a-odd", b"", b"Name: \xff\n")
    site.add("b-odd", entry_point("first", make_plugin([make_patch("first")])), b"Name: \xff\n")
    site.add("c-odd", entry_point("second", make_plugin([make_patch("second")])), b"")
    site.add("d-odd", entry_point("third", make_plugin([make_patch("third")])), b"")
    found = load_patches(Config())
    assert sorted(patch.name for patch in found.patches()) == ["first", "second", "third"]
    assert found.problems == []


@pytest.mark.parametrize("known", [(), ("macfix.patches.uds_backlog",)], ids=["loaded", "known"])
def test_a_plugin_by_the_name_of_another_one_is_refused_aloud(
    site: Site, known: tuple[str, ...]
) -> None:
    from macfix.engine._patch_set import PatchSet
    from macfix.engine._plugins import load_others

    first, second = make_plugin([make_patch("first")]), make_plugin([make_patch("second")])
    site.add("a", entry_point("same", first) + f"uds-backlog = {second}\n".encode())
    site.add("b", entry_point("same", make_plugin([make_patch("third")])))
    found = PatchSet()
    modules = [] if known else ["macfix.patches.uds_backlog"]
    load_others(Config(), modules, known, found)
    names = {patch.name for patch in found.patches()} - {"uds-backlog"}
    assert len(names) == 1
    assert names < {"first", "third"}
    assert sorted(problem.where for problem in found.problems) == ["same", "uds-backlog"]
    assert all("the name of another plugin" in problem.message for problem in found.problems)


def test_the_entry_points_of_the_distribution_are_the_built_in_patches() -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        tomllib = pytest.importorskip("tomli")
    from macfix.patches import BUILTIN

    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        points = tomllib.load(file)["project"]["entry-points"]["macfix"]
    assert list(points.values()) == list(BUILTIN)
    folder = REPOSITORY / "macfix" / "patches"
    modules = {f"macfix.patches.{f.stem}" for f in folder.glob("[!_]*.py")}
    assert set(BUILTIN) == modules


def test_type_checkers_of_plugins_are_told_that_macfix_is_typed() -> None:
    assert "Typing :: Typed" in (REPOSITORY / "pyproject.toml").read_text()
    assert (REPOSITORY / "macfix" / "py.typed").is_file()  # PEP 561: without it they look away


def test_every_built_in_patch_is_documented_as_the_contract_says() -> None:
    from importlib import import_module

    from macfix.patches import BUILTIN

    for name in BUILTIN:
        doc = import_module(name).__doc__ or ""
        for section in ("Problem:", "Fix:", "Repro:", "Upstream:", "Remove when:"):
            assert section in doc, f"{name}: its docstring has no {section!r}"
    found = load_patches(Config(), BUILTIN)
    assert found.problems == []
    assert all(patch.repro is not None for patch in found.patches())
    assert len(found.patches()) == len(BUILTIN), "one defect, one patch, one file"
