"""The worlds a program is run in: Linux or a Mac, with or without macfix."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY, STARTED_WITH

KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
"""What a program run in a world gets of the tester's environment. Nothing else reaches it."""

ON_A_MAC = sys.platform == "darwin"


@dataclass(frozen=True)
class World:
    """One kind of machine to run a program on.

    Attributes:
        name: what reports call it.
        mac: on macOS: the real one where the tests run on it, else the simulation.
        macfix: `on` in every interpreter of the program, switched `off`, or `absent` altogether.
    """

    name: str
    mac: bool
    macfix: Literal["on", "off", "absent"]

    @property
    def possible(self) -> bool:
        """Whether this machine can be that one: a Mac cannot be Linux."""
        return self.mac or not ON_A_MAC

    def environment(
        self, sandbox: Sandbox, path: Sequence[Path], macfix_folder: Path
    ) -> dict[str, str]:
        """Return the whole environment of a program in this world.

        `path` becomes its PYTHONPATH; `macfix_folder` is a folder that holds the package macfix and
        nothing else, so that no other package of this project can be imported by accident.
        """
        env = {name: STARTED_WITH[name] for name in KEPT if name in STARTED_WITH}
        env |= sandbox.variables()
        folders = list(path)
        if self.mac:
            del env["XDG_RUNTIME_DIR"]
        if self.macfix != "absent":
            folders = [activation_site(macfix_folder), *folders, macfix_folder]
            if self.mac and not ON_A_MAC:
                env["MACFIX_SIMULATE"] = "1"
        if self.macfix == "off":
            env["MACFIX"] = "off"
        env["PYTHONPATH"] = ":".join(map(str, folders))
        return env


PLAIN_LINUX = World("Linux", mac=False, macfix="absent")
LINUX_WITH_MACFIX = World("Linux with macfix", mac=False, macfix="on")
BARE_MAC = World("Mac without macfix", mac=True, macfix="off")
MENDED_MAC = World("Mac with macfix", mac=True, macfix="on")
UNTOUCHED = World("this machine", mac=ON_A_MAC, macfix="absent")
"""For what turns itself into a Mac and starts macfix by itself: `python -m macfix`."""


def activation_site(macfix_folder: Path) -> Path:
    """Return the folder whose `sitecustomize` starts simulation and macfix in an interpreter."""
    return macfix_folder / "macfix" / "activation" / "site"


def lay_out_macfix(folder: Path) -> Path:
    """Make `folder` hold the package macfix alone, as a link to this checkout's, and return it."""
    (folder / "macfix").symlink_to(REPOSITORY / "macfix", target_is_directory=True)
    return folder
