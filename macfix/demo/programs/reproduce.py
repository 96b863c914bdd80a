"""Run the reproduction of one patch, named on the command line."""

from __future__ import annotations

import sys

from macfix.engine import Config, load_patches
from macfix.patches import BUILTIN


def main(name: str) -> None:
    for patch in load_patches(Config(), BUILTIN).patches():
        if patch.name == name and patch.repro is not None:
            patch.repro()
            print("cured")
            return
    sys.exit(f"there is no patch {name!r} with a reproduction")


if __name__ == "__main__":
    main(sys.argv[1])
