"""Keeping the standard library's resource tracker away from segments of other processes."""

from functools import partial


def disable_mantracker():
    """Return the class of segments with tracking switched off, for every other user too."""
    from multiprocessing import resource_tracker
    from multiprocessing.shared_memory import SharedMemory

    resource_tracker.register = lambda name, rtype: None
    resource_tracker.unregister = lambda name, rtype: None
    return partial(SharedMemory, track=False)
