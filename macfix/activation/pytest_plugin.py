"""A pytest plugin that runs a test suite with macfix; off unless it is asked for.

Ask with ``pytest --macfix``, with ``macfix = true`` in pytest's configuration, or with
``MACFIX_PYTEST=1``. macfix is then active before any ``conftest.py`` is imported, and in the
processes that the tests start; afterwards the process is as it was.

Every pytest of the environment imports this module: it imports no more of macfix until it is asked.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from macfix._variables import if_on

if TYPE_CHECKING:
    import pytest

VARIABLE = "MACFIX_PYTEST"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare how to ask for it."""
    group = parser.getgroup("macfix", "macfix: run tractor and piker patched")
    group.addoption(
        "--macfix", action="store_true", default=False, help="activate macfix before any import"
    )
    parser.addini("macfix", "activate macfix before any import", type="bool", default=False)


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Activate macfix, before the first ``conftest.py`` can import an upstream.

    That is undone when pytest ends, but for an interpreter that came up with it (``enable``).
    """
    if not _is_wanted(early_config):
        return
    from macfix.activation import activate, environment

    was_active, waited = activate.active_finder() is not None, activate.waits()
    if activate.activate() and not was_active:
        undo: Any = environment.restore if waited else activate.deactivate
        early_config.add_cleanup(undo)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say in the header whether macfix is active, if that was asked for."""
    if not _is_wanted(config):
        return None
    from macfix import __version__
    from macfix.activation.activate import why

    return f"macfix: {__version__}, {why()}"


def _is_wanted(config: pytest.Config) -> bool:
    return bool(
        config.known_args_namespace.macfix
        or config.getini("macfix")
        or if_on(os.environ.get(VARIABLE))
    )
