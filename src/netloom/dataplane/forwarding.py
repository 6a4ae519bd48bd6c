"""Questions for servers outside: runs an exchange on real sockets, one fresh socket for each attempt.

A fresh socket has a source port that the kernel chose at random, and is connected: only that server's packets arrive.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address, ip_address

from netloom.dataplane.loop import EventLoop, Timer
from netloom.dns.exchange import DEADLINE, Ask, Command, Exchange, Finish, Report, Wake
from netloom.dns.responder import Forward, failure
from netloom.model.names import Upstream

MAX_RUNNING = 1024  # exchanges of one sandbox at a time, Docker's figure
SICK = 30.0  # seconds for which a server that failed is asked last
_PORT = 53
_MAX_ANSWER = 65535

Address = tuple[str, int] | tuple[str, int, int, int]
Opener = Callable[[Upstream, int, int], socket.socket]  # for this server: family, kind


class Health:
    """Which servers failed lately."""

    def __init__(self) -> None:
        self._sick: dict[Upstream, float] = {}

    def order(self, upstreams: Sequence[Upstream], now: float) -> list[Upstream]:
        """The servers as configured, those that failed lately last."""
        if not self._sick:
            return list(upstreams)
        return sorted(upstreams, key=lambda upstream: self._sick.get(upstream, 0.0) > now)

    def failed(self, upstream: Upstream, now: float) -> None:
        self._sick[upstream] = now + SICK

    def served(self, upstream: Upstream) -> None:
        self._sick.pop(upstream, None)


class Forwarder:
    """The outward side of one sandbox's resolver."""

    def __init__(self, loop: EventLoop, opener: Opener, upstreams: tuple[Upstream, ...], *, enabled: bool) -> None:
        self.loop = loop
        self._open = opener
        self._health = Health()
        self._running: set[_Run] = set()
        self.configure(upstreams, enabled=enabled)

    def configure(self, upstreams: tuple[Upstream, ...], *, enabled: bool) -> None:
        """Use these servers from the next question on; none when not `enabled`."""
        self._upstreams = upstreams if enabled else ()

    def forward(self, order: Forward, *, tcp: bool, answer: Callable[[bytes], None]) -> None:
        """Calls `answer` once, now or later; never after `close`."""
        if not self._upstreams or len(self._running) >= MAX_RUNNING:
            answer(failure(order))
            return
        ident = int.from_bytes(os.urandom(2))
        servers = self._health.order(self._upstreams, self.loop.time())
        run = _Run(self, servers, Exchange(order, len(servers), ident, tcp=tcp), answer)
        self._running.add(run)
        run.start()

    @property
    def busy(self) -> bool:
        """Is a question under way?"""
        return bool(self._running)

    def close(self) -> None:
        """Abandon what is running."""
        for run in list(self._running):
            run.end()

    def open_for(self, upstream: Upstream, family: int, kind: int) -> socket.socket:
        """A socket in the namespace from which this server is asked."""
        return self._open(upstream, family, kind)

    def ended(self, run: _Run) -> None:
        self._running.discard(run)

    def sick(self, upstream: Upstream) -> None:
        self._health.failed(upstream, self.loop.time())

    def well(self, upstream: Upstream) -> None:
        self._health.served(upstream)


class _Run:
    """One exchange and its sockets."""

    def __init__(
        self, owner: Forwarder, servers: Sequence[Upstream], exchange: Exchange, answer: Callable[[bytes], None]
    ) -> None:
        self._owner = owner
        self._servers = servers
        self._exchange = exchange
        self._answer = answer
        self._loop = owner.loop
        self._sockets: list[socket.socket] = []
        self._timers: list[Timer] = []

    def start(self) -> None:
        self._timers.append(self._loop.call_later(DEADLINE, self._tell, self._exchange.expired))
        self._obey(self._exchange.start())

    def end(self) -> None:
        """Close everything."""
        for timer in self._timers:
            timer.cancel()
        for sock in self._sockets:
            self._drop(sock)
        self._owner.ended(self)

    def _tell(self, event: Callable[[], Iterable[Command]]) -> None:
        self._obey(event())

    def _obey(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Ask():
                    self._ask(command)
                case Wake(seconds):
                    self._timers.append(self._loop.call_later(seconds, self._tell, self._exchange.woken))
                case Report(server):
                    self._owner.sick(self._servers[server])
                case Finish(answer, server):
                    self.end()
                    if server is not None:
                        self._owner.well(self._servers[server])
                    self._answer(answer)

    def _ask(self, command: Ask) -> None:
        upstream = self._servers[command.server]
        try:
            family, address = _destination(upstream.address)
            kind = socket.SOCK_STREAM if command.tcp else socket.SOCK_DGRAM
            sock = self._owner.open_for(upstream, family, kind)
        except (OSError, ValueError):
            self._obey(self._exchange.failed(command.attempt))
            return
        self._sockets.append(sock)
        try:
            sock.connect(address)
            if not command.tcp:
                sock.send(command.query)
        except BlockingIOError:
            pass  # TCP: under way
        except OSError:
            self._failed(sock, command.attempt)
            return
        if command.tcp:
            heard, lost = self._stream_events(sock, command.attempt)
            _Stream(self._loop, sock, command.query, heard, lost)
        else:
            self._loop.add_reader(sock, self._datagram, sock, command.attempt)

    def _datagram(self, sock: socket.socket, attempt: int) -> None:
        try:
            data = sock.recv(_MAX_ANSWER)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error: nobody listens there
            self._failed(sock, attempt)
            return
        self._heard(attempt, data)

    def _heard(self, attempt: int, data: bytes) -> None:
        self._obey(self._exchange.received(attempt, data))

    def _stream_events(self, sock: socket.socket, attempt: int) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        return (lambda data: self._heard(attempt, data)), (lambda: self._failed(sock, attempt))

    def _failed(self, sock: socket.socket, attempt: int) -> None:
        self._drop(sock)
        self._obey(self._exchange.failed(attempt))

    def _drop(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()


class _Stream:
    """One question and its answer over a TCP connection that is being made (RFC 1035, section 4.2.2)."""

    def __init__(
        self,
        loop: EventLoop,
        sock: socket.socket,
        query: bytes,
        heard: Callable[[bytes], None],
        failed: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._out = struct.pack("!H", len(query)) + query
        self._in = bytearray()
        self._heard = heard
        self._failed = failed
        self._loop = loop
        self._loop.add_writer(sock, self._writable)

    def _writable(self) -> None:
        try:
            self._out = self._out[self._sock.send(self._out) :]
        except BlockingIOError:
            return
        except OSError:
            self._failed()
            return
        if not self._out:
            self._loop.remove_writer(self._sock)
            self._loop.add_reader(self._sock, self._readable)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_MAX_ANSWER)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._failed()
            return
        self._in += data
        if len(self._in) >= 2:
            size = int.from_bytes(self._in[:2], "big")
            if len(self._in) >= 2 + size:
                self._loop.remove_reader(self._sock)
                self._heard(bytes(self._in[2 : 2 + size]))


def _destination(text: str) -> tuple[int, Address]:
    """Family and socket address; an IPv6 address may carry its `%interface` (of our own namespace)."""
    address, _, zone = text.partition("%")
    if not zone:
        return _plain_destination(address)
    IPv6Address(address)
    scope = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    return socket.AF_INET6, (address, _PORT, 0, scope)


@functools.lru_cache(maxsize=256)
def _plain_destination(address: str) -> tuple[int, Address]:
    if isinstance(ip_address(address), IPv6Address):
        return socket.AF_INET6, (address, _PORT, 0, 0)
    return socket.AF_INET, (address, _PORT)
