"""macfix's own patches, for tests that ask them directly."""

from __future__ import annotations

import functools

from macfix.activation.activate import BUILTIN
from macfix.engine.config import Config
from macfix.engine.patch import Patch
from macfix.engine.plugins import Plugins


@functools.cache
def plugins() -> Plugins:
    """The built-in plugins and no others."""
    found = Plugins(Config(plugins=frozenset()), BUILTIN)
    assert found.all_patches() and found.problems == [], found.problems
    return found


def patches() -> dict[str, Patch]:
    """Every patch, by its name."""
    return {patch.name: patch for patch in plugins().all_patches()}


def patches_for(target: str) -> tuple[Patch, ...]:
    """The patches of the module *target*."""
    return plugins().patches(target)


def targets_of(name: str) -> list[str]:
    """The targets of the patch called *name*."""
    return next(targets for patch, targets in plugins().all_patches().items() if patch.name == name)
