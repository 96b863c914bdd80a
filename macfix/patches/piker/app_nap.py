"""A chart whose window is covered or hidden falls behind: macOS lets it nap.

Problem:
    App Nap slows timers and loops of an application down whose windows nobody sees. trio runs in
    Qt's loop there. It is known from reports only (of IPython and matplotlib, which had it).

Fix:
    While the chart runs, its process has an activity that the user has initiated, and does not nap.
    The Mac may still go to sleep. What fails is said at debug level.

Repro:
    Look whether Foundation is asked for.

Upstream:
    Not reported. Nobody has run this on a Mac: others' calls of `NSProcessInfo` were read.

Remove when:
    piker begins such an activity itself.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from ctypes import CFUNCTYPE, c_char_p, c_uint64, c_void_p
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from macfix import Changes, Diagnosis, Source, needed, not_needed
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import function, mentions

FUNCTION = "run_qtractor"
LIBRARIES = ("/usr/lib/libobjc.dylib", "/System/Library/Frameworks/Foundation.framework/Foundation")
OPTIONS = 0x00FFFFFF & ~(1 << 20)  # NSActivityUserInitiatedAllowingIdleSystemSleep


def diagnose(source: Source) -> Diagnosis:
    run = function(source.tree, FUNCTION)
    if run is None:
        return not_needed(f"it has no {FUNCTION}()")
    if mentions(source.tree, "appnope") or mentions(source.tree, "NSProcessInfo"):
        return not_needed("it keeps itself from App Nap")
    return needed(f"line {run.lineno} runs a chart that may nap")


def install(module: ModuleType, changes: Changes) -> None:
    def run(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        with ExitStack() as running:
            try:
                running.callback(_begin())
            except (OSError, AttributeError) as error:
                logging.getLogger("macfix.piker").debug("App Nap cannot be prevented: %s", error)
            return wrapped(*args, **kwargs)

    changes.wrap(module, FUNCTION, run)


def _begin() -> Callable[[], object]:
    """Begin the activity, and return what ends it."""
    objc, _ = map(ctypes.CDLL, LIBRARIES)
    for find in (objc.objc_getClass, objc.sel_registerName):
        find.restype, find.argtypes = c_void_p, [c_char_p]

    def send(receiver: int | None, selector: bytes, *arguments: Any) -> int | None:
        kind = CFUNCTYPE(c_void_p, c_void_p, c_void_p, *map(type, arguments))
        message = ctypes.cast(objc.objc_msgSend, kind)
        return cast("int | None", message(receiver, objc.sel_registerName(selector), *arguments))

    text, options = c_char_p(b"piker shows a market as it moves"), c_uint64(OPTIONS)
    reason = send(objc.objc_getClass(b"NSString"), b"stringWithUTF8String:", text)
    process = send(objc.objc_getClass(b"NSProcessInfo"), b"processInfo")
    token = send(process, b"beginActivityWithOptions:reason:", options, c_void_p(reason))
    if send(token, b"retain") is None:
        raise OSError("Foundation gave no activity")
    return lambda: (send(process, b"endActivity:", c_void_p(token)), send(token, b"release"))


def repro() -> None:
    from unittest import mock  # imports asyncio

    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # needs no display
    target = import_module("piker.ui._exec")
    with mock.patch.object(ctypes, "CDLL", side_effect=OSError) as load, suppress(TypeError):
        target.run_qtractor()
    assert load.called, "Foundation is not told that a chart runs"
