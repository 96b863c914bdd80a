"""Runs a program, mended, simulated, or both."""

from __future__ import annotations

import sys

from macfix.activation import environment, runner
from macfix.activation.locate import locate
from macfix.activation.programs import CannotRunError
from macfix.engine._config import Config

TYPE_CHECKING = False  # not typing's: what is imported here, the program cannot shadow any more
if TYPE_CHECKING:
    from collections.abc import Sequence


def run(words: Sequence[str], *, simulate: str | None, cure: bool) -> int:
    """Run the program and its arguments that *words* are.

    Args:
        words: the program, in one of the ways that ``locate`` knows, and its arguments.
        simulate: the specification of the simulation to run it under, if any.
        cure: whether macfix mends it.

    Raises:
        CannotRunError: if there is no such program, or a setting is wrong.
    """
    if simulate is not None:
        start_simulation(simulate)
    check_settings()
    if not cure:
        _deactivate()
    config = Config.from_environ()
    if simulate is not None or (config.enabled and (sys.platform == "darwin" or config.force)):
        environment.apply(cure=cure)
    if cure:
        _activate(strict=config.strict)
    program, arguments = locate(words)
    runner.run(program, arguments)
    return 0


def _deactivate() -> None:
    """Take back what an environment that this process inherited has activated at its start."""
    if "macfix.engine._activate" in sys.modules:
        from macfix import deactivate

        deactivate()


def _activate(*, strict: bool) -> None:
    try:
        from macfix import activate

        activate(children=False)
    except Exception as error:
        if strict:
            raise CannotRunError(f"not active: {type(error).__name__}: {error}") from error
        print(f"macfix: not active here: {type(error).__name__}: {error}", file=sys.stderr)


def start_simulation(spec: str) -> None:
    """Make this process a Mac.

    Raises:
        CannotRunError: where that is not possible; the message says why.
    """
    from macfix.simulate import SimulationError, start

    try:
        start(simulation_spec(spec))
    except SimulationError as error:
        raise CannotRunError(str(error)) from None


def simulation_spec(spec: str) -> str:
    """*spec* in full.

    Raises:
        CannotRunError: if it makes no sense, or if this machine has nothing to simulate.
    """
    from macfix.simulate import SimulationError, Spec, active

    if sys.platform == "darwin" and active() is None:
        raise CannotRunError(
            "this is a Mac, there is nothing to simulate: leave out --simulate or MACFIX_SIMULATE"
        )
    try:
        return str(Spec.parse(spec))
    except SimulationError as error:
        raise CannotRunError(str(error)) from None


def check_settings() -> None:
    """Refuse names in ``MACFIX_SKIP``, ``MACFIX_ONLY`` and ``MACFIX_FORCE`` that no patch has.

    Raises:
        CannotRunError: naming them and the patches that there are.
    """
    config = Config.from_environ()
    if not (config.skip or config.only or config.force):
        return  # nothing to look up, so no plugin need be loaded
    from macfix.engine import load_patches
    from macfix.patches import BUILTIN

    known = load_patches(config, BUILTIN).origin
    unknown = config.unknown_patches(known)
    if unknown:
        raise CannotRunError(
            f"there is no patch {' or '.join(map(repr, unknown))}, which MACFIX_SKIP, MACFIX_ONLY "
            f"or MACFIX_FORCE names; the patches are: {', '.join(sorted(known)) or 'none'}"
        )
