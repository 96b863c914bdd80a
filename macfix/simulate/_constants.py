"""Numbers of Apple's headers and of XNU's sources, in one place: a test holds them to the headers.

Sources, in apple-oss-distributions/xnu unless said otherwise: ``bsd/sys/un.h``,
``bsd/sys/ucred.h``, ``bsd/sys/socket.h``, ``bsd/kern/posix_shm.c``; ``unistd.h`` of the SDK.
"""

from __future__ import annotations

SOL_LOCAL = 0
LOCAL_PEERCRED = 1
LOCAL_PEERPID = 2
LOCAL_PEEREPID = 3

XUCRED_VERSION = 0
XUCRED_SIZE = 76
"""Bytes of ``struct xucred``: version 0, uid 4, ngroups 8 (a short), padding, groups from 12."""
XUCRED_UID_OFFSET = 4
XUCRED_NGROUPS_OFFSET = 8
XUCRED_GROUPS_OFFSET = 12
NGROUPS = 16
"""Entries of ``cr_groups``; the first is the effective gid."""

SUN_PATH_SIZE = 104
"""Bytes of ``sun_path``, the NUL included."""

SOMAXCONN = 128
SCM_CREDS = 3

CS_DARWIN_USER_TEMP_DIR = 65537

PSHMNAMLEN = 31
"""Bytes of a segment's name, slash included, NUL not; 30 on kernels before xnu-4903.270."""
