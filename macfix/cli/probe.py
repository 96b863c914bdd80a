"""Imports the targets of the installed upstreams, and tells the state of every patch.

Run by ``macfix status`` in a process of its own: importing an upstream may print, hang, or end the
process, and must not happen to whoever asks. The answers go to a file descriptor, one JSON object a
line, each written before the next import begins.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from macfix import simulate
from macfix.activation.activate import activate, status
from macfix.engine.errors import PatchFailedError
from macfix.engine.locating import locate
from macfix.patches import PACKAGES


def main(words: Sequence[str]) -> None:
    """Answer to the file descriptor that *words* begin with.

    Args:
        words: the descriptor, the kind of Mac to simulate or "", and the targets to leave out.
    """
    os.environ["MACFIX_SHM_REAP"] = "off"  # who asks only looks, and tells of leaked segments
    descriptor, spec, *left_out = words
    if spec:
        try:
            simulate.start(spec)
        except simulate.SimulationError as error:
            raise SystemExit(str(error)) from None
    with open(int(descriptor), "w", encoding="utf-8", closefd=False) as out:

        def tell(**answer: Any) -> None:
            print(json.dumps(answer), file=out, flush=True)

        try:
            activate(children=False)
            targets = dict.fromkeys(entry.target for entry in status().entries)
            for target in targets if any(map(locate, PACKAGES)) else ():
                if target not in left_out and locate(target) is not None:
                    tell(importing=target)
                    tell(imported=target, **_import(target))
            tell(status=status().as_dict())
        except PatchFailedError as error:  # MACFIX_STRICT
            raise SystemExit(str(error)) from None


def _import(target: str) -> dict[str, str]:
    """Import *target*; if that fails, the answer is the package that it `lacks`, or the `problem`.

    Parts of piker need what is not installed everywhere: a broker's client, docker, Qt.
    """
    try:
        import_module(target)
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        package, top = (missing or "").partition(".")[0], target.partition(".")[0]
        if top in sys.modules and package not in ("", "macfix", *PACKAGES):
            return {"lacks": package}
        return {"problem": traceback.format_exc()}
    return {}
