"""The facts about XNU that macfix stands on, each asked of the running kernel.

Asking changes nothing: sockets and a segment of this process's own are made and removed again. What
cannot be asked in this way is not here: what needs luck with timing (a write to a TCP peer that is
just closing) or another user. File names are those of apple-oss-distributions/xnu, in `bsd/kern`
unless they say otherwise.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain

from macfix.darwin.segments import processes
from macfix.darwin.segments.kernel import open_segment, unlink_segment
from macfix.darwin.sockets import credentials as cred
from macfix.darwin.sysctl import sysctl_bytes, sysctl_int, sysctl_text

LOCAL_PEEREUUID = 0x005
CS_DARWIN_USER_TEMP_DIR = 65537
"""From Apple's `unistd.h`: Python has no name for it."""

NOT_SIMULATED = frozenset(
    {"LOCAL_PEEREUUID", "accepted sockets block", "flock", "lockf", "fsync", "fchmod"}
    | {"kern.maxfilesperproc", "kern.bootsessionuuid", "kinfo_proc", "/tmp"}
)
"""The facts that `macfix.simulate` leaves as they are on Linux."""

_LINUX_ONLY = ("SO_PASSCRED", "SO_PEERCRED", "SCM_CREDENTIALS")
_NEW = os.O_CREAT | os.O_EXCL | os.O_RDWR

_Question = tuple[str, str, str, Callable[[], object]]


@dataclass(frozen=True)
class Fact:
    """One fact, and what this kernel does.

    Attributes:
        what: what was asked.
        expected: what XNU answers; " or " stands between the answers of different Macs.
        source: where in XNU that was read.
        found: what this kernel answers: a value, or the name of an error.
    """

    what: str
    expected: str
    source: str
    found: str

    @property
    def holds(self) -> bool:
        """Whether the kernel does what is expected."""
        return self.found in self.expected.split(" or ")


def facts() -> Iterator[Fact]:
    """Ask the running kernel, fact by fact.

    Raises `OSError` where there is no descriptor, memory or folder left to ask with.
    """
    for what, expected, source, call in chain(_peers(), _addresses(), _segments(), _process()):
        try:
            found = str(call())
        except OSError as error:
            found = errno.errorcode.get(error.errno or 0, str(error))
        except Exception as error:
            found = type(error).__name__
        yield Fact(what, expected, source, found)


def _peers() -> Iterator[_Question]:
    options = "uipc_usrreq.c: uipc_ctloutput"
    lacking = [name for name in _LINUX_ONLY if hasattr(socket, name)]
    yield "Linux's names in socket", "none", "bsd/sys/socket.h", lambda: lacking or "none"
    ours, theirs = socket.socketpair()
    datagram, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, datagram, other, socket.socket(socket.AF_UNIX) as lone:

        def size(option: int, of: socket.socket = ours, room: int = 256) -> str:
            return f"{len(of.getsockopt(cred.SOL_LOCAL, option, room))} bytes"

        def user() -> str:
            answer = ours.getsockopt(cred.SOL_LOCAL, cred.LOCAL_PEERCRED, 256)
            return f"{len(answer)} bytes, version {int.from_bytes(answer[:4], sys.byteorder)}"

        def is_this_process() -> bool:
            peer = cred.peer_credentials(ours)
            return (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())

        whole, none, cut = "76 bytes, version 0", "ENOTCONN", "uipc_socket.c: sooptcopyout"
        yield "LOCAL_PEERCRED", whole, options, user
        yield "LOCAL_PEERPID", "4 bytes", options, lambda: size(cred.LOCAL_PEERPID)
        yield "LOCAL_PEEREPID", "4 bytes", options, lambda: size(cred.LOCAL_PEEREPID)
        yield "they tell this process", "True", options, is_this_process
        yield "LOCAL_PEEREUUID", "16 bytes", options, lambda: size(LOCAL_PEEREUUID)
        yield "PEERCRED in 12 bytes", "12 bytes", cut, lambda: size(cred.LOCAL_PEERCRED, room=12)
        yield "PEERCRED, no peer", none, options, lambda: size(cred.LOCAL_PEERCRED, lone)
        yield "PEERCRED, datagrams", "EINVAL", options, lambda: size(cred.LOCAL_PEERCRED, datagram)
        linux, get = (socket.SOL_SOCKET, 17, 12), "uipc_socket.c: sogetoptlock"
        yield "Linux's SO_PEERCRED", "ENOPROTOOPT", get, lambda: ours.getsockopt(*linux)
        theirs.close()
        yield "PEERPID, peer closed", none, options, lambda: size(cred.LOCAL_PEERPID)
        yield "PEERCRED, peer closed", whole, options, user
        write = "uipc_socket.c: sosendcheck; uipc_usrreq.c: uipc_send"
        yield "write, peer closed", "EPIPE or ENOTCONN", write, lambda: ours.send(b"x")


def _addresses() -> Iterator[_Question]:
    # the user's own folder for temporary files may be too long
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, ExitStack() as stack:

        def bound(path: str) -> socket.socket:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.bind(path)
            return sock

        sun, long = "bsd/sys/un.h: sun_path", f"{folder}/".ljust(104, "p")
        bind = "uipc_usrreq.c: unp_bind"
        yield "path of 103 bytes", "fits", sun, lambda: bound(long[:103]) and "fits"
        yield "path of 104 bytes", "AF_UNIX path too long", sun, lambda: bound(long) and "fits"
        yield "abstract name", "ENOENT", bind, lambda: bound(f"\0{folder}") and "fits"
        path = f"{folder}/s"
        listener = bound(path)
        listener.listen(1)
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for sock in (listener, *clients):
            sock.setblocking(False)  # Linux would wait

        def accepted_blocks() -> bool:
            descriptor, _ = listener._accept()  # type: ignore[attr-defined]
            with open(descriptor, "rb", buffering=0):
                return os.get_blocking(descriptor)

        full = "uipc_usrreq.c: unp_connect; uipc_socket2.c: sonewconn_internal"
        last = clients[-1]
        yield "backlog of 1", "1", full, lambda: [s.connect_ex(path) for s in clients].count(0)
        yield "backlog full", "ECONNREFUSED", full, lambda: last.connect(path)
        accept = "uipc_syscalls.c: accept_nocancel"
        yield "accepted sockets block", "False", accept, accepted_blocks
        yield "backlog, room again", "0", full, lambda: last.connect_ex(path)
        yield "unbound name", "''", "uipc_usrreq.c: sun_noname", lambda: repr(last.getsockname())
        listener.close()
        yield "listener gone", "b''", "uipc_usrreq.c: unp_drop", lambda: last.recv(1)


def _opens(name: str, flags: int = os.O_RDWR) -> str:
    os.close(open_segment(name, flags))
    return "opened"


def _segments() -> Iterator[_Question]:
    name, *longer = (f"/macfix.{os.getpid()}.".ljust(size, "n") for size in range(29, 34))

    def longest() -> int:
        for each in longer:
            try:
                _opens(each, _NEW)
            except OSError:
                return len(each) - 1
            unlink_segment(each)
        return len(each)

    shm, long, plain, page = "posix_shm.c: ", longer[-1], name[1:], f"{mmap.PAGESIZE} bytes"
    get_name, unlink, truncate = f"{shm}pshm_get_name", f"{shm}shm_unlink", f"{shm}pshm_truncate"
    yield "longest name", "30 or 31", f"{get_name} (PSHMNAMLEN)", longest
    yield "longer: open", "ENAMETOOLONG", get_name, lambda: _opens(long)
    yield "longer: unlink", "EINVAL", unlink, lambda: unlink_segment(long)
    file = open_segment(name, _NEW)
    try:

        def size() -> str:
            return f"{os.fstat(file).st_size} bytes"

        yield "no slash: open", "ENOENT", f"{shm}shm_open", lambda: _opens(plain)
        yield "mmap, no size yet", "EINVAL", f"{shm}pshm_mmap", lambda: mmap.mmap(file, 1)
        yield "no size yet", "0 bytes", f"{shm}pshm_stat", size
        yield "ftruncate", "None", truncate, lambda: os.ftruncate(file, 4)
        yield "size is a page's", page, f"{truncate}, pshm_stat", size
        yield "ftruncate again", "EINVAL", truncate, lambda: os.ftruncate(file, 8)
        yield "O_TRUNC", "EINVAL", f"{shm}shm_open", lambda: _opens(name, os.O_RDWR | os.O_TRUNC)
        yield "inode", "0", f"{shm}pshm_stat", lambda: os.fstat(file).st_ino
        yield "read", "ENXIO", "kern_descrip.c: fo_no_read", lambda: os.read(file, 1)
        yield "write", "ENXIO", "kern_descrip.c: fo_no_write", lambda: os.write(file, b"x")
        yield "seek", "ESPIPE", "bsd/vfs/vfs_syscalls.c: lseek", lambda: os.lseek(file, 0, 0)
        yield "flock", "ENOTSUP", "kern_descrip.c: sys_flock", lambda: fcntl.flock(file, 5)
        yield "lockf", "EBADF", "kern_descrip.c: sys_fcntl_nocancel", lambda: fcntl.lockf(file, 5)
        yield "fsync", "ENOTSUP", "bsd/vfs/vfs_syscalls.c: fsync_common", lambda: os.fsync(file)
        fchmod = "bsd/vfs/vfs_syscalls.c: fchmod1"
        yield "fchmod", "EINVAL", fchmod, lambda: os.fchmod(file, 0o600)
        yield "no slash: unlink", "ENOENT", unlink, lambda: unlink_segment(plain)
    finally:
        os.close(file)
        with suppress(OSError):  # on Linux it has gone by its name without a slash
            unlink_segment(name)
    yield "/dev/shm exists", "False", "it has no such folder", lambda: os.path.exists("/dev/shm")


def _process() -> Iterator[_Question]:
    def raise_limit() -> str:
        before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = 1 << 30 if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
        return "taken"

    own = processes.CTL_KERN, processes.KERN_PROC, processes.KERN_PROC_PID, os.getpid()
    most, boot = "kern.maxfilesperproc", "kern.bootsessionuuid"
    yield "page", "4096 or 16384", "vm_map_round_page", lambda: os.sysconf("SC_PAGESIZE")
    yield "RLIMIT_NOFILE", "taken or EINVAL", "kern_resource.c: dosetrlimit", raise_limit
    yield most, "True", "kern_resource.c: maxfilesperproc", lambda: (sysctl_int(most) or 0) > 0
    yield boot, "36", "kern_sysctl.c: bootsessionuuid", lambda: len(sysctl_text(boot) or "")
    yield "kinfo_proc", "648", "bsd/sys/sysctl.h", lambda: len(sysctl_bytes(own))
    own_folder, confstr = CS_DARWIN_USER_TEMP_DIR, "confstr(3): _CS_DARWIN_USER_TEMP_DIR"
    yield "bytes of TMPDIR", "49", confstr, lambda: len(os.confstr(own_folder) or "")
    yield "/tmp", "/private/tmp", "a link on every Mac", lambda: os.path.realpath("/tmp")
