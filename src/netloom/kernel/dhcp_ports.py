"""Packet sockets inside sandboxes by which DHCP is spoken before there is an address.

One is open for a conversation and no longer: while it is, the kernel shows it every frame of the interface. What is
no answer to the conversation is left out by a filter in the kernel. Opening and closing take threads: a closing
packet socket waits some 10 ms for a grace period.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor

from netloom.dhcp.frame import ArpSeen, Datagram, parse
from netloom.dhcp.message import Malformed
from netloom.kernel import namespace, packet_filter
from netloom.kernel.namespace import Openable
from netloom.kernel.packet_filter import Instruction

_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_AUXDATA, _PACKET_OUTGOING = 263, 8, 4  # linux/if_packet.h
_SUM_TO_COME = 1 << 3  # TP_STATUS_CSUMNOTREADY: from a neighbour on this machine, who leaves the sum to a device
_FRAME = 2048
_THREADS = 4
_AT_ONCE = 16  # frames that are read before others have their turn
_KEPT = 64  # frames; what comes beyond is lost, as on any link


def _filter(xid: int) -> list[Instruction]:
    """Classic BPF: ARP, and datagrams to port 68 that answer this conversation."""
    return [
        (0x28, 0, 0, 12),  # ldh the frame's type
        (0x15, 10, 0, 0x0806),  # ARP: keep
        (0x15, 0, 10, 0x0800),  # IPv4, else drop
        (0x30, 0, 0, 23),  # ldb protocol
        (0x15, 0, 8, 17),  # UDP, else drop
        (0x28, 0, 0, 20),  # ldh fragment
        (0x45, 6, 0, 0x1FFF),  # an offset: drop
        (0xB1, 0, 0, 14),  # ldx the header's size
        (0x48, 0, 0, 16),  # ldh the port
        (0x15, 0, 3, 68),  # else drop
        (0x40, 0, 0, 26),  # ld xid
        (0x15, 0, 1, xid),  # else drop
        (0x06, 0, 0, 0x40000),  # keep
        (0x06, 0, 0, 0),  # drop
    ]


class DhcpPorts:
    """Implements engine.dhcp_ports.DhcpPorts. Its threads are its own: whoever else has work for one does not wait."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "dhcp")

    def close(self) -> None:
        """No more is opened."""
        self._threads.shutdown(wait=False)

    async def open(self, within: Openable, index: int, xid: int) -> DhcpPort:
        """Raises ProcessLookupError when the sandbox has ended, OSError when the interface is not there."""
        fd = within.open()
        try:
            loop = asyncio.get_running_loop()
            opened = await loop.run_in_executor(self._threads, namespace.in_thread, lambda: _open(fd, index, xid))
        finally:
            os.close(fd)
        return DhcpPort(opened, self._threads)


class DhcpPort:
    """Implements engine.dhcp_ports.DhcpPort."""

    def __init__(self, opened: socket.socket, threads: Executor) -> None:
        self._socket = opened
        self._threads = threads
        self.mac: bytes = opened.getsockname()[4]
        self._loop = asyncio.get_running_loop()
        self._seen: deque[Datagram | ArpSeen] = deque(maxlen=_KEPT)
        self._waiter: asyncio.Future[None] | None = None
        self._loop.add_reader(opened.fileno(), self._read)

    def send(self, frame: bytes) -> None:
        """One that the link does not take is lost, as any frame may be."""
        try:
            self._socket.send(frame)
        except OSError:
            return

    async def receive(self, timeout: float) -> Datagram | ArpSeen | None:
        """The next frame; None when there was none in time."""
        if not self._seen:
            self._waiter = self._loop.create_future()
            try:
                await asyncio.wait_for(self._waiter, timeout)
            except TimeoutError:
                return None
            finally:
                self._waiter = None
        return self._seen.popleft()

    async def close(self) -> None:
        """Twice is once."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            await asyncio.shield(self._loop.run_in_executor(self._threads, self._socket.close))

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                frame, extra, _, sender = self._socket.recvmsg(_FRAME, 64)
            except BlockingIOError:
                break
            except OSError:  # the link went down; it may come back
                break
            if sender[2] == _PACKET_OUTGOING:
                continue
            try:
                seen = parse(frame, summed=not _to_come(extra))
            except Malformed:
                continue
            if seen is not None:
                self._seen.append(seen)
        if self._seen and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _open(fd: int, index: int, xid: int) -> socket.socket:
    namespace.setns(fd)
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        packet_filter.attach(opened, _filter(xid))
        opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        opened.bind((socket.if_indextoname(index), _ETH_P_ALL))
    except BaseException:
        opened.close()
        raise
    return opened


def _to_come(extra: list[tuple[int, int, bytes]]) -> bool:
    for level, kind, data in extra:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA) and len(data) >= 4:
            return bool(int.from_bytes(data[:4], sys.byteorder) & _SUM_TO_COME)
    return False
