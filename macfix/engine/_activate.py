"""Activation of the engine in this process: the API behind ``macfix.activate()``.

Loaded at every interpreter start of a Mac; imports accordingly little.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock

from macfix.patches import BUILTIN, ROOTS

from ._config import Config
from ._finder import Finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._engine import Engine

_lock = allocate_lock()
_finder: Finder | None = None


def activate(*, children: bool = True) -> bool:
    """Mend piker and tractor, from now on, as they are imported in this process.

    Does nothing off Darwin (unless the simulation runs or ``MACFIX_FORCE`` names patches) and
    with ``MACFIX=off``. Calling it again changes nothing. Targets that are imported already stay
    as they are; the ledger and one warning say so.

    Args:
        children: whether interpreters that this process starts are to be mended as well, through
            the environment; ``deactivate()`` takes that back.

    Returns:
        Whether macfix is active now.

    Raises:
        PatchFailedError: with ``MACFIX_STRICT=1``, if a target is imported already and a
            plugin cannot be loaded.
    """
    global _finder
    config = Config.from_environ()
    if not is_wanted(config):
        return False
    with _lock:
        first = _finder is None
        if _finder is None:
            _finder = Finder(ROOTS, lambda: _make_engine(config))
        finder = _finder
        imported = _upstream_modules() if first else []
        _put_in_place(finder)
    if children:
        from macfix.activation import environment

        environment.apply()
    if imported:
        _report_late(finder, imported)
    return True


def active_finder() -> Finder | None:
    """The finder of this process, if macfix is active."""
    return _finder


def _put_in_place(finder: Finder) -> None:
    """Put *finder* first, instead of the one that an interpreter's start left there to wait.

    First, because some hooks (typeguard's, pytest's) ask nobody behind them. All at once, because
    another thread's import may be going through the list: it must not miss any other finder.
    """
    if finder not in sys.meta_path:
        waiting = [id(other) for other in waiting_finders()]
        others = [other for other in sys.meta_path if id(other) not in waiting]
        sys.meta_path[:] = [finder, *others]


def give_up_waiting() -> None:
    """Take off ``sys.meta_path`` what an interpreter's start left there to wait for an upstream."""
    for finder in waiting_finders():
        sys.meta_path.remove(finder)


def waiting_finders() -> list[Any]:
    """What an interpreter's start left on ``sys.meta_path`` to wait for an upstream.

    More than one where `site` goes through the environment's `.pth` files again.
    """
    finders: list[Any] = list(sys.meta_path)
    return [f for f in finders if hasattr(f, "is_macfix") and not isinstance(f, Finder)]


def note(name: str, text: str) -> None:
    """Leave a fact about this process in the ledger, under *name*; nothing if macfix is off."""
    if _finder is not None and _finder.engine is not None:
        _finder.engine.notes[name] = text


def is_wanted(config: Config) -> bool:
    """Whether this platform, or the user, wants macfix to be active."""
    return config.enabled and (sys.platform == "darwin" or bool(config.force))


def _make_engine(config: Config) -> Engine:
    from ._engine import Engine

    return Engine(config, BUILTIN)


def _upstream_modules() -> list[str]:
    if not any(root in sys.modules for root in ROOTS):
        return []
    return [name for name in list(sys.modules) if name.partition(".")[0] in ROOTS]


def _report_late(finder: Finder, imported: list[str]) -> None:
    engine = finder.load_or_give_up()
    late = engine.mark_late(imported) if engine is not None else []
    if late:
        from ._errors import warn

        warn(
            f"{', '.join(late)} imported before macfix was activated, and left as they are: "
            f"activate macfix first (`python -m macfix PROGRAM` does)"
        )
