"""The one error of the simulation."""

from __future__ import annotations


class SimulationError(RuntimeError):
    """The simulation cannot be faithful here, or its specification makes no sense."""
