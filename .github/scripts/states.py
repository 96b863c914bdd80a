"""What the patches say of upstream's newest sources, compared with what they said before.

    PYTHONPATH=$MACFIX_UPSTREAM/tractor:$MACFIX_UPSTREAM/piker python .github/scripts/states.py

The states are in `.github/upstream-states.json`; `--write` writes them anew. A difference is
printed as Markdown, for an issue, and the exit code is 1 then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

KNOWN = Path(__file__).resolve().parents[1] / "upstream-states.json"


def states() -> dict[str, str]:
    """The state of every patch at every target there is, by both names; needs no Mac."""
    command = [sys.executable, "-m", "macfix", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"macfix status gave no answer: {done.stdout}{done.stderr}") from None
    lines = answer["survey"] if "survey" in answer else answer["entries"]
    return {
        f"{line['target']}: {line['patch']}": f"{line['state']}: {line['reason']}"
        for line in lines
        if line["state"] != "pending" and line["target"].startswith(("tractor.", "piker."))
    }


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """One line of a Markdown table for each patch whose state has changed."""
    names = sorted(before.keys() | now.keys())
    return [
        f"| {name} | {before.get(name, 'not there')} | {now.get(name, 'not there')} |"
        for name in names
        if _state(before.get(name)) != _state(now.get(name))
    ]


def _state(text: str | None) -> str:
    return (text or "").partition(":")[0]


def main() -> int:
    now = states()
    if "--write" in sys.argv[1:]:
        KNOWN.write_text(json.dumps(now, indent=2, sort_keys=True) + "\n")
        return 0
    changed = differences(json.loads(KNOWN.read_text()), now)
    if changed:
        print("What macfix's patches say of upstream has changed.\n")
        print("\n".join(["| target: patch | before | now |", "|---|---|---|", *changed]))
        print("\nIf that is right: `python .github/scripts/states.py --write`, and commit it.")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
