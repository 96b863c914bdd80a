"""What each built-in patch is called and what it mends, so that it need not be imported for that.

A test holds this together with the patches, and prints what belongs here if it does not.
"""

from __future__ import annotations

CONTENTS: dict[str, tuple[str, ...]] = {
    "aio-abandoned-task": ("tractor.to_asyncio",),
    "aio-deribit-feeds": ("piker.brokers.deribit.api",),
    "aio-guest-abandoned": ("tractor.to_asyncio",),
    "aio-ib-clients": ("piker.brokers.ib.api",),
    "aio-piker-targets": ("tractor.to_asyncio",),
    "aio-root-interrupt": ("tractor._runtime", "tractor.runtime._runtime"),
    "aio-unsuppressed-exit": ("tractor.to_asyncio",),
    "runtime-dir": ("tractor._state", "tractor.runtime._state"),
    "runtime-dir-env": ("tractor._state", "tractor.runtime._state"),
    "shm-dev-shm": ("piker.tsp", "piker.data.history", "piker.storage.cli"),
    "shm-half-open": ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    "shm-index": ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    "shm-maybe-open": ("tractor.ipc._shm", "tractor._shm"),
    "shm-names": ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    "shm-open-files": ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    "shm-shortening": ("tractor.ipc._shm",),
    "shm-teardown": ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    "shm-token-check": ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    "shm-token-key": ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    "transport-enotconn": ("tractor.ipc._transport",),
    "transport-eprototype": ("tractor.ipc._transport",),
    "transport-reset": ("tractor.ipc._transport",),
    "uds-backlog": ("tractor.ipc._uds",),
    "uds-connected-pid": ("tractor.ipc._chan",),
    "uds-passcred": ("tractor.ipc._uds",),
    "uds-peer-credentials": ("tractor.ipc._uds",),
    "uds-socket-constants": ("tractor.ipc._uds",),
    "uds-socket-names": ("tractor.ipc._uds", "tractor.spawn._reap"),
    "uds-unbound-names": ("tractor.ipc._uds",),
    "uds-vanished-peer": ("tractor.ipc._uds",),
}
"""The targets of each patch; its module in this package has the same name, with underscores."""
