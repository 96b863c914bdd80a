"""What the simulation must not break: the standard library and packages with compiled parts."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="simulates on Linux")


@pytest.fixture
def on(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


def needs(module: str) -> pytest.MarkDecorator:
    found = importlib.util.find_spec(module) is not None
    return pytest.mark.skipif(not found, reason=f"needs {module}")


def test_subprocesses_and_temporary_files(on: Simulated) -> None:
    program = """
import os, shutil, subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "f")
    with open(path, "w") as file: file.write("text")
    shutil.copy(path, path + "2"); shutil.copytree(folder, folder + "copy")
    names = sorted(os.listdir(folder + "copy")); shutil.rmtree(folder + "copy")
with tempfile.TemporaryFile() as file:
    file.write(b"x"); file.seek(0); data = file.read().decode()
child = subprocess.run([sys.executable, "-c", "import sys; print(sys.platform, sys.stdin.read())"],
                       input="in", capture_output=True, text=True)
tell(names=names, data=data, child=child.stdout, gone=os.path.exists(folder), err=child.stderr)
"""
    assert on.tree(program) == {
        "names": ["f", "f2"],
        "data": "x",
        "child": "darwin in\n",
        "gone": False,
        "err": "",
    }


def test_asyncio_over_unix_sockets_and_tcp(on: Simulated) -> None:
    program = """
import asyncio, sys
async def echo(reader, writer):
    writer.write((await reader.readline()).upper()); await writer.drain(); writer.close()
async def ask(opened):
    reader, writer = await opened
    writer.write(b"hello\\n"); answer = await reader.read(); writer.close()
    return answer.decode(), writer.get_extra_info("peername")
async def main():
    unix = await asyncio.start_unix_server(echo, "u")
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    tell(unix=await ask(asyncio.open_unix_connection("u")))
    tell(tcp=(await ask(asyncio.open_connection("127.0.0.1", port)))[0])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import sys; print(sys.platform)", stdout=asyncio.subprocess.PIPE)
    tell(process=(await process.communicate())[0].decode())
    unix.close(); tcp.close()
asyncio.run(main())
"""
    assert on.tree(program) == {
        "unix": ["HELLO\n", "u"],
        "tcp": "HELLO\n",
        "process": "darwin\n",
    }


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_multiprocessing_pools_queues_and_managers(on: Simulated, method: str) -> None:
    program = f"""
import multiprocessing, sys
def work(n): return n * n, sys.platform, multiprocessing.get_start_method(allow_none=True)
def put(queue, lock):
    with lock: queue.put("from child")
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with context.Pool(2) as pool: tell(pool=pool.map(work, range(3)))
    queue, lock = context.Queue(), context.Lock()
    child = context.Process(target=put, args=(queue, lock)); child.start()
    tell(queue=queue.get(timeout=30)); child.join()
    with context.Manager() as manager:
        tell(manager=dict(manager.dict(a=1)))
    array = context.Array("i", [1, 2]); tell(array=list(array))
"""
    seen = on.tree(program)
    assert [answer[:2] for answer in seen["pool"]] == [[n * n, "darwin"] for n in range(3)]
    assert seen["queue"] == "from child" and seen["manager"] == {"a": 1} and seen["array"] == [1, 2]


def test_the_servers_and_selectors_of_the_standard_library(on: Simulated) -> None:
    program = """
import ctypes, http.client, http.server, selectors, socket, socketserver, ssl, threading
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
connection = http.client.HTTPConnection(*server.server_address)
connection.request("GET", "/"); tell(status=connection.getresponse().status)
connection.close(); server.shutdown(); server.server_close()
class Upper(socketserver.StreamRequestHandler):
    def handle(self): self.wfile.write(self.rfile.readline().upper())
with socketserver.UnixStreamServer("s", Upper) as unix:
    threading.Thread(target=unix.handle_request, daemon=True).start()
    client = socket.socket(socket.AF_UNIX); client.connect("s"); client.sendall(b"hi\\n")
    tell(unix=client.makefile().read())
    client.close()
a, b = socket.socketpair()
with selectors.DefaultSelector() as selector:
    selector.register(a, selectors.EVENT_READ); b.send(b"x")
    tell(ready=len(selector.select(1)))
tell(pid=ctypes.CDLL(None).getpid() > 0, ssl=bool(ssl.create_default_context()))
"""
    assert on.tree(program) == {
        "status": 501,
        "unix": "HI\n",
        "ready": 1,
        "pid": True,
        "ssl": True,
    }


@needs("trio")
def test_trio_talks_over_unix_sockets_and_starts_processes(on: Simulated) -> None:
    program = """
import sys, trio
from functools import partial
async def main():
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind("t"); listener.listen(1)
    async def serve():
        peer, name = await listener.accept()
        stream = trio.SocketStream(peer)
        data = await stream.receive_some()
        tell(server=[peer.getsockopt(0, 2) > 0, len(peer.getsockopt(0, 1, 76)), name])
        await stream.send_all(data.upper()); await stream.aclose()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        stream = await trio.open_unix_socket("t")
        await stream.send_all(b"hello")
        tell(answer=(await stream.receive_some()).decode(), end=len(await stream.receive_some()))
        try: await stream.send_all(b"late"); await stream.send_all(b"later")
        except trio.BrokenResourceError as error: tell(late=type(error.__cause__).__name__)
        await stream.aclose()
    for call in (trio.socket.socketpair, partial(trio.socket.socket, fileno=listener.detach())):
        made = call()
        tell(**{type(made).__name__: True})
    done = await trio.run_process([sys.executable, "-c", "import sys; print(sys.platform)"],
                                  capture_stdout=True)
    tell(process=done.stdout.decode(), missing=hasattr(trio.socket, "SO_PASSCRED"))
trio.run(main)
"""
    seen = on.tree(program, "write=ECONNRESET")
    assert seen == {
        "server": [True, 76, ""],
        "answer": "HELLO",
        "end": 0,
        "late": "ConnectionResetError",
        "tuple": True,
        "_SocketType": True,
        "process": "darwin\n",
        "missing": False,
    }


@needs("trio")
def test_trio_sees_a_full_backlog_as_refused(on: Simulated) -> None:
    snippet = """
import socket, trio
listener = socket.socket(socket.AF_UNIX); listener.bind("t"); listener.listen(1)
async def main():
    first = await trio.open_unix_socket("t")
    try: await trio.open_unix_socket("t")
    except OSError as error: tell(e=type(error).__name__)
trio.run(main)
"""
    assert on.mac(snippet) == {"e": "ConnectionRefusedError"}


@needs("numpy")
def test_numpy_works_on_segments(on: Simulated) -> None:
    program = """
import numpy as np
from multiprocessing import shared_memory
if __name__ == "__main__":
    m = shared_memory.SharedMemory("np", create=True, size=80)
    array = np.ndarray((10,), dtype="f8", buffer=m.buf); array[:] = range(10)
    tell(sum=array.sum(), length=len(m.buf), dot=float(np.dot(array, array)))
    file = np.memmap("mm", dtype="i4", mode="w+", shape=(5000,)); file[:] = 1
    tell(file=int(file.sum()))
    del array; m.close(); m.unlink()
"""
    assert on.tree(program) == {"sum": 45.0, "length": 16384, "dot": 285.0, "file": 5000}


@needs("psutil")
def test_psutil_still_reads_proc(on: Simulated) -> None:
    snippet = """
import os, psutil
me = psutil.Process()
tell(pid=me.pid == os.getpid(), memory=me.memory_info().rss > 0, files=me.num_fds() > 0,
     linux=psutil.LINUX, name=bool(me.cmdline()))
"""
    assert set(on.mac(snippet).values()) == {True}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="one interpreter is enough")
def test_pytest_runs_under_the_simulation(on: Simulated) -> None:
    program = """
import os, subprocess, sys
with open("test_it.py", "w") as file:
    file.write('''
import sys, socket
def test_platform(monkeypatch, tmp_path):
    assert sys.platform == "darwin"
    monkeypatch.setattr(sys, "platform", "win32")
    assert sys.platform == "win32"
    monkeypatch.undo()
    assert sys.platform == "darwin" and not hasattr(socket, "SO_PEERCRED")
    (tmp_path / "f").write_text("x")
''')
command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
done = subprocess.run(command, capture_output=True, text=True)
tell(code=done.returncode, said=done.stdout if done.returncode else "")
"""
    assert on.tree(program) == {"code": 0, "said": ""}
