"""Questions for servers outside: runs an exchange on real sockets, one fresh socket for each attempt.

A fresh socket has a source port that the kernel chose at random, and is connected: only that server's packets arrive.
Askers of the same question wait for one exchange: many of them at once would let a forger guess many times (RFC 5452,
section 5).
"""

from __future__ import annotations

import functools
import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address, ip_address
from typing import TypeAlias

from netloom.dataplane.health import Health
from netloom.dataplane.loop import EventLoop, Timer
from netloom.dns import message as m
from netloom.dns.cache import Cache, Room, folded
from netloom.dns.exchange import DEADLINE, Ask, Command, Exchange, Finish, Report, Wake
from netloom.dns.responder import Forward, cached, failure, fitted
from netloom.model.names import Upstream

MAX_RUNNING = 1024  # questions of one sandbox at a time, Docker's figure
MAX_OF_ALL = 8192  # of all sandboxes; beyond, each still has its share
SHARE = 32
CACHED = "cache"
_PORT = 53
_MAX_ANSWER = 65535
_CLASS_IN = b"\0\1"

Address = tuple[str, int] | tuple[str, int, int, int]
Opener = Callable[[Upstream, int, int], socket.socket]  # for this server: family, kind
Answer: TypeAlias = Callable[[bytes, str], None]  # the answer, and who gave it: CACHED, a server, nobody ("")
_Same: TypeAlias = tuple[bool, bytes, bytes, bytes]


class Outside:
    """What the forwarders of all sandboxes share. Not what is known of servers: one could spoil it for the others."""

    def __init__(self) -> None:
        self.room = Room()
        self.running = 0


class Forwarder:
    """The outward side of one sandbox's resolver."""

    def __init__(
        self, loop: EventLoop, opener: Opener, outside: Outside, upstreams: tuple[Upstream, ...], *, enabled: bool
    ) -> None:
        self.loop = loop
        self.cache = Cache(outside.room)
        self.forwarded = 0
        self.failed = 0
        self._open = opener
        self._outside = outside
        self._health = Health()
        self._upstreams: tuple[Upstream, ...] = ()
        self._running: set[_Run] = set()
        self._same: dict[_Same, _Run] = {}
        self._waiting = 0
        self.configure(upstreams, enabled=enabled)

    def configure(self, upstreams: tuple[Upstream, ...], *, enabled: bool) -> None:
        """Use these servers from the next question on; none when not `enabled`. What others said is forgotten."""
        upstreams = upstreams if enabled else ()
        if upstreams != self._upstreams:
            self._upstreams = upstreams
            self._health.keep_only(upstreams)
            self.cache.clear()
            self._same.clear()

    def forward(self, order: Forward, *, tcp: bool, answer: Answer) -> None:
        """Calls `answer` once, now or later; never after `close`."""
        now = self.loop.time()
        found = cached(order, self.cache, now)
        if found is not None:
            answer(found, CACHED)
            return
        if not self._upstreams or self._full():
            self.failed += 1
            answer(failure(order), "")
            return
        self.forwarded += 1
        self._waiting += 1
        rest = m.HEADER_SIZE + len(order.question)
        same = (tcp, folded(order.question), order.query[2 : m.HEADER_SIZE], order.query[rest:])
        run = self._same.get(same)
        if run is not None:
            run.waiting.append((order, answer))
            return
        run = _Run(self, self._health.order(self._upstreams), order, same, tcp=tcp)
        run.waiting.append((order, answer))
        self._same[same] = run
        self._begin(run)
        for ill in self._health.due(self._upstreams, now):
            self._begin(_Run(self, [ill], order, None, tcp=tcp))

    def _full(self) -> bool:
        crowded = self._outside.running >= MAX_OF_ALL and len(self._running) >= SHARE
        return self._waiting >= MAX_RUNNING or crowded

    def _begin(self, run: _Run) -> None:
        self._running.add(run)
        self._outside.running += 1
        run.start()

    @property
    def busy(self) -> bool:
        """Is a question under way?"""
        return bool(self._running)

    def close(self) -> None:
        """Abandon what is running."""
        for run in list(self._running):
            run.end()
        self.cache.clear()

    def open_for(self, upstream: Upstream, family: int, kind: int) -> socket.socket:
        """A socket in the namespace from which this server is asked."""
        return self._open(upstream, family, kind)

    def ended(self, run: _Run) -> None:
        """Its sockets are closed."""
        self._running.discard(run)
        self._outside.running -= 1
        self._waiting -= len(run.waiting)
        if run.same is not None and self._same.get(run.same) is run:
            del self._same[run.same]

    def answered(self, run: _Run, answer: bytes, server: str) -> None:
        """Give it to all who wait, and keep it, if it comes from a server that is still ours."""
        order = run.order
        plain = len(order.query) <= m.HEADER_SIZE + len(order.question) + m.OPT_SIZE  # no option has shaped the answer
        if plain and order.question.endswith(_CLASS_IN) and any(server == one.address for one in self._upstreams):
            self.cache.put(folded(order.question), order.form, answer, self.loop.time())
        for waiting, give in run.waiting:
            give(fitted(waiting, answer), server)

    def unanswered(self, run: _Run) -> None:
        """Nobody outside has answered."""
        self.failed += len(run.waiting)
        for waiting, give in run.waiting:
            give(failure(waiting), "")

    def ill(self, upstream: Upstream, asked: float, *, again: bool) -> None:
        """It did not answer who asked it then."""
        self._health.failed(upstream, asked, self.loop.time(), again=again)

    def well(self, upstream: Upstream) -> None:
        """It answered."""
        self._health.served(upstream, self.loop.time())


class _Run:
    """One exchange, its sockets and those who wait for it. Without `same` nobody does: an ill server is tried."""

    def __init__(
        self, owner: Forwarder, servers: Sequence[Upstream], order: Forward, same: _Same | None, *, tcp: bool
    ) -> None:
        self.order = order
        self.same = same
        self.waiting: list[tuple[Forward, Answer]] = []
        self._owner = owner
        self._servers = servers
        self._exchange = Exchange(order, len(servers), int.from_bytes(os.urandom(2)), tcp=tcp)
        self._loop = owner.loop
        self._sockets: list[socket.socket] = []
        self._timers: list[Timer] = []
        self._asked: dict[int, float] = {}  # when, by server
        self._reported: set[int] = set()
        self._ended = False

    def start(self) -> None:
        self._timers.append(self._loop.call_later(DEADLINE, self._tell, self._exchange.expired))
        self._obey(self._exchange.start())

    def end(self) -> None:
        """Close everything. Twice is once."""
        if self._ended:
            return
        self._ended = True
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
                case Wake(seconds, attempt):
                    woken = functools.partial(self._exchange.woken, attempt)
                    self._timers.append(self._loop.call_later(seconds, self._tell, woken))
                case Report(server) if server not in self._reported:
                    self._reported.add(server)
                    self._owner.ill(self._servers[server], self._asked[server], again=self.same is None)
                case Finish(answer, server):
                    self.end()
                    if answer is None or server is None:
                        self._owner.unanswered(self)
                    else:
                        self._owner.well(self._servers[server])
                        self._owner.answered(self, answer, self._servers[server].address)

    def _ask(self, command: Ask) -> None:
        upstream = self._servers[command.server]
        self._asked[command.server] = self._loop.time()
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
