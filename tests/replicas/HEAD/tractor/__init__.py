"""A stand-in for tractor as it was in August 2026: part of its defects are cured upstream.

Every module has the names, the signatures and the defects of upstream's module of the same name,
in code of our own, so that macfix's patches can be tested where tractor is not installed. Actors
are left out: what is here are the connections between them.

Put the folder above this one, and `stubs` beside it, on `sys.path` to use it.
"""

from ._exceptions import TransportClosed as TransportClosed
from .ipc import Channel as Channel
from .runtime._state import current_actor as current_actor
