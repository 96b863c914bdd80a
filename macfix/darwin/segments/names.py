"""Names for POSIX shared memory that fit into what XNU has room for.

XNU keeps a segment's name in `PSHMNAMLEN` = 31 bytes (`bsd/kern/posix_shm.c`,
`bsd/sys/posix_shm.h`). Kernels since macOS 10.14.6 take 31 bytes and a NUL, older ones count the
NUL, so 30 bytes, leading slash included, fit everywhere.

A key that fits is its own name. Any other key becomes

    <beginning of the key>~<13 characters of base 32>

where the digits are 65 bits of the SHA-256 of the whole key: the same in every process and on
every machine, and different for different keys as far as anyone will ever see. Whether two keys
did meet in one name is nevertheless checked where segments are opened (`shared_memory`). What is
not printable ASCII in the beginning becomes `_`: the tools that show such names (`lsof`) and the
standard library's resource tracker know nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import re

KERNEL_NAME_LIMIT = 30
"""Bytes that a segment's name may have on every XNU, the leading slash included, the NUL not."""

_KEY_LIMIT = KERNEL_NAME_LIMIT - 1
_MARK = "~"
_DIGITS = 13
_PREFIX_LIMIT = _KEY_LIMIT - len(_MARK) - _DIGITS
_PLAIN = frozenset(map(chr, range(0x21, 0x7F))) - {":"}
_MADE_HERE = re.compile(rf"{_MARK}[a-z2-7]{{{_DIGITS}}}\Z")


class InvalidKeyError(ValueError):
    """A key that cannot name a shared memory segment, on any system."""


def kernel_name(key: str) -> str:
    """Return the name, leading slash included, under which the kernel knows the segment `key`.

    It has at most `KERNEL_NAME_LIMIT` bytes, and is `"/" + key` where that fits. The one
    exception is a key that looks like a name made here for a longer key: it is mapped as if it
    did not fit, and so can never be taken for that longer key.

    Raises `TypeError` when `key` is not text; `InvalidKeyError` when it is empty, has a slash or a
    NUL, or is not UTF-8 text (a lone surrogate).
    """
    size = len(_checked(key))
    looks_made_here = size == _KEY_LIMIT and _MADE_HERE.search(key)
    if size <= _KEY_LIMIT and not looks_made_here:
        return "/" + key
    prefix = "".join(char if char in _PLAIN else "_" for char in key[:_PREFIX_LIMIT])
    return f"/{prefix}{_MARK}{_digits(key)}"


def is_shortened(key: str) -> bool:
    """Say whether the kernel knows the segment `key` under another name than `key`."""
    return kernel_name(key) != "/" + key


def key_digest(key: str) -> str:
    """Return the SHA-256 of `key` as 64 hexadecimal digits: tells keys apart that share a name."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checked(key: str) -> bytes:
    if not isinstance(key, str):
        raise TypeError(f"the key of a shared memory segment is text, not {key!r}")
    if not key:
        raise InvalidKeyError("the key of a shared memory segment is empty; give it a name")
    for char, called in (("/", "a slash"), ("\0", "a NUL character")):
        if char in key:
            raise InvalidKeyError(
                f"the key {key!r} of a shared memory segment has {called} at position "
                f"{key.index(char)}; no system takes that: replace it"
            )
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise InvalidKeyError(
            f"the key {key!r} of a shared memory segment has a lone surrogate at position "
            f"{error.start}, which no name can hold: replace it"
        ) from None


def _digits(key: str) -> str:
    digest = hashlib.sha256(key.encode()).digest()
    return base64.b32encode(digest)[:_DIGITS].decode().lower()
