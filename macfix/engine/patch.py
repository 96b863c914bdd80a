"""What a patch is: the fix of exactly one defect, and a module.

The module's docstring describes the defect (see :mod:`macfix.cli.documentation`), its functions are
what macfix does about it:

``diagnose(source)``
    looks at a target's :class:`~macfix.engine.source.Source` and returns :func:`needed`,
    :func:`not_needed` or :func:`unknown`. It recognises the shape of the code, never a version.
``rewrite(tree)``
    changes the module's AST before it executes, and returns it. Only for what could not execute
    otherwise. Keeps line numbers, and depends on nothing but the tree.
``install(module, changes)``
    wraps live objects after the module executed, through the
    :class:`~macfix.engine.changes.Changes` that it is given.
``repro()``
    shows the defect on the real target: raises where it is present, returns where it is fixed, and
    leaves nothing behind.

``diagnose`` and at least one of ``rewrite`` and ``install`` are required. Two settings are known:
``PLATFORMS``, a frozenset of values of ``sys.platform`` (default: darwin), and ``LIVE = True`` for
a patch that only installs, and may do so into a target that has executed already.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from .errors import PatchDefinitionError

if TYPE_CHECKING:
    import ast

    from .changes import Changes
    from .source import Source

    Diagnose: TypeAlias = Callable[[Source], "Diagnosis"]
    Rewrite: TypeAlias = Callable[[ast.Module], ast.Module]
    Install: TypeAlias = Callable[[ModuleType, Changes], None]


class Diagnosis(NamedTuple):
    """What ``diagnose()`` says of one target's source, and why."""

    state: Literal["needed", "not needed", "unknown"]
    reason: str

    @classmethod
    def of(cls, answer: Any) -> Diagnosis:
        """Read *answer*, of a patch or from the cache; raises `ValueError` if it is none."""
        # looked at by its shape: where somebody has purged sys.modules there are two of each class
        with contextlib.suppress(TypeError, ValueError):
            state, reason = answer
            if state in ("needed", "not needed", "unknown") and isinstance(reason, str):
                return cls(state, reason)
        raise ValueError(f"diagnose() gave {answer!r}: no needed(), not_needed() or unknown()")


MACOS = frozenset({"darwin"})

Answers = dict[str, Diagnosis]
"""What the patches of one target say of its source, by the patch's name."""


def needed(reason: str) -> Diagnosis:
    """The defect is in this source; *reason* says where."""
    return Diagnosis("needed", reason)


def not_needed(reason: str) -> Diagnosis:
    """The defect is not in this source: fixed upstream, or the code is not there at all."""
    return Diagnosis("not needed", reason)


def unknown(reason: str) -> Diagnosis:
    """Neither the known defect nor a known fix: macfix does not guess and leaves it alone."""
    return Diagnosis("unknown", reason)


class Patch(NamedTuple):
    """The fix of exactly one defect, as its module states it.

    Attributes:
        name: unique among all plugins; what ``MACFIX_SKIP`` and the ledger call it: the plugin's
            name and the module's, as in ``uds-backlog`` for ``uds/backlog.py``.
        plugin: the name of the plugin that contributes it.
        module: the dotted name of the module.
        diagnose: says whether the defect is in a target's source.
        rewrite: changes a target's AST before it executes, or None.
        install: wraps a target's live objects, or None.
        repro: shows the defect, or None.
        platforms: values of ``sys.platform`` on which the defect exists.
        live: whether it may be installed into a target that has executed already.
    """

    name: str
    plugin: str
    module: str
    diagnose: Diagnose
    rewrite: Rewrite | None = None
    install: Install | None = None
    repro: Callable[[], None] | None = None
    platforms: frozenset[str] = MACOS
    live: bool = False

    @classmethod
    def of(cls, module: ModuleType, plugin: str) -> Patch:
        """Read the patch that *module*, which *plugin* contributes, is.

        Raises:
            PatchDefinitionError: if it is not well formed; the message names the module, what is
                wrong with it, and what is allowed.
        """
        if not isinstance(module, ModuleType):
            raise PatchDefinitionError(f"plugin {plugin!r} gave {module!r}, which is no module")
        acts = {name: _act(module, name) for name in ("diagnose", "rewrite", "install", "repro")}
        if acts["diagnose"] is None:
            raise _wrong(module, "it has no diagnose(source)")
        if acts["rewrite"] is None and acts["install"] is None:
            raise _wrong(module, "it needs rewrite(tree) or install(module, changes)")
        live = getattr(module, "LIVE", False)
        if live not in (True, False) or (live and acts["rewrite"] is not None):
            raise _wrong(module, f"LIVE must be True, for a patch without rewrite(), not {live!r}")
        platforms = getattr(module, "PLATFORMS", MACOS)
        if not isinstance(platforms, frozenset) or {*map(type, platforms)} != {str}:
            raise _wrong(
                module,
                f"PLATFORMS must be a frozenset of values of sys.platform, not {platforms!r}",
            )
        own_name = module.__name__.rpartition(".")[2].replace("_", "-")
        return cls(
            f"{plugin}-{own_name}", plugin, module.__name__, platforms=platforms, live=live, **acts
        )


def _act(module: ModuleType, name: str) -> Any:
    act = getattr(module, name, None)
    if act is not None and (not callable(act) or inspect.iscoroutinefunction(act)):
        raise _wrong(module, f"{name} must be a function (not an async one), not {act!r}")
    return act


def _wrong(module: ModuleType, what: str) -> PatchDefinitionError:
    return PatchDefinitionError(f"patch module {module.__name__}: {what}")
