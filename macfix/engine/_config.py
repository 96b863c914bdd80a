"""What the user asked for through ``MACFIX…`` environment variables.

Read once when macfix activates. This module is loaded at every interpreter start of a Mac, so it
imports nothing but :mod:`os` and keeps to plain classes.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OFF = frozenset({"off", "0", "no", "false"})


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
    """

    __slots__ = ("block", "enabled", "force", "only", "plugins", "skip", "strict")

    def __init__(
        self,
        *,
        enabled: bool = True,
        skip: Iterable[str] = (),
        only: Iterable[str] | None = None,
        force: Iterable[str] = (),
        block: Iterable[str] = (),
        plugins: Iterable[str] | None = None,
        strict: bool = False,
    ) -> None:
        self.enabled = enabled
        self.skip = frozenset(skip)
        self.only = None if only is None else frozenset(only)
        self.force = frozenset(force)
        self.block = frozenset(block)
        self.plugins = None if plugins is None else frozenset(plugins)
        self.strict = strict

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Config:
        """The choices that *environ* (``os.environ`` unless given) states."""
        env = os.environ if environ is None else environ
        only = _names(env.get("MACFIX_ONLY"))
        return cls(
            enabled=env.get("MACFIX", "").strip().lower() not in _OFF,
            skip=_names(env.get("MACFIX_SKIP")),
            only=only or None,
            force=_names(env.get("MACFIX_FORCE")),
            block=_names(env.get("MACFIX_BLOCK")),
            plugins=_names(env["MACFIX_PLUGINS"]) if "MACFIX_PLUGINS" in env else None,
            strict=_is_set(env.get("MACFIX_STRICT")),
        )

    def selects(self, patch: str) -> bool:
        """Whether the user wants *patch* applied where it is needed."""
        return patch not in self.skip and (self.only is None or patch in self.only)

    def allows(self, plugin: str) -> bool:
        """Whether *plugin*, which is not one of macfix's own, may be loaded."""
        return plugin not in self.block and (self.plugins is None or plugin in self.plugins)

    def unknown_patches(self, known: Iterable[str]) -> list[str]:
        """Names that the user gave for patches and that are not in *known*, sorted."""
        given = self.skip | self.force | (self.only or frozenset())
        return sorted(given.difference(known))


def _names(value: str | None) -> list[str]:
    return [name.strip() for name in (value or "").split(",") if name.strip()]


def _is_set(value: str | None) -> bool:
    return (value or "").strip().lower() not in _OFF | {""}
