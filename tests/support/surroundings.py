"""The surroundings the tests were started in, kept before any test replaces HOME and its like."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

Case = TypeVar("Case")

STARTED_WITH: dict[str, str] = dict(os.environ)
"""The environment of the test run itself. Tests see a cleaned one."""

REPOSITORY = Path(__file__).resolve().parents[2]
"""The root of this project."""

HEAVY = STARTED_WITH.get("MACFIX_HEAVY", "")
"""How much the long proofs do: `full` for everything, anything else for the everyday share."""


def every(step: int, cases: Iterable[Case]) -> list[Case]:
    """Return all `cases` in a full run; each day every `step`-th, beginning with the first."""
    return [*cases][:: 1 if HEAVY == "full" else step]


def user_cache() -> Path:
    """Return the folder for macfix's own files in the user's cache: checkouts, environments."""
    if sys.platform == "darwin":
        caches = _home() / "Library" / "Caches"
    else:
        named = STARTED_WITH.get("XDG_CACHE_HOME", "")
        caches = Path(named) if os.path.isabs(named) else _home() / ".cache"
    return caches / "macfix"


def _home() -> Path:
    return Path(STARTED_WITH["HOME"]) if "HOME" in STARTED_WITH else Path.home()
