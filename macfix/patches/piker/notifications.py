"""No notification of an order is shown on macOS: piker sends them by Linux's `notify-send` only.

Problem:
    `notify_from_ems_status_msg()` returns at once where the system is not Linux.

Fix:
    The message is shown by `osascript`. It is an argument of a fixed script, and never a part of
    one: no text of a broker's is executed. An order waits no longer than 5 s for it.

Repro:
    Send a notification, with a stand-in for the process that shows it.

Upstream:
    Not reported. Its newest piker sends none unless `do_notify` or `notify_on_order_loads` is set.
    Nobody has run this on a Mac: `osascript(1)` and AppleScript's `display notification` were read.

Remove when:
    piker shows notifications on macOS.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import function, has_constant

FUNCTION = "notify_from_ems_status_msg"
SECONDS = 5
COMMAND = ("/usr/bin/osascript", "-e", "on run argv", "-e",
           "display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run",
           "piker")  # fmt: skip


def diagnose(source: Source) -> Diagnosis:
    notify = function(source.tree, FUNCTION)
    if notify is None:
        return not_needed(f"it has no {FUNCTION}()")
    if has_constant(notify, "osascript"):
        return not_needed(f"{FUNCTION}() knows macOS")
    if not has_constant(notify, "notify-send") or "msg" not in {a.arg for a in notify.args.args}:
        return unknown(f"{FUNCTION}() shows its msg in an unrecognised way")
    return needed(f"line {notify.lineno} knows Linux only")


def install(module: ModuleType, changes: Changes) -> None:
    def notify(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        message = inspect.signature(wrapped).bind(*args, **kwargs).arguments["msg"]
        return _show(message.pformat(), module.log)

    changes.wrap(module, FUNCTION, notify)


async def _show(text: str, log: Any) -> None:
    import trio

    problem = f"it took more than {SECONDS} s"
    try:
        with trio.move_on_after(SECONDS):
            done = await trio.run_process(
                [*COMMAND, text], capture_stdout=True, capture_stderr=True, check=False
            )
            problem = done.stderr.decode(errors="replace") if done.returncode else ""
    except OSError as error:
        problem = str(error)
    if problem:
        log.warning(f"no notification was shown: {problem.strip()}")


def repro() -> None:
    from unittest import mock  # imports asyncio

    import trio

    target = import_module("piker.ui._notify")
    message, done = mock.Mock(**{"pformat.return_value": "filled"}), mock.Mock(returncode=0)
    with mock.patch.object(trio, "run_process", mock.AsyncMock(return_value=done)) as run:
        trio.run(target.notify_from_ems_status_msg, message)
    words = [call.args[0] for call in run.call_args_list]
    assert words == [[*COMMAND, "filled"]], f"the processes were {words}"
