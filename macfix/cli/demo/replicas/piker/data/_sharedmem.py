"""Arrays in shared memory, with two counters that say which rows are filled."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import _USE_POSIX, SharedMemory
from sys import byteorder
from typing import Any

import numpy as np
import tractor

if _USE_POSIX:
    from _posixshmem import shm_unlink

log = logging.getLogger(__name__)

_known_tokens: dict[str, Any] = {}


def cuckoff_mantracker() -> None:
    """Keep the resource tracker from unlinking what other processes still use."""

    class ManTracker(resource_tracker.ResourceTracker):
        def register(self, name: str, rtype: str) -> None:
            pass

        def unregister(self, name: str, rtype: str) -> None:
            pass

        def ensure_running(self) -> None:
            pass

    resource_tracker._resource_tracker = ManTracker()
    for name in ("register", "unregister", "ensure_running", "getfd"):
        setattr(resource_tracker, name, getattr(resource_tracker._resource_tracker, name))


cuckoff_mantracker()


class SharedInt:
    """A counter that several processes see."""

    def __init__(self, shm: SharedMemory) -> None:
        self._shm = shm

    @property
    def value(self) -> int:
        return int.from_bytes(self._shm.buf, byteorder)

    @value.setter
    def value(self, value: int) -> None:
        self._shm.buf[:] = value.to_bytes(self._shm.size, byteorder)

    def destroy(self) -> None:
        if _USE_POSIX:
            name = self._shm.name
            try:
                shm_unlink(name)
            except FileNotFoundError:
                log.warning("shared memory %s is gone already", name)


@dataclass(frozen=True)
class _Token:
    """What another process needs to attach to an array."""

    shm_name: str
    shm_first_index_name: str
    shm_last_index_name: str
    dtype_descr: tuple[Any, ...]
    size: int

    @property
    def dtype(self) -> Any:
        return np.dtype(list(map(tuple, self.dtype_descr)))

    def as_msg(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_msg(cls, msg: Any) -> _Token:
        if isinstance(msg, _Token):
            return msg
        msg["dtype_descr"] = tuple(map(tuple, msg["dtype_descr"]))
        return _Token(**msg)


def _make_token(key: str, size: int, dtype: Any = None) -> _Token:
    """Return the token of an array that is opened with `key`."""
    return _Token(
        shm_name=key,
        shm_first_index_name=key + "_first",
        shm_last_index_name=key + "_last",
        dtype_descr=tuple(np.dtype(dtype).descr),
        size=size,
    )


class ShmArray:
    """A structured array whose rows from `first` to `last` are filled."""

    def __init__(self, shmarr: Any, first: SharedInt, last: SharedInt, shm: SharedMemory) -> None:
        self._array = shmarr
        self._first = first
        self._last = last
        self._len = len(shmarr)
        self._shm = shm

    @property
    def _token(self) -> _Token:
        return _Token(
            shm_name=self._shm.name,
            shm_first_index_name=self._first._shm.name,
            shm_last_index_name=self._last._shm.name,
            dtype_descr=tuple(self._array.dtype.descr),
            size=self._len,
        )

    @property
    def token(self) -> dict[str, Any]:
        return self._token.as_msg()

    @property
    def array(self) -> Any:
        """The rows that are filled."""
        return self._array[self._first.value : self._last.value]

    def push(
        self,
        data: Any,
        field_map: dict[str, str] | None = None,
        prepend: bool = False,
        update_first: bool = True,
        start: int | None = None,
    ) -> int:
        """Append rows; return the new end."""
        start = self._last.value if start is None else start
        end = start + len(data)
        for name in data.dtype.names:
            self._array[name][start:end] = data[name]
        self._last.value = end
        return end

    def close(self) -> None:
        self._first._shm.close()
        self._last._shm.close()
        self._shm.close()

    def destroy(self) -> None:
        if _USE_POSIX:
            shm_unlink(self._shm.name)
        self._first.destroy()
        self._last.destroy()


def open_shm_array(
    size: int,
    key: str | None = None,
    dtype: Any = None,
    append_start_index: int | None = None,
    readonly: bool = False,
) -> ShmArray:
    """Create an array of `size` rows that is destroyed when this actor ends."""
    a = np.zeros(size, dtype=dtype)
    shm = SharedMemory(name=key, create=True, size=a.nbytes)
    array = np.ndarray(a.shape, dtype=a.dtype, buffer=shm.buf)
    array[:] = a[:]
    array.setflags(write=int(not readonly))
    token = _make_token(key=key, size=size, dtype=dtype)
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


def attach_shm_array(token: Any, readonly: bool = True) -> ShmArray:
    """Attach to an array that another process has opened."""
    token = _Token.from_msg(token)
    key = token.shm_name
    shm = SharedMemory(name=key, create=False)
    shmarr = np.ndarray((token.size,), dtype=token.dtype, buffer=shm.buf)
    shmarr.setflags(write=int(not readonly))
    first = SharedInt(shm=SharedMemory(name=token.shm_first_index_name, create=False, size=4))
    last = SharedInt(shm=SharedMemory(name=token.shm_last_index_name, create=False, size=4))
    sha = ShmArray(shmarr, first, last, shm)
    _known_tokens.setdefault(key, token)
    tractor.current_actor().lifetime_stack.callback(sha.close)
    return sha
