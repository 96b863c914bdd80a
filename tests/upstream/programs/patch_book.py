"""Ask macfix about its patches, in a process of its own; the last line of output is the answer.

patch_book.py survey           what each patch says of each target, from its source alone
patch_book.py ledger           import every target there is, then the state of each patch
patch_book.py repro NAME       run one repro: exit code 0 if it returns, else RAISED or LACKING
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from dataclasses import asdict
from typing import Any

RAISED = 3
"""Exit code of a repro that raised; anything else that goes wrong has another."""

LACKING = 4
"""Exit code of a repro whose target needs a package that is not installed here."""


def survey() -> list[dict[str, str]]:
    """Return patch, target, state and reason for every target in the upstreams on the path."""
    from macfix.activation.activate import load_plugins
    from macfix.engine.survey import survey
    from macfix.patches import PACKAGES

    return [asdict(finding) for finding in survey(load_plugins(), PACKAGES)]


def ledger() -> list[dict[str, Any]]:
    """Import the targets and return the ledger.

    Targets that need a package which is not installed are left out; piker's brokers have such. Any
    other import that fails ends the program.
    """
    import macfix

    for target in sorted({finding["target"] for finding in survey()}):
        try:
            importlib.import_module(target)
        except ModuleNotFoundError as error:
            if not is_of_others(error):
                raise
    status = macfix.status()
    if status.problems:
        raise SystemExit(f"plugins have problems: {status.problems}")
    return [entry._asdict() for entry in status.entries]


def is_of_others(error: ModuleNotFoundError) -> bool:
    """Tell whether what is missing is neither an upstream nor macfix."""
    missing = (error.name or "macfix").partition(".")[0]
    return missing not in ("tractor", "piker", "macfix")


def repro(name: str) -> int:
    """Run the repro of the patch `name` and return the exit code."""
    from macfix.activation.activate import load_plugins

    (patch,) = [patch for patch in load_plugins().all_patches() if patch.name == name]
    if patch.repro is None:
        raise SystemExit(f"the patch {name} has no repro")
    try:
        patch.repro()
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and is_of_others(error):
            print(error, file=sys.stderr)
            return LACKING
        traceback.print_exc()
        return RAISED
    return 0


def main(words: list[str]) -> int:
    """Do what the command line says."""
    if words[0] == "repro":
        code = repro(words[1])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # a Qt whose program was left half-way may crash as the interpreter ends
    print(json.dumps({"survey": survey, "ledger": ledger}[words[0]]()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
