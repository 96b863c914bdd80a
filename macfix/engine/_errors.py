"""The errors and the warning that macfix itself raises."""

from __future__ import annotations


class MacfixError(Exception):
    """Base class of macfix's own errors."""


class PatchDefinitionError(MacfixError, ValueError):
    """A patch is not well formed; the message names the patch, the field and what is allowed."""


class PatchFailedError(MacfixError, RuntimeError):
    """A patch or plugin failed and ``MACFIX_STRICT`` asks that this be an error."""


class MacfixWarning(UserWarning):
    """Something could not be mended; the program goes on as it would without macfix."""


def describe(error: BaseException) -> str:
    """The type and the text of *error*, also where its ``__str__`` raises."""
    try:
        text = str(error)
    except Exception:
        text = "<its text cannot be had>"
    return f"{type(error).__name__}: {text}"


def warn(message: str) -> None:
    """Issue *message* once as a :class:`MacfixWarning`, never as an exception.

    With ``-W error`` a warning is an exception, and so is one that somebody's ``showwarning`` or a
    closed ``sys.stderr`` cannot show. Raised inside an import, it would stop upstream from being
    imported: then the message goes to standard error instead, if anything does.
    """
    from ._safe_imports import SafeImports

    with SafeImports():
        import sys
        import warnings
        from contextlib import suppress

    try:
        warnings.warn(message, MacfixWarning, stacklevel=2)
    except Exception:
        if sys.stderr is not None:
            with suppress(Exception):  # closed, or no file at all: nobody is left to tell
                print(f"MacfixWarning: {message}", file=sys.stderr)
