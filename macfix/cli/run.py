"""Runs a program: patched, simulated, or both."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from macfix import _once
from macfix import simulate as simulation
from macfix.activation import environment, runner
from macfix.activation.programs import CannotRunError, find_program
from macfix.darwin.segments import registry
from macfix.engine.config import Config


def run(words: Sequence[str], *, simulate: str | None, patched: bool) -> NoReturn:
    """Replace this process by the program and its arguments that *words* are.

    Args:
        words: the program, in one of the ways that ``find_program`` knows, and its arguments.
        simulate: the specification of the simulation to run it under, if any.
        patched: whether macfix patches what it imports.

    Raises:
        CannotRunError: if there is no such program, or macfix cannot get into it.
    """
    spec = None if simulate is None else simulation_spec(simulate)
    if spec is not None:
        simulation.name_folders()
    config = Config.from_environ()
    changes: dict[str, str] | None = None
    if spec is not None or config.wanted:
        changes = environment.variables(os.environ, simulate=spec, patched=patched)
        if patched and config.enabled:
            _once.join_tree()  # now: its children may be the first that import an upstream
            changes |= registry.variables()
    elif patched:
        for text in config.complaints:  # else it would be said where an upstream is imported
            print(f"macfix: {text}", file=sys.stderr)
    program = find_program(words)
    _close_again_what_was_closed()
    runner.run(program, changes)


def _close_again_what_was_closed() -> None:
    """Close the standard streams that the program would have found closed without macfix.

    SQLite opens `/dev/null` in their place, as whatever is opened first would get their numbers.
    """
    for descriptor, stream in enumerate((sys.__stdin__, sys.__stdout__, sys.__stderr__)):
        if stream is None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def simulation_spec(spec: str) -> str:
    """*spec* in full.

    Raises:
        CannotRunError: if this machine has nothing to simulate.
        SimulationError: if it makes no sense.
    """
    if sys.platform == "darwin" and simulation.active() is None:
        raise CannotRunError(
            "this is a Mac, there is nothing to simulate: leave out --simulate or MACFIX_SIMULATE"
        )
    return str(simulation.Spec.parse(spec))
