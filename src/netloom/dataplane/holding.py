"""Published ports of the host, held by bound, silent sockets: a later program gets EADDRINUSE, nobody gets a packet.

Without SO_REUSEADDR, on purpose: a socket that has it does not keep out another that has it too. The price is that
connections in TIME_WAIT stand in our way as well; such a port is free, and is held as soon as it can be.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from netloom.dataplane.loop import EventLoop, Timer
from netloom.model.errors import Failed, NetloomError, Unsupported
from netloom.model.names import HeldPort

MAX_HELD = 64  # of one owner; further ones are checked and not held
_AGAIN = 2.0  # seconds until a port behind TIME_WAIT is tried again
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_LISTEN = "0A"  # in /proc/net/tcp

_log = logging.getLogger(__name__)

Key = tuple[str, str, int]  # proto, ip, port


class _Held:
    __slots__ = ("pending", "port", "sock")

    def __init__(self, port: HeldPort, sock: socket.socket | None, *, pending: bool = False) -> None:
        self.port = port
        self.sock = sock
        self.pending = pending


class Holding:
    """All held ports of the host's namespace."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._held: dict[Key, _Held] = {}
        self._timer: Timer | None = None

    def hold(self, ports: Sequence[HeldPort]) -> None:
        """Hold all or none. Raises Failed with Docker's sentence for the first that cannot be had."""
        fresh: list[_Held] = []
        count = Counter(held.port.owner for held in self._held.values() if held.sock or held.pending)
        try:
            for port in ports:
                standing = self._held.get(_key(port))
                if standing is not None:
                    if standing.port.owner != port.owner:
                        raise Failed(f"Bind for {port.ip}:{port.port} failed: port is already allocated")
                    continue
                held = _hold(port)
                fresh.append(held)
                if count[port.owner] >= MAX_HELD:
                    _close(held)
                    held.pending = False
                count[port.owner] += 1
        except NetloomError:
            for held in fresh:
                _close(held)
            raise
        for held in fresh:
            self._held[_key(held.port)] = held
        self._try_later()

    def release(self, which: Callable[[HeldPort], bool]) -> None:
        """Let go of every port that is meant; none is success."""
        for held in [held for held in self._held.values() if which(held.port)]:
            _close(held)
            del self._held[_key(held.port)]

    def adopt(self, port: HeldPort, sock: socket.socket | None) -> None:
        """Take over a port that a predecessor held (None: it stood without a socket)."""
        self._held[_key(port)] = _Held(port, sock)

    def held(self) -> Iterable[tuple[HeldPort, socket.socket | None]]:
        """Every port and its socket."""
        return [(held.port, held.sock) for held in self._held.values()]

    def open_udp(self, ip: str, port: int) -> socket.socket:
        """A UDP socket bound there for somebody who serves: the one that holds it, no longer silent, or a fresh one.

        A duplicate: the caller closes it, the hold goes on. Raises Failed.
        """
        held = self._held.get(("udp", ip, port))
        if held is not None and held.sock is not None:
            held.sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            return held.sock.dup()
        wanted = HeldPort(owner="", proto="udp", ip=ip, port=port)
        try:
            return _bound(wanted)
        except OSError as error:
            raise _refusal(wanted, error) from error

    def close(self) -> None:
        """Let go of everything."""
        if self._timer:
            self._timer.cancel()
        self.release(lambda _: True)

    def _try_later(self) -> None:
        if self._timer is None and any(held.pending for held in self._held.values()):
            self._timer = self._loop.call_later(_AGAIN, self.retry)

    def retry(self) -> None:
        """Try to hold what could not be held so far."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        for held in self._held.values():
            if held.pending:
                try:
                    held.sock = _silent(held.port)
                    held.pending = False
                except OSError:
                    _log.debug("%s:%d/%s cannot be held yet", held.port.ip, held.port.port, held.port.proto)
        self._try_later()


def _key(port: HeldPort) -> Key:
    return (port.proto, port.ip, port.port)


def _close(held: _Held) -> None:
    if held.sock is not None:
        held.sock.close()
        held.sock = None


def _hold(port: HeldPort) -> _Held:
    if port.proto not in ("tcp", "udp"):
        raise Unsupported(f"holding a host port of protocol {port.proto} is not supported")
    try:
        return _Held(port, _silent(port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE and port.proto == "tcp" and only_waiting(port.ip, port.port):
            return _Held(port, None, pending=True)
        raise _refusal(port, error) from error


def _refusal(port: HeldPort, error: OSError) -> Failed:
    sides = f"{_bracketed(port.ip)}:{port.port}"
    if port.target:
        sides += f":{_bracketed(port.target)}:{port.target_port}"
    reason = (error.strerror or str(error)).lower()
    remedy = "another program on this host has the port" if error.errno == errno.EADDRINUSE else ""
    return Failed(f"failed to bind host port for {sides}/{port.proto}: {reason}", remedy=remedy)


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _bound(port: HeldPort) -> socket.socket:
    family = socket.AF_INET6 if ":" in port.ip else socket.AF_INET
    kind = socket.SOCK_STREAM if port.proto == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((port.ip, port.port))
    except BaseException:
        sock.close()
        raise
    return sock


def _silent(port: HeldPort) -> socket.socket:
    """Bound; TCP is not listening (a SYN is refused), UDP drops everything before it is queued."""
    sock = _bound(port)
    if port.proto == "udp":
        program = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))  # BPF_RET | BPF_K: 0 bytes
        filters = struct.pack("@HP", 1, ctypes.addressof(program))  # struct sock_fprog
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filters)
    return sock


def only_waiting(ip: str, port: int) -> bool:
    """Is a TCP port kept from us only by connections that are over or whose listener has gone?

    False when somebody listens, and when nothing is to be seen: then a socket is bound there that does not listen.
    """
    found = False
    for table in ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"):
        path = Path(table)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            local, state = line.split(None, 4)[1:4:2]
            address, _, number = local.rpartition(":")
            if int(number, 16) == port and _overlap(ip, address):
                if state == _LISTEN:
                    return False
                found = True
    return found


def _overlap(ip: str, address: str) -> bool:
    """Can a socket at the hexadecimal address of /proc/net/tcp stand in the way of `ip`?"""
    words = [int(address[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(address), 8)]
    theirs, ours = ip_address(b"".join(words)), ip_address(ip)
    if isinstance(theirs, IPv6Address) and theirs.ipv4_mapped:
        theirs = theirs.ipv4_mapped
    return theirs.is_unspecified or ours.is_unspecified or theirs == ours
