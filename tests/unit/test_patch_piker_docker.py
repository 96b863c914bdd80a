"""piker-docker and piker-docker-ports: where docker is looked for, and how a container is run."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import trio

from macfix import Changes, Source
from macfix.patches.piker import docker as patch
from macfix.patches.piker import docker_ports

AHAB = """
from contextlib import asynccontextmanager
import docker

@asynccontextmanager
async def open_docker(url=None, **kwargs):
    if url:
        client = docker.DockerClient(base_url=url, **kwargs)
    else:
        client = docker.from_env(**kwargs)
    yield client
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (AHAB, "needed"),
        (AHAB.replace("open_docker", "open_podman"), "not needed"),
        (AHAB.replace("docker.DockerClient(base_url=url, **kwargs)", "None"), "not needed"),
        (AHAB.replace("if url", "url = url or ContextAPI.get_context().Host\n    if url"),
         "not needed"),
        (AHAB.replace("from_env", "open"), "unknown"),
        (AHAB.replace("url=None", "uri=None"), "unknown"),
    ],
)  # fmt: skip
def test_the_usual_place_is_known_by_its_call(text: str, state: str) -> None:
    assert patch.diagnose(Source("piker.service._ahab", "<test>", text.encode())).state == state


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, of so short a name that sockets can be in it, and no docker elsewhere."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("HOME", folder)
        monkeypatch.setattr(patch, "USUAL", f"{folder}/var/run/docker.sock")
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "SUDO_USER"):
            monkeypatch.delenv(name, raising=False)
        yield Path(folder)


@pytest.fixture
def listen(home: Path) -> Iterator[Callable[[str], None]]:
    """Have a docker listen at a path in the home."""
    daemons = []

    def start(path: str) -> None:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        daemons.append(socket.socket(socket.AF_UNIX))
        daemons[-1].bind(str(home / path))
        daemons[-1].listen()

    yield start
    for daemon in daemons:
        daemon.close()


class ContextAPI:
    """docker-py's: reads what the command `docker context` has written."""

    @staticmethod
    def get_context(name: str | None) -> Any:
        folder = Path.home() / ".docker"
        if name is None and (folder / "config.json").exists():
            name = json.loads((folder / "config.json").read_text())["currentContext"]
        if name in (None, "default"):
            return SimpleNamespace(name="default", Host="unix:///var/run/docker.sock")
        file = folder / "contexts" / "meta" / sha256(str(name).encode()).hexdigest() / "meta.json"
        if not file.exists():
            return None
        host = json.loads(file.read_text())["Endpoints"]["docker"]["Host"]
        tls = "its certificates" if host.startswith("tcp:") else None
        return SimpleNamespace(name=name, Host=host, TLSConfig=tls)


def write_context(home: Path, name: str, host: str, current: bool = True) -> None:
    """Do what `docker context create` does, and `docker context use`."""
    meta = home / ".docker" / "contexts" / "meta" / sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": endpoints}))
    if current:
        (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, ...]]:
    """Open docker as piker does, with the patch or without; say how docker-py was asked."""
    library: Any = ModuleType("docker")
    library.DockerClient = lambda **how: ("client", how)
    library.from_env = lambda **how: ("from_env", how)
    context: Any = ModuleType("docker.context")
    context.ContextAPI = ContextAPI
    monkeypatch.setitem(sys.modules, "docker", library)
    monkeypatch.setitem(sys.modules, "docker.context", context)

    def run(patched: bool = True, **how: Any) -> tuple[Any, ...]:
        module, changes = ModuleType("piker.service._ahab"), Changes()
        exec(AHAB, vars(module))
        if patched:
            patch.install(module, changes)

        async def main() -> Any:
            async with vars(module)["open_docker"](**how) as client:
                return client

        answer: tuple[Any, ...] = trio.run(main)
        assert changes.revert() == []
        return answer

    return run


Opened = Callable[..., tuple[Any, ...]]
Listen = Callable[[str], None]


@pytest.mark.parametrize("path", patch.IN_HOME)
def test_the_socket_that_somebody_answers_at_is_opened(
    home: Path, listen: Listen, opened: Opened, path: str
) -> None:
    listen(path)
    assert opened(patched=False) == ("from_env", {})
    assert opened() == ("client", {"base_url": f"unix://{home / path}"})


def test_the_usual_socket_comes_first_if_somebody_answers(
    home: Path, listen: Listen, opened: Opened
) -> None:
    Path(patch.USUAL).parent.mkdir(parents=True)
    with closing(socket.socket(socket.AF_UNIX)) as gone:
        gone.bind(patch.USUAL)
    for path in reversed(patch.IN_HOME):
        listen(path)
    assert opened() == ("client", {"base_url": f"unix://{home / patch.IN_HOME[0]}"})
    os.unlink(patch.USUAL)
    listen("var/run/docker.sock")
    assert opened() == ("from_env", {})


def test_without_any_docker_pikers_own_error_comes(home: Path, opened: Opened) -> None:
    assert opened() == ("from_env", {})


def test_the_current_context_comes_before_sockets(
    home: Path, listen: Listen, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(patch.IN_HOME[0])
    write_context(home, "vm", "unix:///vm.sock")
    write_context(home, "far", "tcp://far:2376", current=False)
    assert opened() == ("client", {"base_url": "unix:///vm.sock"})
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert opened() == ("client", {"base_url": "tcp://far:2376", "tls": "its certificates"})
    monkeypatch.setenv("DOCKER_CONTEXT", "of nobody's")
    assert opened()[1]["base_url"].endswith(patch.IN_HOME[0])


@pytest.mark.parametrize("how", [{"url": "tcp://own:2375"}, {"timeout": 5}], ids=str)
def test_what_piker_asks_for_itself_is_left_alone(
    listen: Listen, opened: Opened, how: dict[str, Any]
) -> None:
    listen(patch.IN_HOME[0])
    assert opened(**how) == opened(patched=False, **how)


def test_a_users_docker_host_is_left_alone(
    home: Path, listen: Listen, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(patch.IN_HOME[0])
    write_context(home, "vm", "unix:///vm.sock")
    monkeypatch.setenv("DOCKER_HOST", "unix:///own.sock")
    assert opened() == ("from_env", {})


@pytest.mark.parametrize("file", ["config.json", "meta.json"])
def test_a_context_that_cannot_be_read_is_none(
    home: Path, listen: Listen, opened: Opened, file: str
) -> None:
    write_context(home, "vm", "unix:///vm.sock")
    next(home.rglob(file)).write_text("{")
    listen(patch.IN_HOME[1])
    assert opened() == ("client", {"base_url": f"unix://{home / patch.IN_HOME[1]}"})


# -- ports -----------------------------------------------------------------------------------------

ELASTIC = """
_config = {'port': 19200}

def start_elasticsearch(client, **kwargs):
    container = client.containers.run(
        'piker:elastic', network='host', detach=True, remove=True
    )
    return container, client.containers.list()
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (ELASTIC, "needed"),
        (ELASTIC.replace("start_elastic", "start_opensearch"), "not needed"),
        (ELASTIC.replace("network='host'", "ports={'19200/tcp': 19200}"), "not needed"),
        (ELASTIC.replace("network=", "network_mode="), "unknown"),
        (ELASTIC.replace("'port'", "'listen'"), "unknown"),
    ],
)
def test_host_networking_is_known_by_its_call(text: str, state: str) -> None:
    source = Source("piker.service.elastic", "<test>", text.encode())
    assert docker_ports.diagnose(source).state == state


@pytest.mark.parametrize("network", ["host", "own"])
def test_a_published_port_takes_the_place_of_the_hosts_network(network: str) -> None:
    module: Any = ModuleType("piker.service.elastic")
    exec(ELASTIC.replace("='host'", f"={network!r}"), vars(module))
    changes, client = Changes(), mock.Mock()
    docker_ports.install(module, changes)
    started = module.start_elasticsearch(client)
    assert started == (client.containers.run.return_value, client.containers.list.return_value)
    assert changes.revert() == []
    module.start_elasticsearch(client)
    patched, bare = client.containers.run.call_args_list
    assert bare == mock.call("piker:elastic", network=network, detach=True, remove=True)
    published = {"ports": {"19200/tcp": ("127.0.0.1", 19200)}, "detach": True, "remove": True}
    assert patched == (mock.call("piker:elastic", **published) if network == "host" else bare)
