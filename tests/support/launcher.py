"""Start programs in a world: the one place where interpreter, world and sandbox come together."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support import processes, runtime_sockets
from tests.support.isolation import isolated
from tests.support.processes import Finished
from tests.support.sandbox import Sandbox
from tests.support.worlds import BARE_MAC, World

PATIENCE = 120.0
"""Seconds that a program gets unless its test says otherwise."""


@dataclass(frozen=True)
class Launcher:
    """Runs programs with one interpreter in one sandbox.

    Attributes:
        python: the interpreter.
        sandbox: where the program's home, cache and temporary files are.
        macfix_folder: a folder that holds the package macfix and nothing else.
        path: folders on PYTHONPATH in every run, an upstream checkout for instance.
        network: whether each program has a network of its own, where that is possible.
    """

    python: Path
    sandbox: Sandbox
    macfix_folder: Path
    path: tuple[Path, ...] = field(default=())
    network: bool = True

    def with_path(self, *folders: Path) -> Launcher:
        """Return the same launcher with more folders at the end of its path."""
        return replace(self, path=(*self.path, *folders))

    def environment(self, world: World, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment that `run` gives a program in `world`."""
        return world.environment(self.sandbox, self.path, self.macfix_folder) | dict(more or {})

    def run(
        self,
        world: World,
        arguments: Sequence[str | Path],
        *,
        more: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = PATIENCE,
        sweep: bool = False,
    ) -> Finished:
        """Run the interpreter with `arguments` to its end in `world`, with `more` variables set.

        With `sweep`, processes that the program leaves behind are killed instead of left for the
        leak check to find: for programs that are not ours to blame.

        A program that dies leaves sockets and segments behind, and in a world without the cure
        programs are expected to die: there, what dead processes left is removed. In the other
        worlds it is left for the leak check to find.

        Raises TookTooLongError after `timeout` seconds.
        """
        before = runtime_sockets.present(self.sandbox)
        try:
            return processes.run(
                isolated([self.python, *arguments], self.sandbox.meeting, network=self.network),
                env=self.environment(world, more),
                cwd=cwd or self.sandbox.home,
                timeout=timeout,
                sweep=sweep,
            )
        finally:
            if world == BARE_MAC:
                runtime_sockets.remove(runtime_sockets.present(self.sandbox) - before)
                shutil.rmtree(self.sandbox.segments, ignore_errors=True)
