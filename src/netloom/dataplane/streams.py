"""The namespace in which the TCP connections to every 127.0.0.11 end: a listener inside a sandbox would take a port.

Segments are carried between a sandbox's lo and the lo of a namespace that nothing else is in. There sandbox number N
is 240.0.0.0 + N, where a listener of its own waits on port 53; clients keep their addresses:

    lo of sandbox N         127.0.0.1:40000 → 127.0.0.11:53
    lo of the namespace     127.0.0.1:40000 → 240.0.0.N:53

A segment back has a route, by lo, but no address to which it would be delivered; a packet socket reads it before the
kernel throws it away. The kernel's TCP does all else at both ends.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import NamedTuple

from netloom.dataplane import capture, packets
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.sandbox_sockets import Home, raw_socket
from netloom.kernel import namespace
from netloom.kernel.socket import ROUTE, NetlinkSocket
from netloom.netlink import address, route

_DRAIN = 64  # segments carried before the loop looks at other sockets
_BACKLOG = 128
_BASE = 0xF0000000  # 240.0.0.0, reserved: no client has such an address
_NUMBERS = 0x0FFFFFFF  # that may be given; the last one would be 255.255.255.255
_UNICAST_END = 224  # first octet of the first address that no client can have
_RCVBUFFORCE = 33  # SO_RCVBUFFORCE
_RECEIVE = 8 << 20  # bytes of segments that may wait, of all sandboxes
_SEND = 8 << 10  # bytes under way of one connection, so that one client does not fill what all share

_log = logging.getLogger(__name__)


class StreamSockets(NamedTuple):
    """Both in the namespace, which lasts as long as they do."""

    tap: socket.socket
    raw: socket.socket


class Ends(NamedTuple):
    """Of one sandbox: where its connections arrive, and, inside it, what sends their segments back."""

    listener: socket.socket
    segments: socket.socket


class Streams:
    """Carries segments both ways. The namespace is made when the first connection comes."""

    def __init__(self, loop: EventLoop, home: Home) -> None:
        self.sockets: StreamSockets | None = None
        self._loop = loop
        self._home = home
        self._sandboxes: dict[int, Ends | None] = {}
        self._refused = False
        self._last = 0

    def adopt(self, sockets: StreamSockets) -> None:
        """Carry back what arrives in a namespace that is there already."""
        self.sockets = sockets
        self.resume()

    def number(self) -> int:
        """One that no sandbox has, nor had lately."""
        while True:
            self._last = self._last % (_NUMBERS - 1) + 1
            if self._last not in self._sandboxes:
                return self._last

    def add(self, number: int, ends: Ends | None) -> None:
        """Let nobody else have this number; carry to the sandbox, if connections were made there already."""
        self._sandboxes[number] = ends
        self._last = max(self._last, number)

    def open(self, number: int, inside: socket.socket) -> Ends | None:
        """Begin to serve the sandbox that `inside` is in; None when the kernel refuses it, which is logged once."""
        try:
            if self.sockets is None:
                self.adopt(_opened())
            assert self.sockets is not None
            listener = self._home.open_beside(self.sockets.raw, socket.AF_INET, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND)
                listener.bind((_dotted(number), 53))
                listener.listen(_BACKLOG)
                ends = Ends(listener, self._home.open_segments(inside))
            except BaseException:
                listener.close()
                raise
        except OSError as error:
            if not self._refused:
                _log.warning("DNS over TCP cannot be served: %s", error)
            self._refused = True
            return None
        self._refused = False
        self._sandboxes[number] = ends
        return ends

    def drop(self, number: int) -> None:
        """The end of it. Unknown is success."""
        ends = self._sandboxes.pop(number, None)
        if ends is not None:
            for sock in ends:
                sock.close()

    def carry(self, number: int, client: bytes, content: bytearray) -> None:
        """A segment from a client to its sandbox's listener."""
        if self.sockets is None or client[0] >= _UNICAST_END:
            return
        packet = packets.carrying(content, client, (_BASE + number).to_bytes(4))
        try:
            self.sockets.raw.sendto(packet, (_dotted(number), 0))
        except OSError:
            return  # lost: TCP sends it again

    def pause(self) -> None:
        """Carry nothing back until `resume`."""
        if self.sockets is not None:
            self._loop.remove_reader(self.sockets.tap)

    def resume(self) -> None:
        """The end of `pause`."""
        if self.sockets is not None:
            self._loop.add_reader(self.sockets.tap, self._segments)

    def close(self) -> None:
        """Let go of the namespace. Twice is once."""
        self.pause()
        if self.sockets is not None:
            for sock in self.sockets:
                sock.close()

    def _segments(self) -> None:
        assert self.sockets is not None
        for _ in range(_DRAIN):
            try:
                packet = self.sockets.tap.recv(packets.LARGEST)
            except OSError:
                return
            found = packets.segment(packet)
            if found is None:
                continue
            source, content = found
            ends = self._sandboxes.get(int.from_bytes(source) - _BASE)
            if ends is None:
                continue
            client = packet[16:20]
            try:
                back = packets.carrying(content, packets.RESOLVER, client)
                ends.segments.sendto(back, (socket.inet_ntoa(client), 0))
            except OSError:
                continue  # the container's own firewall refuses it, or there is no such client


def _dotted(number: int) -> str:
    return socket.inet_ntoa((_BASE + number).to_bytes(4))


def _opened() -> StreamSockets:
    """A fresh namespace: 240.0.0.0/4 is its own, all else is routed to lo, where it ends."""

    def inside() -> StreamSockets:
        os.close(namespace.unshared())
        with NetlinkSocket(ROUTE, large=False) as netlink:
            failures = netlink.request(
                [
                    address.delete(capture.LOOPBACK, "127.0.0.1/8"),
                    route.add_local("240.0.0.0/4", capture.LOOPBACK),
                    route.add("default", "", capture.LOOPBACK),
                ]
            )
        if failures:
            failed = next(iter(failures.values()))
            raise OSError(failed.errno, f"{os.strerror(failed.errno)} {failed.text}")
        raw = raw_socket(socket.IPPROTO_RAW)
        try:
            tap = capture.tap(capture.FROM_STREAMS)
            tap.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _RECEIVE)
        except BaseException:
            raw.close()
            raise
        return StreamSockets(tap, raw)

    return namespace.in_thread(inside)
