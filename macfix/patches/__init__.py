"""What upstream got wrong: each folder is a plugin, each public module in it one defect.

A module with an underscore is no patch: it has what several patches share.
"""

from __future__ import annotations

PACKAGES = ("tractor", "piker")
"""The upstream packages: importing one of them loads the plugins."""

PLUGINS = ("uds", "transport", "runtime", "shm", "aio", "piker")
"""The built-in plugins, which are packages here, in the order in which they are applied."""
