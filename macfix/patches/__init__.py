"""What upstream got wrong: one module for each defect, each a macfix plugin.

This module is imported at every interpreter start of a Mac: names only.
"""

from __future__ import annotations

from ._contents import CONTENTS

ROOTS = ("tractor", "piker")
"""The top-level packages of the upstreams: importing one of them loads the plugins."""

BUILTIN = tuple(f"{__name__}.{patch.replace('-', '_')}" for patch in CONTENTS)
"""The modules of the built-in plugins."""
