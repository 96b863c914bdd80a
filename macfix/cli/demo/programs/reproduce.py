"""Run the reproduction of one patch, named on the command line."""

from __future__ import annotations

import sys

from macfix.activation.activate import load_plugins


def main(name: str) -> None:
    for patch in load_plugins().all_patches():
        if patch.name == name and patch.repro is not None:
            patch.repro()
            print("fixed")
            return
    sys.exit(f"there is no patch {name!r} with a reproduction")


if __name__ == "__main__":
    main(sys.argv[1])
