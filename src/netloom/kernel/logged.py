"""Packets that the firewall's rules log, heard in the namespace in which this is made."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from netloom.kernel.socket import NETFILTER
from netloom.model.errors import KernelError
from netloom.netlink import nflog
from netloom.netlink.message import ERROR, Malformed, frame, replies, verdict

_READ = 65536
_AT_ONCE = 16  # datagrams, then others get their turn


class LogListener:
    """Calls `tell` for each packet of a log group, on the running loop.

    Raises KernelError; EBUSY when somebody else listens.
    """

    def __init__(self, group: int, tell: Callable[[nflog.Logged], None]) -> None:
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._socket = _socket()
        try:
            self._ask(group)
        except BaseException:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._heard)

    def close(self) -> None:
        """Hear no more. Twice is once."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _ask(self, group: int) -> None:
        for sequence, message in enumerate(nflog.listen(group), 1):
            self._socket.send(frame([message], sequence))
            for reply in replies(self._socket.recv(_READ)):
                if reply.type == ERROR and (failure := verdict(reply)).errno:
                    raise KernelError(failure.errno, f"listen to log group {group}", detail=failure.text)

    def _heard(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data = self._socket.recv(_READ)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # some were lost: their elements have counted them
                    raise
                continue
            for reply in replies(data):
                if reply.type == nflog.PACKET:
                    self._read(reply.body)

    def _read(self, body: bytes) -> None:
        try:
            logged = nflog.parse(body)
        except Malformed:
            return  # cut short by its sender: there is nothing to tell of it
        self._tell(logged)


def _socket() -> socket.socket:
    one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETFILTER)
    one.bind((0, 0))
    return one
