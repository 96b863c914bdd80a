"""Unix sockets of the simulated Mac, one promise a test, with what plain Linux does instead."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest

from macfix.simulate._spec import WRITES
from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="simulates on Linux")


@pytest.fixture
def on(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


def both(on: Simulated, snippet: str, spec: str = "1") -> tuple[dict[str, Any], dict[str, Any]]:
    return on.mac(snippet, spec), on.linux(snippet)


def test_the_linux_constants_are_missing_and_star_imports_work(on: Simulated) -> None:
    snippet = """
import socket
names = ["SO_PASSCRED", "SO_PEERCRED", "SO_PASSSEC", "SCM_CREDENTIALS", "SOCK_CLOEXEC"]
tell(have=[n for n in names if hasattr(socket, n)], maximum=socket.SOMAXCONN)
exec("from socket import *")
try:
    from socket import SO_PASSCRED
except ImportError as error:
    tell(error=str(error).split(" (")[0])
"""
    mac, linux = both(on, snippet)
    assert mac == {
        "have": [],
        "maximum": 128,
        "error": "cannot import name 'SO_PASSCRED' from 'socket'",
    }
    assert "SO_PASSCRED" in linux["have"] and "error" not in linux


def test_a_socket_module_that_was_imported_before_changes_too(on: Simulated) -> None:
    code = "import socket, macfix.simulate; macfix.simulate.start('1')\n"
    code += "assert not hasattr(socket, 'SO_PEERCRED') and 'SO_PEERCRED' not in socket.__all__\n"
    code += "print(len(socket.socketpair()[0].getsockopt(0, 1, 256)))"
    finished = on.finish(code)
    assert finished.stdout == "76\n", str(finished)


@pytest.mark.parametrize(("spec", "has"), [("1", False), ("peercred=present", True)])
def test_local_peercred_is_there_if_the_spec_says_so(on: Simulated, spec: str, has: bool) -> None:
    assert on.mac("import socket; tell(v=getattr(socket, 'LOCAL_PEERCRED', 0))", spec)["v"] == has


CREDENTIALS = """
import os, socket, struct
a, b = socket.socketpair()
answer = a.getsockopt(0, 1, 256)
version, uid, count = struct.unpack_from("=IIh", answer)
groups = struct.unpack_from("=16I", answer, 12)
tell(size=len(answer), version=version, uid=uid, count=count, groups=groups,
     pid=a.getsockopt(0, 2), epid=a.getsockopt(0, 3), raw_pid=list(a.getsockopt(0, 2, 4)),
     own=[os.getpid(), os.geteuid(), os.getegid(), os.getgroups()])
"""


def test_peer_credentials_are_a_whole_xucred_of_the_kernels_own_numbers(on: Simulated) -> None:
    seen = on.mac(CREDENTIALS)
    pid, uid, gid, others = seen["own"]
    assert (seen["size"], seen["version"], seen["uid"]) == (76, 0, uid)
    assert seen["groups"][0] == gid
    assert set(seen["groups"][1 : seen["count"]]) == set(others[:15]) - {gid}
    assert seen["groups"][seen["count"] :] == [0] * (16 - seen["count"])
    assert seen["pid"] == seen["epid"] == pid
    assert struct.unpack("=i", bytes(seen["raw_pid"])) == (pid,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its groups")
def test_supplementary_groups_and_other_users_come_from_the_kernel_of_the_peer(
    on: Simulated,
) -> None:
    snippet = """
import os, socket, struct
a, b = socket.socketpair(socket.AF_UNIX)
path = "srv"
listener = socket.socket(socket.AF_UNIX); listener.bind(path); listener.listen(1)
os.chmod(path, 0o777); os.chmod(".", 0o777)
child = os.fork()
if not child:
    os.setgroups(list(range(5000, 5030))); os.setgid(4242); os.setuid(4243)
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.recv(1)
    os._exit(0)
c, _ = listener.accept()
answer = c.getsockopt(0, 1, 76)
tell(uid=struct.unpack_from("=I", answer, 4), count=struct.unpack_from("=h", answer, 8),
     groups=struct.unpack_from("=16I", answer, 12), right=c.getsockopt(0, 2) == child)
c.send(b"x"); os.waitpid(child, 0)
"""
    os.chmod(on.sandbox.root, 0o755)
    seen = on.mac(snippet)
    assert seen["uid"] == [4243] and seen["count"] == [16] and seen["right"]
    assert seen["groups"] == [4242, *range(5000, 5015)]


def test_a_short_buffer_gets_the_beginning_without_an_error(on: Simulated) -> None:
    seen = on.mac(
        """
import socket
a, b = socket.socketpair()
tell(sizes=[len(a.getsockopt(0, 1, n)) for n in (1, 12, 75, 76, 77, 1024)],
     number=a.getsockopt(0, 1), pid=len(a.getsockopt(0, 2, 2)),
     range=[outcome(a.getsockopt, 0, 1, n) for n in (-1, 1025)])
"""
    )
    assert seen["sizes"] == [1, 12, 75, 76, 76, 76]
    assert seen["number"] == 0 and seen["pid"] == 2
    assert seen["range"] == ["getsockopt buflen out of range"] * 2


def test_options_without_a_peer_or_of_other_kinds_are_refused_as_xnu_does(on: Simulated) -> None:
    snippet = """
import socket
lone = socket.socket(socket.AF_UNIX)
server = socket.socket(socket.AF_UNIX); server.bind("s"); server.listen()
d, e = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a, b = socket.socketpair()
inet = socket.socket()
def get(s, *w): return outcome(s.getsockopt, *w)
tell(lone=[get(lone, 0, 1, 76), get(lone, 0, 2)], server=[get(server, 0, 1, 76), get(server, 0, 2)],
     datagram=[get(d, 0, 1, 76), get(d, 0, 2)], unknown=get(a, 0, 9),
     setting=outcome(a.setsockopt, 0, 1, 1), any_level=get(a, 6, 1, 76),
     ip=get(inet, 0, 2))
"""
    seen = on.mac(snippet)
    assert seen == {
        "lone": ["ENOTCONN", "ENOTCONN"],
        "server": ["ENOTCONN", "ENOTCONN"],
        "datagram": ["EINVAL", "ok"],
        "unknown": "EOPNOTSUPP" if "EOPNOTSUPP" in seen["unknown"] else "ENOTSUP",
        "setting": seen["unknown"],
        "any_level": "ok",
        "ip": "ok",
    }


def test_linux_options_by_number_do_not_exist(on: Simulated) -> None:
    snippet = """
import socket
a, b = socket.socketpair()
tell(get=outcome(a.getsockopt, socket.SOL_SOCKET, 17, 12),
     size=len(a.getsockopt(socket.SOL_SOCKET, socket.SO_DEBUG, 12)),
     passcred=outcome(a.setsockopt, socket.SOL_SOCKET, 16, 1))
c = socket.socket(socket.AF_UNIX)
c.setsockopt(socket.SOL_SOCKET, 16, 1)
l = socket.socket(socket.AF_UNIX); l.bind("p"); l.listen()
c.connect("p"); s, name = l.accept()
tell(name=repr(name), names=[repr(c.getsockname()), repr(s.getpeername()), repr(c.getpeername())])
"""
    mac, linux = both(on, snippet)
    assert mac["get"] == "ENOPROTOOPT" and linux["get"] == "ok"
    assert mac["size"] == 4 and mac["passcred"] == "ok"
    assert mac["name"] == "''" and linux["name"].startswith("b'\\x00")
    assert mac["names"] == ["''", "''", "'p'"]


def test_paths_have_103_bytes_counted_as_bytes(on: Simulated) -> None:
    snippet = """
import os, socket
def end(length, call="bind", letter="x"):
    s = socket.socket(socket.AF_UNIX)
    return outcome(getattr(s, call), letter * length)
tell(bind=[end(n) for n in (103, 104, 107)], bytes=end(52, letter="\\u00e9"),
     raw=end(104, letter=b"x"), connect=[end(n, "connect") for n in (103, 104)],
     connect_ex=end(104, "connect_ex"))
"""
    mac, linux = both(on, snippet)
    long = "AF_UNIX path too long"
    assert mac["bind"] == ["ok", long, long]
    assert mac["bytes"] == mac["raw"] == mac["connect_ex"] == long
    assert mac["connect"] == ["ECONNREFUSED", long]
    assert linux["bind"] == ["ok"] * 3 and linux["bytes"] == "ok"


def test_there_are_no_abstract_names_and_no_autobind(on: Simulated) -> None:
    snippet = """
import socket
def new(): return socket.socket(socket.AF_UNIX)
tell(bind=[outcome(new().bind, n) for n in ("", "\\0name", b"\\0name")],
     connect=[outcome(new().connect, n) for n in ("", "\\0name")],
     datagram=outcome(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto, b"x", "\\0n"))
"""
    mac, linux = both(on, snippet)
    assert mac == {"bind": ["ENOENT"] * 3, "connect": ["ENOENT"] * 2, "datagram": "ENOENT"}
    assert linux["bind"] == ["ok"] * 3 and linux["connect"][1] == "ECONNREFUSED"


def test_unbound_ends_are_the_empty_string(on: Simulated) -> None:
    seen = on.mac(
        """
import socket
l = socket.socket(socket.AF_UNIX); l.bind("p"); l.listen()
c = socket.socket(socket.AF_UNIX); c.connect("p"); s, name = l.accept()
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.send(b"x"); a.send(b"y")
a.send(b"z")
tell(names=[name, s.getpeername(), c.getsockname(), s.getsockname(), c.getpeername()],
     sender=[b.recvfrom(9)[1], b.recvmsg(9)[3], b.recvfrom_into(bytearray(9))[1]],
     stream=[c.send(b"x"), s.recvfrom(9)[1]])
"""
    )
    assert seen["names"] == ["", "", "", "p", "p"]
    assert seen["sender"] == ["", "", ""]
    assert seen["stream"] == [1, None]


BACKLOG = """
import socket, threading
def admitted(n, blocking=False):
    l = socket.socket(socket.AF_UNIX); name = f"q{n}{blocking}"; l.bind(name)
    l.listen(n) if n is not None else l.listen()
    clients = []
    while len(clients) < 200:
        c = socket.socket(socket.AF_UNIX); c.setblocking(blocking)
        clients.append(c)
        try: c.connect(name)
        except OSError as error:
            ended = type(error).__name__
            kept = c.getblocking()
            again = outcome(l.accept), outcome(c.connect, name)
            return len(clients) - 1, ended, kept, again
    return len(clients), "none", None, None
"""


@pytest.mark.parametrize(("backlog", "room"), [(1, 1), (2, 2), (0, 128), (-1, 128), (500, 128)])
def test_a_full_backlog_refuses_at_once_and_may_be_tried_again(
    on: Simulated, backlog: int, room: int
) -> None:
    snippet = BACKLOG + f"tell(now=admitted({backlog}), later=admitted({backlog}, True))"
    seen = on.mac(snippet)
    assert seen["now"] == [room, "ConnectionRefusedError", False, ["ok", "ok"]]
    assert seen["later"] == [room, "ConnectionRefusedError", True, ["ok", "ok"]]


def test_linux_admits_one_more_and_says_eagain(on: Simulated) -> None:
    seen = on.linux(BACKLOG + "tell(now=admitted(1))")
    assert seen["now"][:2] == [2, "BlockingIOError"]


def test_the_default_backlog_is_128_and_connect_ex_gives_the_number(on: Simulated) -> None:
    snippet = (
        BACKLOG
        + """
import errno
l = socket.socket(socket.AF_UNIX); l.bind("n"); l.listen(1)
ends = [socket.socket(socket.AF_UNIX).connect_ex("n") for _ in range(1)]
keep = socket.socket(socket.AF_UNIX); keep.connect_ex("n")
full = socket.socket(socket.AF_UNIX); full.settimeout(5)
tell(default=admitted(None)[0], full=errno.errorcode[full.connect_ex("n")],
     missing=errno.errorcode[full.connect_ex("nothing")])
"""
    )
    assert on.mac(snippet) == {"default": 128, "full": "ECONNREFUSED", "missing": "ENOENT"}


def test_connecting_to_what_is_no_listener(on: Simulated) -> None:
    snippet = """
import os, socket
l = socket.socket(socket.AF_UNIX); l.bind("stale"); l.listen(); l.close()
open("file", "w").close()
os.symlink("stale", "link")
bound = socket.socket(socket.AF_UNIX); bound.bind("bound")
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.bind("datagram")
def connect(name): return outcome(socket.socket(socket.AF_UNIX).connect, name)
tell(**{n: connect(n) for n in ("stale", "file", "link", "bound", "datagram", "none", "/")})
tell(rebind=outcome(socket.socket(socket.AF_UNIX).bind, "stale"),
     twice=outcome(bound.bind, "other"), unbound=outcome(socket.socket(socket.AF_UNIX).listen))
"""
    mac, linux = both(on, snippet)
    assert mac == {
        "stale": "ECONNREFUSED",
        "file": "ENOTSOCK",
        "link": "ECONNREFUSED",
        "bound": "ECONNREFUSED",
        "datagram": "EPROTOTYPE",
        "none": "ENOENT",
        "/": "ENOTSOCK",
        "rebind": "EADDRINUSE",
        "twice": "EINVAL",
        "unbound": "EINVAL",
    }
    assert linux["file"] == "ECONNREFUSED"


def test_there_is_no_seqpacket(on: Simulated) -> None:
    snippet = """
import socket
tell(one=outcome(socket.socket, socket.AF_UNIX, socket.SOCK_SEQPACKET),
     pair=outcome(socket.socketpair, socket.AF_UNIX, socket.SOCK_SEQPACKET))
"""
    mac, linux = both(on, snippet)
    assert set(mac.values()) == {"EPROTONOSUPPORT"} and set(linux.values()) == {"ok"}


AFTER_CLOSE = """
import socket
l = socket.socket(socket.AF_UNIX); l.bind("p"); l.listen()
c = socket.socket(socket.AF_UNIX); c.connect("p"); s, _ = l.accept()
c.sendall(b"last"); c.close()
tell(peername=outcome(s.getpeername), sockname=s.getsockname(), cred=len(s.getsockopt(0, 1, 76)),
     pid=outcome(s.getsockopt, 0, 2), epid=outcome(s.getsockopt, 0, 3),
     option=outcome(s.setsockopt, socket.SOL_SOCKET, socket.SO_SNDBUF, 9999),
     shutdown=outcome(s.shutdown, socket.SHUT_WR), data=s.recv(9).decode(), end=s.recv(9).decode(),
     write=[outcome(s.send, b"x"), outcome(s.sendall, b"x"), outcome(s.sendmsg, [b"x"])])
"""


def test_what_a_closed_peer_leaves_behind(on: Simulated) -> None:
    mac = on.mac(AFTER_CLOSE)
    linux = on.linux(AFTER_CLOSE.replace("getsockopt(0, 1, 76)", "getsockopt(1, 17, 12)"))
    assert mac == {
        "peername": "EINVAL",
        "sockname": "p",
        "cred": 76,
        "pid": "ENOTCONN",
        "epid": "ENOTCONN",
        "option": "EINVAL",
        "shutdown": "ENOTCONN",
        "data": "last",
        "end": "",
        "write": ["EPIPE"] * 3,
    }
    assert linux["peername"] == linux["option"] == linux["shutdown"] == "ok"


@pytest.mark.parametrize("error", WRITES)
def test_the_error_of_a_write_to_a_closed_peer_is_the_specs(on: Simulated, error: str) -> None:
    assert on.mac(AFTER_CLOSE, f"write={error}")["write"] == [error] * 3


def test_writing_on_tcp_is_left_alone(on: Simulated) -> None:
    snippet = """
import socket
l = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(l.getsockname())
s, _ = l.accept(); c.shutdown(socket.SHUT_WR)
tell(end=outcome(c.send, b"x"))
"""
    assert on.mac(snippet, "write=EPROTOTYPE") == {"end": "EPIPE"}


def test_unread_data_of_ours_is_no_reset(on: Simulated) -> None:
    snippet = """
import socket
def end(read):
    a, b = socket.socketpair(); a.send(b"unread"); b.send(b"hi"); b.close()
    return [a.recv(9).decode(), outcome(read, a)]
tell(recv=end(lambda a: a.recv(9)), into=end(lambda a: a.recv_into(bytearray(9))),
     message=end(lambda a: a.recvmsg(9)), sender=end(lambda a: a.recvfrom(9)),
     error=end(lambda a: a.send(b"x"))[1])
a, b = socket.socketpair(); a.send(b"unread"); b.close()
tell(so_error=a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), got=a.recvmsg(9)[0].decode())
l = socket.socket(socket.AF_UNIX); l.bind("p"); l.listen()
c = socket.socket(socket.AF_UNIX); c.connect("p"); l.close()
tell(dropped=outcome(c.recv, 9))
"""
    mac, linux = both(on, snippet)
    assert mac == {
        "recv": ["hi", "ok"],
        "into": ["hi", "ok"],
        "message": ["hi", "ok"],
        "sender": ["hi", "ok"],
        "error": "EPIPE",
        "so_error": 0,
        "got": "",
        "dropped": "ok",
    }
    assert linux["recv"] == ["hi", "ECONNRESET"] and linux["dropped"] == "ECONNRESET"


def test_shutting_down(on: Simulated) -> None:
    snippet = """
import socket
RD, WR, RDWR = socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR
pairs = [socket.socketpair() for _ in range(6)]
(a, b), (c, d), (e, f), (g, h), (i, j), (k, l) = pairs
tell(twice=[outcome(a.shutdown, WR), outcome(a.shutdown, WR), outcome(a.shutdown, RD)])
d.shutdown(WR)
tell(after_peer=[outcome(c.shutdown, RDWR), outcome(c.send, b"x"), outcome(c.shutdown, WR)])
e.shutdown(WR)
tell(rest=[outcome(e.shutdown, RDWR), e.recv(1).decode()])
lone = socket.socket(socket.AF_UNIX)
server = socket.socket(socket.AF_UNIX); server.bind("s"); server.listen()
tell(lone=outcome(lone.shutdown, RDWR), server=outcome(server.shutdown, RDWR),
     nonsense=outcome(g.shutdown, 7))
i.shutdown(RDWR)
tell(own=[outcome(i.getpeername), outcome(i.getsockopt, 0, 2), outcome(j.getsockopt, 0, 2)])
k.shutdown(RDWR); l.close()
tell(gone=outcome(k.getsockopt, 0, 2))
"""
    mac, linux = both(on, snippet)
    assert mac == {
        "twice": ["ok", "ENOTCONN", "ok"],
        "after_peer": ["ENOTCONN", "ok", "ok"],
        "rest": ["ENOTCONN", ""],
        "lone": "ENOTCONN",
        "server": "ENOTCONN",
        "nonsense": "EINVAL",
        "own": ["EINVAL", "ok", "ok"],
        "gone": "ENOTCONN",
    }
    assert linux["twice"] == ["ok"] * 3 and linux["lone"] == linux["server"] == "ok"


def test_an_accepted_peer_that_closed_has_no_name(on: Simulated) -> None:
    snippet = """
import socket
l = socket.socket(socket.AF_UNIX); l.bind("p"); l.listen()
def accept(close):
    c = socket.socket(socket.AF_UNIX); c.bind(f"c{close}"); c.connect("p"); c.send(b"hi")
    if close: c.close()
    s, name = l.accept()
    return [name, s.recv(9).decode()]
tell(open=accept(False), closed=accept(True))
"""
    mac, linux = both(on, snippet)
    assert mac == {"open": ["cFalse", "hi"], "closed": ["", "hi"]}
    assert linux["closed"] == ["cTrue", "hi"]


def test_reading_before_connecting_is_not_connected(on: Simulated) -> None:
    snippet = "import socket; tell(e=outcome(socket.socket(socket.AF_UNIX).recv, 1))"
    mac, linux = both(on, snippet)
    assert (mac["e"], linux["e"]) == ("ENOTCONN", "EINVAL")


def test_descriptors_pass_and_other_control_data_is_refused(on: Simulated) -> None:
    snippet = """
import array, os, socket
a, b = socket.socketpair()
r, w = os.pipe()
socket.send_fds(a, [b"x"], [w])
data, fds, flags, address = socket.recv_fds(b, 9, 1)
os.write(fds[0], b"through"); tell(through=os.read(r, 9).decode())
credentials = (socket.SOL_SOCKET, 2, array.array("i", [os.getpid(), os.getuid(), os.getgid()]))
tell(credentials=outcome(a.sendmsg, [b"x"], [credentials]))
"""
    mac, linux = both(on, snippet)
    assert mac == {"through": "through", "credentials": "EINVAL"}
    assert linux["credentials"] == "ok"
