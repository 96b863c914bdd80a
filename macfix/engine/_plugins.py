"""Finding the plugins through pluggy and collecting their patches.

Loaded only where somebody else than macfix itself contributes patches, or where all plugins are to
be looked at; see ``_patch_set`` for the way without pluggy.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.metadata import Distribution, DistributionFinder, EntryPoint
from types import ModuleType
from typing import Any

import pluggy

from . import _hookspecs
from ._config import Config
from ._errors import describe
from ._ledger import Entry, Problem
from ._patch import Patch
from ._patch_set import PatchSet, plugin_name
from ._safe_imports import SafeImports, safe_path

__all__ = ["GROUP", "load_others", "load_patches"]

GROUP = "macfix"
"""The entry-point group through which plugins are found."""


class LoadedPatches(PatchSet):
    """Patches that are all imported.

    Attributes:
        manager: pluggy's plugin manager, for who wants to look at the plugins.
    """

    by_target: dict[str, tuple[Patch, ...]]  # type: ignore[assignment]
    manager: pluggy.PluginManager

    def patches(self) -> list[Patch]:  # type: ignore[override]
        """All patches, each once."""
        return list({p.name: p for group in self.by_target.values() for p in group}.values())


def load_patches(config: Config, builtin: Iterable[str] = ()) -> LoadedPatches:
    """Load every plugin of the group ``macfix`` and collect what they contribute.

    Args:
        config: says which plugins must not be, or may be, loaded.
        builtin: module names of plugins to load even where no installed distribution lists
            them, as in a source checkout on ``PYTHONPATH``.

    A plugin that cannot be imported, registered or asked is isolated: it becomes a problem in
    the answer, and all others are loaded as if it were not there.
    """
    found = LoadedPatches()
    with SafeImports():
        found.manager = load_others(config, list(builtin), (), found)
    return found


def load_others(
    config: Config, modules: list[str], known: Collection[str], found: PatchSet
) -> pluggy.PluginManager:
    """Load the plugins that are in *modules* or installed, and add what they contribute to *found*.

    Args:
        config: says which installed plugins must not be, or may be, loaded.
        modules: module names of macfix's own plugins, which come first.
        known: modules of plugins that are in *found* already.
        found: what there is so far; it is added to.
    """
    manager = pluggy.PluginManager("macfix")
    manager.add_hookspecs(_hookspecs)
    for name in config.block:
        manager.set_blocked(name)
    for point in _points(config, modules, known, found):
        if not manager.is_blocked(point.name):
            _register(manager, point, found)
    _collect(manager, found)
    found.observe = lambda entry: _tell_outcome(manager, entry, found)
    return manager


def _register(manager: pluggy.PluginManager, point: EntryPoint, found: PatchSet) -> None:
    """Load the plugin that *point* names, whatever it raises: a plugin must not end the program."""
    try:
        manager.register(point.load(), name=point.name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        found.problems.append(_problem(point.name, "the plugin cannot be loaded", error))
    else:
        _report_unknown_hooks(manager, point.name, found)


def _report_unknown_hooks(manager: pluggy.PluginManager, name: str, found: PatchSet) -> None:
    """Say which implementations of *name* are for no hook: most likely a slip of the pen."""
    plugin = manager.get_plugin(name)
    for caller in manager.get_hookcallers(plugin) or () if plugin is not None else ():
        impls = [impl for impl in caller.get_hookimpls() if impl.plugin is plugin]
        if not caller.has_spec() and not all(impl.optionalhook for impl in impls):
            message = f"macfix has no hook {caller.name!r}; that implementation is never called"
            found.problems.append(Problem(name, message))


def _tell_outcome(manager: pluggy.PluginManager, entry: Entry, found: PatchSet) -> None:
    """Tell the plugins what became of a patch; one that fails costs itself only."""
    for call, plugin in _calls(manager, "macfix_outcome"):
        try:
            call(entry=entry)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            found.problems.append(_problem(plugin, "macfix_outcome raised", error))


def _points(
    config: Config, modules: list[str], known: Collection[str], found: PatchSet
) -> Iterator[EntryPoint]:
    """The built-in plugins first (others may look at what they mend), then all others."""
    installed = _installed(found)
    for module in modules:
        point = installed.pop(module, None)
        yield point or EntryPoint(plugin_name(module), module, GROUP)
    taken = {plugin_name(module): module for module in (*modules, *known)}
    for point in installed.values():
        if point.value in known or not config.allows(point.name):
            continue
        if point.name in taken:
            message = (
                f"{point.value} goes by the name of another plugin, {taken[point.name]}; ignored"
            )
            found.problems.append(Problem(point.name, message))
            continue
        taken[point.name] = point.value
        yield point


def _installed(found: PatchSet) -> dict[str, EntryPoint]:
    """The entry points of the group, by module; of two versions of a distribution the first one.

    Looked for on the safe path only: the current directory may have metadata in it, too. Entry
    points that cannot be read cost that distribution only.
    """
    seen: set[str] = set()
    points: dict[str, EntryPoint] = {}
    for distribution in _distributions(found):
        name = _name_of(distribution)
        if name in seen:
            continue
        if name:
            seen.add(name)
        try:
            points.update({p.value: p for p in distribution.entry_points if p.group == GROUP})
        except Exception as error:
            where = str(getattr(distribution, "_path", name))
            found.problems.append(_problem(where, "its entry points cannot be read", error))
    return points


def _distributions(found: PatchSet) -> Iterator[Distribution]:
    """All that are installed, also where an importer that knows some of them misbehaves."""
    for finder in list(sys.meta_path):
        find = getattr(finder, "find_distributions", None)
        if find is None:
            continue
        try:
            yield from find(DistributionFinder.Context(path=safe_path()))
        except Exception as error:
            what = "its distributions cannot be looked at"
            found.problems.append(_problem(type(finder).__qualname__, what, error))


def _name_of(distribution: Distribution) -> str:
    """The name of *distribution*, or "" if it tells none that can be read."""
    try:
        names: list[str] = distribution.metadata.get_all("Name") or [""]
        return names[0]
    except Exception:
        return ""


def _collect(manager: pluggy.PluginManager, found: PatchSet) -> None:
    for call, plugin in _calls(manager, "macfix_patches"):
        try:
            patches = list(call())
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            found.problems.append(_problem(plugin, "macfix_patches raised", error))
            continue
        home = _home_of(manager.get_plugin(plugin))
        for patch in patches:
            _admit(found, patch, plugin, home)


def _home_of(plugin: object) -> str:
    """The module whose code *plugin*, a module itself or any other object, is."""
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    return str(getattr(plugin, "__module__", ""))


def _admit(found: PatchSet, patch: object, plugin: str, home: str) -> None:
    if not isinstance(patch, Patch):
        message = f"macfix_patches gave {patch!r}, which is not a macfix.Patch; ignored"
        found.problems.append(Problem(plugin, message))
    elif patch.name in found.origin:
        message = (
            f"the patch name {patch.name!r} is taken by plugin "
            f"{found.origin[patch.name]!r}; ignored"
        )
        found.problems.append(Problem(plugin, message))
    else:
        found.add(patch, plugin)
        found.homes[patch.name] = home


def _calls(manager: pluggy.PluginManager, hook: str) -> Iterator[tuple[Callable[..., Any], str]]:
    """The implementations of *hook* one by one, in the order of registration.

    Not ``manager.hook.<name>()``: there, one implementation that raises hides all the others.
    """
    caller = getattr(manager.hook, hook)
    for name, plugin in manager.list_name_plugin():
        others = [p for _, p in manager.list_name_plugin() if p is not None and p is not plugin]
        if plugin is not None and any(i.plugin is plugin for i in caller.get_hookimpls()):
            subset = manager.subset_hook_caller(hook, others)
            yield _first_of(subset), name


def _first_of(subset: Callable[..., list[Any]]) -> Callable[..., Any]:
    def call(**arguments: object) -> Any:
        results = subset(**arguments)
        return results[0] if results else ()

    return call


def _problem(plugin: str, what: str, error: BaseException) -> Problem:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Problem(plugin, f"{what}: {describe(error)}", text)
