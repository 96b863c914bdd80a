"""The error of the simulation, and those that the simulated system answers with."""

from __future__ import annotations

import os


class SimulationError(RuntimeError):
    """The simulation cannot be faithful here, or its specification makes no sense."""


def error(number: int, *path: str) -> OSError:
    """Return the OSError that Python raises for `number`, about `path` if given."""
    return OSError(number, os.strerror(number), *path)
