"""The patches of this process: the built-in ones by name, all others loaded.

A process in which nobody else contributes patches needs neither pluggy nor a scan of the installed
distributions, and imports a built-in patch only when a target of it is.
"""

from __future__ import annotations

import sys

from ._bundle import import_own
from ._safe_imports import SafeImports, safe_path
from ._third_party import may_have_plugins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._cache import Cache
    from ._config import Config
    from ._ledger import Entry, Problem
    from ._patch import Patch


class Deferred:
    """A built-in patch that was not imported yet.

    Attributes:
        module: the dotted name of the module that contributes it.
        name: of the patch.
        targets: of the patch.
        package: the package whose code it is.
    """

    platforms = frozenset({"darwin"})
    __slots__ = ("module", "name", "package", "targets")

    def __init__(self, module: str, name: str, targets: tuple[str, ...]) -> None:
        self.module = module
        self.name = name
        self.targets = targets
        self.package = module.rpartition(".")[0]

    def fits_platform(self) -> bool:
        """Whether this process runs where the defect exists (the simulation counts as Darwin)."""
        return sys.platform in self.platforms

    def load(self) -> Patch:
        """Import the patch.

        Raises:
            LookupError: if its module does not contribute it.
            Exception: whatever the import raises.
        """
        with SafeImports():
            module = import_own(self.module)
        for patch in module.macfix_patches():
            if patch.name == self.name:
                found: Patch = patch
                return found
        raise LookupError(f"{self.module} contributes no patch {self.name!r}")

    def __repr__(self) -> str:
        return f"<built-in patch {self.name}>"


class PatchSet:
    """The patches that all plugins of this process contribute.

    Attributes:
        by_target: the patches of each target, in the order in which they are applied.
        origin: the plugin that each patch, by name, came from.
        homes: the module of that plugin, for those that are not built in.
        problems: plugins that could not be loaded, and patches that were refused.
        observe: tells the plugins what became of a patch; None where no plugin could listen.
    """

    def __init__(self) -> None:
        self.by_target: dict[str, tuple[Patch | Deferred, ...]] = {}
        self.origin: dict[str, str] = {}
        self.homes: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.observe: Callable[[Entry], None] | None = None

    def patches(self) -> list[Patch | Deferred]:
        """All patches, each once."""
        return list({p.name: p for group in self.by_target.values() for p in group}.values())

    def add(self, patch: Patch | Deferred, plugin: str) -> None:
        """Add *patch* behind all others; its name must not be taken."""
        self.origin[patch.name] = plugin
        for target in dict.fromkeys(patch.targets):
            self.by_target[target] = (*self.by_target.get(target, ()), patch)


def find_patches(config: Config, builtin: Iterable[str], cache: Cache) -> PatchSet:
    """What every plugin contributes: those of *builtin* deferred where that is possible.

    Args:
        config: says which plugins must not be, or may be, loaded.
        builtin: module names of plugins to load even where no installed distribution lists them.
        cache: where it is kept in which folders nobody else contributes patches.
    """
    from macfix.patches._contents import CONTENTS

    modules = list(builtin)
    found = PatchSet()
    for module in modules:
        name = plugin_name(module)
        if name in CONTENTS and _is_builtin(module) and name not in config.block:
            found.add(Deferred(module, name, CONTENTS[name]), name)
    deferred = {patch.module for patch in found.patches() if isinstance(patch, Deferred)}
    rest = [module for module in modules if module not in deferred]
    others = [module for module in rest if plugin_name(module) not in config.block]
    if others or may_have_plugins(safe_path(), set(modules), cache):
        with SafeImports():
            from ._plugins import load_others

            load_others(config, others, set(modules), found)
    return found


def plugin_name(module: str) -> str:
    """The entry-point name of the built-in plugin *module*."""
    return module.rpartition(".")[2].replace("_", "-")


def _is_builtin(module: str) -> bool:
    return module.startswith("macfix.patches.")


def loaded(patch: Patch | Deferred) -> Patch:
    """*patch* itself.

    Raises:
        Exception: whatever its import raises, if it was deferred.
    """
    return patch.load() if isinstance(patch, Deferred) else patch
