"""Turning IPv6 off inside sandboxes, at a cost that does not grow with their number.

There is no netlink message for `disable_ipv6`. And below /proc/sys/net every namespace has an `ipv6` of its own, all
in one chain of the kernel's directory cache: finding one costs 0.3 µs for each namespace that was ever looked into
(measured: 26 µs at 10, 180 µs at 500). So the folder is looked up once, when the namespace is made, and kept open.
That does not keep the namespace alive.
"""

from __future__ import annotations

import os
import socket
import struct
from itertools import islice

_SO_NETNS_COOKIE = 71  # since Linux 5.14: the number of a namespace, never used again
_FOLDER = "/proc/sys/net/ipv6/conf"
_SWEPT = 2  # old ones looked at for each new one, so that those of dead namespaces do not pile up


class Ipv6Switches:
    """Used from one thread at a time."""

    def __init__(self) -> None:
        self._folders: dict[int, int] = {}  # by cookie: fds, the one that was looked at longest ago first

    def close(self) -> None:
        """Let all go. Twice is once."""
        for fd in self._folders.values():
            os.close(fd)
        self._folders.clear()

    def remember(self) -> None:
        """Look the folder of the calling thread's namespace up now, as `turn` would at its first use."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
            try:
                self._folder(any_socket)
            except FileNotFoundError:
                return  # a kernel without IPv6

    def turn(self, inside: socket.socket, interface: str, *, on: bool) -> None:
        """Switch IPv6 of an interface of the calling thread's namespace, in which the socket was opened.

        Raises OSError; FileNotFoundError where there is no such interface, or no IPv6.
        """
        fd = os.open(f"{interface}/disable_ipv6", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._folder(inside))
        try:
            os.write(fd, b"0" if on else b"1")
        finally:
            os.close(fd)

    def _folder(self, inside: socket.socket) -> int:
        (cookie,) = struct.unpack("=Q", inside.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))
        fd = self._folders.get(cookie)
        if fd is None:
            self._sweep()
            fd = self._folders[cookie] = os.open(_FOLDER, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return fd

    def _sweep(self) -> None:
        for cookie in list(islice(self._folders, _SWEPT)):
            fd = self._folders.pop(cookie)
            try:
                os.stat("lo", dir_fd=fd)
            except FileNotFoundError:
                os.close(fd)  # its namespace has ended
            else:
                self._folders[cookie] = fd
