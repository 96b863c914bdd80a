"""What the patches say of the installed upstreams, from their sources alone.

Nothing of upstream is imported: an upstream that cannot be imported can be surveyed too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

from .diagnosis import diagnose
from .errors import describe
from .locating import locate
from .patch import Diagnosis, Patch, unknown
from .source import Source

if TYPE_CHECKING:
    from .plugins import Plugins


@dataclass(frozen=True)
class SurveyRow:
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


def survey(plugins: Plugins, packages: Sequence[str]) -> list[SurveyRow]:
    """Ask every patch about every target that is installed here, on any platform.

    Targets that do not exist in the installed upstreams are left out; so are all others where none
    of *packages* is installed.
    """
    rows: list[SurveyRow] = []
    for target in plugins.targets if any(map(locate, packages)) else ():
        if (spec := locate(target)) is not None:
            rows += _ask_all(list(plugins.patches(target)), spec)
    return rows


def _ask_all(patches: list[Patch], spec: ModuleSpec) -> list[SurveyRow]:
    source = Source.of(spec, spec.loader)
    answers: dict[str, Diagnosis] = {}

    def failed(patch: Patch, error: BaseException) -> None:
        answers[patch.name] = unknown(f"diagnose() raised {describe(error)}")

    answers |= diagnose(source, patches, failed)
    path = spec.origin or ""
    return [SurveyRow(patch.name, spec.name, path, *answers[patch.name]) for patch in patches]
