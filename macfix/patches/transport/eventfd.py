"""tractor's ring buffers need `eventfd`, which macOS lacks, and say so in words about a library.

Problem:
    `open_eventfd()` asks libc for `eventfd`: "AttributeError: cffi library 'None' has no function,
    constant or global variable named 'eventfd'", in the midst of a program.

Fix:
    Only the message: a ring buffer's two descriptors go from process to process as `eventfd`s.
    Importing the module warns in one line that this part needs Linux, and opening one is an
    `OSError` (`ENOSYS`) that says the same. All other parts of tractor work.

Repro:
    Open an `eventfd` of a libc that has none: the error must say what is missing.

Upstream:
    Not reported. Its tests of ring buffers are skipped outside Linux. Nobody has run this on a Mac.

Remove when:
    tractor itself says that ring buffers need Linux, or has some that do not.
"""

from __future__ import annotations

import errno
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.errors import warn_once
from macfix.engine.syntax import calls, function, mentions
from macfix.patches._modules import first_module

FUNCTION = "open_eventfd"
NEEDS_LINUX = (
    "tractor's ring buffers need Linux: macOS has no eventfd; all other parts of tractor work"
)


def diagnose(source: Source) -> Diagnosis:
    opening = function(source.tree, FUNCTION)
    if opening is None:
        return not_needed(f"it has no {FUNCTION}()")
    if mentions(source.tree, "platform"):
        return not_needed("it looks which system it is on")
    asked = calls(opening, "eventfd")
    if len(asked) != 1:
        return unknown(f"{FUNCTION}() opens an eventfd in an unrecognised way")
    return needed(f"line {asked[0].lineno} asks libc for eventfd")


def install(module: ModuleType, changes: Changes) -> None:
    def refuse(initval: int = 0, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, NEEDS_LINUX)

    changes.set(module, FUNCTION, refuse)
    warn_once(NEEDS_LINUX)


def repro() -> None:
    from unittest import mock  # imports asyncio

    target = first_module("tractor.ipc._linux", "tractor.linux.eventfd")
    with mock.patch.object(target, "C", object()):  # a libc without eventfd
        try:
            target.open_eventfd()
        except OSError as error:
            assert error.errno == errno.ENOSYS, f"it failed by {error!r}"
