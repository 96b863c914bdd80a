"""A stand-in for platformdirs: the one answer that tractor asks it for, on macOS and on Linux."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_runtime_dir(appname: str) -> str:
    """Return the folder that platformdirs proposes for what lives as long as a login."""
    if sys.platform == "darwin":
        return str(Path.home() / "Library" / "Caches" / "TemporaryItems" / appname)
    return os.path.join(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"), appname)
