"""Standard output that cannot be written to: the same for every command."""

from __future__ import annotations

import sys
from typing import Any


class CannotWriteError(Exception):
    """Standard output takes no more; no OSError, which argparse drops and `macfix shm` explains."""


class Output:
    """The stream *inner*, which raises CannotWriteError where that cannot be written to."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)

        def attempt(*args: str) -> None:
            try:
                found(*args)
            except OSError as error:
                raise CannotWriteError(error) from error

        return attempt if name in ("write", "flush") else found


def tell(text: str) -> None:
    """Print what a command has done: on standard error where standard output takes nothing."""
    try:
        print(text, flush=True)
    except CannotWriteError:
        print(text, file=sys.stderr)
        raise
