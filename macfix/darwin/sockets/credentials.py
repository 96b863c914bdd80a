"""Who is at the other end of a Unix domain socket, as the kernel answers.

XNU answers two questions about a connected `AF_UNIX` stream socket, both at level `SOL_LOCAL`:

- `LOCAL_PEERCRED` gives a `struct xucred`: user, groups, but **no pid**. The kernel took it down
  when the connection was made, so it outlives the peer.
- `LOCAL_PEERPID` gives the pid of the process that last used the peer's socket. There is no
  answer once the peer has closed it.

Sources: apple-oss-distributions/xnu, `bsd/sys/un.h` (levels and options), `bsd/sys/ucred.h`
(`struct xucred`), `bsd/kern/uipc_usrreq.c` (`uipc_ctloutput`, `unp_connect`) and
`bsd/kern/uipc_socket.c` (`sooptcopyout`: an answer is cut to fit, never refused).
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple, Protocol

SOL_LOCAL = 0
"""The option level of Unix domain sockets. Not `SOL_SOCKET`, where the number 1 is `SO_DEBUG`."""

LOCAL_PEERCRED = 0x001
LOCAL_PEERPID = 0x002
LOCAL_PEEREPID = 0x003

XUCRED_VERSION = 0
"""The only layout of `struct xucred` there has been; the kernel writes it into `cr_version`."""

NGROUPS = 16
"""How many groups a `struct xucred` has room for (`NGROUPS` in `bsd/sys/param.h`)."""

XUCRED_FORMAT = f"=IIhxx{NGROUPS}I"
"""`u_int cr_version; uid_t cr_uid; short cr_ngroups; gid_t cr_groups[16];`: the machine's byte
order, no implicit alignment, and the two bytes of padding before `cr_groups` written out."""

XUCRED_SIZE = struct.calcsize(XUCRED_FORMAT)
XUCRED_OFFSETS = {"cr_version": 0, "cr_uid": 4, "cr_ngroups": 8, "cr_groups": 12}

PID_FORMAT = "=i"
PID_SIZE = struct.calcsize(PID_FORMAT)

_NOBODY = {
    LOCAL_PEERCRED: frozenset({errno.ENOTCONN}),  # here EINVAL is a datagram socket, which has none
    LOCAL_PEERPID: frozenset({errno.ENOTCONN, errno.EINVAL}),
}
"""How the kernel says that there is nobody at the other end."""


class SupportsGetsockopt(Protocol):
    """A socket of the standard library, of trio, or anything that asks the kernel alike."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """Return the kernel's answer, at most `buflen` bytes of it."""


class PeerCredentials(NamedTuple):
    """The process at the other end of a connection."""

    pid: int
    """Process id, > 0."""
    uid: int
    """Effective user id when the connection was made."""
    gid: int
    """Effective group id when the connection was made: the first of `groups`."""
    groups: tuple[int, ...]
    """The 1 to 16 groups that the kernel lists."""


class PeerCredentialsError(OSError):
    """The kernel gave no usable answer about a peer; `errno` says why where it said so."""


class PeerGoneError(PeerCredentialsError):
    """There is nobody at the other end any more, so there is no pid to be had."""


def peer_credentials(sock: SupportsGetsockopt) -> PeerCredentials:
    """Return pid, user and groups of the process at the other end of `sock`.

    Raises `PeerGoneError` when the peer has closed its socket, and `PeerCredentialsError` when
    the kernel refuses, answers too short, or in a layout that is not known. No field is ever
    made up.
    """
    uid, groups = _peer_user(sock)
    return PeerCredentials(pid=peer_pid(sock), uid=uid, gid=groups[0], groups=groups)


def peer_pid(sock: SupportsGetsockopt) -> int:
    """Return the pid (> 0) of the process at the other end of `sock`.

    Raises as `peer_credentials` does.
    """
    answer = _ask(sock, LOCAL_PEERPID, "LOCAL_PEERPID", PID_SIZE)
    (pid,) = struct.unpack(PID_FORMAT, answer)
    if pid <= 0:
        raise _unusable("LOCAL_PEERPID", f"{pid} is no process id")
    return int(pid)


def _peer_user(sock: SupportsGetsockopt) -> tuple[int, tuple[int, ...]]:
    """Return the uid and the groups, of which there is at least one."""
    answer = _ask(sock, LOCAL_PEERCRED, "LOCAL_PEERCRED", XUCRED_SIZE)
    version, uid, ngroups, *groups = struct.unpack(XUCRED_FORMAT, answer)
    if version != XUCRED_VERSION:
        raise _unusable(
            "LOCAL_PEERCRED", f"struct xucred has version {version}, known is {XUCRED_VERSION}"
        )
    if not 1 <= ngroups <= NGROUPS:
        raise _unusable(
            "LOCAL_PEERCRED", f"struct xucred counts {ngroups} groups, not 1 to {NGROUPS}"
        )
    return uid, tuple(groups[:ngroups])


def _ask(sock: SupportsGetsockopt, option: int, name: str, size: int) -> bytes:
    """Return the kernel's answer of exactly `size` bytes.

    The answer is always asked for as bytes: for an int, Python does not look at the length of
    what came back, and would hand on whatever a short answer left in the rest.
    """
    try:
        answer = sock.getsockopt(SOL_LOCAL, option, size)
    except OSError as exc:
        if exc.errno in _NOBODY[option]:
            raise PeerGoneError(
                exc.errno, f"the peer of this Unix socket has gone, or there is none, says {name}"
            ) from exc
        raise PeerCredentialsError(
            exc.errno,
            f"the kernel does not answer {name} for this socket ({exc.strerror or exc}); "
            "ask a connected Unix stream socket, on macOS",
        ) from exc
    if len(answer) != size:
        raise _unusable(name, f"{len(answer)} bytes came back, {size} are due")
    return answer


def _unusable(name: str, what: str) -> PeerCredentialsError:
    return PeerCredentialsError(errno.EBADMSG, f"unusable answer to {name}: {what}")
