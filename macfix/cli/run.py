"""Runs a program: patched, simulated, or both."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from macfix import _once
from macfix import simulate as simulation
from macfix.activation import environment, runner
from macfix.activation.locate import CannotRunError, locate
from macfix.darwin.segments import registry
from macfix.engine.config import Config


def run(words: Sequence[str], *, simulate: str | None, patched: bool) -> NoReturn:
    """Replace this process by the program and its arguments that *words* are.

    Args:
        words: the program, in one of the ways that ``locate`` knows, and its arguments.
        simulate: the specification of the simulation to run it under, if any.
        patched: whether macfix patches what it imports.

    Raises:
        CannotRunError: if there is no such program, or macfix cannot get into it.
    """
    spec = None if simulate is None else simulation_spec(simulate)
    config = Config.from_environ()
    changes: dict[str, str] | None = None
    if spec is not None or config.wanted:
        changes = environment.variables(os.environ, simulate=spec, patched=patched)
        if patched and config.enabled:
            _once.join_tree()  # now: its children may be the first that import an upstream
            changes |= registry.variables()
    runner.run(locate(words), changes)


def start_simulation(spec: str) -> None:
    """Make this process a Mac.

    Raises:
        CannotRunError: where that is not possible; the message says why.
    """
    try:
        simulation.start(spec)
    except simulation.SimulationError as error:
        raise CannotRunError(str(error)) from None


def simulation_spec(spec: str) -> str:
    """*spec* in full.

    Raises:
        CannotRunError: if it makes no sense, or if this machine has nothing to simulate.
    """
    if sys.platform == "darwin" and simulation.active() is None:
        raise CannotRunError(
            "this is a Mac, there is nothing to simulate: leave out --simulate or MACFIX_SIMULATE"
        )
    try:
        return str(simulation.Spec.parse(spec))
    except simulation.SimulationError as error:
        raise CannotRunError(str(error)) from None
