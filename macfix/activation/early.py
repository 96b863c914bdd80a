"""What a Mac's interpreter executes of macfix at its start, and nothing else.

A finder that waits for ``tractor`` or ``piker`` goes first on ``sys.meta_path``. When one of them
is about to be imported, ``handover.py`` lets macfix take its place. Until then not even the package
``macfix`` is imported: each instruction here is paid for by every interpreter of the environment,
which is why the finder is a function that is its own ``find_spec``, why the environment is asked
without ``os.environ``, whose look-ups are Python's, and why nothing is annotated.

``macfix enable`` compiles this file and puts the code beside its ``.pth``. There it is executed at
every start, whether macfix is still installed or not.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# mypy: disable-error-code="attr-defined, arg-type, comparison-overlap"

import sys
from posix import environ


def macfix_waiting(name, path=None, target=None):
    """Hand over to macfix for the upstreams; nothing else is known here."""
    if name != "tractor" and name != "piker" and not name.startswith(("tractor.", "piker.")):
        return None
    handover = _handover()
    return handover and handover.find_spec(name, path, target)


def _handover():
    """The module ``handover``, by its path; None if macfix was uninstalled: nobody waits then."""
    if hasattr(macfix_waiting, "handover"):
        return macfix_waiting.handover
    import os
    from _frozen_importlib_external import SourceFileLoader

    file = os.path.join(os.path.dirname(macfix_waiting.__code__.co_filename), "handover.py")
    if not os.access(file, os.R_OK):
        if macfix_waiting in sys.meta_path:
            sys.meta_path.remove(macfix_waiting)
        return None
    module = type(sys)("macfix_handover")
    module.__file__ = file
    SourceFileLoader(module.__name__, file).exec_module(module)
    module.BUNDLE = "<bundle>"  # `macfix enable` compiles the path of its bundle in here
    return vars(macfix_waiting).setdefault("handover", module)


_macfix = (b"MACFIX_SIMULATE" in environ or b"MACFIX" in environ) and _handover()

if _macfix:
    _macfix.simulate()

if not (_macfix and _macfix.is_off()) and not hasattr(sys.meta_path[0], "is_macfix"):
    macfix_waiting.find_spec = macfix_waiting
    macfix_waiting.is_macfix = True
    sys.meta_path.insert(0, macfix_waiting)
