"""What every Unix socket patch says of the defect, of the fix, and of what is neither."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

import pytest

from macfix import Source
from tests.support import builtin

NEEDED, NOT_NEEDED, UNKNOWN = "needed", "not needed", "unknown"


@dataclass(frozen=True)
class Case:
    """A piece of upstream in our words, and what the patch `name` must say of it."""

    name: str
    what: str
    state: str
    source: str
    target: int = 0


def in_get_stream_addrs(body: str) -> str:
    """Return a `get_stream_addrs()` that makes addresses, around `body`."""
    head = "class MsgpackUDSStream:\n    @classmethod\n    def get_stream_addrs(cls, stream):\n"
    tail = """
        laddr = UDSAddress(filedir=filedir, filename=filename, maybe_pid=os.getpid())
        raddr = UDSAddress(filedir=filedir, filename=filename, maybe_pid=peer_pid)
        return laddr, raddr
"""
    return head + "".join(f"        {line}\n" for line in dedent(body).strip().splitlines()) + tail


CASES = [
    Case("uds-socket-constants", "bare import", NEEDED, "from socket import SO_PEERCRED"),
    Case(
        "uds-socket-constants",
        "import among others",
        NEEDED,
        "from socket import (\n    AF_UNIX,\n    SO_PASSCRED,\n)",
    ),
    Case(
        "uds-socket-constants",
        "import on Linux",
        NOT_NEEDED,
        "if sys.platform == 'linux':\n    from socket import SO_PASSCRED, SO_PEERCRED",
    ),
    Case(
        "uds-socket-constants",
        "import that may fail",
        NOT_NEEDED,
        "try:\n    from socket import SO_PEERCRED\nexcept ImportError:\n    SO_PEERCRED = None",
    ),
    Case("uds-socket-constants", "other names", NOT_NEEDED, "from socket import AF_UNIX"),
    Case("uds-socket-constants", "another module", NOT_NEEDED, "from .socket import SO_PEERCRED"),
    Case(
        "uds-socket-constants",
        "import under another condition",
        UNKNOWN,
        "if os.name == 'posix':\n    from socket import SO_PEERCRED",
    ),
    Case(
        "uds-passcred",
        "set always",
        NEEDED,
        """
        async def open_unix_socket_w_passcred(filename):
            sock.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        """,
    ),
    Case(
        "uds-passcred",
        "set where there is one",
        NOT_NEEDED,
        """
        async def open_unix_socket_w_passcred(filename):
            if SO_PASSCRED is not None:
                sock.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        """,
    ),
    Case(
        "uds-passcred",
        "set under another condition",
        UNKNOWN,
        """
        async def open_unix_socket_w_passcred(filename):
            if SO_PASSCRED:
                sock.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        """,
    ),
    Case("uds-passcred", "no such function", NOT_NEEDED, "pass"),
    Case(
        "uds-passcred",
        "other options only",
        NOT_NEEDED,
        "async def open_unix_socket_w_passcred(filename):\n    sock.setsockopt(1, SO_SNDBUF, 1)",
    ),
    Case(
        "uds-peer-credentials",
        "asks Linux only",
        NEEDED,
        """
        def get_peer_info(sock):
            creds = sock.getsockopt(SOL_SOCKET, SO_PEERCRED, struct.calcsize('3i'))
        """,
    ),
    Case(
        "uds-peer-credentials",
        "asks at another level too",
        UNKNOWN,
        """
        def get_peer_info(sock):
            if SO_PEERCRED is None:
                return sock.getsockopt(0, 1, 76)
            return sock.getsockopt(SOL_SOCKET, SO_PEERCRED, struct.calcsize('3i'))
        """,
    ),
    Case(
        "uds-peer-credentials",
        "asks something else",
        UNKNOWN,
        "def get_peer_info(sock):\n    return sock.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, 76)",
    ),
    Case("uds-peer-credentials", "no such function", NOT_NEEDED, "def get_peer_pid(sock): ..."),
    Case(
        "uds-unbound-names",
        "no case for two str",
        NEEDED,
        in_get_stream_addrs(
            """
            match (peername, sockname):
                case (str(), bytes()):
                    sock_path = Path(peername)
            """
        ),
    ),
    Case(
        "uds-unbound-names",
        "peer's name taken blindly",
        NEEDED,
        in_get_stream_addrs(
            """
            match (peername, sockname):
                case (str(), str()):
                    sock_path: Path = Path(peername)
            """
        ),
    ),
    Case(
        "uds-unbound-names",
        "the one that is not empty",
        NOT_NEEDED,
        in_get_stream_addrs(
            """
            match (peername, sockname):
                case (str(), str()):
                    bound = peername or sockname
                    sock_path = Path(bound)
            """
        ),
    ),
    Case(
        "uds-unbound-names",
        "something else of two str",
        UNKNOWN,
        in_get_stream_addrs(
            """
            match (peername, sockname):
                case (str(), str()):
                    sock_path = choose(peername, sockname)
            """
        ),
    ),
    Case(
        "uds-unbound-names",
        "no match statement",
        UNKNOWN,
        in_get_stream_addrs("sock_path = Path(sock.getpeername())"),
    ),
    Case(
        "uds-unbound-names",
        "names, not addresses",
        NOT_NEEDED,
        """
        class MsgpackUDSStream:
            def get_stream_addrs(cls, stream):
                return stream.socket.getsockname(), stream.socket.getpeername()
        """,
    ),
    Case(
        "uds-unbound-names",
        "addresses made otherwise",
        UNKNOWN,
        """
        class MsgpackUDSStream:
            def get_stream_addrs(cls, stream):
                return UDSAddress.from_addr((stream.socket.getpeername(), 1))
        """,
    ),
    Case("uds-unbound-names", "no such method", NOT_NEEDED, "class MsgpackUDSStream: ..."),
    Case(
        "uds-vanished-peer",
        "bare question",
        NEEDED,
        in_get_stream_addrs("peername = sock.getpeername()"),
    ),
    Case(
        "uds-vanished-peer",
        "question expected to fail",
        NOT_NEEDED,
        in_get_stream_addrs(
            """
            try:
                peername = sock.getpeername()
            except OSError:
                peername = ''
            """
        ),
    ),
    Case(
        "uds-vanished-peer",
        "question in a handler is not guarded",
        NEEDED,
        in_get_stream_addrs(
            """
            try:
                sockname = sock.getsockname()
            except OSError:
                peername = sock.getpeername()
            """
        ),
    ),
    Case("uds-vanished-peer", "no question", UNKNOWN, in_get_stream_addrs("peername = ''")),
    Case("uds-vanished-peer", "no such method", NOT_NEEDED, "class MsgpackUDSStream: ..."),
    Case(
        "uds-connected-pid",
        "asserted",
        NEEDED,
        """
        class Channel:
            @classmethod
            async def from_addr(cls, addr):
                assert transport.raddr == addr
        """,
    ),
    Case(
        "uds-connected-pid",
        "not asserted",
        NOT_NEEDED,
        "class Channel:\n    async def from_addr(cls, addr):\n        return cls(addr)",
    ),
    Case("uds-connected-pid", "no such method", NOT_NEEDED, "class Channel: ..."),
    Case(
        "uds-backlog",
        "room for one",
        NEEDED,
        "async def start_listener(addr):\n    sock.listen(1)",
    ),
    Case(
        "uds-backlog",
        "room for one, in a method",
        NEEDED,
        "class UDSAddress:\n    async def open_listener(self):\n        sock.listen(1)",
    ),
    Case(
        "uds-backlog",
        "room for 128",
        NOT_NEEDED,
        "async def start_listener(addr):\n    sock.listen(128)",
    ),
    Case(
        "uds-backlog",
        "room for some",
        UNKNOWN,
        "async def start_listener(addr):\n    sock.listen(5)",
    ),
    Case(
        "uds-backlog",
        "room for a number from elsewhere",
        UNKNOWN,
        "async def start_listener(addr):\n    sock.listen(BACKLOG)",
    ),
    Case(
        "uds-backlog",
        "two listeners",
        UNKNOWN,
        "async def start_listener(addr):\n    sock.listen(1)\n    other.listen(1)",
    ),
    Case("uds-backlog", "no listener", NOT_NEEDED, "def elsewhere():\n    sock.listen(1)"),
    Case(
        "uds-removed-socket",
        "a function",
        NEEDED,
        "async def start_listener(addr):\n    await sock.bind(p)\n    return SocketListener(sock)",
    ),
    Case(
        "uds-removed-socket",
        "a method",
        NEEDED,
        "class UDSAddress:\n    async def open_listener(self):\n"
        "        await sock.bind(p)\n        return trio.SocketListener(sock)",
    ),
    Case(
        "uds-removed-socket",
        "touches",
        NOT_NEEDED,
        "async def start_listener(addr):\n    start_soon(keep)\n    os.utime(p)",
    ),
    Case(
        "uds-removed-socket",
        "another listener",
        UNKNOWN,
        "async def start_listener(addr):\n    return await trio.open_unix_listener(p)",
    ),
    Case("uds-removed-socket", "no listener", NOT_NEEDED, "def elsewhere(): ..."),
    Case(
        "uds-socket-names",
        "no bound",
        NEEDED,
        """
        class UDSAddress:
            def get_random(cls, bindspace=None):
                return Path(f'{sockname}.sock')
        """,
    ),
    Case(
        "uds-socket-names",
        "within bounds",
        NOT_NEEDED,
        """
        class UDSAddress:
            def get_random(cls, bindspace=None):
                return cls.get_sockname(name=name, pid=pid, bindspace=bindspace)
        """,
    ),
    Case(
        "uds-socket-names",
        "named otherwise",
        UNKNOWN,
        "class UDSAddress:\n    def get_random(cls):\n        return Path(token_hex())",
    ),
    Case("uds-socket-names", "no such method", NOT_NEEDED, "class UDSAddress: ..."),
    Case(
        "uds-socket-names",
        "reaped without a bound",
        NEEDED,
        "def unlink_uds_bind_addrs(proc):\n    name = f'{subactor.aid.name}@{proc.pid}.sock'",
        target=1,
    ),
    Case(
        "uds-socket-names",
        "reaped within bounds",
        NOT_NEEDED,
        "def unlink_uds_bind_addrs(proc):\n    name = UDSAddress.get_sockname(name=n, pid=1)",
        target=1,
    ),
    Case("uds-socket-names", "nothing reaped", NOT_NEEDED, "pass", target=1),
    Case(
        "runtime-dir-env",
        "wanted at import",
        NEEDED,
        "_rtdir: Path = Path(os.environ['XDG_RUNTIME_DIR'])",
    ),
    Case(
        "runtime-dir-env",
        "may be missing",
        NOT_NEEDED,
        "_rtdir = Path(os.environ.get('XDG_RUNTIME_DIR', '/tmp'))",
    ),
    Case(
        "runtime-dir-env",
        "wanted later",
        UNKNOWN,
        "def get_rt_dir():\n    return Path(os.environ['XDG_RUNTIME_DIR'])",
    ),
    Case(
        "runtime-dir-env",
        "named in a docstring",
        NOT_NEEDED,
        "def get_rt_dir():\n    '''Return ${XDG_RUNTIME_DIR}/tractor.'''",
    ),
    Case(
        "runtime-dir",
        "below the variable",
        NEEDED,
        "def get_rt_dir(subdir='tractor'):\n    return _rtdir / subdir",
    ),
    Case(
        "runtime-dir",
        "what platformdirs says",
        NEEDED,
        """
        def get_rt_dir(subdir=None, appname='tractor'):
            return Path(platformdirs.user_runtime_dir(appname=appname))
        """,
    ),
    Case(
        "runtime-dir",
        "short and looked at",
        NOT_NEEDED,
        """
        def _ensure(path):
            found = path.lstat()
            if found.st_uid != os.getuid():
                raise PermissionError
        def get_rt_dir(subdir=None, appname='tractor'):
            if sys.platform == 'darwin':
                path = Path('/tmp') / f'{appname}-{os.getuid()}'
            else:
                path = Path(platformdirs.user_runtime_dir(appname=appname))
            _ensure(path)
        """,
    ),
    Case(
        "runtime-dir",
        "short and unsafe",
        UNKNOWN,
        """
        def get_rt_dir(subdir=None, appname='tractor'):
            if sys.platform == 'darwin':
                return Path('/tmp') / appname
        """,
    ),
    Case("runtime-dir", "somewhere else", UNKNOWN, "def get_rt_dir():\n    return Path('/run')"),
    Case("runtime-dir", "no such function", NOT_NEEDED, "pass"),
]

for name, word in {
    "transport-reset": "ECONNRESET",
    "transport-eprototype": "EPROTOTYPE",
    "transport-eafnosupport": "EAFNOSUPPORT",
    "transport-enotconn": "ENOTCONN",
}.items():
    send = """
        class MsgpackTransport:
            async def send(self, msg):
                try:
                    await self.stream.send_all(msg)
                except trio.BrokenResourceError as trans_err:
                    if {test}:
                        raise TransportClosed from trans_err
        """
    by_errno = """
        def _peer_closed_errno(exc):
            return exc.errno in {errnos}
        """
    CASES += [
        Case(
            name,
            "text of EPIPE only",
            NEEDED,
            send.format(test="'[Errno 32] Broken pipe' in trans_err.args[0]"),
        ),
        Case(name, "another test", UNKNOWN, send.format(test="closed(trans_err)")),
        Case(
            name,
            "by errno",
            NOT_NEEDED,
            by_errno.format(errnos=f"{{errno.EPIPE, errno.{word}}}")
            + send.format(test="_peer_closed_errno(trans_err)"),
        ),
        Case(
            name,
            "by another errno",
            NEEDED,
            by_errno.format(errnos="{errno.EPIPE, errno.ESHUTDOWN}")
            + send.format(test="_peer_closed_errno(trans_err)"),
        ),
        Case(
            name,
            "by errnos without EPIPE",
            UNKNOWN,
            by_errno.format(errnos="{errno.ESHUTDOWN}")
            + send.format(test="_peer_closed_errno(trans_err)"),
        ),
        Case(
            name,
            "no peer is expected to go",
            NOT_NEEDED,
            "class MsgpackTransport:\n    async def send(self, msg):\n        await send_all(msg)",
        ),
        Case(name, "no such method", NOT_NEEDED, "class MsgpackTransport: ..."),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}: {case.what}")
def test_the_patch_knows_defect_and_fix_and_nothing_else(case: Case) -> None:
    target = builtin.targets_of(case.name)[case.target]
    source = Source(target, "upstream.py", dedent(case.source).encode())
    answer = builtin.patches()[case.name].diagnose(source)
    assert (answer.state, bool(answer.reason)) == (case.state, True), answer.reason


@pytest.mark.parametrize("name", sorted({case.name for case in CASES}))
def test_every_state_is_reached_by_some_case(name: str) -> None:
    states = {case.state for case in CASES if case.name == name}
    binary = name == "uds-connected-pid"  # an assertion is there, or it is not
    assert states == {NEEDED, NOT_NEEDED} | (set() if binary else {UNKNOWN})


@pytest.mark.parametrize("name", sorted({case.name for case in CASES}))
def test_an_empty_module_needs_nothing(name: str) -> None:
    for target in builtin.targets_of(name):
        empty = Source(target, "upstream.py", b"")
        assert builtin.patches()[name].diagnose(empty).state == NOT_NEEDED
