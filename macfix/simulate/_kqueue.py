"""``select.kqueue`` on Linux's epoll: what trio and asyncio wait with on a Mac.

Emulated: readiness to read and write, the exit of a process (``EVFILT_PROC`` with ``NOTE_EXIT``),
one-shot events, ``ENOENT`` for what is not registered (``kevent_register()`` in XNU's
``bsd/kern/kern_event.c``), and that a fork inherits no queue (``fdt_fork()`` in
``kern_descrip.c``). Not emulated: other filters, edge triggering (``EV_CLEAR``), regular files, and
``data`` but of what can be read.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import sys
from _thread import allocate_lock
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import SimpleNamespace
from weakref import WeakSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

READ, WRITE, PROC = -1, -2, -5
ADD, DELETE, ONESHOT, EOF = 0x1, 0x2, 0x10, 0x8000
NOTE_EXIT = 0x80000000

_CONSTANTS = {
    "KQ_FILTER_READ": READ,
    "KQ_FILTER_WRITE": WRITE,
    "KQ_FILTER_PROC": PROC,
    "KQ_EV_ADD": ADD,
    "KQ_EV_DELETE": DELETE,
    "KQ_EV_ENABLE": 0x4,
    "KQ_EV_DISABLE": 0x8,
    "KQ_EV_ONESHOT": ONESHOT,
    "KQ_EV_CLEAR": 0x20,
    "KQ_EV_EOF": EOF,
    "KQ_EV_ERROR": 0x4000,
    "KQ_NOTE_EXIT": NOTE_EXIT,
}
"""``bsd/sys/event.h``."""

_FIONREAD = 0x541B  # asm-generic/ioctls.h
_epoll = select.epoll
_queues: WeakSet[KQueue] = WeakSet()
_ENDED = select.EPOLLHUP | select.EPOLLERR
_WAITS_FOR = {
    READ: select.EPOLLIN | select.EPOLLRDHUP,
    WRITE: select.EPOLLOUT,
    PROC: select.EPOLLIN,
}


def install() -> None:
    """Give ``select`` what it has on a Mac, and take away what it has not."""
    for name, value in _CONSTANTS.items():
        setattr(select, name, value)
    if (loaded := sys.modules.get("selectors")) is not None:
        loaded.select = SimpleNamespace(**vars(select))  # type: ignore[attr-defined]
    for name, made in (("kevent", KEvent), ("kqueue", KQueue)):
        setattr(select, name, made)
    del select.epoll
    os.register_at_fork(after_in_child=_after_fork)


@dataclass(order=True)
class KEvent:
    """``select.kevent``."""

    ident: Any
    filter: int = READ
    flags: int = ADD
    fflags: int = 0
    data: int = 0
    udata: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.ident, int):
            self.ident = self.ident.fileno()


class KQueue:
    """``select.kqueue``."""

    def __init__(self) -> None:
        self._poll = _epoll()
        self._lock = allocate_lock()  # one thread waits while another one registers
        self._events: dict[int, dict[int, KEvent]] = {}
        self._processes: dict[int, int] = {}
        _queues.add(self)

    @property
    def closed(self) -> bool:
        return self._poll.closed

    def fileno(self) -> int:
        return self._poll.fileno()

    def close(self) -> None:
        with self._lock:
            for descriptor in self._processes.values():
                os.close(descriptor)
            self._processes.clear()
            self._poll.close()

    def control(
        self,
        changelist: Iterable[KEvent] | None,
        max_events: int,
        timeout: float | None = None,
        /,
    ) -> list[KEvent]:
        """Register what *changelist* says, and wait for at most *max_events* events."""
        if max_events < 0:
            raise ValueError(f"Length of eventlist must be 0 or positive, got {max_events}")
        for change in changelist or ():
            with self._lock:
                self._change(change)
        if not max_events:
            return []
        ready = self._poll.poll(-1 if timeout is None else timeout, max_events)
        with self._lock:
            happened = (event for one in ready for event in self._happened(*one))
            return list(islice(happened, max_events))

    def _change(self, change: KEvent) -> None:
        descriptor = change.ident
        if change.filter == PROC:
            descriptor = self._processes.get(change.ident, -1)
            if change.flags & ADD and descriptor < 0:
                descriptor = self._processes[change.ident] = os.pidfd_open(change.ident)
        elif change.filter not in (READ, WRITE):
            raise OSError(errno.EINVAL, f"simulation: kqueue filter {change.filter}")
        events = self._events.get(descriptor, {})
        if change.flags & ADD:
            self._wait_for(descriptor, {**events, change.filter: change})
        elif change.flags & DELETE:
            if change.filter not in events:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._forget(descriptor, change)

    def _wait_for(self, descriptor: int, events: dict[int, KEvent]) -> None:
        """Have epoll wait for just *events* of *descriptor*, which may be another file by now."""
        # what is closed while a copy of it lives keeps epoll busy, unless it reports but once
        mask = select.EPOLLONESHOT if all(one.flags & ONESHOT for one in events.values()) else 0
        for which in events:
            mask |= _WAITS_FOR[which]
        try:
            if descriptor in self._events:
                self._poll.modify(descriptor, mask)
            else:
                self._poll.register(descriptor, mask)
        except FileExistsError:
            self._poll.modify(descriptor, mask)
        except FileNotFoundError:  # closed since, and its number was given to another one
            self._events.pop(descriptor, None)
            self._poll.register(descriptor, mask)
        self._events[descriptor] = events

    def _forget(self, descriptor: int, event: KEvent) -> None:
        events = {key: one for key, one in self._events[descriptor].items() if key != event.filter}
        if event.filter == PROC:
            del self._events[descriptor], self._processes[event.ident]
            os.close(descriptor)
        elif events:
            self._wait_for(descriptor, events)
        else:
            del self._events[descriptor]
            try:
                self._poll.unregister(descriptor)
            except OSError as error:  # it was closed, which takes it from the queue
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error

    def _happened(self, descriptor: int, mask: int) -> Iterator[KEvent]:
        for which, asked in tuple(self._events.get(descriptor, {}).items()):
            if mask & (_WAITS_FOR[which] | _ENDED):
                ended = EOF if mask & (_ENDED | select.EPOLLRDHUP) else 0
                flags = (asked.flags & ~DELETE) | ended
                note = NOTE_EXIT if which == PROC else 0
                if asked.flags & ONESHOT or which == PROC:
                    with suppress(OSError):  # it was closed
                        self._forget(descriptor, asked)
                data = _readable(descriptor) if which == READ else 0
                yield KEvent(asked.ident, which, flags, note, data, asked.udata)


def _readable(descriptor: int) -> int:
    """How many bytes can be read; 0 where there is no such number, as of a listening socket."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, _FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def _after_fork() -> None:
    for queue in tuple(_queues):
        queue._lock = allocate_lock()
        queue.close()
