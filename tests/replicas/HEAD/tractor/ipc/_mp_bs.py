"""Keeping the standard library's resource tracker away from segments of other processes."""

from functools import partial


def disable_mantracker():
    """Return the class of segments with tracking switched off, for every other user too."""
    from multiprocessing import resource_tracker
    from multiprocessing.shared_memory import SharedMemory

    class ManTracker(resource_tracker.ResourceTracker):
        def register(self, name, rtype):
            pass

        def unregister(self, name, rtype):
            pass

        def ensure_running(self):
            pass

    resource_tracker._resource_tracker = ManTracker()
    for name in ("register", "unregister", "ensure_running", "getfd"):
        setattr(resource_tracker, name, getattr(resource_tracker._resource_tracker, name))
    return partial(SharedMemory, track=False)
