"""Every exchange is `CERTIFICATE_VERIFY_FAILED` with python.org's Python: it has no TLS roots.

Problem:
    python.org's builds look for roots in files that are not there until "Install
    Certificates.command" has run. piker's brokers verify against those, and nothing else.

Fix:
    Where Python's own places have no roots, and neither `SSL_CERT_FILE` nor `SSL_CERT_DIR` is set,
    the former names certifi's, or macOS's own without certifi: in each actor with a broker, before
    that is imported, and in its children. What is verified, and how strictly, stays.

Repro:
    Import piker's brokers in a process where Python has no roots.

Upstream:
    Not reported. Nobody has run this on a Mac: "Install Certificates.command" was read, which
    links certifi's file to where Python looks, and that macOS keeps roots in `/etc/ssl/cert.pem`.

Remove when:
    piker says which roots it wants, or python.org's builds have some.
"""

from __future__ import annotations

import os
import ssl
from importlib import import_module
from pathlib import Path
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed
from macfix.engine.syntax import mentions

LIVE = True
FILE, FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"
MACOS = "/etc/ssl/cert.pem"


def diagnose(source: Source) -> Diagnosis:
    for library in ("certifi", "truststore"):
        if mentions(source.tree, library):
            return not_needed(f"it takes its roots from {library}")
    return needed("brokers verify against the interpreter's roots, which may not be there")


def install(module: ModuleType, changes: Changes) -> None:
    if own_roots() or {FILE, FOLDER} & os.environ.keys() or not (roots := other_roots()):
        return
    os.environ[FILE] = roots
    changes.note("TLS roots", roots)
    changes.on_revert(lambda: os.environ.pop(FILE, None) and None)


def own_roots() -> str | None:
    """Return the file where OpenSSL looks for roots, or the folder if anything is in it."""
    places = ssl.get_default_verify_paths()
    folder = places.capath
    return places.cafile or (folder if folder and any(Path(folder).iterdir()) else None)


def other_roots() -> str | None:
    """Return the file of certifi's roots, or of macOS's own; None if there is neither."""
    try:
        roots: str = import_module("certifi").where()
    except ImportError:
        roots = MACOS
    return roots if os.path.isfile(roots) else None


def repro() -> None:
    from unittest import mock  # imports asyncio

    bare = ssl.DefaultVerifyPaths("", "", FILE, "/none.pem", FOLDER, "/none")
    with (
        mock.patch.dict(os.environ),
        mock.patch(f"{__name__}.MACOS", __file__),  # where there is no certifi
        mock.patch.object(ssl, "get_default_verify_paths", return_value=bare),
    ):
        for name in (FILE, FOLDER):
            os.environ.pop(name, None)
        import_module("piker.brokers")
        assert FILE in os.environ, "nothing says where roots are"
