"""wrapt's ``FunctionWrapper``, without the rest of wrapt where nobody else has imported it.

``import wrapt`` is a quarter of what mending an upstream costs, and all that macfix needs is one
class of wrapt's extension module. That is loaded alone, and is not left in ``sys.modules``: whoever
imports wrapt later gets all of it, with this very class.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import module_from_spec

from ._safe_imports import PathFinder, SafeImports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EXTENSION = "wrapt._wrappers"
_HEAP_TYPE = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: of a class that is made anew when its module is imported once more."""

_found: Any = None


def function_wrapper() -> Any:
    """The class ``wrapt.FunctionWrapper``.

    Raises:
        ImportError: if wrapt is not installed.
    """
    global _found
    if _found is None:
        _found = _of_extension() or _of_package()
    return _found


def _of_extension() -> Any:
    """The class, or None where the package has to be asked: it chooses what it is made of."""
    if "wrapt" in sys.modules or os.environ.get("WRAPT_DISABLE_EXTENSIONS"):
        return None
    try:
        with SafeImports():
            package = SafeImports.find_spec("wrapt")
            folders = package and package.submodule_search_locations
            spec = PathFinder.find_spec(_EXTENSION, folders) if folders else None
            if spec is None or spec.loader is None or _EXTENSION in sys.modules:
                return None
            extension = module_from_spec(spec)
            try:
                spec.loader.exec_module(extension)
            finally:
                if sys.modules.get(_EXTENSION) is extension:  # not if it has imported wrapt itself
                    del sys.modules[_EXTENSION]
            wrapper = extension.FunctionWrapper
            return None if wrapper.__flags__ & _HEAP_TYPE else wrapper
    except Exception:
        return None  # another wrapt than those that are known: the import tells what is wrong


def _of_package() -> Any:
    with SafeImports():
        import wrapt

    return wrapt.FunctionWrapper
