"""The two sockets of a resolver inside a sandbox, and sockets opened there later.

A socket keeps its network namespace, and with it the veth, until it is closed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Callable

from netloom.dataplane import rewrite
from netloom.kernel import lending, namespace
from netloom.model.errors import KernelError

_log = logging.getLogger(__name__)

_BACKLOG = 128
_RECEIVE = 1 << 20  # bytes of queries that may wait; the kernel allows net.core.rmem_max
_SIOCGSKNS = 0x894C  # linux/sockios.h: the network namespace of a socket


class Home:
    """The namespace of the process itself, to come back to."""

    def __init__(self) -> None:
        self.fd = namespace.open_own()

    def close(self) -> None:
        """Let go of it. Twice is once."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def inside(self, netns: int, function: Callable[[], socket.socket]) -> socket.socket:
        """Run a short function in the namespace `netns`."""
        with namespace.entered(netns, self.fd):
            return function()

    def open_resolver(self, netns: int) -> tuple[socket.socket, socket.socket]:
        """UDP and TCP on 127.0.0.11, their ports chosen by the kernel and rewritten to 53. Raises OSError."""
        with namespace.entered(netns, self.fd):
            udp = _bound(socket.SOCK_DGRAM)
            try:
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE)
                tcp = _bound(socket.SOCK_STREAM)
                try:
                    tcp.listen(_BACKLOG)
                    rewrite.install(udp.getsockname()[1], tcp.getsockname()[1])
                except BaseException:
                    tcp.close()
                    raise
            except BaseException:
                udp.close()
                raise
        return udp, tcp

    def open_beside(self, sibling: socket.socket, family: int, kind: int) -> socket.socket:
        """A fresh socket in the namespace of another one. Raises OSError."""
        netns = fcntl.ioctl(sibling, _SIOCGSKNS)
        try:
            return self.inside(netns, lambda: _fresh(family, kind))
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


def _fresh(family: int, kind: int) -> socket.socket:
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def _bound(kind: int) -> socket.socket:
    sock = _fresh(socket.AF_INET, kind)
    try:
        sock.bind((rewrite.ADDRESS, 0))
    except BaseException:
        sock.close()
        raise
    return sock
