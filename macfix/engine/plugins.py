"""The plugins of this process, through pluggy, and the patches that they contribute."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, DistributionFinder, EntryPoint
from typing import Any

import pluggy

from macfix import hookspecs

from .config import Config
from .errors import PatchDefinitionError, describe
from .ledger import Entry, Problem
from .patch import Patch


class Plugins:
    """All plugins that may be loaded: macfix's own first, then what is installed.

    pluggy stops at the first plugin that raises, so each is loaded, and each hook implementation is
    called, by itself: what one raises becomes a problem, and costs that plugin only.

    Attributes:
        manager: pluggy's own.
        targets: the plugins that have patches for each target, in the order of registration.
        problems: what was wrong with plugins and variables so far.
    """

    def __init__(
        self,
        config: Config,
        builtin: Mapping[str, str],
        tell: Callable[[Problem], object] = lambda _: None,
    ) -> None:
        """
        Args:
            config: says which plugins must not be, or may be, loaded.
            builtin: macfix's own plugins: the modules by name, in the order to register them.
            tell: called with each problem.
        """
        self.problems: list[Problem] = []
        self._tell = tell
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self._patches: dict[str, tuple[Patch, ...]] = {}
        self._modules: dict[str, str] = {}
        for name, module in builtin.items():
            if name not in config.block:
                self._register(name, partial(import_module, module))
        others = self._third_party(builtin)
        self.installed = [*builtin, *(point.name for point in others)]
        """The names of all plugins that there are, the ones that were not loaded included."""
        for point in others:
            if config.allows(point.name):
                self._register(point.name, point.load)
        self.targets: dict[str, list[str]] = {}
        for name, _ in self.manager.list_name_plugin():
            for target in self._ask(name, "macfix_targets"):
                if isinstance(target, str):
                    self.targets.setdefault(target, []).append(name)
                else:
                    what = f"an object of {type(target)}, which is no module name"
                    self.report(name, f"macfix_targets gave {what}")

    def patches(self, target: str) -> tuple[Patch, ...]:
        """The patches for *target*, loaded when they are first asked for."""
        if target not in self._patches:
            found: list[Patch] = []
            for name in self.targets.get(target, ()):
                for module in self._ask(name, "macfix_patches", target=target):
                    patch = self._admit(module, name)
                    if patch is not None and patch not in found:
                        found.append(patch)
            self._patches[target] = tuple(found)
        return self._patches[target]

    def all_patches(self) -> dict[Patch, list[str]]:
        """Every patch with its targets; loads all of them."""
        found: dict[Patch, list[str]] = {}
        for target in self.targets:
            for patch in self.patches(target):
                found.setdefault(patch, []).append(target)
        return found

    def plugins_of(self, target: str) -> list[Any]:
        """The plugins that have patches for *target*."""
        return [self.manager.get_plugin(name) for name in self.targets.get(target, ())]

    def observe(self, entry: Entry) -> None:
        """Tell the plugins the state of a patch."""
        for name, _ in self.manager.list_name_plugin():
            self._ask(name, "macfix_outcome", entry=entry)

    def check(self, config: Config) -> None:
        """Report what is wrong with the user's variables, and the names in them that nobody has."""
        patches = self.all_patches() if config.skip or config.only or config.force else ()
        wrong = config.wrong_names([patch.name for patch in patches], self.installed)
        for text in (*config.complaints, *wrong):
            self.report("settings", text)

    def report(self, where: str, message: str, error: BaseException | None = None) -> None:
        """Tell a problem, and keep it unless it is there already."""
        text = "".join(traceback.format_exception(error)) if error is not None else None
        problem = Problem(where, message, text)
        if problem not in self.problems:
            self.problems.append(problem)
        self._tell(problem)

    # -- registration --------------------------------------------------------------------------

    def _register(self, name: str, load: Callable[[], object]) -> None:
        try:
            # not by load_setuptools_entrypoints(): one distribution that cannot be read stops it
            # for all others, and it would take a stale entry point of macfix's own of that name
            plugin = load()
            hash(plugin)  # or pluggy could ask none of the others, either
            self.manager.register(plugin, name=name)
            self.manager.check_pending()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self.manager.get_plugin(name) is not None:  # it implements a hook that is not there
                self.manager.unregister(name=name)
            self.report(name, f"the plugin cannot be loaded: {describe(error)}", error)
        else:
            if not self.manager.get_hookcallers(plugin):
                self.report(name, "it has no hooks: do its functions lack @macfix.hookimpl?")

    def _third_party(self, builtin: Mapping[str, str]) -> list[EntryPoint]:
        """The entry points that other distributions declare; of two with one name the first.

        macfix's own are registered by their packages, installed or not. What else bears its name
        is stale: an editable install keeps the entry points of the version that was installed.
        """
        found: dict[str, EntryPoint] = {}
        values = dict(builtin)
        for distribution in _distributions():
            try:
                points = distribution.entry_points
            except Exception as error:
                where = str(getattr(distribution, "_path", distribution))
                self.report(where, f"its entry points cannot be read: {describe(error)}", error)
                continue
            for point in points:
                if point.group != hookspecs.PROJECT or point.value.startswith("macfix."):
                    continue
                other = values.setdefault(point.name, point.value)
                if other == point.value:
                    found[point.name] = point
                else:
                    self.report(
                        point.name,
                        f"{point.value} has the name of another plugin, {other}; ignored",
                    )
        return list(found.values())

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, plugin: str, hook: str, **arguments: object) -> list[Any]:
        """What *plugin* alone answers; nothing if it raises or does not implement *hook*."""
        others = [other for name, other in self.manager.list_name_plugin() if name != plugin]
        try:
            caller = self.manager.subset_hook_caller(hook, remove_plugins=others)
            answers = [[one] if isinstance(one, str) else one for one in caller(**arguments)]
            return [item for answer in answers for item in answer]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.report(plugin, f"{hook} raised {describe(error)}", error)
            return []

    def _admit(self, module: Any, plugin: str) -> Patch | None:
        try:
            patch = Patch.of(module, plugin)
            other = self._modules.setdefault(patch.name, patch.module)
            if other != patch.module:
                raise PatchDefinitionError(
                    f"patch module {patch.module}: its name {patch.name!r} is taken by {other}"
                )
            return patch
        except PatchDefinitionError as error:
            self.report(plugin, f"{error}; ignored")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # of a module that is lazy, or no plain one
            self.report(plugin, f"a patch module raised {describe(error)}; ignored", error)
        return None


def _distributions() -> Iterable[Distribution]:
    """What is installed on ``sys.path``, whatever else is there and on ``sys.meta_path``."""
    places = [place for place in sys.path if isinstance(place, str)]
    return PathFinder.find_distributions(DistributionFinder.Context(path=places))
