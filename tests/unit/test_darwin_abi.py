"""Every number of Apple's that macfix uses, against Apple's own headers, for both kinds of Mac.

`ziglang` (a test dependency) ships those headers and a C compiler that targets macOS from anywhere.
Nothing is run: `_Static_assert` decides while compiling. The numbers come from macfix's modules,
so there is one place where each is written.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from macfix.darwin import facts, limits
from macfix.darwin.segments import names as segment_names
from macfix.darwin.segments import processes
from macfix.darwin.sockets import credentials
from macfix.darwin.sockets import names as socket_names
from macfix.simulate import Spec, _constants, _sockets, _spec

needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None,
    reason="needs ziglang, which has Apple's headers: pip install ziglang",
)

TARGETS = ("aarch64-macos", "x86_64-macos")

HEADERS = """
#include <stddef.h>
#include <sys/types.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/ucred.h>
#include <sys/sysctl.h>
#include <sys/syslimits.h>
#include <sys/proc.h>
#include <sys/proc_info.h>
#include <libproc.h>
#include <sys/mman.h>
#include <errno.h>
#include <unistd.h>
"""


@dataclass(frozen=True)
class Claim:
    """That a C expression has the value of a Python constant."""

    expression: str
    value: int
    name: str

    def as_c(self, off_by: int = 0) -> str:
        says = f"{self.name} is {self.value + off_by}"
        return f'_Static_assert(({self.expression}) == {self.value + off_by}, "{says}");'


def claims() -> list[Claim]:
    """Return all claims, the same number once for each module that uses it."""
    claimed = [
        *(
            Claim(name, getattr(module, name), f"{module.__name__}.{name}")
            for module in (credentials, _constants)
            for name in ("SOL_LOCAL", "LOCAL_PEERCRED", "LOCAL_PEERPID", "LOCAL_PEEREPID")
        ),
        *(
            Claim(expression, getattr(module, name), f"{module.__name__}.{name}")
            for module in (credentials, _constants)
            for name, expression in {
                "XUCRED_VERSION": "XUCRED_VERSION",
                "XUCRED_SIZE": "sizeof(struct xucred)",
                "NGROUPS": "sizeof(((struct xucred *)0)->cr_groups) / sizeof(gid_t)",
            }.items()
        ),
        *(
            Claim(f"offsetof(struct xucred, {field})", offset, f"XUCRED_OFFSETS[{field!r}]")
            for field, offset in credentials.XUCRED_OFFSETS.items()
        ),
        Claim("offsetof(struct xucred, cr_uid)", _constants.XUCRED_UID_OFFSET, "simulated uid"),
        Claim(
            "offsetof(struct xucred, cr_ngroups)",
            _constants.XUCRED_NGROUPS_OFFSET,
            "simulated ngroups",
        ),
        Claim(
            "offsetof(struct xucred, cr_groups)",
            _constants.XUCRED_GROUPS_OFFSET,
            "simulated groups",
        ),
        Claim("sizeof(pid_t)", credentials.PID_SIZE, "credentials.PID_SIZE"),
        Claim("SOMAXCONN", _constants.SOMAXCONN, "simulated SOMAXCONN"),
        Claim("SCM_CREDS", _constants.SCM_CREDS, "simulated SCM_CREDS"),
        Claim("_CS_DARWIN_USER_TEMP_DIR", _constants.CS_DARWIN_USER_TEMP_DIR, "simulated confstr"),
        Claim("_CS_DARWIN_USER_TEMP_DIR", facts.CS_DARWIN_USER_TEMP_DIR, "the confstr in facts"),
        Claim("LOCAL_PEEREUUID", facts.LOCAL_PEEREUUID, "facts.LOCAL_PEEREUUID"),
        Claim("OPEN_MAX", limits.OPEN_MAX, "limits.OPEN_MAX"),
        Claim("NOFILE", Spec().files, "Spec.files"),
    ]
    kinfo = "offsetof(struct kinfo_proc, kp_proc.{})"
    claimed += [
        *(
            Claim(name, getattr(processes, name), f"processes.{name}")
            for name in (
                *("CTL_KERN", "KERN_PROC", "KERN_PROC_ALL", "KERN_PROC_PID", "KERN_PROCARGS2"),
                "SZOMB",
            )
        ),
        Claim("sizeof(struct kinfo_proc)", processes.KINFO.size, "processes.KINFO"),
        Claim(kinfo.format("p_un.__p_starttime.tv_sec"), 0, "the seconds in processes.KINFO"),
        Claim(kinfo.format("p_un.__p_starttime.tv_usec"), 8, "the microseconds in KINFO"),
        Claim(kinfo.format("p_stat"), 36, "the status in processes.KINFO"),
        Claim(kinfo.format("p_pid"), 40, "the pid in processes.KINFO"),
    ]
    size = "sizeof(((struct sockaddr_un *)0)->sun_path)"
    claimed.append(Claim(size, socket_names.SUN_PATH_LIMIT, "socket_names.SUN_PATH_LIMIT"))
    claimed.append(Claim(size, _constants.SUN_PATH_SIZE, "simulated SUN_PATH_SIZE"))
    return claimed


FIELDS = """
_Static_assert(sizeof(((struct xucred *)0)->cr_version) == 4, "cr_version is I");
_Static_assert(sizeof(((struct xucred *)0)->cr_uid) == 4, "cr_uid is I");
_Static_assert(sizeof(((struct xucred *)0)->cr_ngroups) == 2, "cr_ngroups is h");
_Static_assert((short)-1 < 0 && (gid_t)-1 > 0 && (uid_t)-1 > 0 && (pid_t)-1 < 0, "signs");
_Static_assert(__builtin_types_compatible_p(__typeof__(sysctlbyname),
    int(const char *, void *, size_t *, void *, size_t)), "sysctlbyname as ctypes calls it");
_Static_assert(__builtin_types_compatible_p(__typeof__(sysctl),
    int(int *, unsigned, void *, size_t *, void *, size_t)), "sysctl as ctypes calls it");
_Static_assert(sizeof(((struct kinfo_proc *)0)->kp_proc.p_stat) == 1, "the status is b");
_Static_assert(sizeof(((struct kinfo_proc *)0)->kp_proc.p_pid) == 4, "the pid is i");
_Static_assert(sizeof(((struct timeval *)0)->tv_sec) == 8, "seconds are q");
_Static_assert(sizeof(((struct timeval *)0)->tv_usec) == 4, "microseconds are i");
_Static_assert(__builtin_types_compatible_p(__typeof__(shm_open), int(const char *, int, ...)),
    "shm_open");
_Static_assert(ENAMETOOLONG != EINVAL && EPROTOTYPE != ENOTCONN && ENOTSOCK != ECONNREFUSED, "");
"""


def lacking() -> str:
    """Return C that fails if Apple's headers have a name that the simulation takes away."""
    return "\n".join(
        f'#ifdef {name}\n_Static_assert(0, "{name} is there");\n#endif' for name in _sockets.LACKING
    )


def compile_for(target: str, source: str, folder: Path) -> list[str]:
    """Compile `source` for `target`; return the failed assertions, none if it compiles.

    Raises AssertionError if the compiler had anything else to say.
    """
    file = folder / "abi.c"
    file.write_text(HEADERS + source)
    command = ["-m", "ziglang", "cc", "-target", target, "-ferror-limit=0", "-c", "-o", "abi.o"]
    environment = os.environ | {
        "ZIG_GLOBAL_CACHE_DIR": str(folder),
        "ZIG_LOCAL_CACHE_DIR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, *command, file.name],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
    )
    failed = re.findall(r"error: static assertion failed[^:\n]*: (.*)", done.stderr)
    assert bool(failed) == bool(done.returncode), done.stderr
    return failed


@needs_zig
@pytest.mark.parametrize("target", TARGETS)
def test_every_number_is_apples(target: str, tmp_path: Path) -> None:
    source = "\n".join([*(claim.as_c() for claim in claims()), FIELDS, lacking()])
    assert compile_for(target, source, tmp_path) == []


@needs_zig
@pytest.mark.parametrize("target", TARGETS)
def test_every_wrong_number_is_found(target: str, tmp_path: Path) -> None:
    source = "\n".join(claim.as_c(off_by=1) for claim in claims())
    assert len(compile_for(target, source, tmp_path)) == len(claims())


def test_names_of_segments_fit_the_oldest_kernel_that_is_simulated() -> None:
    # PSHMNAMLEN stands in a private header, so this is held to the sources by hand: bsd/sys/
    # posix_shm.h, and what shm_open in bsd/kern/posix_shm.c compares it with.
    assert _spec.NAMES == (_constants.PSHMNAMLEN - 1, _constants.PSHMNAMLEN) == (30, 31)
    assert min(_spec.NAMES) == segment_names.KERNEL_NAME_LIMIT
