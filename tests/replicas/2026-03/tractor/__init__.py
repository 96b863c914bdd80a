"""A stand-in for tractor as it was in March 2026: upstream's first steps towards macOS.

Every module has the names, the signatures and the defects of upstream's module of the same name,
in code of our own, so that macfix's patches can be tested where tractor is not installed. Actors
are left out: what is here are the connections between them.

Put the folder above this one, and `stubs` beside it, on `sys.path` to use it.
"""

from ._exceptions import TransportClosed as TransportClosed
from ._state import current_actor as current_actor
from .ipc import Channel as Channel
