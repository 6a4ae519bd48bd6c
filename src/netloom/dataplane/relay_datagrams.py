"""UDP through the relay: a socket for each relayed port, a connected socket for each client.

There is no way to ask where a redirected datagram was going (IP6T_SO_ORIGINAL_DST serves TCP only), so these ports are
not redirected: the relay serves them itself.
"""

from __future__ import annotations

import socket
import struct

from netloom.dataplane.loop import EventLoop

_PKTINFO = struct.Struct("=16sI")  # struct in6_pktinfo
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO.size)
_MAX_DATAGRAM = 65535
_DRAIN = 32
_MAX_CLIENTS = 1024  # of one port; further ones get no answer
_IDLE = 90.0  # seconds, as Docker's proxy (UDPConnTrackTimeout)

Client = tuple[str, int, int, int]


class DatagramRelay:
    """Serves one port on `sock`, which it owns."""

    def __init__(self, loop: EventLoop, sock: socket.socket, target: tuple[str, int]) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self._sock = sock
        self._target = target
        self.loop = loop
        self._flows: dict[tuple[Client, bytes], _Flow] = {}
        self.loop.add_reader(sock, self._readable)

    def close(self) -> None:
        """Drop the port and its clients. Twice is once."""
        if self._sock.fileno() >= 0:
            self.loop.remove_reader(self._sock)
            self._sock.close()
        for flow in list(self._flows.values()):
            flow.close()

    def answer(self, client: Client, local: bytes, data: bytes) -> None:
        """Send to a client from the very address that it asked."""
        ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, local)] if local else []
        try:
            self._sock.sendmsg([data], ancillary, 0, client)
        except OSError:
            return  # the client has gone, or its queue is full: datagrams may be lost

    def forget(self, key: tuple[Client, bytes]) -> None:
        """A client has been silent for long."""
        self._flows.pop(key, None)

    def _readable(self) -> None:
        for _ in range(_DRAIN):
            try:
                data, ancillary, _, client = self._sock.recvmsg(_MAX_DATAGRAM, _ANCILLARY)
            except OSError:
                return
            local = next((payload for _, kind, payload in ancillary if kind == socket.IPV6_PKTINFO), b"")
            key = (client, local)
            flow = self._flows.get(key)
            if flow is None:
                if len(self._flows) >= _MAX_CLIENTS:
                    continue
                try:
                    flow = self._flows[key] = _Flow(self, key, self._target)
                except OSError:
                    continue
            flow.send(data)


class _Flow:
    """One client, as the container sees it: a port of ours."""

    def __init__(self, owner: DatagramRelay, key: tuple[Client, bytes], target: tuple[str, int]) -> None:
        self._owner = owner
        self._key = key
        self._loop = owner.loop
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._sock.connect(target)
        except OSError:
            self._sock.close()
            raise
        self._used = self._loop.time()
        self._timer = self._loop.call_later(_IDLE, self._idle)
        self._loop.add_reader(self._sock, self._readable)

    def send(self, data: bytes) -> None:
        self._used = self._loop.time()
        try:
            self._sock.send(data)
        except OSError:
            return  # refused by an earlier ICMP error, or the queue is full

    def close(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self._owner.forget(self._key)

    def _readable(self) -> None:
        for _ in range(_DRAIN):
            try:
                data = self._sock.recv(_MAX_DATAGRAM)
            except OSError:
                return
            self._used = self._loop.time()
            self._owner.answer(*self._key, data)

    def _idle(self) -> None:
        left = self._used + _IDLE - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._idle)
        else:
            self.close()
