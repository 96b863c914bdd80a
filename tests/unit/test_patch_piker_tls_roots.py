"""piker-tls-roots: real handshakes in a Python that has no roots, as python.org's."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from macfix import Changes, Source
from macfix.patches.piker import tls_roots as patch
from tests.support import processes

HOST = "broker.example"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("import asks", "needed"),
        ("", "needed"),
        ("import certifi\nos.environ['SSL_CERT_FILE'] = certifi.where()", "not needed"),
        ("import truststore\ntruststore.inject_into_ssl()", "not needed"),
    ],
)
def test_a_piker_that_names_its_roots_is_left_alone(text: str, state: str) -> None:
    assert patch.diagnose(Source("piker.brokers", "<test>", text.encode())).state == state


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key; it has itself as its root."""
    return certificate(tmp_path_factory.mktemp("broker"))


def certificate(folder: Path) -> Path:
    file = folder / "both.pem"
    words = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2"
        f" -subj /CN={HOST} -addext subjectAltName=DNS:{HOST}"
    )
    try:
        done = processes.run(
            [*words.split(), "-keyout", str(folder / "key"), "-out", str(folder / "cert")],
            env=dict(os.environ),
            cwd=folder,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("needs openssl, to make a certificate")
    assert done.returncode == 0, str(done)
    file.write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return file


def connect(broker: Path) -> None:
    """Shake hands with the broker that has this certificate, as a library of piker's does."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(broker)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(down, up, server_hostname=HOST)
    server = theirs.wrap_bio(up, down, server_side=True)
    waiting = [client, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass


@pytest.fixture(autouse=True)
def pythonorg(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Python whose places for roots are not there; nothing else says where they are."""
    bare = ssl.DefaultVerifyPaths(None, None, patch.FILE, "/none.pem", patch.FOLDER, "/none")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: bare)
    monkeypatch.setattr(patch, "MACOS", "/no/such/cert.pem")
    for name in (patch.FILE, patch.FOLDER):
        monkeypatch.delenv(name, raising=False)
    yield
    os.environ.pop(patch.FILE, None)


def install(monkeypatch: pytest.MonkeyPatch, certifis: Path | None) -> Changes:
    """Install the patch beside a certifi with these roots, or without any certifi."""
    certifi = None if certifis is None else SimpleNamespace(where=lambda: str(certifis))
    monkeypatch.setitem(sys.modules, "certifi", certifi)
    changes = Changes()
    patch.install(ModuleType("piker.brokers"), changes)
    return changes


def test_brokers_are_verified_by_certifis_roots_in_children_too(
    broker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(broker)
    changes = install(monkeypatch, broker)
    connect(broker)
    look = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"
    child = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert child.stdout.strip() == "1"
    assert changes.revert() == []
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(broker)


def test_nobody_else_is_believed(
    broker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, broker)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(certificate(tmp_path))


def test_without_certifi_macos_has_roots(broker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    assert patch.FILE not in os.environ
    monkeypatch.setattr(patch, "MACOS", str(broker))
    install(monkeypatch, None)
    connect(broker)


@pytest.mark.parametrize("name", [patch.FILE, patch.FOLDER])
@pytest.mark.parametrize("choice", ["/of/the/users", ""])
def test_a_users_choice_stays(
    broker: Path, monkeypatch: pytest.MonkeyPatch, name: str, choice: str
) -> None:
    monkeypatch.setenv(name, choice)
    assert install(monkeypatch, broker).revert() == []
    assert {n: os.environ[n] for n in (patch.FILE, patch.FOLDER) if n in os.environ} == {
        name: choice
    }


@pytest.mark.parametrize("where", ["file", "folder", "empty folder"])
def test_an_interpreter_with_roots_is_left_alone(
    broker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (tmp_path / "certs").mkdir()
    if where != "empty folder":
        (tmp_path / "certs" / "5ed36f99.0").touch()
    file, folder = ("/cert.pem", None) if where == "file" else (None, str(tmp_path / "certs"))
    places = ssl.DefaultVerifyPaths(file, folder, patch.FILE, "/none.pem", patch.FOLDER, "/none")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: places)
    install(monkeypatch, broker)
    assert (patch.FILE in os.environ) == (where == "empty folder")
