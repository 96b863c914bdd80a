"""piker itself: what the owner of a Mac meets in the first hour with a chart."""

from __future__ import annotations

from macfix.patches._modules import hooks

PATCHES: dict[str, tuple[str, ...]] = {
    "piker.brokers": ("tls_roots",),
    "piker.config": ("sudo_folder", "root_config"),
    "piker.data._ahab": ("docker",),
    "piker.data.elastic": ("docker_ports",),
    "piker.service._ahab": ("docker",),
    "piker.service.elastic": ("docker_ports",),
    "piker.storage.nativedb": ("strange_files",),
    "piker.ui._event": ("keys",),
    "piker.ui._exec": ("quit", "window", "app_nap"),
    "piker.ui._notify": ("notifications",),
    "piker.ui._style": ("fonts",),
}

macfix_targets, macfix_patches = hooks(__name__, PATCHES)
