"""The sockets of a resolver inside a sandbox, and sockets opened there later.

A socket keeps its network namespace, and with it the veth, until it is closed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from netloom.dataplane import capture
from netloom.kernel import lending, namespace
from netloom.model.errors import KernelError

_log = logging.getLogger(__name__)

_RECEIVE = 1 << 20  # bytes of queries that may wait; the kernel allows net.core.rmem_max
_SIOCGSKNS = 0x894C  # linux/sockios.h: the network namespace of a socket


class Packets(NamedTuple):
    """Queries come in by `tap`, answers go out by `raw` (UDP); `guard` keeps everybody else from the queries."""

    tap: socket.socket
    raw: socket.socket
    guard: socket.socket

    def close(self) -> None:
        """All three. Twice is once."""
        for sock in self:
            sock.close()


class Home:
    """The namespace of the process itself, to come back to."""

    def __init__(self) -> None:
        self.fd = namespace.open_own()

    def close(self) -> None:
        """Let go of it. Twice is once."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def open_packets(self, netns: int) -> Packets:
        """What it takes to serve 127.0.0.11:53 in a sandbox; no port of it is taken. Raises OSError."""
        opened: list[socket.socket] = []
        try:
            with namespace.entered(netns, self.fd):
                tap = _fresh(socket.AF_INET, socket.SOCK_RAW, capture.PROTOCOL)
                opened.append(tap)
                tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE)
                tap.bind((capture.ADDRESS, 0))
                raw = raw_socket(socket.IPPROTO_UDP)
                opened.append(raw)
                raw.bind((capture.ADDRESS, 0))
                return Packets(tap, raw, capture.guard())
        except BaseException:
            for sock in opened:
                sock.close()
            raise

    def open_segments(self, sibling: socket.socket) -> socket.socket:
        """A raw socket for whole packets from 127.0.0.11, in the namespace of another one. Raises OSError."""
        sock = self.open_beside(sibling, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
            sock.bind((capture.ADDRESS, 0))
        except BaseException:
            sock.close()
            raise
        return sock

    def open_beside(self, sibling: socket.socket, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A fresh socket in the namespace of another one. Raises OSError."""
        netns = fcntl.ioctl(sibling, _SIOCGSKNS)
        try:
            return self.inside(netns, lambda: _fresh(family, kind, protocol))
        finally:
            os.close(netns)

    def give_back(self, resident: socket.socket) -> None:
        """Interfaces of the host that are in the namespace of a socket come home."""
        netns = fcntl.ioctl(resident, _SIOCGSKNS)
        try:
            lending.give_all_back(netns, self.fd)
        except (OSError, KernelError) as error:
            _log.warning("an interface of the host could not be brought home: %s", error)
        finally:
            os.close(netns)

    def open_here(self, family: int, kind: int) -> socket.socket:
        """A fresh socket in our own namespace."""
        return _fresh(family, kind)

    def inside(self, netns: int, function: Callable[[], socket.socket]) -> socket.socket:
        """Run a short function in the namespace `netns`."""
        with namespace.entered(netns, self.fd):
            return function()


def raw_socket(protocol: int) -> socket.socket:
    """Sends what follows the IP header, or whole packets (IPPROTO_RAW). It is not read. Raises OSError.

    Bound to a loopback address, it sends nothing that would leave by another interface than lo.
    """
    sock = _fresh(socket.AF_INET, socket.SOCK_RAW, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
    return sock


def _fresh(family: int, kind: int, protocol: int = 0) -> socket.socket:
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
