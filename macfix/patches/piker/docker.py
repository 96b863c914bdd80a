"""piker does not find docker on macOS: it looks in `/var/run/docker.sock` only.

Problem:
    Docker Desktop (if not told otherwise), colima and OrbStack listen in the user's home, and
    `docker context` says where. piker: "Did you start da service sister?".

Fix:
    Without `DOCKER_HOST` the current context is opened, or by default the first socket that
    answers: the usual one, Docker Desktop's, colima's, OrbStack's.

Repro:
    Open docker where only Docker Desktop's own socket answers.

Upstream:
    Not reported. docker-py 7.2 follows contexts in `from_env()`, and knows none of these sockets.
    Nobody has run this on a Mac: the places are those that `docker context ls` is shown with.

Remove when:
    piker needs no docker, or looks in these places.
"""

from __future__ import annotations

import contextlib
import os
import socket
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function, mentions

FUNCTION = "open_docker"
USUAL = "/var/run/docker.sock"
IN_HOME = (".docker/run/docker.sock", ".colima/default/docker.sock", ".orbstack/run/docker.sock")


def diagnose(source: Source) -> Diagnosis:
    opening = function(source.tree, FUNCTION)
    if opening is None or not calls(opening, "DockerClient"):
        return not_needed(f"no {FUNCTION}() opens a client by its address")
    if mentions(opening, "ContextAPI"):
        return not_needed("it follows docker's contexts")
    usual = calls(opening, "from_env")
    if len(usual) != 1 or "url" not in {argument.arg for argument in opening.args.args}:
        return unknown(f"{FUNCTION}() opens docker in an unrecognised way")
    return needed(f"line {usual[0].lineno} looks in docker's usual place only")


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module, FUNCTION, _open_docker)


def _open_docker(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    said = args or kwargs or os.environ.get("DOCKER_HOST")
    return wrapped(*args, **(kwargs if said else _address()))


def _address() -> dict[str, Any]:
    """Return what to open a client with; nothing for the usual place."""
    with contextlib.suppress(Exception):  # a context that cannot be read is none
        contexts = import_module("docker.context").ContextAPI
        context = contexts.get_context(os.environ.get("DOCKER_CONTEXT"))
        if context.name != "default":
            return {"url": context.Host} | ({"tls": context.TLSConfig} if context.TLSConfig else {})
    home = os.path.expanduser(f"~{os.environ.get('SUDO_USER', '')}")
    paths = [USUAL, *(os.path.join(home, path) for path in IN_HOME)]
    found = next(filter(_answers, paths), USUAL)
    return {} if found == USUAL else {"url": f"unix://{found}"}


def _answers(path: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
    return False


def repro() -> None:
    from unittest import mock  # imports asyncio

    trio, target = import_module("trio"), import_module("piker.service._ahab")
    with (
        mock.patch.dict(os.environ, DOCKER_HOST="", DOCKER_CONTEXT=""),
        mock.patch(f"{__name__}._answers", lambda path: path.endswith(IN_HOME[0])),
        mock.patch.object(target, "docker") as docker,
    ):
        trio.run(target.open_docker().__aenter__)
    assert not docker.from_env.called, "it did not look for docker in the user's home"
