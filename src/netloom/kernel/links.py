"""Deleting links off the hot road.

RTM_DELLINK returns after a grace period of some 20 ms, and one after another; the link is unlisted, its name and
index free, within half a millisecond. So threads wait for the calls, and the caller hears of it at the kernel's
notification, or at the call's return where that is seen first.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import TypeAlias

from netloom.kernel import lending, namespace
from netloom.kernel.namespace import Openable
from netloom.kernel.socket import ROUTE, NetlinkSocket
from netloom.model.errors import KernelError
from netloom.netlink import address, link
from netloom.netlink.message import Verdict, replies

_GROUP_LINK, _GROUP_IPV4 = 0x1, 0x10  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR
_SO_ATTACH_FILTER, _RCVBUFFORCE = 26, 33
_THREADS = 32
_GROUPS = 0x4E000000  # interface groups that nobody else uses: netloom's "N"

# Classic BPF: keep RTM_DELLINK and RTM_DELADDR, by the type in the header (two octets at 4, read big-endian).
_FILTER = struct.pack(
    "=" + "HBBI" * 5,
    *(0x28, 0, 0, 4),  # ldh [4]
    *(0x15, 1, 0, socket.htons(link.DELLINK)),  # jeq DELLINK, keep
    *(0x15, 0, 1, socket.htons(address.DELADDR)),  # jeq DELADDR, keep, drop
    *(0x06, 0, 0, 0x40000),  # keep
    *(0x06, 0, 0, 0),  # drop
)


_Job: TypeAlias = tuple[int, asyncio.Future[None]]


class Deleter:
    """Deletes links of the namespace in which it is made. Made, used and closed on one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way: set[asyncio.Future[None]] = set()  # deletions inside sandboxes
        self._idle = 0
        self._lock = threading.Lock()
        self._groups = count(_GROUPS)
        self._monitor = _monitor()
        self._loop.add_reader(self._monitor.fileno(), self._read)

    async def delete(self, index: int) -> None:
        """Returns when the link is unlisted, its veth peer with it. Already gone is success. Raises KernelError."""
        future = self._waiting.get(index)
        if future is None or future.done():
            future = self._waiting[index] = self._loop.create_future()
            self._start_thread()
            self._queue.put((index, future))
        await asyncio.shield(future)

    async def delete_inside(self, index: int, within: Openable, sandbox: str) -> None:
        """Delete a link of another namespace; returns when it is unlisted. What was lent goes home instead.

        A namespace that has gone took it along. Raises KernelError.
        """
        try:
            fd = within.open()
        except ProcessLookupError:
            return
        unlisted = self._loop.create_future()
        work = asyncio.ensure_future(asyncio.to_thread(namespace.in_thread, partial(self._inside, index, fd, unlisted)))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        await asyncio.wait([work, unlisted], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()

    def _inside(self, index: int, fd: int, unlisted: asyncio.Future[None]) -> None:
        """For a thread that ends soon: it stays in the namespace. The loop hears what happens there meanwhile."""
        home = namespace.open_own()
        try:
            namespace.setns(fd)
            with NetlinkSocket(ROUTE, large=False) as inside:
                body = inside.get(link.get(index=index))
                if body is None:
                    return
                if (one := link.parse(body)).group == link.LENT:
                    lending.give_back(inside, one, home)
                    return
                with _monitor() as monitor:
                    self._on_loop(self._loop.add_reader, monitor.fileno(), _heard, monitor, index, unlisted)
                    try:
                        failures = _failures([index], inside.request([link.delete(index)]))
                    finally:
                        self._on_loop(self._loop.remove_reader, monitor.fileno())
                for failure in failures.values():
                    raise failure
        finally:
            os.close(home)
            os.close(fd)

    def _on_loop(self, call: Callable[..., object], *args: object) -> None:
        """Also wait for it: a descriptor must not be closed that the loop still reads."""
        done = threading.Event()

        def run() -> None:
            call(*args)
            done.set()

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:
            return  # the loop has ended; nobody waits
        done.wait()

    async def close(self) -> None:
        """Let the deletions that were asked for end, then the threads. Twice is once."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        for _ in self._threads:
            self._queue.put(None)
        threads, self._threads = self._threads, []
        for thread in threads:
            await asyncio.to_thread(thread.join)
        if self._monitor.fileno() >= 0:
            self._loop.remove_reader(self._monitor.fileno())
            self._monitor.close()

    def _start_thread(self) -> None:
        """One more while all are waiting for their calls: the kernel serves those together."""
        with self._lock:
            enough = self._idle > self._queue.qsize()
        if not enough and len(self._threads) < _THREADS:
            thread = threading.Thread(target=self._run, name="links", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _read(self) -> None:
        """Notifications; a lost one (ENOBUFS) is made up for by the return of its call."""
        while True:
            try:
                data = self._monitor.recv(65536)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue
                raise
            for reply in replies(data):
                if reply.type == link.DELLINK:
                    family, index = link.family_and_index(reply.body)
                    if family != 0:
                        continue  # AF_BRIDGE: a port has left its bridge, the link itself is still there
                else:
                    # A bridge's last address goes when the bridge is unlisted, and is told earlier.
                    index = address.index_of(reply.body)
                future = self._waiting.get(index)
                if future is not None and not future.done():
                    future.set_result(None)

    def _run(self) -> None:
        with NetlinkSocket(ROUTE, large=False) as netlink:
            while True:
                with self._lock:
                    self._idle += 1
                first = self._queue.get()
                with self._lock:
                    self._idle -= 1
                if first is None:
                    return
                jobs, last = self._gather(first)
                self._report(jobs, _delete(netlink, [index for index, _ in jobs], self._groups))
                if last:
                    return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        """Whatever is queued by now goes in one call. True: the end was among it."""
        jobs = [first]
        while True:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                return jobs, False
            if more is None:
                return jobs, True
            jobs.append(more)

    def _report(self, jobs: list[_Job], failures: dict[int, KernelError]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle, jobs, failures)
        except RuntimeError:
            return  # the loop has ended; nobody waits

    def _settle(self, jobs: list[_Job], failures: dict[int, KernelError]) -> None:
        for index, future in jobs:
            if self._waiting.get(index) is future:
                del self._waiting[index]
            if future.done():
                continue
            error = failures.get(index)
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # read, or a caller that was cancelled leaves a warning behind


def _delete(netlink: NetlinkSocket, indices: list[int], groups: Iterator[int]) -> dict[int, KernelError]:
    """Failures by index; several links in one call, by a group of their own."""
    try:
        if len(indices) == 1:
            return _failures(indices, netlink.request([link.delete(indices[0])]))
        group = next(groups)
        failed = _failures(indices, netlink.request([link.change(i, group=group) for i in indices]))
        whole = _failures([0], netlink.request([link.delete_group(group)]))  # an empty group: all were gone
        return dict.fromkeys(indices, whole[0]) if whole else failed
    except KernelError as error:
        return dict.fromkeys(indices, error)


def _heard(monitor: socket.socket, index: int, unlisted: asyncio.Future[None]) -> None:
    """A notification from inside; a lost one is made up for by the return of its call."""
    try:
        data = monitor.recv(65536)
    except OSError:
        return
    for reply in replies(data):
        gone = reply.type == link.DELLINK and link.family_and_index(reply.body) == (0, index)
        if gone and not unlisted.done():
            unlisted.set_result(None)


def _failures(indices: list[int], verdicts: dict[int, Verdict]) -> dict[int, KernelError]:
    return {
        indices[place]: KernelError(v.errno, f"del link {indices[place]}", detail=v.text)
        for place, v in verdicts.items()
        if v.errno not in (errno.ENODEV, errno.ESRCH)
    }


def _monitor() -> socket.socket:
    monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, ROUTE)
    try:
        program = ctypes.create_string_buffer(_FILTER)
        monitor.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 5, ctypes.addressof(program)))
        monitor.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 8 << 20)
        monitor.bind((0, _GROUP_LINK | _GROUP_IPV4))
    except BaseException:
        monitor.close()
        raise
    return monitor
