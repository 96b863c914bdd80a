"""What tractor raises when a connection is over."""

from __future__ import annotations


class TransportClosed(Exception):  # noqa: N818  (upstream's name)
    """The connection to a peer has ended, so nothing can be sent or received any more."""

    def __init__(
        self,
        message: str,
        loglevel: str = "transport",
        src_exc: Exception | None = None,
        raise_on_report: bool = False,
    ) -> None:
        super().__init__(message)
