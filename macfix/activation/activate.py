"""``macfix.activate()``, ``deactivate()`` and ``status()``: macfix in this process."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from macfix import patches
from macfix._variables import if_on
from macfix.engine.config import Config
from macfix.engine.engine import Engine
from macfix.engine.errors import warn
from macfix.engine.finder import Finder
from macfix.engine.ledger import Status
from macfix.engine.plugins import Plugins

from . import environment

BUILTIN = {name: f"{patches.__name__}.{name}" for name in patches.PLUGINS}
"""The modules of macfix's own plugins, by name."""


def _first_with(attribute: str) -> Any:
    """The first finder on ``sys.meta_path`` that has *attribute*, or None."""
    return next((each for each in list(sys.meta_path) if hasattr(each, attribute)), None)


_lock = threading.Lock()
# there is one of an earlier macfix where somebody (coverage) has purged sys.modules of that
_finder: Finder | None = _first_with("start_engine")


def activate(*, children: bool = True) -> bool:
    """Patch piker and tractor, from now on, as they are imported in this process.

    Does nothing off Darwin (unless the simulation runs or ``MACFIX_FORCE`` names patches) and
    with ``MACFIX=off``. Calling it again changes nothing. Targets that are imported already stay
    as they are; the ledger and one warning say so.

    Args:
        children: whether interpreters that this process starts are to be patched as well, through
            the environment; ``deactivate()`` takes that back.

    Returns:
        Whether macfix is active now.

    Raises:
        PatchFailedError: with ``MACFIX_STRICT=1``, if a target is imported already and a
            plugin cannot be loaded.
    """
    global _finder
    config = Config.from_environ()
    if not config.wanted:
        if config.enabled and if_on(os.environ.get("MACFIX_SIMULATE")):
            warn(_why_not())
        return False
    with _lock:
        if _finder is None:
            _finder = Finder(patches.PACKAGES, lambda: Engine(config, BUILTIN))
        finder = _finder
        if finder not in sys.meta_path:
            finder.go_first()
    if children:
        environment.apply()
        if environment.OBSTACLE and "_macfix_autoload" not in sys.modules:  # no .pth has started it
            warn(f"children are not patched: {environment.OBSTACLE}; `macfix enable` reaches them")
    if finder.engine is None and any(package in sys.modules for package in patches.PACKAGES):
        finder.start_engine()
    return not finder.gave_up


def deactivate() -> list[str]:
    """Undo what macfix did in this process: unwrap, and remove the finder.

    Returns:
        What cannot be undone, one line each: code that was rewritten before it executed stays
        as it is until the process ends.
    """
    global _finder
    finder, _finder = _finder, None
    environment.restore(inherited=True)
    sys.meta_path = [other for other in sys.meta_path if not hasattr(other, "is_macfix")]
    return [] if finder is None or finder.engine is None else finder.engine.revert()


def status() -> Status:
    """The ledger of this process: the state of every patch, with the reason.

    Loads the plugins if no target has been imported yet, so that all patches are listed.
    """
    if waits():
        activate(children=False)  # somebody asks before an upstream is imported
    if _finder is None:
        return Status(False, _why_not())
    engine = _finder.start_engine()
    if engine is None:
        return Status(False, "macfix cannot work here, and a warning said why")
    entries, problems = tuple(engine.entries()), tuple(engine.plugins.problems)
    return Status(True, f"on {sys.platform}", entries, problems, dict(engine.ledger.notes))


def active_finder() -> Finder | None:
    """The finder of this process, if macfix is active."""
    return _finder


def waits() -> bool:
    """Whether this interpreter came up with macfix and waits for an upstream."""
    return _finder is None and _first_with("is_macfix") is not None


def why() -> str:
    """Whether macfix is active in this process and for what reason, in a few words."""
    return f"active on {sys.platform}" if _finder is not None else f"not active: {_why_not()}"


def load_plugins() -> Plugins:
    """All plugins that the user allows, whether macfix is active or not."""
    return Plugins(Config.from_environ(), BUILTIN)


def _why_not() -> str:
    config = Config.from_environ()
    if not config.enabled:
        return "MACFIX=off"
    if config.wanted:
        return "activate() was not called"
    if if_on(os.environ.get("MACFIX_SIMULATE")):
        return (
            "MACFIX_SIMULATE counts when an interpreter comes up with macfix, not later: start "
            "`python -m macfix --simulate PROGRAM` (`-m pytest --macfix` for a test suite)"
        )
    return f"{sys.platform} does not need it"
