"""What the patches say of the installed upstreams, from their sources alone.

Nothing of upstream is imported: an upstream that dies on import can be surveyed too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from ._config import Config
from ._errors import describe
from ._ledger import Problem
from ._patch import Patch, Verdict, unknown
from ._plugins import load_patches
from ._source import Source


@dataclass(frozen=True)
class Finding:
    """What one patch says of one target.

    Attributes:
        patch: the patch's name.
        target: the dotted name of the upstream module.
        path: where its source lies.
        verdict: what the patch says of it.
    """

    patch: str
    target: str
    path: str
    verdict: Verdict


def survey(builtin: Iterable[str] | None = None) -> list[Finding]:
    """Ask every patch about every target that is installed here, on any platform.

    Targets that do not exist in the installed upstreams are left out, and so are plugins that
    ``MACFIX_BLOCK`` or ``MACFIX_PLUGINS`` keep out.
    """
    return survey_with_problems(builtin)[0]


def survey_with_problems(
    builtin: Iterable[str] | None = None,
) -> tuple[list[Finding], list[Problem]]:
    """What :func:`survey` answers, and which plugins could not be asked."""
    if builtin is None:
        from macfix.patches import BUILTIN

        builtin = BUILTIN
    findings: list[Finding] = []
    found = load_patches(Config.from_environ(), builtin)
    for target, patches in found.by_target.items():
        spec = locate(target)
        if spec is not None:
            findings += [_find(patch, spec) for patch in patches]
    return findings, found.problems


def locate(name: str) -> ModuleSpec | None:
    """Find the module *name* without importing it or any of its packages."""
    top, *rest = name.split(".")
    spec = _locate_top(top)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # by its last part alone: for a dotted name, namespace packages ask for an imported parent
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return None if spec is None else _named(spec, name)


def _named(spec: ModuleSpec, name: str) -> ModuleSpec:
    """Give *spec*, and its loader, the whole *name* of the module."""
    loader: Any = spec.loader
    spec.name = name
    if hasattr(loader, "name"):
        loader.name = name
    return spec


def _locate_top(name: str) -> ModuleSpec | None:
    finders: list[Any] = list(sys.meta_path)  # editable installs have finders of their own
    for finder in finders:
        find_spec = getattr(finder, "find_spec", None)
        if find_spec is not None and not hasattr(finder, "is_macfix"):
            try:
                spec: ModuleSpec | None = find_spec(name, None)
            except Exception:
                continue  # an importer that misbehaves; the others may know
            if spec is not None:
                return spec
    return None


def _find(patch: Patch, spec: ModuleSpec) -> Finding:
    source = Source.of(spec, spec.loader)
    if source is None:
        verdict = unknown("its source cannot be read")
    else:
        try:
            verdict = patch.needed(source)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            verdict = unknown(f"needed() raised {describe(error)}")
    return Finding(patch.name, spec.name, spec.origin or "", verdict)
