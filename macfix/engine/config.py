"""What the user asked for through ``MACFIX…`` environment variables, read once."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from macfix._log import LEVELS
from macfix._variables import if_on, is_off, nearest, neither_on_nor_off, xdg_folder

VARIABLES = {
    "MACFIX": "`off`: change nothing",
    "MACFIX_SKIP": "`a,b`: leave these patches out",
    "MACFIX_ONLY": "`a,b`: apply no other patches than these",
    "MACFIX_STRICT": "`1`: a patch or plugin that fails, or a wrong name, is an error",
    "MACFIX_BLOCK": "`a,b`: never load these plugins",
    "MACFIX_PLUGINS": "`a,b`: load no other plugins than these and the built-in ones",
    "MACFIX_FORCE": "`a,b`: apply these patches off macOS too",
    "MACFIX_SIMULATE": "`SPEC`: simulate XNU in this process and its children (Linux)",
    "MACFIX_SIMULATE_DIR": "where the simulation keeps its segments (default: `/dev/shm`)",
    "MACFIX_AIO_GRACE": "seconds an asyncio task gets to end after trio has left it (0.5)",
    "MACFIX_SHM_REAP": "`off`: leave the segments of dead programs alone",
    "MACFIX_SHM_JOURNAL": "`off`: keep no registry of segments",
    "MACFIX_PYTEST": "`1`: pytest runs as with `--macfix`",
    "MACFIX_LOG": "`info`: say on standard error what was patched; `debug`: each patch's state",
    "MACFIX_CACHE_DIR": "where answers of diagnoses are kept (default: the user's cache folder)",
    "MACFIX_STATE_DIR": "where the registry of segments is kept (default: the user's state folder)",
}
"""The variables that users set, and their meaning, as help and the docs show them."""

_INTERNAL = frozenset(
    # set by macfix itself, for the processes of a tree
    {"MACFIX_TREE", "MACFIX_SHM_TREE", "MACFIX_SIMULATE_SESSION"}
    # for its tests
    | {"MACFIX_HEAVY", "MACFIX_SEED", "MACFIX_UPSTREAM", "MACFIX_UVLOOP"}
    | {"MACFIX_UPSTREAM_PYTHON", "MACFIX_PIKER_PYTHON", "MACFIX_PIKER_2022_PYTHON"}
)


@dataclass(frozen=True)
class Config:
    """The user's choices.

    Attributes:
        enabled: False with ``MACFIX=off``: macfix changes nothing.
        skip: patches not to apply (``MACFIX_SKIP``).
        only: the only patches to apply (``MACFIX_ONLY``), or None for all.
        force: patches to apply on any platform (``MACFIX_FORCE``).
        block: plugins (entry-point names) never to load (``MACFIX_BLOCK``).
        plugins: the only plugins to load besides the built-in ones (``MACFIX_PLUGINS``; none if
            that is set and empty), or None for all.
        strict: a failing patch or plugin is an exception (``MACFIX_STRICT=1``).
        cache: the folder for answers (absolute), or None where none may be used.
        log: the level from which on to show what is logged (``MACFIX_LOG``), or None.
        complaints: what is wrong with the variables by themselves, one sentence each.
    """

    enabled: bool = True
    skip: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    force: frozenset[str] = frozenset()
    block: frozenset[str] = frozenset()
    plugins: frozenset[str] | None = None
    strict: bool = False
    cache: str | None = None
    log: str | None = None
    complaints: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Config:
        """The choices that *environ* (``os.environ`` unless given) states."""
        env = os.environ if environ is None else environ
        return cls(
            enabled=not is_off(env.get("MACFIX")),
            skip=_names(env.get("MACFIX_SKIP")),
            only=_names(env.get("MACFIX_ONLY")) or None,
            force=_names(env.get("MACFIX_FORCE")),
            block=_names(env.get("MACFIX_BLOCK")),
            plugins=_names(env["MACFIX_PLUGINS"]) if "MACFIX_PLUGINS" in env else None,
            strict=if_on(env.get("MACFIX_STRICT")) is not None,
            cache=_cache_folder(env),
            log=if_on(env.get("MACFIX_LOG", "").lower()),
            complaints=tuple(_complaints(env)),
        )

    @property
    def wanted(self) -> bool:
        """Whether this platform, or the user, wants macfix to be active."""
        return self.enabled and (sys.platform == "darwin" or bool(self.force))

    def selects(self, patch: str) -> bool:
        """Whether the user wants *patch* applied where it is needed."""
        return patch not in self.skip and (self.only is None or patch in self.only)

    def allows(self, plugin: str) -> bool:
        """Whether *plugin*, which is not one of macfix's own, may be loaded."""
        return plugin not in self.block and (self.plugins is None or plugin in self.plugins)

    def wrong_names(self, patches: Collection[str], plugins: Collection[str]) -> list[str]:
        """The names that no patch of *patches*, or plugin of *plugins*, has; one sentence each."""
        return [
            f"{variable}: there is no {kind} {name!r}{nearest(name, known)}"
            for variable, names, kind, known in (
                ("MACFIX_SKIP", self.skip, "patch", patches),
                ("MACFIX_ONLY", self.only or (), "patch", patches),
                ("MACFIX_FORCE", self.force, "patch", patches),
                ("MACFIX_BLOCK", self.block, "plugin", plugins),
                ("MACFIX_PLUGINS", self.plugins or (), "plugin", plugins),
            )
            for name in sorted(set(names).difference(known))
        ]


def _names(value: str | None) -> frozenset[str]:
    return frozenset(name.strip() for name in (value or "").split(",") if name.strip())


def _cache_folder(env: Mapping[str, str]) -> str | None:
    """The folder for answers, or None where none may be used.

    ``MACFIX_CACHE_DIR`` if set (an absolute path); else ``~/Library/Caches/macfix`` on macOS and
    ``$XDG_CACHE_HOME/macfix`` or ``~/.cache/macfix`` elsewhere. A process that has more
    privileges than its user (set-uid) gets none: the user's environment must not steer it.
    """
    if os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        return None
    if chosen := env.get("MACFIX_CACHE_DIR"):
        return chosen if os.path.isabs(chosen) else None  # never below the current directory
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        return None
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "macfix")
    return xdg_folder(env, "XDG_CACHE_HOME", "~/.cache")


def _complaints(env: Mapping[str, str]) -> Iterator[str]:
    known = VARIABLES.keys() | _INTERNAL
    for name in sorted(env):
        if name.startswith("MACFIX_") and name not in known:
            yield f"macfix has no variable {name}{nearest(name, VARIABLES, 'MACFIX_')}"
    for name in ("MACFIX_SKIP", "MACFIX_ONLY", "MACFIX_FORCE", "MACFIX_BLOCK"):
        if name in env and not _names(env[name]):
            yield f"{name} is set and names nothing: unset it"
    for each in neither_on_nor_off(env):
        yield f"{each} says neither on nor off, and counts as on"
    if (level := if_on(env.get("MACFIX_LOG", "").lower())) and level not in LEVELS:
        yield f"MACFIX_LOG is {level!r}, not {' or '.join(LEVELS)}"
    if (cache := env.get("MACFIX_CACHE_DIR")) and not os.path.isabs(cache):
        yield f"MACFIX_CACHE_DIR is {cache!r}, no absolute path: no answers are kept"
    if both := sorted(_names(env.get("MACFIX_SKIP")) & _names(env.get("MACFIX_ONLY"))):
        yield f"MACFIX_ONLY and MACFIX_SKIP both name {', '.join(both)}, which is left out"
