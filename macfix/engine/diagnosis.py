"""Asking each patch whether a target's source needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .patch import Answers, Diagnosis, Patch, unknown
from .source import Source


def diagnose(
    source: Source | None, patches: Sequence[Patch], failed: Callable[[Patch, BaseException], None]
) -> Answers:
    """What each of *patches* says of *source*, by its name; without those that fail.

    Args:
        source: the target's, or None where it cannot be read.
        patches: those that may be needed.
        failed: called with a patch whose ``diagnose()`` raised, and the error.
    """
    if source is None:
        return {patch.name: unknown("its source cannot be read") for patch in patches}
    try:
        source.tree  # noqa: B018
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problem = f"its source does not parse on this Python: {error}"
        return {patch.name: unknown(problem) for patch in patches}
    answers: Answers = {}
    for patch in patches:
        try:
            answers[patch.name] = Diagnosis.of(patch.diagnose(source))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failed(patch, error)
    return answers
