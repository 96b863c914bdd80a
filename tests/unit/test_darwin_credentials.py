"""Peer credentials: the kernel's answer or a clear error, never a made-up number."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from macfix.darwin.sockets import credentials
from macfix.darwin.sockets.credentials import (
    LOCAL_PEERCRED,
    LOCAL_PEERPID,
    SOL_LOCAL,
    PeerCredentials,
    PeerCredentialsError,
    PeerGoneError,
    peer_credentials,
    peer_pid,
)


def xucred(
    version: int = 0, uid: int = 501, ngroups: int = 3, groups: tuple[int, ...] = (20, 12, 61)
) -> bytes:
    """Return a `struct xucred`, laid out by hand: fields at 0, 4, 8 and 12, 76 bytes."""
    order = sys.byteorder
    head = version.to_bytes(4, order) + uid.to_bytes(4, order)
    head += ngroups.to_bytes(2, order, signed=True) + b"\xee\xee"  # padding is anybody's
    listed = b"".join(group.to_bytes(4, order) for group in groups)
    return head + listed + b"\xaa" * (64 - len(listed))


class Kernel:
    """A socket that gives the answers it was made with, cut to the caller's buffer as XNU does."""

    def __init__(
        self, cred: bytes | OSError | None = None, pid: bytes | OSError | None = None
    ) -> None:
        self.answers = {
            LOCAL_PEERCRED: xucred() if cred is None else cred,
            LOCAL_PEERPID: (4242).to_bytes(4, sys.byteorder) if pid is None else pid,
        }

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        assert level == SOL_LOCAL
        answer = self.answers[optname]
        if isinstance(answer, OSError):
            raise answer
        return answer[:buflen]


def test_credentials_are_read_from_the_kernels_two_answers() -> None:
    assert peer_credentials(Kernel()) == PeerCredentials(
        pid=4242, uid=501, gid=20, groups=(20, 12, 61)
    )


def test_credentials_cannot_be_changed_afterwards() -> None:
    peer = peer_credentials(Kernel())
    with pytest.raises(AttributeError):
        peer.pid = 1  # type: ignore[misc]


@pytest.mark.parametrize("count", [1, 2, 15, 16])
def test_exactly_the_groups_that_are_counted_are_listed(count: int) -> None:
    groups = tuple(range(100, 116))
    peer = peer_credentials(Kernel(xucred(ngroups=count, groups=groups)))
    assert peer.groups == groups[:count]
    assert peer.gid == 100


def test_ids_above_two_to_the_31_are_not_negative() -> None:
    nobody = 2**32 - 2
    peer = peer_credentials(Kernel(xucred(uid=nobody, ngroups=1, groups=(nobody,))))
    assert (peer.uid, peer.gid) == (nobody, nobody)


@pytest.mark.parametrize("version", [1, 2**32 - 1])
def test_another_version_of_xucred_is_refused(version: int) -> None:
    with pytest.raises(PeerCredentialsError, match=f"version {version}"):
        peer_credentials(Kernel(xucred(version=version)))


@pytest.mark.parametrize("count", [0, -1, 17, 2**15 - 1])
def test_an_impossible_group_count_is_refused(count: int) -> None:
    with pytest.raises(PeerCredentialsError, match=f"{count} groups"):
        peer_credentials(Kernel(xucred(ngroups=count)))


@pytest.mark.parametrize("size", [0, 4, 12, 16, 75])
def test_a_short_xucred_is_refused(size: int) -> None:
    with pytest.raises(PeerCredentialsError, match=f"{size} bytes came back, 76 are due"):
        peer_credentials(Kernel(cred=xucred()[:size]))


@pytest.mark.parametrize("answer", [b"", b"\x07", b"\x07\x00\x00"])
def test_a_short_pid_is_refused(answer: bytes) -> None:
    with pytest.raises(PeerCredentialsError, match="LOCAL_PEERPID"):
        peer_pid(Kernel(pid=answer))


@pytest.mark.parametrize("pid", [0, -1])
def test_what_is_no_pid_is_refused(pid: int) -> None:
    with pytest.raises(PeerCredentialsError, match=f"{pid} is no process id"):
        peer_pid(Kernel(pid=pid.to_bytes(4, sys.byteorder, signed=True)))


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.EINVAL])
def test_a_peer_that_has_gone_has_no_pid(number: int) -> None:
    with pytest.raises(PeerGoneError) as caught:
        peer_pid(Kernel(pid=OSError(number, os.strerror(number))))
    assert caught.value.errno == number
    assert isinstance(caught.value.__cause__, OSError)


def test_credentials_of_a_peer_that_has_gone_are_an_error_although_its_user_is_known() -> None:
    gone = OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
    with pytest.raises(PeerGoneError):
        peer_credentials(Kernel(pid=gone))


def test_a_datagram_socket_is_refused_but_not_called_gone() -> None:
    kernel = Kernel(cred=OSError(errno.EINVAL, os.strerror(errno.EINVAL)))
    with pytest.raises(PeerCredentialsError, match="connected Unix stream socket") as caught:
        peer_credentials(kernel)
    assert not isinstance(caught.value, PeerGoneError)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EBADF])
def test_a_kernel_that_refuses_is_quoted(number: int) -> None:
    with pytest.raises(PeerCredentialsError, match="LOCAL_PEERCRED") as caught:
        peer_credentials(Kernel(cred=OSError(number, os.strerror(number))))
    assert caught.value.errno == number
    assert os.strerror(number) in str(caught.value)


def test_every_error_is_an_oserror() -> None:
    assert issubclass(PeerGoneError, PeerCredentialsError)
    assert issubclass(PeerCredentialsError, OSError)


def test_the_layout_is_the_one_of_apples_headers() -> None:
    assert credentials.XUCRED_SIZE == 76
    order = "<" if sys.byteorder == "little" else ">"
    fields = {
        "cr_version": xucred(version=7)[0:4] == struct.pack(order + "I", 7),
        "cr_uid": xucred(uid=7)[4:8] == struct.pack(order + "I", 7),
        "cr_ngroups": xucred(ngroups=7)[8:10] == struct.pack(order + "h", 7),
    }
    assert all(fields.values())
    assert credentials.XUCRED_OFFSETS == {
        "cr_version": 0,
        "cr_uid": 4,
        "cr_ngroups": 8,
        "cr_groups": 12,
    }


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


@pytest.mark.skipif(sys.platform != "linux", reason="asks a kernel that is not XNU")
def test_linux_has_no_answer_and_none_is_made_up(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with pytest.raises(PeerCredentialsError):
        peer_credentials(pair[0])


@pytest.mark.skipif(sys.platform != "darwin", reason="asks XNU itself")
def test_xnu_names_this_process_at_the_other_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    peer = peer_credentials(pair[0])
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())


@pytest.mark.skipif(sys.platform != "darwin", reason="asks XNU itself")
def test_xnu_has_no_pid_once_the_peer_has_closed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    pair[1].close()
    with pytest.raises(PeerGoneError):
        peer_credentials(pair[0])
