"""A small upstream made for one test, and an engine with patches for it."""

from __future__ import annotations

import ast
import importlib
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes, Diagnosis, Source, hookimpl, needed
from macfix import _once as once
from macfix.engine.config import Config
from macfix.engine.engine import Engine
from macfix.engine.finder import Finder

ROOT = "fakeup"
MOD = f"{ROOT}.mod"
"""The module that patches are for, unless a test says otherwise."""

PLUGIN = "fake"
"""The name of the plugin that `FakeUpstream.patch` makes: its patches are `fake-…`."""

_numbers = count()


def make_patch(name: str = "some", **contents: Any) -> ModuleType:
    """A patch module that is always needed, on this platform, unless `contents` say otherwise."""
    module = ModuleType(f"fake_macfix_patches.{name.replace('-', '_')}")
    given: dict[str, Any] = {
        "diagnose": lambda source: needed("the test says so"),
        "PLATFORMS": frozenset({sys.platform}),
    }
    if not {"rewrite", "install"} & contents.keys():
        given["install"] = set_answer(42)
    vars(module).update(given | contents)
    return module


def set_answer(value: object) -> Callable[[ModuleType, Changes], None]:
    """An install that sets `answer` in the module."""

    def install(module: ModuleType, changes: Changes) -> None:
        changes.set(module, "answer", value)

    return install


def replace_constant(old: object, new: object) -> Callable[[ast.Module], ast.Module]:
    """A rewrite that puts the constant `new` where `old` stands."""

    class Replace(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return ast.copy_location(ast.Constant(new), node) if node.value == old else node

    def rewrite(tree: ast.Module) -> ast.Module:
        replaced = Replace().visit(tree)
        assert isinstance(replaced, ast.Module)
        return replaced

    return rewrite


def always(answer: Diagnosis) -> Callable[[Source], Diagnosis]:
    """A `diagnose` that gives the same answer for every source."""
    return lambda source: answer


def make_plugin(
    *patches: object, by_target: Mapping[str, Iterable[object]] | None = None, **hooks: Any
) -> str:
    """Put a plugin module into `sys.modules` and return its name.

    Args:
        patches: what it gives for the target `MOD`.
        by_target: what it gives for several targets instead.
        hooks: hook implementations besides, or in the place of, the two that this makes.
    """
    given = {MOD: patches} if by_target is None else by_target

    def macfix_targets() -> Iterable[str]:
        return list(given)

    def macfix_patches(target: str) -> Iterable[object]:
        return given.get(target, ())

    plugin = ModuleType(f"fake_macfix_plugin_{next(_numbers)}")
    implementations = {"macfix_targets": macfix_targets, "macfix_patches": macfix_patches} | hooks
    for name, function in implementations.items():
        setattr(plugin, name, hookimpl(function))
    sys.modules[plugin.__name__] = plugin
    return plugin.__name__


def without_installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine see no installed plugin of somebody else."""
    monkeypatch.setattr("macfix.engine.plugins._distributions", list)


class FakeUpstream:
    """The package `fakeup` in a folder of its own, and finders that patch it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finders: list[Finder] = []
        self.path_before = list(sys.path)
        self.meta_path_before = list(sys.meta_path)
        self.isolation = pytest.MonkeyPatch()
        without_installed_plugins(self.isolation)
        self.isolation.setattr(once, "_said", set())
        self.isolation.setenv(once.VARIABLE, "0a")
        sys.path.insert(0, str(folder))
        self.write(ROOT, "", package=True)

    def write(self, module: str, source: str, *, package: bool = False) -> Path:
        """Write the source of `module`; its packages must exist."""
        place = self.folder.joinpath(*module.split("."))
        file = place / "__init__.py" if package else place.with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        return file

    def patch(
        self,
        *patches: object,
        config: Config | None = None,
        plugins: Mapping[str, str] | None = None,
    ) -> Engine:
        """Put a finder with `patches` (or with `plugins`, modules by name) before all others."""
        builtin = {PLUGIN: make_plugin(*patches)} if plugins is None else plugins
        finder = Finder([ROOT], lambda: Engine(config or Config(), builtin))
        sys.meta_path.insert(0, finder)
        self.finders.append(finder)
        engine = finder.start_engine()
        assert engine is not None
        return engine

    def load(self, module: str = MOD) -> Any:
        """Import `module`."""
        return importlib.import_module(module)

    def forget(self) -> None:
        """Take the last finder away, and what was imported: for another try."""
        sys.meta_path.remove(self.finders.pop())
        for name in [name for name in sys.modules if name.partition(".")[0] == ROOT]:
            del sys.modules[name]

    def close(self) -> None:
        """Leave the import system as it was."""
        sys.path[:] = self.path_before
        sys.meta_path[:] = self.meta_path_before
        self.isolation.undo()
        for name in list(sys.modules):
            if name.partition(".")[0] == ROOT or name.startswith("fake_macfix_"):
                del sys.modules[name]


def states(engine: Engine) -> dict[str, str]:
    """The state of every patch at every target, as `patch@target`."""
    return {f"{e.patch}@{e.target}": str(e.state) for e in engine.entries()}
