"""What each built-in patch is called and what it mends, so that it need not be imported for that.

A test holds this together with the patches, and prints what belongs here if it does not.
"""

from __future__ import annotations

CONTENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "aio_abandoned_task": ("aio-abandoned-task", ("tractor.to_asyncio",)),
    "aio_deribit_feeds": ("aio-deribit-feeds", ("piker.brokers.deribit.api",)),
    "aio_guest_abandoned": ("aio-guest-abandoned", ("tractor.to_asyncio",)),
    "aio_ib_clients": ("aio-ib-clients", ("piker.brokers.ib.api",)),
    "aio_piker_targets": ("aio-piker-targets", ("tractor.to_asyncio",)),
    "aio_root_interrupt": ("aio-root-interrupt", ("tractor._runtime", "tractor.runtime._runtime")),
    "aio_unsuppressed_exit": ("aio-unsuppressed-exit", ("tractor.to_asyncio",)),
    "runtime_dir": ("runtime-dir", ("tractor._state", "tractor.runtime._state")),
    "runtime_dir_env": ("runtime-dir-env", ("tractor._state", "tractor.runtime._state")),
    "shm_dev_shm": ("shm-dev-shm", ("piker.tsp", "piker.data.history", "piker.storage.cli")),
    "shm_half_open": (
        "shm-half-open",
        ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    ),
    "shm_index": ("shm-index", ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem")),
    "shm_maybe_open": ("shm-maybe-open", ("tractor.ipc._shm", "tractor._shm")),
    "shm_names": ("shm-names", ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem")),
    "shm_open_files": (
        "shm-open-files",
        ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    ),
    "shm_shortening": ("shm-shortening", ("tractor.ipc._shm",)),
    "shm_teardown": ("shm-teardown", ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem")),
    "shm_token_check": (
        "shm-token-check",
        ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    ),
    "shm_token_key": (
        "shm-token-key",
        ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem"),
    ),
    "transport_enotconn": ("transport-enotconn", ("tractor.ipc._transport",)),
    "transport_eprototype": ("transport-eprototype", ("tractor.ipc._transport",)),
    "transport_reset": ("transport-reset", ("tractor.ipc._transport",)),
    "uds_backlog": ("uds-backlog", ("tractor.ipc._uds",)),
    "uds_connected_pid": ("uds-connected-pid", ("tractor.ipc._chan",)),
    "uds_passcred": ("uds-passcred", ("tractor.ipc._uds",)),
    "uds_peer_credentials": ("uds-peer-credentials", ("tractor.ipc._uds",)),
    "uds_socket_constants": ("uds-socket-constants", ("tractor.ipc._uds",)),
    "uds_socket_names": ("uds-socket-names", ("tractor.ipc._uds", "tractor.spawn._reap")),
    "uds_unbound_names": ("uds-unbound-names", ("tractor.ipc._uds",)),
    "uds_vanished_peer": ("uds-vanished-peer", ("tractor.ipc._uds",)),
}
"""Module in this package: the name of its patch, and the patch's targets."""
