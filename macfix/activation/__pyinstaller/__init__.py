"""The place of macfix's hook for PyInstaller, which asks by the entry point `pyinstaller40`."""

from __future__ import annotations

import os


def hook_dirs() -> list[str]:
    """The folder of ``hook-macfix.py``."""
    return [os.path.dirname(__file__)]
