"""Arrays and lists in shared memory, with tractor's own idea of short names."""

from __future__ import annotations

import hashlib
import platform
from _posixshmem import shm_unlink
from dataclasses import asdict, dataclass
from multiprocessing.shared_memory import ShareableList
from sys import byteorder
from typing import Any

import numpy as np

import tractor
from tractor.ipc._mp_bs import disable_mantracker

_USE_POSIX = True

SharedMemory = disable_mantracker()

_known_tokens: dict[str, Any] = {}


class SharedInt:
    """A counter that several processes see."""

    def __init__(self, shm: Any) -> None:
        self._shm = shm

    @property
    def value(self) -> int:
        return int.from_bytes(self._shm.buf, byteorder)

    @value.setter
    def value(self, value: int) -> None:
        self._shm.buf[:] = value.to_bytes(self._shm.size, byteorder)

    def destroy(self) -> None:
        try:
            shm_unlink(self._shm.name)
        except FileNotFoundError:
            return


@dataclass(frozen=True, eq=False)
class NDToken:
    """What another process needs to attach to an array."""

    shm_name: str
    shm_first_index_name: str
    shm_last_index_name: str
    dtype_descr: tuple[Any, ...]
    size: int
    key: str | None = None

    @property
    def dtype(self) -> Any:
        return np.dtype(list(map(tuple, self.dtype_descr)))

    def as_msg(self) -> dict[str, Any]:
        return asdict(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NDToken) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[Any, ...]:
        names = (self.shm_name, self.shm_first_index_name, self.shm_last_index_name)
        return (*names, self.dtype_descr, self.size)

    @classmethod
    def from_msg(cls, msg: Any) -> NDToken:
        if isinstance(msg, NDToken):
            return msg
        msg["dtype_descr"] = tuple(map(tuple, msg["dtype_descr"]))
        return NDToken(**msg)


def get_shm_token(key: str) -> NDToken | None:
    """Return the token of `key`, if this process knows it."""
    return _known_tokens.get(key)


def _shorten_key_for_macos(key: str, prefix: str = "", suffix: str = "") -> str:
    """Return a name of at most 31 characters; short keys stay, and lose their suffix."""
    limit: int = 31
    if len(key) <= limit:
        return key
    room = limit - 1 - len(prefix) - len(suffix)
    return prefix + hashlib.sha256(key.encode()).hexdigest()[:room] + suffix


def _make_token(key: str, size: int, dtype: Any) -> NDToken:
    """Return the token of an array that is opened with `key`."""
    if platform.system() == "Darwin":
        name = _shorten_key_for_macos(key=key)
        first = _shorten_key_for_macos(key=key, suffix="_first")
        last = _shorten_key_for_macos(key=key, suffix="_last")
    else:
        name, first, last = key, key + "_first", key + "_last"
    descr = tuple(np.dtype(dtype).descr)
    return NDToken(name, first, last, dtype_descr=descr, size=size, key=key)


class ShmArray:
    """A structured array whose rows from `first` to `last` are filled."""

    def __init__(self, shmarr: Any, first: SharedInt, last: SharedInt, shm: Any) -> None:
        self._array = shmarr
        self._first = first
        self._last = last
        self._len = len(shmarr)
        self._shm = shm

    @property
    def _token(self) -> NDToken:
        return NDToken(
            shm_name=self._shm.name,
            shm_first_index_name=self._first._shm.name,
            shm_last_index_name=self._last._shm.name,
            dtype_descr=tuple(self._array.dtype.descr),
            size=self._len,
        )

    @property
    def token(self) -> dict[str, Any]:
        return self._token.as_msg()

    def close(self) -> None:
        for shm in (self._first._shm, self._last._shm, self._shm):
            shm.close()

    def destroy(self) -> None:
        try:
            shm_unlink(self._shm.name)
        except FileNotFoundError:
            print("gone already")
        self._first.destroy()
        self._last.destroy()


def open_shm_ndarray(
    size: int,
    key: str | None = None,
    dtype: Any = None,
    append_start_index: int | None = None,
    readonly: bool = False,
) -> ShmArray:
    """Create an array of `size` rows that is destroyed when this actor ends."""
    a = np.zeros(size, dtype=dtype)
    token = _make_token(key=key, size=size, dtype=dtype)
    shm = SharedMemory(name=token.shm_name, create=True, size=a.nbytes)
    array = np.ndarray(a.shape, dtype=a.dtype, buffer=shm.buf)
    array.setflags(write=int(not readonly))
    first = SharedInt(shm=SharedMemory(name=token.shm_first_index_name, create=True, size=4))
    last = SharedInt(shm=SharedMemory(name=token.shm_last_index_name, create=True, size=4))
    last.value = first.value = append_start_index or 0
    shmarr = ShmArray(array, first, last, shm)
    assert shmarr._token == token
    _known_tokens[key] = shmarr.token
    stack = tractor.current_actor().lifetime_stack
    stack.callback(shmarr.close)
    stack.callback(shmarr.destroy)
    return shmarr


def attach_shm_ndarray(token: Any, readonly: bool = True) -> ShmArray:
    """Attach to an array that another process has opened."""
    token = NDToken.from_msg(token)
    shm = SharedMemory(name=token.shm_name, create=False)
    shmarr = np.ndarray((token.size,), dtype=token.dtype, buffer=shm.buf)
    shmarr.setflags(write=int(not readonly))
    first = SharedInt(shm=SharedMemory(name=token.shm_first_index_name, create=False, size=4))
    last = SharedInt(shm=SharedMemory(name=token.shm_last_index_name, create=False, size=4))
    sha = ShmArray(shmarr, first, last, shm)
    _known_tokens.setdefault(token.key or token.shm_name, token)
    tractor.current_actor().lifetime_stack.callback(sha.close)
    return sha


def maybe_open_shm_ndarray(
    key: str,
    size: int,
    dtype: Any = None,
    append_start_index: int = 0,
    readonly: bool = True,
) -> tuple[ShmArray, bool]:
    """Attach to the array `key` or else open it, and say which."""
    try:
        return attach_shm_ndarray(token=_known_tokens[key], readonly=readonly), False
    except KeyError:
        if dtype:
            token = _make_token(key, size=size, dtype=dtype)
        else:
            return attach_shm_ndarray(token=token, readonly=readonly), False
        opened = open_shm_ndarray(
            key=key,
            size=size,
            dtype=dtype,
            append_start_index=append_start_index,
            readonly=readonly,
        )
        return opened, True


class ShmList(ShareableList):
    """A list in shared memory that knows its key."""

    def __init__(
        self, sequence: list[Any] | None = None, *, name: str | None = None, readonly: bool = True
    ) -> None:
        self._readonly = readonly
        self._key = name
        return super().__init__(sequence=sequence, name=name)

    @property
    def key(self) -> str | None:
        return self._key


def open_shm_list(
    key: str,
    sequence: list[Any] | None = None,
    size: int = int(2**10),  # noqa: RUF046  (as upstream writes it)
    dtype: Any = float,
    readonly: bool = True,
    prefix: str = "shml_",
) -> ShmList:
    """Create a list."""
    if platform.system() == "Darwin":
        key = _shorten_key_for_macos(key=key, prefix=prefix)
    return ShmList(sequence or [0.0] * size, name=key, readonly=readonly)


def attach_shm_list(key: str, readonly: bool = False) -> ShmList:
    """Attach to a list that another process has created."""
    return ShmList(name=key, readonly=readonly)
