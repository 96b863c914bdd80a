"""What the Unix socket patches put in place of upstream's functions, function by function."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from macfix import Changes
from macfix.darwin.sockets import runtime_dir as runtime_dir_module
from macfix.darwin.sockets.credentials import LOCAL_PEERCRED, LOCAL_PEERPID, PeerCredentialsError
from macfix.patches.runtime import dir as runtime_dir
from macfix.patches.transport import eafnosupport, enotconn, eprototype, reset
from macfix.patches.uds import (
    _repro,
    connected_pid,
    passcred,
    peer_credentials,
    removed_socket,
    socket_names,
    unbound_names,
    vanished_peer,
)
from tests.support.sandbox import Sandbox

PEER = 4242


@dataclass(frozen=True)
class Address:
    """Upstream's `UDSAddress` in our words."""

    filedir: Path
    filename: str | Path
    maybe_pid: int | None = None

    @property
    def sockpath(self) -> Path:
        return self.filedir / self.filename


class Socket:
    """One end of a connection on a Mac; an OSError instead of an answer is raised."""

    family = socket.AF_UNIX

    def __init__(
        self,
        sockname: str | bytes | OSError = "",
        peername: str | bytes | OSError = "",
        pid: int | OSError = PEER,
    ) -> None:
        self._names = {"sockname": sockname, "peername": peername}
        self._pid = pid

    def getsockname(self) -> str | bytes:
        return self._name("sockname")

    def getpeername(self) -> str | bytes:
        return self._name("peername")

    def _name(self, which: str) -> str | bytes:
        name = self._names[which]
        if isinstance(name, OSError):
            raise name
        return name

    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes:
        if isinstance(self._pid, OSError) and optname == LOCAL_PEERPID:
            raise self._pid
        answers = {
            LOCAL_PEERPID: lambda: int(self._pid).to_bytes(4, sys.byteorder),  # type: ignore[arg-type]
            LOCAL_PEERCRED: lambda: b"".join(
                number.to_bytes(4, sys.byteorder) for number in (0, 501, 1, 20, *[0] * 15)
            ),
        }
        return answers[optname]()[:buflen]


def stream_over(sock: Socket) -> Any:
    return SimpleNamespace(socket=sock)


def gone(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.fixture
def install() -> Iterator[Callable[[Any, ModuleType], None]]:
    """Install patches into modules; afterwards all is reverted, and reverting left nothing."""
    made: list[Changes] = []

    def into(patch: Any, module: ModuleType) -> None:
        changes = Changes()
        made.append(changes)
        patch.install(module, changes)

    yield into
    for changes in reversed(made):
        assert changes.revert() == []


def module_with(name: str = "upstream", **members: object) -> Any:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def test_the_sockets_of_a_repro_are_gone_afterwards() -> None:
    with _repro.listener() as (_, path):
        assert Path(path).is_socket()
    assert not Path(path).parent.exists()


# -- credentials ---------------------------------------------------------------------------------


def uds_with_credentials() -> Any:
    def get_peer_info(sock: object) -> tuple[int, int, int]:
        raise RuntimeError("not on this platform")

    def get_peer_pid(sock: object) -> int | None:
        return 0

    return module_with(get_peer_info=get_peer_info, get_peer_pid=get_peer_pid)


def test_peer_info_is_pid_uid_and_gid_in_this_order(install: Any) -> None:
    uds = uds_with_credentials()
    install(peer_credentials, uds)
    assert uds.get_peer_info(Socket()) == (PEER, 501, 20)
    assert uds.get_peer_info(sock=Socket()) == (PEER, 501, 20)


def test_peer_pid_is_true_or_unknown(install: Any) -> None:
    uds = uds_with_credentials()
    install(peer_credentials, uds)
    assert uds.get_peer_pid(Socket()) == PEER
    assert uds.get_peer_pid(Socket(pid=gone(errno.ENOTCONN))) is None


def test_an_unusable_answer_is_an_error_not_a_pid(install: Any) -> None:
    uds = uds_with_credentials()
    install(peer_credentials, uds)
    for ask in (uds.get_peer_info, uds.get_peer_pid):
        with pytest.raises(PeerCredentialsError):
            ask(Socket(pid=0))


def test_a_vintage_without_get_peer_pid_gets_none(install: Any) -> None:
    uds = uds_with_credentials()
    del uds.get_peer_pid
    install(peer_credentials, uds)
    assert not hasattr(uds, "get_peer_pid")


# -- the addresses of a connection ---------------------------------------------------------------

SOCKET = "/tmp/tractor-501/registry@1616.sock"


def uds_with_addresses(upstream: Callable[[Any], Any]) -> Any:
    class MsgpackUDSStream:
        @classmethod
        def get_stream_addrs(cls, stream: Any) -> Any:
            return upstream(stream)

    return module_with(UDSAddress=Address, MsgpackUDSStream=MsgpackUDSStream)


def asking_upstream(stream: Any) -> str:
    """What upstream does first: ask for both names."""
    return f"upstream: {stream.socket.getsockname()!r} {stream.socket.getpeername()!r}"


BOTH = {
    "connecting": Socket(sockname="", peername=SOCKET),
    "accepting": Socket(sockname=SOCKET, peername=""),
}


@pytest.mark.parametrize("side", BOTH)
def test_both_sides_know_path_and_pids(install: Any, side: str) -> None:
    uds = uds_with_addresses(asking_upstream)
    install(unbound_names, uds)
    near, far = uds.MsgpackUDSStream.get_stream_addrs(stream_over(BOTH[side]))
    assert near == Address(Path("/tmp/tractor-501"), "registry@1616.sock", os.getpid())
    assert far == Address(Path("/tmp/tractor-501"), "registry@1616.sock", PEER)


def test_the_pid_of_a_peer_that_goes_meanwhile_is_unknown(install: Any) -> None:
    uds = uds_with_addresses(asking_upstream)
    install(unbound_names, uds)
    stream = stream_over(Socket(sockname=SOCKET, pid=gone(errno.ENOTCONN)))
    _, far = uds.MsgpackUDSStream.get_stream_addrs(stream)
    assert (str(far.sockpath), far.maybe_pid) == (SOCKET, None)


@pytest.mark.parametrize("names", [(b"\0auto", SOCKET), (SOCKET, b"\0auto"), ("", "")])
def test_names_of_other_kinds_are_left_to_upstream(install: Any, names: Any) -> None:
    uds = uds_with_addresses(asking_upstream)
    install(unbound_names, uds)
    stream = stream_over(Socket(*names))
    assert uds.MsgpackUDSStream.get_stream_addrs(stream).startswith("upstream")


ORDERS = {
    "unbound, vanished": (unbound_names, vanished_peer),
    "vanished, unbound": (vanished_peer, unbound_names),
    "vanished alone": (vanished_peer,),
}


@pytest.mark.parametrize("patches", ORDERS.values(), ids=list(ORDERS))
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTCONN])
def test_a_vanished_client_leaves_the_path_and_no_pid(
    install: Any, patches: tuple[ModuleType, ...], number: int
) -> None:
    uds = uds_with_addresses(asking_upstream)
    for patch in patches:
        install(patch, uds)
    sock = Socket(sockname=SOCKET, peername=gone(number), pid=gone(errno.ENOTCONN))
    near, far = uds.MsgpackUDSStream.get_stream_addrs(stream_over(sock))
    assert (str(near.sockpath), near.maybe_pid) == (SOCKET, os.getpid())
    assert (str(far.sockpath), far.maybe_pid) == (SOCKET, None)


@pytest.mark.parametrize("patches", ORDERS.values(), ids=list(ORDERS))
def test_a_vanished_server_is_a_connection_error(
    install: Any, patches: tuple[ModuleType, ...]
) -> None:
    uds = uds_with_addresses(asking_upstream)
    for patch in patches:
        install(patch, uds)
    with pytest.raises(ConnectionResetError) as caught:
        uds.MsgpackUDSStream.get_stream_addrs(stream_over(Socket(peername=gone(errno.EINVAL))))
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("number", [errno.EBADF, errno.EPERM])
def test_other_errors_of_getpeername_are_not_taken_for_a_vanished_peer(
    install: Any, number: int
) -> None:
    uds = uds_with_addresses(asking_upstream)
    install(vanished_peer, uds)
    with pytest.raises(OSError) as caught:
        uds.MsgpackUDSStream.get_stream_addrs(
            stream_over(Socket(sockname=SOCKET, peername=gone(number)))
        )
    assert caught.value.errno == number


def channel_module(family: int) -> Any:
    class Transport:
        stream = SimpleNamespace(socket=SimpleNamespace(family=family))
        _laddr = _raddr = "as asked for"

        def get_stream_addrs(self, stream: object) -> tuple[str, str]:
            assert stream is self.stream
            return ("near", "far")

    class Channel:
        transport = Transport()

        @classmethod
        async def from_addr(cls, addr: object, **kwargs: object) -> Channel:
            await trio.lowlevel.checkpoint()
            return cls()

    return module_with(Channel=Channel)


@pytest.mark.parametrize(
    ("family", "addresses"),
    [(socket.AF_UNIX, ("near", "far")), (socket.AF_INET, ("as asked for", "as asked for"))],
)
def test_a_connected_unix_channel_has_the_kernels_addresses(
    install: Any, family: int, addresses: tuple[str, str]
) -> None:
    chan = channel_module(family)
    install(connected_pid, chan)
    channel = trio.run(chan.Channel.from_addr, ("/tmp", "x.sock"))
    assert (channel.transport._laddr, channel.transport._raddr) == addresses


# -- opening, naming, the runtime directory ------------------------------------------------------


def test_a_connection_is_opened_without_the_option(install: Any) -> None:
    async def open_unix_socket_w_passcred(filename: str) -> trio.SocketStream:
        raise TypeError("there is no such option")

    uds = module_with(open_unix_socket_w_passcred=open_unix_socket_w_passcred)
    install(passcred, uds)

    async def connect(path: str) -> None:
        async with await uds.open_unix_socket_w_passcred(filename=path) as stream:
            assert isinstance(stream, trio.SocketStream)
            assert stream.socket.getpeername() == path

    with _repro.listener() as (_, path):
        trio.run(connect, path)


def uds_with_names(filename: str) -> Any:
    class UDSAddress(Address):
        @classmethod
        def get_random(cls, bindspace: Path = Path("/tmp/tractor-501")) -> UDSAddress:
            return cls(bindspace, Path(filename), 77)

    return module_with("tractor.ipc._uds", UDSAddress=UDSAddress)


@pytest.mark.parametrize("filename", ["brokerd::0a1b@77.sock", "no-pid-in-it.sock"])
def test_names_that_fit_are_upstreams_own(install: Any, filename: str) -> None:
    uds = uds_with_names(filename)
    install(socket_names, uds)
    assert uds.UDSAddress.get_random() == uds.UDSAddress(
        Path("/tmp/tractor-501"), Path(filename), 77
    )


def test_names_that_overflow_are_bounded_and_keep_their_pid(install: Any) -> None:
    uds = uds_with_names("x" * 150 + "@77.sock")
    install(socket_names, uds)
    address = uds.UDSAddress.get_random()
    assert type(address) is uds.UDSAddress
    assert address.maybe_pid == 77
    assert len(os.fsencode(address.sockpath)) <= 103
    assert str(address.filename).endswith("@77.sock")


def test_the_bindspace_that_was_asked_for_counts(install: Any) -> None:
    uds = uds_with_names("brokerd.kraken@77.sock")
    install(socket_names, uds)
    with pytest.raises(ValueError, match="no room"):
        uds.UDSAddress.get_random(Path("/" + "d" * 90))


def test_the_reaper_finds_the_name_that_the_actor_gave_itself(install: Any, tmp_path: Path) -> None:
    name = "actor" * 40
    folder = Path(os.environ["TMPDIR"])
    uds = uds_with_names(f"{name}@77.sock")
    install(socket_names, uds)
    sock = uds.UDSAddress.get_random(folder).sockpath
    sock.touch()
    calls = []

    def unlink_uds_bind_addrs(proc: Any, *, bind_addrs: Any = None, subactor: Any = None) -> None:
        calls.append(proc.pid)

    uds.UDSAddress.def_bindspace = folder
    reap = module_with(
        "tractor.spawn._reap",
        unlink_uds_bind_addrs=unlink_uds_bind_addrs,
        UDSAddress=uds.UDSAddress,
    )
    install(socket_names, reap)
    proc = SimpleNamespace(pid=77)
    other = SimpleNamespace(aid=SimpleNamespace(name="other"))
    reap.unlink_uds_bind_addrs(proc, subactor=other)
    assert sock.exists()
    reap.unlink_uds_bind_addrs(proc, bind_addrs=None, subactor=None)
    assert sock.exists()
    reap.unlink_uds_bind_addrs(proc, subactor=SimpleNamespace(aid=SimpleNamespace(name=name)))
    assert not sock.exists()
    reap.unlink_uds_bind_addrs(proc, subactor=SimpleNamespace(aid=SimpleNamespace(name=name)))
    assert calls == [77] * 4


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(runtime_dir_module, "BASE", tmp_path)
    return tmp_path


def test_every_signature_of_get_rt_dir_leads_to_the_same_folder(install: Any, base: Path) -> None:
    def of_2025(subdir: str = "tractor") -> Path:
        raise NotImplementedError

    def of_march(subdir: str | Path | None = None) -> Path:
        raise NotImplementedError

    def of_april(subdir: str | Path | None = None, appname: str = "tractor") -> Path:
        raise NotImplementedError

    own = base / f"tractor-{os.getuid()}"
    for function in (of_2025, of_march, of_april):
        state = module_with(get_rt_dir=function)
        install(runtime_dir, state)
        assert state.get_rt_dir() == own
        assert state.get_rt_dir("sub") == own / "sub"
        assert state.get_rt_dir(subdir="sub") == own / "sub"
    assert state.get_rt_dir(appname="piker") == base / f"piker-{os.getuid()}"
    assert state.get_rt_dir("sub", "piker") == base / f"piker-{os.getuid()}" / "sub"


# -- failing writes ------------------------------------------------------------------------------

TRANSPORTS = {
    errno.ECONNRESET: reset,
    errno.EPROTOTYPE: eprototype,
    errno.EAFNOSUPPORT: eafnosupport,
    errno.ENOTCONN: enotconn,
}


class Stream:
    """A stream whose writes fail with `error`, and which counts them."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.sent: list[bytes] = []

    async def send_all(self, data: bytes) -> None:
        self.sent.append(data)
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error


def broken_by(number: int) -> trio.BrokenResourceError:
    """Return what trio makes of an errno."""
    cause = OSError(number, os.strerror(number))
    error = trio.BrokenResourceError(f"socket connection broken: {cause}")
    error.__cause__ = cause
    return error


def transport_module() -> Any:
    class MsgpackTransport:
        def __init__(self, stream: Stream, prefix_size: int = 4, codec: object = None) -> None:
            self.stream = stream

    return module_with(MsgpackTransport=MsgpackTransport)


async def error_of_sending(transport: Any) -> BaseException | None:
    try:
        await transport.stream.send_all(b"data")
    except BaseException as error:
        return error
    return None


@pytest.mark.parametrize("number", TRANSPORTS, ids=errno.errorcode.get)
def test_a_closed_peer_is_told_as_a_broken_pipe(install: Any, number: int) -> None:
    module = transport_module()
    install(TRANSPORTS[number], module)
    stream = Stream(broken_by(number))
    error = trio.run(error_of_sending, module.MsgpackTransport(stream, prefix_size=4))
    assert isinstance(error, trio.BrokenResourceError)
    assert "[Errno 32] Broken pipe" in error.args[0]  # what upstream looks for before 2026-08
    assert isinstance(error.__cause__, BrokenPipeError)  # what it looks for since
    assert isinstance(error.__cause__.__cause__, OSError)
    assert error.__cause__.__cause__.errno == number  # what the kernel really said
    assert stream.sent == [b"data"], "a write to a closed peer is never tried again"


@pytest.mark.parametrize("number", TRANSPORTS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    "error",
    [
        broken_by(errno.EPIPE),
        broken_by(errno.ETIMEDOUT),
        trio.BrokenResourceError("no cause"),
        trio.ClosedResourceError("this socket was already closed"),
        ValueError("something else"),
    ],
    ids=repr,
)
def test_other_errors_are_upstreams_business(
    install: Any, number: int, error: BaseException
) -> None:
    module = transport_module()
    install(TRANSPORTS[number], module)
    transport = module.MsgpackTransport(Stream(error))
    assert trio.run(error_of_sending, transport) is error


def test_a_write_that_succeeds_is_left_alone(install: Any) -> None:
    module = transport_module()
    for patch in TRANSPORTS.values():
        install(patch, module)
    stream = Stream(None)
    assert trio.run(error_of_sending, module.MsgpackTransport(stream)) is None
    assert stream.sent == [b"data"]


@pytest.mark.parametrize("number", TRANSPORTS, ids=errno.errorcode.get)
def test_all_three_work_together(install: Any, number: int) -> None:
    module = transport_module()
    for patch in TRANSPORTS.values():
        install(patch, module)
    error = trio.run(error_of_sending, module.MsgpackTransport(Stream(broken_by(number))))
    assert isinstance(error, trio.BrokenResourceError)
    assert isinstance(error.__cause__, BrokenPipeError)


@pytest.mark.parametrize("number", TRANSPORTS, ids=errno.errorcode.get)
def test_one_patch_leaves_the_errnos_of_the_others_alone(install: Any, number: int) -> None:
    module = transport_module()
    install(TRANSPORTS[number], module)
    for other in TRANSPORTS.keys() - {number}:
        error = broken_by(other)
        assert trio.run(error_of_sending, module.MsgpackTransport(Stream(error))) is error


# -- uds-removed-socket ----------------------------------------------------------------------------


async def listening_at(path: str) -> trio.SocketListener:
    sock = trio.socket.socket(trio.socket.AF_UNIX)
    await sock.bind(path)
    sock.listen(8)
    return trio.SocketListener(sock)


def hours_of(main: Callable[[str], Any], path: str) -> None:
    """Run `main(path)` by a clock on which hours pass at once."""
    trio.run(main, path, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.fixture
def start_listener() -> Iterator[Callable[[str], Any]]:
    module, changes = module_with(start_listener=listening_at), Changes()
    removed_socket.install(module, changes)
    yield module.start_listener
    changes.revert()
    assert module.start_listener is listening_at


async def answer_of(path: str) -> bytes:
    async with await trio.open_unix_socket(path) as client:
        return bytes(await client.receive_some())


def test_a_removed_socket_listens_again_and_an_accepting_task_goes_on(
    start_listener: Callable[[str], Any], sandbox: Sandbox
) -> None:
    async def main(path: str) -> None:
        async def serve(stream: trio.SocketStream) -> None:
            await stream.send_all(b"here")
            await stream.aclose()

        async with trio.open_nursery() as nursery, await start_listener(path) as listener:
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            assert await answer_of(path) == b"here"
            for _ in range(2):
                os.unlink(path)
                os.rmdir(os.path.dirname(path))
                await trio.sleep(2 * removed_socket.SECONDS)
                assert await answer_of(path) == b"here"
                assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
            nursery.cancel_scope.cancel()
        os.unlink(path)

    (sandbox.root / "cleaned").mkdir()
    hours_of(main, str(sandbox.root / "cleaned" / "a.sock"))


def test_a_socket_is_touched_and_nothing_else_is(
    start_listener: Callable[[str], Any], sandbox: Sandbox
) -> None:
    async def main(path: str) -> None:
        async with await start_listener(path):
            os.utime(path, (0, 0))
            await trio.sleep(2 * removed_socket.SECONDS)
            assert os.stat(path).st_mtime > 0
        os.utime(path, (0, 0))
        await trio.sleep(2 * removed_socket.SECONDS)
        assert os.stat(path).st_mtime == 0  # it listens no more
        os.unlink(path)

    hours_of(main, str(sandbox.root / "a.sock"))


def test_a_folder_that_is_still_there_stays_as_it_is(
    start_listener: Callable[[str], Any], sandbox: Sandbox
) -> None:
    """It may be the user's home, or a folder that others are to enter."""
    own = sandbox.root / "own"
    own.mkdir()
    own.chmod(0o755)

    async def main(path: str) -> None:
        async with await start_listener(path):
            os.unlink(path)
            await trio.sleep(2 * removed_socket.SECONDS)
            assert os.path.exists(path)
        os.unlink(path)

    hours_of(main, str(own / "a.sock"))
    assert own.stat().st_mode & 0o777 == 0o755


def test_a_path_that_cannot_be_had_back_is_left(
    start_listener: Callable[[str], Any], sandbox: Sandbox
) -> None:
    async def main(path: str) -> None:
        folder = os.path.dirname(path)
        async with await start_listener(path) as listener:
            before = listener.socket
            os.unlink(path)
            os.rmdir(folder)
            os.symlink(sandbox.home, folder)  # as somebody else could do in /tmp
            await trio.sleep(2 * removed_socket.SECONDS)
            assert listener.socket is before and os.listdir(sandbox.home) == []

    (sandbox.root / "cleaned").mkdir()
    hours_of(main, str(sandbox.root / "cleaned" / "a.sock"))
