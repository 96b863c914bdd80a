"""Imports the targets of the installed upstreams, and tells what became of every patch.

Run as ``python -m macfix.cli.probe FD [TARGET ...]`` by ``macfix status``, in a process of its own
in which macfix is active: importing an upstream may print, hang, or end the process, and must not
happen to whoever asks. The answers go to the file descriptor FD, one JSON object a line, each
written before the next import begins. Each TARGET is left out.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

Tell = Callable[[dict[str, Any]], None]


def main(arguments: Sequence[str]) -> None:
    """Answer to the file descriptor that *arguments* begin with."""
    from macfix.activation.runner import take_over_path

    take_over_path()
    with open(int(arguments[0]), "w", encoding="utf-8", closefd=False) as out:

        def tell(answer: dict[str, Any]) -> None:
            out.write(json.dumps(answer) + "\n")
            out.flush()

        _import_targets(tell, leave_out=arguments[1:])


def _import_targets(tell: Tell, leave_out: Sequence[str]) -> None:
    import macfix
    from macfix.engine._survey import locate

    for target in dict.fromkeys(entry.target for entry in macfix.status().entries):
        if target not in leave_out and locate(target) is not None:
            tell({"importing": target})
            tell({"imported": target, "problem": _import(target)})
    tell({"status": macfix.status().as_dict()})


def _import(target: str) -> str | None:
    """Import *target*; the answer is the traceback if that fails."""
    try:
        import_module(target)
    except BaseException:
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
