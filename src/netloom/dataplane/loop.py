"""The data plane's event loop: epoll, timers, signals, and nothing else.

The process waits for sockets and answers from callbacks; importing asyncio for that would double its memory. The
methods are those of an asyncio loop, so that what both sides of the control socket share runs on either.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_TIDY = 200  # cancelled timers that may stand without being looked for
_TROUBLE = select.EPOLLHUP | select.EPOLLERR

_log = logging.getLogger(__name__)


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> None:
        """Do not make it."""
        ...


class EventLoop(Protocol):
    """What channels, sockets and timers need of a loop; asyncio's has it too."""

    def time(self) -> float:
        """Seconds, monotonic."""
        ...

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> Any:
        """Call whenever there is something to read, an error or the end; one callback for each descriptor."""
        ...

    def remove_reader(self, fd: Any) -> Any:
        """The end of it; nothing there is success."""
        ...

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> Any:
        """Call whenever one can write."""
        ...

    def remove_writer(self, fd: Any) -> Any:
        """The end of it; nothing there is success."""
        ...

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Timer:
        """Call after what runs now."""
        ...

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Call in so many seconds."""
        ...


class _Call:
    __slots__ = ("args", "callback", "cancelled")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def run(self) -> None:
        if self.cancelled:
            return
        try:
            self.callback(*self.args)
        except Exception:  # one socket's defect must not end all names
            _log.exception("a callback failed")


class _TimedCall(_Call):
    """Counted when cancelled, so that cancelled ones do not pile up until they are due."""

    __slots__ = ("loop",)

    def __init__(self, loop: Loop, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        super().__init__(callback, args)
        self.loop: Loop | None = loop  # until it is due

    def cancel(self) -> None:
        if self.loop is not None and not self.cancelled:
            self.loop.cancelled += 1
        self.cancelled = True


class Loop:
    """Runs in one thread. A callback's exception is logged and ends nothing."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, _Call] = {}
        self._writers: dict[int, _Call] = {}
        self._timers: list[tuple[float, int, _TimedCall]] = []
        self._count = itertools.count()
        self._soon: deque[_Call] = deque()
        self._stopped = False
        self.cancelled = 0  # timers that stand in the heap for nothing

    def time(self) -> float:
        return time.monotonic()

    def add_reader(self, fd: socket.socket | int, callback: Callable[..., Any], *args: Any) -> None:
        self._set(self._readers, fd, _Call(callback, args))

    def remove_reader(self, fd: socket.socket | int) -> None:
        self._set(self._readers, fd, None)

    def add_writer(self, fd: socket.socket | int, callback: Callable[..., Any], *args: Any) -> None:
        self._set(self._writers, fd, _Call(callback, args))

    def remove_writer(self, fd: socket.socket | int) -> None:
        self._set(self._writers, fd, None)

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Timer:
        call = _Call(callback, args)
        self._soon.append(call)
        return call

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        call = _TimedCall(self, callback, args)
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._count), call))
        return call

    def on_signal(self, *numbers: int, call: Callable[[], None]) -> None:
        """Call when one of these signals arrives. To be used once, from the main thread."""
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write)
        for number in numbers:
            signal.signal(number, _nothing)

        def arrived() -> None:
            os.read(read, 64)
            call()

        self.add_reader(read, arrived)

    def run(self) -> None:
        """Until `stop`; may be called again."""
        self._stopped = False
        while not self._stopped:
            self.step()

    def stop(self) -> None:
        """Return from `run` after this round."""
        self._stopped = True

    def step(self, timeout: float | None = None) -> None:
        """One round: wait for at most `timeout` seconds (None: for ever), then make the calls that are due."""
        # What is ready is settled before the first call: a descriptor that one call closes and another opens again
        # under the same number gets no event of the old one.
        ready: list[_Call] = []
        for fd, events in self._epoll.poll(self._patience(timeout)):
            if events & (_IN | _TROUBLE) and (call := self._readers.get(fd)):
                ready.append(call)
            if events & (_OUT | _TROUBLE) and (call := self._writers.get(fd)):
                ready.append(call)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            ready.append(self._pop())
        ready.extend(self._soon)
        self._soon.clear()
        for call in ready:
            call.run()

    def _patience(self, timeout: float | None) -> float | None:
        if self._soon:
            return 0
        if self.cancelled > _TIDY and self.cancelled * 2 > len(self._timers):
            self._timers = [row for row in self._timers if not row[2].cancelled]
            heapq.heapify(self._timers)
            self.cancelled = 0
        while self._timers and self._timers[0][2].cancelled:
            self._pop()
        if not self._timers:
            return timeout
        left = max(0.0, self._timers[0][0] - time.monotonic())
        return left if timeout is None else min(left, timeout)

    def _pop(self) -> _Call:
        call = heapq.heappop(self._timers)[2]
        call.loop = None
        if call.cancelled:
            self.cancelled -= 1
        return call

    def _set(self, table: dict[int, _Call], sock: socket.socket | int, call: _Call | None) -> None:
        fd = sock if isinstance(sock, int) else sock.fileno()
        before = (_IN if fd in self._readers else 0) | (_OUT if fd in self._writers else 0)
        old = table.pop(fd, None)
        if old is not None:
            old.cancelled = True
        if call is not None:
            table[fd] = call
        after = (_IN if fd in self._readers else 0) | (_OUT if fd in self._writers else 0)
        if after == before:
            return
        if not after:
            self._epoll.unregister(fd)
        elif before:
            self._epoll.modify(fd, after)
        else:
            self._epoll.register(fd, after)


def _nothing(*_: object) -> None:
    """A handler must be there for the wake-up; the pipe tells of the signal."""
