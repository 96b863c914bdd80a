"""A stand-in for tractor as it was in July 2025: the parts that fail on macOS, and no more.

Every module has the names, the signatures and the defects of upstream's module of the same name,
in code of our own, so that macfix's patches can be seen at work, and tested, where tractor is not
installed. Actors are left out: what is here are the connections between them.

Put the folder above this one on `sys.path` to use it.
"""

from ._exceptions import TransportClosed as TransportClosed
from ._state import current_actor as current_actor
from .ipc import Channel as Channel
