"""Every built-in patch is a module that says all about itself, and that its plugin gives."""

from __future__ import annotations

import ast
import difflib
import subprocess
import sys
from pathlib import Path

import pytest

from macfix import patches
from macfix.cli.documentation import SUMMARY, documentation_of, parse
from macfix.engine.errors import PatchDefinitionError
from tests.support import builtin
from tests.support.surroundings import REPOSITORY

FOLDER = REPOSITORY / "macfix" / "patches"
FILES = sorted(FOLDER.glob("*/[!_]*.py"))
HELPERS = sorted({*FOLDER.rglob("*.py")} - {*FILES})

SETTINGS = ("LIVE", "PLATFORMS")
"""The only names in capitals that the engine reads of a patch module."""

ACTS = ("diagnose", "install", "repro", "rewrite")
"""The functions that it reads."""


def name_of(file: Path) -> str:
    """Return the dotted name of the module *file*."""
    return ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)


def short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def test_a_folder_of_patches_is_a_plugin_and_each_plugin_has_one() -> None:
    folders = {file.parent.name for file in FOLDER.glob("*/__init__.py")}
    assert folders == set(patches.PLUGINS)
    assert len(patches.PLUGINS) == len(set(patches.PLUGINS))


@pytest.mark.parametrize("plugin", patches.PLUGINS)
def test_a_plugin_gives_exactly_the_modules_in_its_folder(plugin: str) -> None:
    given = {patch.module for patch in builtin.plugins().all_patches() if patch.plugin == plugin}
    assert given == {name_of(file) for file in FILES if file.parent.name == plugin}


@pytest.mark.parametrize("plugin", patches.PLUGINS)
def test_a_plugin_names_a_target_only_for_patches_and_no_patch_twice(plugin: str) -> None:
    module = builtin.plugins().manager.get_plugin(plugin)
    assert module is not None
    for target, names in module.PATCHES.items():
        assert names and len(names) == len(set(names)), target
        assert [m.__name__.rpartition(".")[2] for m in module.macfix_patches(target)] == [*names]
        assert target.partition(".")[0] in (*patches.PACKAGES, "trio")
    assert list(module.macfix_targets()) == list(module.PATCHES)
    assert module.macfix_patches("tractor.no_such_target") == []


@pytest.mark.parametrize("file", FILES, ids=short)
def test_a_patch_describes_its_defect_in_full(file: Path) -> None:
    documentation = documentation_of(name_of(file))  # or an error that names file and section
    summary = documentation[SUMMARY]
    assert summary.endswith(".") and len(summary) <= 97, f"{file}: {summary!r}"
    upstream = documentation["Upstream"]
    assert "https://" in upstream or "Not reported." in upstream, file


@pytest.mark.parametrize(
    ("line", "problem"),
    [("Problem:", "'Problem'"), ("Remove when:", "'Remove when'"), ("Upstream:", "'Upstream'")],
)
def test_a_missing_section_is_named_with_its_file(line: str, problem: str) -> None:
    text = FILES[0].read_text()
    assert f"\n{line}\n" in text
    with pytest.raises(PatchDefinitionError) as caught:
        parse(text.replace(f"\n{line}\n", "\n"), "a/file.py")
    assert "a/file.py" in str(caught.value) and problem in str(caught.value)


@pytest.mark.parametrize("file", FILES, ids=short)
def test_no_act_and_no_setting_is_misspelt(file: Path) -> None:
    names = defined_in(file)
    assert "diagnose" in names and {"install", "rewrite"} & names and "repro" in names
    own = defined_in(file, imports=False)
    for known in (*ACTS, *SETTINGS):
        others = difflib.get_close_matches(known, own - {known}, cutoff=0.75)
        assert others == [], f"{file}: is that {known}?"


@pytest.mark.parametrize("setting", ["LIV", "PLATFORM", "PLATFROMS", "LIVES"])
def test_a_misspelt_setting_would_be_seen(setting: str) -> None:
    assert any(difflib.get_close_matches(known, {setting}, cutoff=0.75) for known in SETTINGS)


@pytest.mark.parametrize("file", FILES, ids=short)
def test_a_patch_is_no_plugin_and_no_part_of_another_patch(file: Path) -> None:
    assert not {"hookimpl", "PATCH", "PATCHES"} & defined_in(file)
    others = {name_of(other) for other in FILES}
    imported = {
        f"{node.module}.{alias.name}" if node.level == 0 else f"{name_of(file.parent)}.{alias.name}"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert not imported & others, "what two patches share is a module with an underscore"


@pytest.mark.parametrize("file", [*FILES, *HELPERS], ids=short)
def test_macfix_is_imported_at_the_top(file: Path) -> None:
    tree = ast.parse(file.read_text())
    late = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.level > 0 or (node.module or "").partition(".")[0] == "macfix")
        and node not in tree.body
    ]
    assert late == []


@pytest.mark.parametrize("file", FILES, ids=short)
def test_only_functions_import_what_a_machine_may_lack(file: Path) -> None:
    for node in ast.parse(file.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        tops = {name.partition(".")[0] for name in names}
        assert not tops & {"tractor", "piker", "trio", "numpy", "msgspec"}


BARE = """
import sys
import wrapt  # from 2.0 on it imports asyncio itself
for name in [name for name in sys.modules if name.partition(".")[0] == "asyncio"]:
    del sys.modules[name]
from macfix.engine.config import Config
from macfix.engine.plugins import Plugins
from macfix.activation.activate import BUILTIN
plugins = Plugins(Config(plugins=frozenset()), BUILTIN)
for target in plugins.targets:
    if target != "tractor.to_asyncio" and not target.startswith("piker.brokers."):
        assert plugins.patches(target)
assert plugins.problems == []
print(sorted({"asyncio", "bidict", "colorlog", "multiaddr", "numpy", "trio"} & sys.modules.keys()))
"""


def test_patches_load_nothing_that_a_bare_import_of_tractor_does_not() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", BARE], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (finished.stdout.strip(), finished.stderr) == ("[]", "")


def defined_in(file: Path, *, imports: bool = True) -> set[str]:
    """Return the names that the module defines at its top, or imports there."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and imports:
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names
