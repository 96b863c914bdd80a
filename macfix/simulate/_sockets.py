"""Unix sockets as XNU has them, in the methods of ``socket.socket``.

trio, asyncio and ``multiprocessing.connection`` all send and receive through that class, so they
meet the same behaviour. The methods are in ``_unix_*.py``; what each does differently, and where
XNU says so, stands with it.
"""

from __future__ import annotations

import _socket
import errno
import functools
from types import ModuleType

from . import _hooks, _unix_connect, _unix_io, _unix_options
from ._constants import LOCAL_PEERCRED, SCM_CREDS, SOMAXCONN
from ._spec import Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LACKING = (
    "SO_PASSCRED",
    "SO_PEERCRED",
    "SO_PASSSEC",
    "SO_PEERSEC",
    "SCM_CREDENTIALS",
    "SOCK_CLOEXEC",
    "SOCK_NONBLOCK",
    "MSG_CMSG_CLOEXEC",
)
"""Names that Python's ``socket`` lacks on macOS, as far as Unix sockets are concerned."""


def install(spec: Spec) -> None:
    """Change ``_socket`` now and ``socket`` when it is imported."""
    _change_names(_socket, spec)
    _hooks.after_import("socket", lambda module: _change_socket(module, spec))


def _change_names(module: ModuleType, spec: Spec) -> None:
    for name in LACKING:
        if hasattr(module, name):
            delattr(module, name)
    module.SOMAXCONN = SOMAXCONN  # type: ignore[attr-defined]
    module.SCM_CREDS = SCM_CREDS  # type: ignore[attr-defined]
    if spec.peercred == "present":
        module.LOCAL_PEERCRED = LOCAL_PEERCRED  # type: ignore[attr-defined]


def _change_socket(module: Any, spec: Spec) -> None:
    _change_names(module, spec)
    public = [name for name in module.__all__ if name not in LACKING]
    module.__all__[:] = dict.fromkeys([*public, "SCM_CREDS"])
    if spec.peercred == "present":
        module.__all__.append("LOCAL_PEERCRED")
    cls = module.socket
    plain = (*_unix_connect.METHODS, *_unix_options.METHODS, _unix_io.shutdown)
    methods = {
        "__init__": _unix_connect.refusing_seqpacket(cls.__init__),
        **{method.__name__: method for method in plain},
        **_unix_io.writing(getattr(errno, spec.write)),
        **_unix_io.reading(),
    }
    for name, method in methods.items():
        setattr(cls, name, functools.update_wrapper(method, getattr(cls, name)))
    module.socketpair = _unix_connect.without_seqpacket(module.socketpair)
