"""Elasticsearch runs and cannot be reached on macOS: docker's host is a virtual machine there.

Problem:
    `start_elasticsearch()` runs its container with `network='host'`, and asks `localhost` for its
    health. On macOS docker's host is a virtual machine, and Docker Desktop passes its ports on from
    4.34 on only, if that is switched on. piker waits for 240 s and gives up.

Fix:
    The container's port is published, on the loopback interface, in the place of host networking.

Repro:
    Start elasticsearch with a stand-in for docker's client.

Upstream:
    Not reported. piker's marketstore publishes its ports. Nobody has run this on a Mac: docker's
    documentation was read (https://docs.docker.com/engine/network/drivers/host/).

Remove when:
    piker publishes the port itself.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function, has_constant

FUNCTION = "start_elasticsearch"


def diagnose(source: Source) -> Diagnosis:
    start = function(source.tree, FUNCTION)
    if start is None or not has_constant(start, "host"):
        return not_needed(f"no {FUNCTION}() uses host networking")
    runs = calls(start, "run")
    networks = [given for run in runs for given in run.keywords if given.arg == "network"]
    if len(networks) != 1 or not has_constant(source.tree, "port"):
        return unknown(f"{FUNCTION}() runs its container in an unrecognised way")
    return needed(f"line {networks[0].value.lineno} uses host networking")


def install(module: ModuleType, changes: Changes) -> None:
    port = module._config["port"]

    class Containers(wrapt.ObjectProxy):  # type: ignore[type-arg]
        def run(self, *args: Any, network: str | None = None, **kwargs: Any) -> Any:
            if network == "host":
                kwargs["ports"] = {f"{port}/tcp": ("127.0.0.1", port)}
            elif network is not None:
                kwargs["network"] = network
            return self.__wrapped__.run(*args, **kwargs)

    class Client(wrapt.ObjectProxy):  # type: ignore[type-arg]
        @property
        def containers(self) -> Containers:
            return Containers(self.__wrapped__.containers)

    def start(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        client, *others = args
        return wrapped(Client(client), *others, **kwargs)

    changes.wrap(module, FUNCTION, start)


def repro() -> None:
    from unittest import mock  # imports asyncio

    client = mock.Mock()
    import_module("piker.service.elastic").start_elasticsearch(client)
    how = client.containers.run.call_args.kwargs
    assert "network" not in how and how["ports"], f"it was run with {how}"
