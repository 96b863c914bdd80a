"""What the patches of `MsgpackUDSStream.get_stream_addrs()` share: how addresses are made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from macfix.engine import Verdict, not_needed, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._shapes import Function

METHOD = "MsgpackUDSStream.get_stream_addrs"

ADDRESS = "UDSAddress(filedir=filedir, filename=filename, maybe_pid=peer_pid)"
"""How upstream makes the far address, and so how these patches may make one."""


def not_known_address(method: Function) -> Verdict:
    """Return the verdict on a `get_stream_addrs()` in which `ADDRESS` does not stand."""
    from ._shapes import mentions

    if mentions(method, "UDSAddress"):
        return unknown(f"how {METHOD}() makes addresses is not known")
    return not_needed(f"{METHOD}() gives names, not addresses")


def addresses(address: Callable[..., Any], path: str, peer_pid: int | None) -> tuple[Any, Any]:
    """Return the near and the far address of a connection through the socket at `path`."""
    filedir, filename = Path(path).parent, Path(path).name
    return (
        address(filedir=filedir, filename=filename, maybe_pid=os.getpid()),
        address(filedir=filedir, filename=filename, maybe_pid=peer_pid),
    )
