"""What the kernel really knows of a Unix socket's peer, put as XNU would put it."""

from __future__ import annotations

import _socket
import contextlib
import errno
import select
import struct
import sys

from . import _linux
from ._constants import (
    LOCAL_PEERCRED,
    LOCAL_PEEREPID,
    LOCAL_PEERPID,
    NGROUPS,
    XUCRED_GROUPS_OFFSET,
    XUCRED_NGROUPS_OFFSET,
    XUCRED_SIZE,
    XUCRED_UID_OFFSET,
    XUCRED_VERSION,
)
from ._errors import error
from ._unix import BASE

# Linux, include/uapi/asm-generic/socket.h; taken before the names are removed from the module.
SO_PASSCRED = 16
SO_PEERCRED = 17
SO_PEERSEC = 31
SO_PASSSEC = 34
SO_PEERGROUPS = 59
SO_PASSPIDFD = 76
SO_PEERPIDFD = 77

_STREAM = _socket.SOCK_STREAM
_READ_SHUT = select.POLLRDHUP
_BOTH_SHUT = select.POLLHUP


def local_option(sock: _socket.socket, name: int) -> bytes:
    """Answer a ``LOCAL_*`` option of a Unix socket: ``uipc_ctloutput``.

    Raises OSError: ENOTCONN without a peer (a closed one included, but its credentials stay),
    EINVAL for the credentials of a datagram socket, EOPNOTSUPP for other options.
    """
    if name == LOCAL_PEERCRED:
        if sock.type & 0xF != _STREAM:
            raise error(errno.EINVAL)
        if not has_peer(sock):
            raise error(errno.ENOTCONN)
        _, uid, gid = _peercred(sock)
        return xucred(uid, gid, _peer_groups(sock))
    if name in (LOCAL_PEERPID, LOCAL_PEEREPID):
        if not has_peer(sock) or peer_is_closed(sock):
            raise error(errno.ENOTCONN)
        pid, uid, _ = _peercred(sock)
        if uid == 0xFFFFFFFF:  # a datagram peer found by its path: Linux does not know
            raise error(errno.ENOTCONN)
        return struct.pack("=i", pid)
    raise error(errno.EOPNOTSUPP)


def xucred(uid: int, gid: int, groups: list[int]) -> bytes:
    """Return ``struct xucred``; the first group is the effective gid, at most 16 in all."""
    found = [gid, *(group for group in groups if group != gid)][:NGROUPS]
    answer = bytearray(XUCRED_SIZE)
    struct.pack_into("=I", answer, 0, XUCRED_VERSION)
    struct.pack_into("=I", answer, XUCRED_UID_OFFSET, uid)
    struct.pack_into("=h", answer, XUCRED_NGROUPS_OFFSET, len(found))
    struct.pack_into(f"={len(found)}I", answer, XUCRED_GROUPS_OFFSET, *found)
    return bytes(answer)


def has_peer(sock: _socket.socket) -> bool:
    """Say whether `sock` is or was connected; a listening socket is not.

    Raises OSError if it is no open socket.
    """
    try:
        BASE.getpeername(sock)
    except OSError as failed:
        if failed.errno in (errno.ENOTCONN, errno.EINVAL):
            return False
        raise
    return True


def shut_both_ways(sock: _socket.socket) -> bool:
    """Say whether a connected stream can neither send nor receive any more."""
    return bool(_events(sock) & _BOTH_SHUT)


def shut_for_reading(sock: _socket.socket) -> bool:
    """Say whether no more data will arrive at a connected stream."""
    return bool(_events(sock) & _READ_SHUT)


def shut_for_writing(sock: _socket.socket) -> bool:
    """Say whether a connected stream refuses to send; sends nothing to find out."""
    try:
        BASE.send(sock, b"", _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
    except OSError as failed:
        return failed.errno == errno.EPIPE
    return False


def _events(sock: _socket.socket) -> int:
    poll = select.poll()
    poll.register(sock.fileno(), _READ_SHUT)
    return sum(events for _, events in poll.poll(0))


def peer_is_closed(sock: _socket.socket) -> bool:
    """Say whether the peer of a connected socket was closed, not just shut down."""
    if sock.type & 0xF == _STREAM and not shut_both_ways(sock):
        return False
    peer = _peer_inode(_linux.fstat(sock.fileno()).st_ino)
    return peer == 0 if peer is not None else sock.type & 0xF == _STREAM


def _peercred(sock: _socket.socket) -> tuple[int, int, int]:
    answer = BASE.getsockopt(sock, _socket.SOL_SOCKET, SO_PEERCRED, 12)
    pid, uid, gid = struct.unpack("=iII", answer)
    return pid, uid, gid


def _peer_groups(sock: _socket.socket) -> list[int]:
    try:
        answer = BASE.getsockopt(sock, _socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
    except OSError:  # more than 256 groups, or a kernel that cannot tell
        return []
    return list(struct.unpack(f"={len(answer) // 4}I", answer))


# Linux, include/uapi/linux/sock_diag.h and unix_diag.h: the one place where the kernel tells a
# closed peer (inode 0) from one that was shut down both ways.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_UDIAG_SHOW_PEER = 4
_UNIX_DIAG_PEER = 2
_ANY = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ANSWER_BYTES = 16
_ATTRIBUTE = struct.Struct("=HH")


def _peer_inode(inode: int) -> int | None:
    """Return the inode of a Unix socket's peer, 0 if that is closed, None if nobody tells."""
    body = _REQUEST.pack(_socket.AF_UNIX, 0, 0, _ANY, inode, _UDIAG_SHOW_PEER, _ANY, _ANY)
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    kind = _socket.AF_NETLINK, _socket.SOCK_RAW, _NETLINK_SOCK_DIAG
    try:
        with contextlib.closing(BASE(*kind)) as netlink:
            netlink.settimeout(1)
            netlink.send(header + body)
            return _read_peer(netlink.recv(8192))
    except OSError:
        return None


def _read_peer(answer: bytes) -> int | None:
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None
    offset = _HEADER.size + _ANSWER_BYTES
    while offset + _ATTRIBUTE.size <= length:
        size, name = _ATTRIBUTE.unpack_from(answer, offset)
        if name == _UNIX_DIAG_PEER:
            return int.from_bytes(answer[offset + 4 : offset + 8], sys.byteorder)
        offset += max(size + 3 & ~3, _ATTRIBUTE.size)
    return 0
