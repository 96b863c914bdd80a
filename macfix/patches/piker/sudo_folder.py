"""Under `sudo`, piker's configuration is in no folder of the user's: macOS keeps `HOME`.

Problem:
    With `SUDO_USER` set, all of the folder's path up to "root" is replaced by that user's home. On
    macOS `sudo` keeps `HOME`, there is no "root" in the path, and its first 4 characters go
    instead: `/Users/jo/Library/…` becomes `/Users/jo/rs/jo/Library/…`, an empty configuration.

Fix:
    Where `HOME` is not root's, the folder in it is the one.

Repro:
    Import piker's configuration in a process with `SUDO_USER`.

Upstream:
    Not reported. Nobody has run this on a Mac; that its `sudo` keeps `HOME` is what its
    `/etc/sudoers` says.

Remove when:
    piker does not count on "root" in the path.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import calls, has_constant

FOLDER, USUAL, LISTS = "_config_dir", "_click_config_dir", "_watchlists_data_path"


def diagnose(source: Source) -> Diagnosis:
    if not has_constant(source.tree, "SUDO_USER"):
        return not_needed("it takes HOME as sudo leaves it")
    cuts = [call for call in calls(source.tree, "rfind") if "root" in ast.unparse(call)]
    known = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    if len(cuts) != 1 or not {FOLDER, USUAL, LISTS} <= known:
        return unknown("it finds the user's folder in an unrecognised way")
    return needed(f"line {cuts[0].lineno} counts on root's HOME")


def install(module: ModuleType, changes: Changes) -> None:
    folder = vars(module)[USUAL]
    if not os.environ.get("SUDO_USER") or Path(folder).is_relative_to(os.path.expanduser("~root")):
        return
    kind = type(vars(module)[LISTS])  # str, or Path in newer ones
    changes.set(module, FOLDER, folder)
    changes.set(module, LISTS, kind(os.path.join(folder, "watchlists.json")))


def repro() -> None:
    look = f"from piker import config; print(config.{FOLDER} == config.{USUAL})"
    env = {**os.environ, "SUDO_USER": "nobody"}
    done = subprocess.run([sys.executable, "-c", look], env=env, capture_output=True, text=True)
    assert "True" in done.stdout.split(), f"the folder is another one: {done.stdout}{done.stderr}"
