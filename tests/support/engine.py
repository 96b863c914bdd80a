"""A small upstream made for one test, and an engine with patches for it."""

from __future__ import annotations

import ast
import importlib
import sys
import textwrap
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macfix import Patch, Source, Verdict, needed
from macfix.engine import Changes, Config, Engine, hookimpl
from macfix.engine._finder import Finder

ROOT = "fakeup"
_numbers = count()


def make_patch(name: str = "some-patch", target: str = f"{ROOT}.mod", **fields: Any) -> Patch:
    """A patch that is always needed, for this platform, unless `fields` say otherwise."""
    given: dict[str, Any] = {
        "name": name,
        "targets": (target,),
        "summary": "something is wrong",
        "upstream": "not reported",
        "remove_when": "it is right",
        "needed": lambda source: needed("the test says so"),
        "platforms": frozenset({sys.platform}),
    }
    if not {"rewrite", "install"} & fields.keys():
        given["install"] = set_answer(42)
    return Patch(**(given | fields))


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


def make_plugin(patches: Iterable[object] | Callable[[], object], **hooks: Any) -> str:
    """Put a plugin module into `sys.modules` and return its name."""
    plugin = ModuleType(f"fake_macfix_plugin_{next(_numbers)}")

    def macfix_patches() -> object:
        return patches() if callable(patches) else list(patches)

    plugin.macfix_patches = hookimpl(macfix_patches)  # type: ignore[attr-defined]
    for name, function in hooks.items():
        setattr(plugin, name, hookimpl(function))
    sys.modules[plugin.__name__] = plugin
    return plugin.__name__


def without_installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine see no installed plugin, macfix's own included."""
    monkeypatch.setattr("macfix.engine._plugins._installed", lambda found: {})


class World:
    """The package `fakeup` in a folder of its own, and finders that mend it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finders: list[Finder] = []
        self.path_before = list(sys.path)
        self.meta_path_before = list(sys.meta_path)
        self.isolation = pytest.MonkeyPatch()
        without_installed_plugins(self.isolation)
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

    def mend(self, *patches: object, config: Config | None = None, plugin: str = "") -> Engine:
        """Put a finder with `patches` (or those of `plugin`) before all others."""
        name = plugin or make_plugin(patches)
        finder = Finder([ROOT], lambda: Engine(config or Config(), [name]))
        sys.meta_path.insert(0, finder)
        self.finders.append(finder)
        return finder.load()

    def load(self, module: str = f"{ROOT}.mod") -> Any:
        """Import `module`."""
        return importlib.import_module(module)

    def close(self) -> None:
        """Leave the import system as it was."""
        sys.path[:] = self.path_before
        sys.meta_path[:] = self.meta_path_before
        self.isolation.undo()
        for name in list(sys.modules):
            if name.partition(".")[0] == ROOT or name.startswith("fake_macfix_plugin"):
                del sys.modules[name]


def always(verdict: Verdict) -> Callable[[Source], Verdict]:
    """A `needed` that gives the same verdict for every source."""
    return lambda source: verdict
