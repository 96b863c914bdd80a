"""Shared memory of the simulated Mac, one promise a test, with what plain Linux does instead."""

from __future__ import annotations

import os

import pytest

from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="simulates on Linux")

SHM = """
import _posixshmem, mmap, os, stat
from _posixshmem import shm_open, shm_unlink
CREATE, EXCLUSIVE, RW = os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_RDWR
def new(name="/s", size=None):
    fd = shm_open(name, EXCLUSIVE | RW, 0o600)
    if size is not None: os.ftruncate(fd, size)
    return fd
"""


@pytest.fixture
def on(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


@pytest.mark.parametrize("limit", [30, 31])
def test_names_have_so_many_bytes_slash_included(on: Simulated, limit: int) -> None:
    snippet = (
        SHM
        + f"""
fits, long = "/" + "n" * {limit - 1}, "/" + "n" * {limit}
accents = "/" + "\\u00e9" * ({limit} // 2)
tell(fits=outcome(shm_open, fits, CREATE | RW, mode=0o600),
     long=outcome(shm_open, long, CREATE | RW),
     accents=outcome(shm_open, accents, CREATE | RW), unlink=outcome(shm_unlink, long),
     empty=[outcome(shm_open, "", CREATE | RW), outcome(shm_unlink, "")],
     done=outcome(shm_unlink, fits), missing=outcome(shm_unlink, fits))
tell(end=outcome(shm_unlink, accents))
"""
    )
    seen = on.mac(snippet, f"names={limit}")
    assert seen == {
        "fits": "ok",
        "long": "ENAMETOOLONG",
        "accents": "ok" if limit == 31 else "ENAMETOOLONG",
        "unlink": "EINVAL",
        "empty": ["EINVAL", "EINVAL"],
        "done": "ok",
        "missing": "ENOENT",
        "end": "ok" if limit == 31 else "EINVAL",
    }


def test_linux_takes_longer_names(on: Simulated) -> None:
    name = f"macfix-{os.getpid()}-" + "n" * 40
    snippet = SHM + f"tell(e=outcome(shm_open, '/{name}', CREATE | RW)); shm_unlink('/{name}')"
    assert on.linux(snippet) == {"e": "ok"}


def test_slashes_mean_nothing_and_any_name_will_do(on: Simulated) -> None:
    snippet = (
        SHM
        + """
import macfix.simulate
names = ["a", "/a", "/a/b", "/..", ".", "/%41", "/A", "/\\u00e9 \\n", "//"]
for n in names: os.close(new(n))
found = macfix.simulate.segments()
tell(same=found == sorted(names), again=[outcome(new, n) for n in names],
     purged=macfix.simulate.purge() == found, left=macfix.simulate.segments())
"""
    )
    assert on.mac(snippet) == {"same": True, "again": ["EEXIST"] * 9, "purged": True, "left": []}


@pytest.mark.parametrize(("page", "size", "rounded"), [(16384, 4, 16384), (4096, 4097, 8192)])
def test_a_segment_is_sized_once_and_by_whole_pages(
    on: Simulated, page: int, size: int, rounded: int
) -> None:
    snippet = (
        SHM
        + f"""
fd = new(); other = shm_open("/s", RW)
tell(before=os.fstat(other).st_size, truncate=outcome(os.ftruncate, fd, {size}))
found = os.fstat(other)
tell(size=found.st_size, type=stat.S_IFMT(found.st_mode), mode=stat.S_IMODE(found.st_mode),
     owner=[found.st_uid, found.st_gid] == [os.geteuid(), os.getegid()],
     zero=[found.st_ino, found.st_dev, found.st_nlink, found.st_mtime_ns, found.st_blocks],
     by_stat=os.stat(fd).st_size,
     again=[outcome(os.ftruncate, f, n) for f in (fd, other) for n in ({size}, 0, 99999, -1)],
     by_path=outcome(os.truncate, fd, 5), page=[mmap.PAGESIZE, os.sysconf("SC_PAGE_SIZE")])
shm_unlink("/s")
"""
    )
    assert on.mac(snippet, f"page={page}") == {
        "before": 0,
        "truncate": "ok",
        "size": rounded,
        "type": 0,
        "mode": 0o600,
        "owner": True,
        "zero": [0] * 5,
        "by_stat": rounded,
        "again": ["EINVAL"] * 8,
        "by_path": "EINVAL",
        "page": [page, page],
    }


def test_length_nothing_uses_up_the_one_chance(on: Simulated) -> None:
    snippet = (
        SHM
        + """
fd = new(size=0)
found = os.fstat(fd)
tell(size=found.st_size, mode=found.st_mode, again=outcome(os.ftruncate, fd, 10),
     map=outcome(mmap.mmap, fd, 1), trunc=outcome(shm_open, "/s", RW | os.O_TRUNC))
shm_unlink("/s")
"""
    )
    assert on.mac(snippet) == {
        "size": 0,
        "mode": 0o600,
        "again": "EINVAL",
        "map": "EINVAL",
        "trunc": "EINVAL",
    }


def test_what_can_be_mapped(on: Simulated) -> None:
    snippet = (
        SHM
        + """
fd = new()
def end(f, *a, **k): return outcome(mmap.mmap, f, *a, **k)
tell(unsized=[end(fd, n) for n in (0, 1, 16384)])
os.ftruncate(fd, 20000)
reader = shm_open("/s", os.O_RDONLY)
R = mmap.PROT_READ
tell(sized=[end(fd, n) for n in (1, 20000, 32768)], more=end(fd, 32769), nothing=end(fd, 0),
     offset=[end(fd, 16384, offset=16384), end(fd, 16385, offset=16384), end(fd, 1, offset=4096)],
     private=[end(fd, 9, flags=mmap.MAP_PRIVATE), end(fd, 9, access=mmap.ACCESS_COPY)],
     read_only=[end(reader, 9), end(reader, 9, prot=R), end(reader, 9, access=mmap.ACCESS_READ)])
m = mmap.mmap(fd, 20000); n = mmap.mmap(reader, 32768, prot=R)
m[19999] = 7
tell(seen=n[19999], kind=isinstance(m, mmap.mmap), name=type(m).__name__, size=m.size(),
     resize=outcome(m.resize, 5), anonymous=end(-1, 5), negative=end(fd, -1))
shm_unlink("/s")
"""
    )
    assert on.mac(snippet) == {
        "unsized": ["EINVAL"] * 3,
        "sized": ["ok"] * 3,
        "more": "EINVAL",
        "nothing": "EINVAL",
        "offset": ["ok", "EINVAL", "EINVAL"],
        "private": ["EINVAL", "EINVAL"],
        "read_only": ["EPERM", "ok", "ok"],
        "seen": 7,
        "kind": True,
        "name": "mmap",
        "size": 32768,
        "resize": "SystemError",
        "anonymous": "ok",
        "negative": "OverflowError",
    }


def test_linux_says_value_error_in_the_create_attach_window(on: Simulated) -> None:
    snippet = """
from multiprocessing import shared_memory
import _posixshmem, os
name = "mf%d" % os.getpid()
fd = _posixshmem.shm_open("/" + name, os.O_CREAT | os.O_RDWR, 0o600)
tell(attach=outcome(shared_memory.SharedMemory, name))
tell(left=outcome(_posixshmem.shm_unlink, "/" + name))
"""
    assert on.linux(snippet) == {"attach": "ValueError", "left": "ok"}
    # And on a Mac it is an OSError, for which SharedMemory unlinks the name of the creator.
    assert on.mac(snippet) == {"attach": "EINVAL", "left": "ENOENT"}


def test_opening(on: Simulated) -> None:
    snippet = (
        SHM
        + """
os.umask(0o077)
fd = shm_open("/m", EXCLUSIVE | RW, 0o666)
tell(mode=stat.S_IMODE(os.fstat(fd).st_mode), inherit=os.get_inheritable(fd),
     exclusive=outcome(shm_open, "/m", EXCLUSIVE | RW), plain=outcome(shm_open, "/m", CREATE | RW),
     unsized_trunc=outcome(shm_open, "/m", RW | os.O_TRUNC), missing=outcome(shm_open, "/x", RW),
     access=outcome(shm_open, "/m", 3))
os.ftruncate(fd, 1)
tell(sized_trunc=outcome(shm_open, "/m", RW | os.O_TRUNC))
shm_unlink("/m")
tell(unlinked=[os.fstat(fd).st_size, outcome(mmap.mmap, fd, 9), outcome(os.ftruncate, fd, 1)],
     gone=outcome(shm_open, "/m", RW))
reader = shm_open("/r", CREATE | os.O_RDONLY, 0o400)
tell(by_reader=outcome(os.ftruncate, reader, 9), size=os.fstat(reader).st_size,
     still=stat.S_IMODE(os.fstat(reader).st_mode))
shm_unlink("/r")
tell(types=[outcome(shm_open, b"/x", RW), outcome(shm_unlink, b"/x")])
"""
    )
    assert on.mac(snippet) == {
        "mode": 0o666,
        "inherit": False,
        "exclusive": "EEXIST",
        "plain": "ok",
        "unsized_trunc": "ok",
        "missing": "ENOENT",
        "access": "EINVAL",
        "sized_trunc": "EINVAL",
        "unlinked": [16384, "ok", "EINVAL"],
        "gone": "ENOENT",
        "by_reader": "ok",
        "size": 16384,
        "still": 0o400,
        "types": ["TypeError", "TypeError"],
    }


def test_reading_writing_and_seeking_are_refused_on_segments_only(on: Simulated) -> None:
    snippet = (
        SHM
        + """
fd = new(size=9)
def ends(f): return [outcome(os.read, f, 1), outcome(os.write, f, b"x"), outcome(os.pread, f, 1, 0),
                     outcome(os.pwrite, f, b"x", 0), outcome(os.lseek, f, 0, 0)]
plain = os.open("plain", os.O_CREAT | os.O_RDWR)
tell(segment=ends(fd), plain=ends(plain), size=os.fstat(plain).st_size,
     cut=outcome(os.ftruncate, plain, 1), bad=outcome(os.fstat, 99), closed=outcome(os.read, 99, 1))
shm_unlink("/s")
"""
    )
    assert on.mac(snippet) == {
        "segment": ["ENXIO", "ENXIO", "ESPIPE", "ESPIPE", "ESPIPE"],
        "plain": ["ok"] * 5,
        "size": 1,
        "cut": "ok",
        "bad": "EBADF",
        "closed": "EBADF",
    }


def test_there_is_no_dev_shm_for_the_program(on: Simulated) -> None:
    snippet = """
import glob, io, os, pathlib, shutil
shm = pathlib.Path("/dev/shm")
tell(exists=[os.path.exists("/dev/shm"), shm.exists(), shm.is_dir(), os.path.isdir(b"/dev/shm"),
             os.access("/dev/shm", os.R_OK), bool(glob.glob("/dev/shm")),
             "shm" in os.listdir("/dev"), shm in shm.parent.iterdir(),
             "/dev/shm" in glob.glob("/dev/*")],
     ends=[outcome(call, "/dev/shm") for call in (os.listdir, os.scandir, os.stat, os.lstat,
           os.statvfs, os.chdir, shutil.disk_usage)],
     files=[outcome(open, "/dev/shm/x", "w"), outcome(io.open, "/dev//shm/./x"),
            outcome(os.open, "/dev/../dev/shm/x", os.O_RDONLY), outcome(os.mkdir, "/dev/shm/x"),
            outcome((shm / "x").write_text, "x"), outcome(lambda: list(shm.iterdir())),
            outcome(os.listdir, path="/dev/shm"), outcome(os.rename, "f", "/dev/shm/f")],
     others=[os.path.exists("/dev"), os.path.exists("/dev/null"), os.path.exists("/dev/shmx")])
os.chdir("/dev")
tell(relative=os.path.exists("shm"))
"""
    mac, linux = on.mac(snippet), on.linux(snippet.split("tell(exists")[0] + "tell(e=shm.exists())")
    assert mac == {
        "exists": [False] * 9,
        "ends": ["ENOENT"] * 7,
        "files": ["ENOENT"] * 8,
        "others": [True, True, False],
        "relative": False,
    }
    assert linux == {"e": True}


def test_segments_are_private_and_not_under_their_plain_names(sandbox: Sandbox) -> None:
    on = Simulated(sandbox)
    snippet = SHM + "import macfix.simulate; fd = new('/seen'); tell(s=macfix.simulate.segments())"
    assert on.mac(snippet) == {"s": ["/seen"]}
    assert os.stat(on.segments).st_mode & 0o777 == 0o700
    assert not os.path.exists("/dev/shm/seen")
    assert on.mac("import macfix.simulate; tell(p=macfix.simulate.purge())") == {"p": ["/seen"]}


def test_two_processes_agree_without_talking(on: Simulated) -> None:
    program = (
        SHM
        + """
import subprocess, sys
child = '''
import mmap, os
from _posixshmem import shm_open
fd = shm_open("/two", os.O_RDWR)
try: os.ftruncate(fd, 70000); again = "ok"
except OSError: again = "refused"
m = mmap.mmap(fd, 5); m[:5] = b"child"
print(os.fstat(fd).st_size, again)
'''
fd = new("/two", 5)
m = mmap.mmap(fd, 16384)
said = subprocess.check_output([sys.executable, "-c", child], text=True)
tell(child=said.split(), m=m[:5].decode())
shm_unlink("/two")
"""
    )
    assert on.tree(program) == {"child": ["16384", "refused"], "m": "child"}


def test_only_one_of_many_that_size_a_segment_at_once_succeeds(on: Simulated) -> None:
    program = (
        SHM
        + """
fd = new("/race")
start, go = os.pipe()
children = []
for n in range(1, 9):
    pid = os.fork()
    if not pid:
        mine = shm_open("/race", os.O_RDWR); os.read(start, 1)
        try: os.ftruncate(mine, n * 16384)
        except OSError: os._exit(0)
        os._exit(n)
    children.append(pid)
os.write(go, b"12345678")
winners = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
winner = sum(winners)
tell(count=len([n for n in winners if n]), agrees=os.fstat(fd).st_size == winner * 16384)
shm_unlink("/race")
"""
    )
    assert on.tree(program) == {"count": 1, "agrees": True}


def test_shared_memory_and_its_resource_tracker_work(on: Simulated) -> None:
    program = """
from multiprocessing import shared_memory
import subprocess, sys
if __name__ == "__main__":
    m = shared_memory.SharedMemory("tracked", create=True, size=4)
    tell(size=m.size, key=m.name)
    m.buf[:4] = b"data"
    other = shared_memory.SharedMemory("tracked"); tell(data=bytes(other.buf[:4]).decode())
    other.close()
    leaky = '''
from multiprocessing import shared_memory
m = shared_memory.SharedMemory("leaked", create=True, size=4)
'''
    ended = subprocess.run([sys.executable, "-c", leaky], capture_output=True, text=True)
    tell(warned="leaked shared_memory objects" in ended.stderr)
    import macfix.simulate
    tell(left=macfix.simulate.segments())
    m.close(); m.unlink()
    tell(after=macfix.simulate.segments())
"""
    seen = on.tree(program)
    assert seen == {
        "size": 16384,
        "key": "tracked",
        "data": "data",
        "warned": True,
        "left": ["/tracked"],
        "after": [],
    }


def test_a_folder_that_is_open_to_others_is_refused(on: Simulated) -> None:
    on.segments.mkdir(mode=0o755)
    on.segments.chmod(0o755)
    finished = on.finish("import macfix.simulate; macfix.simulate.start('1')")
    assert finished.returncode == 1
    assert "SimulationError" in finished.stderr and "open to others" in finished.stderr
