"""What a segment says about itself: a label in its last bytes.

XNU rounds a segment's length up to a page and tells nobody what was asked for, and a name can
stand for a key that it does not show. So the creator writes both where they are in nobody's way:
at the end of the last page, behind the data. Data starts at offset 0 as ever, so processes that
know of no label read and write it as they always did.

Segments of at most `UNLABELLED` bytes carry none: readers that take all of the page for one
number (upstream's index counters) must find zeros behind it.

Layout, from the end of the segment: `ROOM` bytes, made of two slots of `ROOM / 2` bytes each. A
slot is 16 bytes of magic, the length and the CRC-32 of its text (two little-endian 32-bit words),
and the text, which is JSON. The magic is written last, so a torn slot is no slot. The first slot
tells identity (version, size, key, SHA-256 of the key, mark of this very segment); the second
one holds a note for those who know what is in the segment.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass

from macfix.darwin.segments.names import key_digest

ROOM = 4096
"""Bytes that a label takes at the end of a segment: `ROOM` more are asked of the kernel."""

UNLABELLED = 8
"""Segments of up to this many bytes, which are counters, carry no label."""

_PAGES = (1, 4096, 16384)
"""Up to a multiple of which kernels round a length: Linux not at all."""

_SLOT = ROOM // 2
_HEAD = struct.Struct("<16sII")
_IDENTITY_MAGIC = b"macfix segment\0\1"
_NOTE_MAGIC = b"macfix seg.note\1"
_VERSION = 1
_TYPES = [int, int, str, str, str]  # of the identity: version, size, key, digest, mark
_KEY_SHOWN = 255  # characters of the key that the label repeats; the digest covers all of it


def lengths_of(size: int) -> set[int]:
    """The lengths that kernels give a segment of which *size* bytes were asked for."""
    return {-(-size // page) * page for page in _PAGES}


@dataclass(frozen=True)
class Label:
    """Who a segment is.

    Attributes:
        size: bytes that its creator asked for.
        key: its key, cut off after 255 characters.
        digest: SHA-256 of the whole key, hexadecimal.
        mark: tells this segment from every other that ever had its name.
    """

    size: int
    key: str
    digest: str
    mark: str

    def is_of(self, key: str) -> bool:
        """Say whether this is the label of a segment with the key `key`."""
        return self.digest == key_digest(key)


def length_with_label(size: int) -> int:
    """Return the bytes to ask of the kernel for `size` bytes and, where it gets one, a label."""
    return size if size <= UNLABELLED else size + ROOM


def write_label(whole: memoryview, size: int, key: str, mark: str) -> None:
    """Label the new segment `whole` (all of its bytes), where it gets a label."""
    if size > UNLABELLED:
        identity = [_VERSION, size, key[:_KEY_SHOWN], key_digest(key), mark]
        text = json.dumps(identity, ensure_ascii=False)
        _write_slot(whole, len(whole) - ROOM, _IDENTITY_MAGIC, text)


def read_label(whole: memoryview) -> Label | None:
    """Return the label of the segment `whole` (all of its bytes), or None if it has none.

    Whoever can write to the segment can write anything there: what is no label is none.
    """
    text = _read_slot(whole, len(whole) - ROOM, _IDENTITY_MAGIC)
    try:
        identity = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):  # the latter for a text like "[[[[…"
        return None
    if not isinstance(identity, list) or list(map(type, identity)) != _TYPES:
        return None
    version, size, key, digest, mark = identity
    if version != _VERSION or not UNLABELLED < size <= len(whole) - ROOM:
        return None
    return Label(size, key, digest, mark)


def write_note(whole: memoryview, note: str) -> bool:
    """Leave `note` in the labelled segment `whole`; say whether there was room for it."""
    if len(note.encode()) > _SLOT - _HEAD.size or read_label(whole) is None:
        return False
    _write_slot(whole, len(whole) - _SLOT, _NOTE_MAGIC, note)
    return True


def read_note(whole: memoryview) -> str | None:
    """Return the note in the segment `whole`, or None if there is none."""
    return _read_slot(whole, len(whole) - _SLOT, _NOTE_MAGIC)


def _write_slot(whole: memoryview, start: int, magic: bytes, text: str) -> None:
    data = text.encode()
    body = start + _HEAD.size
    whole[start : start + len(magic)] = bytes(len(magic))
    whole[body : body + len(data)] = data
    head = _HEAD.pack(magic, len(data), zlib.crc32(data))
    whole[start + len(magic) : body] = head[len(magic) :]
    whole[start : start + len(magic)] = magic


def _read_slot(whole: memoryview, start: int, magic: bytes) -> str | None:
    if start < 0 or whole[start : start + len(magic)] != magic:
        return None
    _, length, crc = _HEAD.unpack_from(whole, start)
    if length > _SLOT - _HEAD.size:
        return None
    body = start + _HEAD.size
    data = bytes(whole[body : body + length])
    return data.decode(errors="replace") if zlib.crc32(data) == crc else None
