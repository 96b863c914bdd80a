"""The errors and the warning that macfix itself raises, and how it says something once."""

from __future__ import annotations

import contextlib
import sys
import warnings

from macfix import _once

_shown: dict[str | tuple[str, type[Warning], int], int] = {}  # for the warnings module


class MacfixError(Exception):
    """Base class of the engine's errors."""


class PatchDefinitionError(MacfixError, ValueError):
    """A patch module is not well formed; the message names it and says what is wrong."""


class PatchFailedError(MacfixError, RuntimeError):
    """A patch or plugin failed and ``MACFIX_STRICT`` asks that this be an error."""


class MacfixWarning(UserWarning):
    """Something could not be patched; the program goes on as it would without macfix."""


def describe(error: BaseException) -> str:
    """The type of *error*, the first line of its text, and the file of what lacks something."""
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:
        text = "<no text>"
    file = getattr(getattr(error, "obj", None), "__file__", None)  # of an AttributeError
    return f"{type(error).__name__}: {text}" + (f" (in {file})" if file else "")


def warn(message: str) -> None:
    """Issue *message* as a :class:`MacfixWarning`, never as an exception.

    With ``-W error`` a warning is an exception, and so is one that somebody's ``showwarning`` or a
    closed ``sys.stderr`` cannot show. Raised inside an import, it would stop upstream from being
    imported: then the message goes to standard error instead, if anything does.
    """
    try:
        # by no line of code: whoever reads it has not written any of those that it could name
        warnings.warn_explicit(message, MacfixWarning, "<macfix>", 1, "macfix", _shown)
    except Exception:
        if sys.stderr is not None:
            with contextlib.suppress(Exception):  # closed, or no file at all: nobody is left
                print(f"MacfixWarning: {message}", file=sys.stderr)


def warn_once(message: str, folder: str | None = None) -> None:
    """Warn unless a process of this tree has said *message*; *folder* is where that is kept."""
    if _once.is_first(message, folder):
        warn(message)
