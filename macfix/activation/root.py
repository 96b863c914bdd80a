"""Where macfix was imported from, and what that means for its dependencies."""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import PathFinder  # importlib.machinery's own, and loaded already

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder or zip file that the package ``macfix`` is in."""


def keep_dependencies_importable() -> None:
    """Put :data:`ROOT` last on ``sys.path`` if macfix's dependencies lie there, beside it.

    So it is in a zipapp and after ``pip install --target``. In a source checkout it is not, and
    nothing else that lies in a checkout becomes importable.
    """
    if ROOT not in sys.path and PathFinder.find_spec("wrapt", [ROOT]) is not None:
        sys.path.append(ROOT)
