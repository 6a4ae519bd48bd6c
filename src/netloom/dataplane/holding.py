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
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from netloom.dataplane.loop import EventLoop, Timer
from netloom.dataplane.register import Key, Register, key
from netloom.kernel.socket import SOCK_DIAG, NetlinkSocket
from netloom.model.errors import Failed, KernelError, NetloomError, Unsupported
from netloom.model.names import HeldPort
from netloom.netlink import sockets

MAX_HELD = 64  # of one owner; further ones are refused where a program listens, and not held
_AGAIN = 2.0  # seconds until a port behind TIME_WAIT is tried again
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_LISTEN = "0A"  # in /proc/net/tcp

_log = logging.getLogger(__name__)


class _Held:
    """How a port stands: with its socket; without one but meant to have one (`pending`); or only written down."""

    __slots__ = ("pending", "sock")

    def __init__(self, sock: socket.socket | None, *, pending: bool = False) -> None:
        self.sock = sock
        self.pending = pending

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None
        self.pending = False


class Holding:
    """All held ports of the host's namespace."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._held: Register[HeldPort, _Held] = Register()
        self._pending: set[Key] = set()
        self._timer: Timer | None = None

    def hold(self, ports: Sequence[HeldPort]) -> None:
        """Hold all or none. Raises Failed with Docker's sentence for the first that cannot be had."""
        fresh: list[tuple[HeldPort, _Held]] = []
        try:
            for silent, rest in self._shared_out(self._coming(ports)):
                fresh += [(port, _hold(port)) for port in silent]
                fresh += [(port, _Held(None)) for port in rest]
            _refuse_used([port for port, held in fresh if held.sock is None and not held.pending])
        except NetloomError:
            for _, held in fresh:
                held.close()
            raise
        for port, held in fresh:
            self._put(port, held)

    def _coming(self, ports: Iterable[HeldPort]) -> list[HeldPort]:
        """What of them is not held yet. Raises Failed where somebody else has one."""
        for port in ports:
            for row, _ in self._held.over(port.proto, port.ip, port.port, port.width):
                if row.owner != port.owner:
                    first = max(row.port, port.port)
                    raise Failed(f"Bind for {port.ip}:{first} failed: port is already allocated")
        return [rest for port in ports for rest in self._held.missing(port)]

    def _shared_out(self, coming: Sequence[HeldPort]) -> Iterator[tuple[list[HeldPort], list[HeldPort]]]:
        """Of each: those that get a socket, and the rest. Where there are too many, each span gets its share."""
        room = {owner: MAX_HELD - self._held.count(owner) for owner in {port.owner for port in coming}}
        left = Counter(port.owner for port in coming)
        for port in sorted(coming, key=lambda port: port.width):
            share = max(room[port.owner], 0) // left[port.owner]
            some = min(port.width, share or min(1, max(room[port.owner], 0)))
            left[port.owner] -= 1
            room[port.owner] -= some
            end = port.port + some
            rest = [port.part(end, port.width - some)] if some < port.width else []
            yield [port.part(one, 1) for one in range(port.port, end)], rest

    def release(self, *, owner: str = "", sandbox: str = "", only: Collection[Key] = ()) -> None:
        """Let go of every port of an owner, or of a sandbox, or `only` of some of them; none is success."""
        for where in self._held.of(owner=owner, sandbox=sandbox):
            row = self._held.get(where)
            if not only or (row is not None and row[0].width == 1 and where in only):
                self._drop(where)
            elif row is not None and row[0].width > 1:
                self._held.cut(where, only)  # several have no socket

    def adopt(self, port: HeldPort, sock: socket.socket | None, *, pending: bool) -> None:
        """Take over a port that a predecessor held, as it stood there."""
        self._put(port, _Held(sock, pending=pending))

    def held(self) -> Iterable[tuple[HeldPort, socket.socket | None, bool]]:
        """Every port, its socket, and whether it is yet to get one."""
        return [(port, held.sock, held.pending) for port, held in self._held]

    def open_udp(self, ip: str, port: int) -> socket.socket:
        """A UDP socket bound there for somebody who serves: the one that holds it, no longer silent, or a fresh one.

        A duplicate: the caller closes it, the hold goes on. Raises Failed.
        """
        standing = self._held.get(("udp", ip, port))
        if standing is not None and standing[1].sock is not None:
            with suppress(FileNotFoundError):  # it is silent no more: an earlier relay had it
                standing[1].sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            return standing[1].sock.dup()
        wanted = HeldPort(owner="", proto="udp", ip=ip, port=port)
        try:
            return _bound(wanted)
        except OSError as error:
            raise _refusal(wanted, error) from error

    def silence(self, ip: str, port: int) -> None:
        """The end of `open_udp`: nobody serves there any more."""
        standing = self._held.get(("udp", ip, port))
        if standing is not None and standing[1].sock is not None:
            _silence(standing[1].sock)

    def retry(self) -> None:
        """Try to hold what could not be held so far."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        for where in list(self._pending):
            row = self._held.get(where)
            assert row is not None
            port, held = row
            try:
                held.sock = _silent(port)
            except OSError:
                _log.debug("%s:%d/%s cannot be held yet", port.ip, port.port, port.proto)
            else:
                held.pending = False
                self._pending.discard(where)
        self._try_later()

    def close(self) -> None:
        """Let go of everything."""
        if self._timer:
            self._timer.cancel()
        for port, _ in list(self._held):
            self._drop(key(port))

    def _put(self, port: HeldPort, held: _Held) -> None:
        self._held.put(port, held)
        if held.pending:
            self._pending.add(key(port))
            self._try_later()

    def _drop(self, where: Key) -> None:
        row = self._held.pop(where)
        self._pending.discard(where)
        if row is not None:
            row[1].close()

    def _try_later(self) -> None:
        if self._timer is None and self._pending:
            self._timer = self._loop.call_later(_AGAIN, self.retry)


def _hold(port: HeldPort) -> _Held:
    if port.proto not in ("tcp", "udp"):
        raise Unsupported(f"holding a host port of protocol {port.proto} is not supported")
    try:
        return _Held(_silent(port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE and port.proto == "tcp" and only_waiting(port.ip, port.port):
            return _Held(None, pending=True)
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
        _silence(sock)
    return sock


def _silence(sock: socket.socket) -> None:
    program = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))  # BPF_RET | BPF_K: 0 bytes
    filters = struct.pack("@HP", 1, ctypes.addressof(program))  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filters)


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


def _refuse_used(ports: Sequence[HeldPort]) -> None:
    """Raises Failed for the first port on which a program of the host listens."""
    if not ports:
        return
    used = _used({port.proto for port in ports})
    for port in ports:
        if port.width == 1:
            taken = [port.port] if port.port in used[port.proto] else []
        else:
            taken = sorted(one for one in used[port.proto] if 0 <= one - port.port < port.width)
        for one in taken:
            _hold(port.part(one, 1)).close()  # as the kernel says it


def _used(protocols: Collection[str]) -> dict[str, set[int]]:
    """On which ports programs of the host listen: to ask once is cheaper than to bind thousands.

    /proc/net/tcp, which tells of every connection of the machine, costs ten milliseconds and more: it is read only
    where the kernel has no socket diagnostics.
    """
    found: dict[str, set[int]] = {}
    with NetlinkSocket(SOCK_DIAG, large=False) as diag:
        for proto in protocols:
            if proto not in ("tcp", "udp"):
                raise Unsupported(f"holding a host port of protocol {proto} is not supported")
            number = socket.IPPROTO_TCP if proto == "tcp" else socket.IPPROTO_UDP
            try:
                bodies = [
                    body
                    for family in (socket.AF_INET, socket.AF_INET6)
                    for body in diag.dump(sockets.listeners(family, number), absent=False)
                ]
                found[proto] = {sockets.port(body) for body in bodies}
            except KernelError:
                found[proto] = set(_listed(proto))
    return found


def _listed(proto: str) -> Iterator[int]:
    """The same for one protocol, of /proc/net."""
    for table in (proto, f"{proto}6"):
        path = Path("/proc/thread-self/net", table)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            local, state = line.split(None, 4)[1:4:2]
            if proto == "udp" or state == _LISTEN:
                yield int(local.rpartition(":")[2], 16)


def _overlap(ip: str, address: str) -> bool:
    """Can a socket at the hexadecimal address of /proc/net/tcp stand in the way of `ip`?"""
    words = [int(address[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(address), 8)]
    theirs, ours = ip_address(b"".join(words)), ip_address(ip)
    if isinstance(theirs, IPv6Address) and theirs.ipv4_mapped:
        theirs = theirs.ipv4_mapped
    return theirs.is_unspecified or ours.is_unspecified or theirs == ours
