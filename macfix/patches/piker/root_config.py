"""piker's configuration is root's after a run with `sudo`, and all that is said is "denied".

Problem:
    piker asks for `sudo` to run docker. What it writes then, in the folder of the user's
    configuration, is root's: the next run without `sudo` ends with a `PermissionError`, of the
    configuration, of a ledger, or of the time series and cached symbols beside it.

Fix:
    Before piker reads or writes its configuration, one line says what in this folder is somebody
    else's, and the command that puts it right. The error stays, and no file is touched.

Repro:
    Read a configuration of somebody else's, who stands in for root.

Upstream:
    Not reported. Nobody has run this on a Mac; on Linux it was run with two users.

Remove when:
    piker gives what it writes under `sudo` to the user.
"""

from __future__ import annotations

import functools
import os
import shlex
import tempfile
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix._files import owner_is_somebody_else
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.errors import warn_once
from macfix.engine.syntax import calls, function, mentions

FUNCTIONS = ("load", "write", "load_account", "load_ledger")


def diagnose(source: Source) -> Diagnosis:
    found = [name for name in FUNCTIONS if function(source.tree, name)]
    if not found:
        return not_needed("it reads and writes no configuration")
    if calls(source.tree, "chown") or mentions(source.tree, "PermissionError"):
        return not_needed("it looks after files of root's")
    if not mentions(source.tree, "_config_dir"):
        return unknown("its configuration is in no known folder")
    return needed(f"{', '.join(found)} may meet files of root's")


def install(module: ModuleType, changes: Changes) -> None:
    def explain(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        _explain(Path(module._config_dir))
        return wrapped(*args, **kwargs)

    for name in FUNCTIONS:
        if hasattr(module, name):
            changes.wrap(module, name, explain)


@functools.cache
def _explain(folder: Path) -> None:
    if os.geteuid() == 0:
        return  # root is denied nothing, and under sudo all of it is the user's, as it should be
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink() and owner_is_somebody_else(str(path)):
            command = f'sudo chown -R "$USER" {shlex.quote(str(folder))}'
            line = f"{path} is not yours, most likely since a run with sudo; to get it back:"
            warn_once(f"{line} {command}")
            return


def repro() -> None:
    from unittest import mock  # imports asyncio

    target, denied = import_module("piker.config"), PermissionError(13, "Permission denied")
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(target, "_config_dir", Path(folder)),
        mock.patch.object(os, "geteuid", return_value=-1),
        mock.patch(f"{__name__}.warn_once") as said,
    ):
        denied.filename = Path(folder, "conf.toml")
        denied.filename.touch()
        try:
            target.load(path=denied.filename, decode=mock.Mock(side_effect=denied))
        except PermissionError:
            assert said.called, "nothing says whose the file is"
