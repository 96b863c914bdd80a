"""What the patches say of the installed upstreams, from their sources alone.

Nothing of upstream is imported: an upstream that cannot be imported can be surveyed too.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from .diagnosis import diagnose
from .errors import describe
from .patch import Diagnosis, Patch, unknown
from .plugins import Plugins
from .source import Source


@dataclass(frozen=True)
class Finding:
    """What one patch says of one target.

    Attributes:
        patch: the patch's name.
        target: the dotted name of the upstream module.
        path: where its source lies.
        state: "needed", "not needed" or "unknown".
        reason: why.
    """

    patch: str
    target: str
    path: str
    state: str
    reason: str


def survey(plugins: Plugins) -> list[Finding]:
    """Ask every patch about every target that is installed here, on any platform.

    Targets that do not exist in the installed upstreams are left out.
    """
    findings: list[Finding] = []
    for target in plugins.targets:
        spec = locate(target)
        if spec is not None:
            findings += _ask_all(list(plugins.patches(target)), spec)
    return findings


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


def _ask_all(patches: list[Patch], spec: ModuleSpec) -> list[Finding]:
    source = Source.of(spec, spec.loader)
    answers: dict[str, Diagnosis] = {}

    def failed(patch: Patch, error: BaseException) -> None:
        answers[patch.name] = unknown(f"diagnose() raised {describe(error)}")

    if source is None:
        answers = {patch.name: unknown("its source cannot be read") for patch in patches}
    else:
        answers |= diagnose(source, patches, failed)
    return [
        Finding(patch.name, spec.name, spec.origin or "", *answers[patch.name]) for patch in patches
    ]
