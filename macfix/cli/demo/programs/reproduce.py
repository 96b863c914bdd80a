"""Run the reproduction of one patch, named on the command line."""

from __future__ import annotations

import sys

from macfix.activation.activate import load_plugins

if __name__ == "__main__":
    repro = next(p.repro for p in load_plugins().all_patches() if p.name == sys.argv[1])
    assert repro is not None, "the demo names only patches that have one"
    repro()
    print("fixed")
