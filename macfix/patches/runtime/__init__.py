"""The runtime directory, where tractor puts the sockets of its actors, and processes it forks.

macOS has neither `XDG_RUNTIME_DIR` nor another directory for that which is short enough; and it has
no pidfds.
"""

from __future__ import annotations

from macfix.patches._modules import hooks

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor._state": ("dir", "dir_env"),
    "tractor.runtime._state": ("dir", "dir_env"),
    "tractor.spawn._main_thread_forkserver": ("pidfd",),
    "tractor.spawn._subint_forkserver": ("pidfd",),
}

macfix_targets, macfix_patches = hooks(__name__, PATCHES)
