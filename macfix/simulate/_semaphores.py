"""What macOS' semaphores cannot do: tell their value (``sem_getvalue`` always fails there).

The start method ``spawn``, names that are paths and no ``/dev/shm`` need nothing here: all of
``multiprocessing`` is a guest and decides for Darwin by itself.
"""

from __future__ import annotations

from . import _hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def install() -> None:
    """Take the value away from semaphores and queues once they are imported."""
    _hooks.after_import("multiprocessing.synchronize", _no_value)
    _hooks.after_import("multiprocessing.queues", _no_size)


def _no_value(module: Any) -> None:
    module.Semaphore.get_value = _not_implemented


def _no_size(module: Any) -> None:
    module.Queue.qsize = _not_implemented


def _not_implemented(self: object) -> int:
    raise NotImplementedError
