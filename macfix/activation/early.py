"""What a Mac's interpreter executes of macfix at its start, and nothing else.

A finder that waits for ``tractor`` or ``piker`` goes first on ``sys.meta_path``. When one of them
is about to be imported, ``handover.py`` lets macfix take its place. Until then not even the package
``macfix`` is imported: each instruction here is paid for by every interpreter of the environment,
which is why the finder is no class and nothing is annotated.

The ``.pth`` file of ``macfix enable`` executes this file by its path, under the name
``macfix_early``: to Python it is no part of the package then.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import os
import sys


def find_spec(name, path=None, target=None):
    """Hand over to macfix for the upstreams; nothing else is known here."""
    if name != "tractor" and name != "piker":
        return None
    return _handover().find_spec(name, path, target)


def _handover():
    """The module ``handover``, from beside this file and not from ``sys.path``."""
    from _frozen_importlib_external import SourceFileLoader

    module = type(sys)("macfix_handover")
    module.__file__ = os.path.join(os.path.dirname(find_spec.__code__.co_filename), "handover.py")
    SourceFileLoader(module.__name__, module.__file__).exec_module(module)
    return module


def come_up():
    """Start the simulation if it is asked for, and put the finder in its place."""
    if "MACFIX_SIMULATE" in os.environ:
        _handover().simulate()
    if "MACFIX" in os.environ and _handover().is_off():
        return
    if not hasattr(sys.meta_path[0], "is_macfix"):
        finder = type(sys)("macfix, waiting for tractor or piker")
        finder.__dict__.update(is_macfix=True, find_spec=find_spec)
        sys.meta_path.insert(0, finder)


if __name__ == "macfix_early":
    come_up()
