"""A probe for each cell, all at once, and what became of it.

One process holds the sockets of all namespaces: a socket belongs to the one in which it was opened, whoever uses it.
Every probe carries a token, so that an arrival is known wherever it happens, answered or not: TCP also by its SYN
(the client's port is the token), SCTP by the initiate tag of hand-made packets.

All are sent, and sent again until what is expected to be answered was. Then all are sent a second time, those that
should be lost first: whatever the kernel had to learn (neighbours, routes) it knows by then, and what should be lost
has had the time in which others sent after it went there and back.
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from netloom.testing.hosts import Netns

from . import sctp

QUESTION, ANSWER = b"mxQ.", b"mxA."
_FIRST_PORT, _PORTS = 10000, 22000  # of TCP and SCTP clients, below those that the kernel chooses
_PATIENCE = 60.0  # seconds for what is expected to be answered
_NEWS = 8.0  # seconds without any news, after which nobody waits for it any longer
_AGAIN = 0.7  # seconds until datagrams are sent once more
_QUIET = 0.3  # seconds for what must not come, after all else has
_V4, _V6 = int(socket.AF_INET), int(socket.AF_INET6)
_ICMP6 = socket.IPPROTO_ICMPV6
_RAW = {4: _V4, 6: _V6}
_RECEIVED = {_V4: (socket.IPPROTO_IP, 8), _V6: (socket.IPPROTO_IPV6, 50)}  # IP_PKTINFO, IPV6_PKTINFO
_ASK_FOR = {_V4: (socket.IPPROTO_IP, 8), _V6: (socket.IPPROTO_IPV6, 49)}  # IP_PKTINFO, IPV6_RECVPKTINFO


@dataclass(frozen=True)
class Probe:
    """From a place to an address; `number` is the protocol number of `raw`."""

    source: str
    protocol: str
    family: int
    address: str
    port: int = 0
    scope: int = 0
    number: int = 0


@dataclass
class Fate:
    """What became of a probe."""

    answered: bool = False
    arrived: dict[str, str] = field(default_factory=dict)  # place: the sender's address as it was seen there
    knocked: dict[str, str] = field(default_factory=dict)  # the same of its SYN
    port: int = 0  # of SCTP: where it arrived
    error: int = 0  # of the sender's own kernel


class Exchange:
    """The sockets of all places, and an event loop for them. Close it."""

    def __init__(self, places: Mapping[str, Netns], servers: Mapping[str, Sequence[int]]) -> None:
        """`servers`: the ports of TCP, UDP and SCTP at which a place answers."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._places = places
        self._servers = servers
        self._selector = selectors.DefaultSelector()
        self._raw: dict[tuple[str, int, int], socket.socket] = {}
        self._fates: dict[int, Fate] = {}
        self._by_port: dict[int, Fate] = {}
        self._next = 0
        self._news = 0.0
        try:
            for name, place in places.items():
                place.call(self._open, name, servers.get(name, ()))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            self._drop(key.fileobj)
        self._selector.close()

    def run(self, probes: Sequence[Probe], hopeful: Collection[int]) -> list[Fate]:
        """The fate of each. `hopeful`: indices of those that should be answered, for which it waits."""
        order = [*(i for i in range(len(probes)) if i not in hopeful), *sorted(hopeful)]
        first = [Fate() for _ in probes]
        self._round(probes, order, hopeful, first)
        last = [Fate(arrived=f.arrived, knocked=f.knocked) for f in first]
        self._round(probes, order, hopeful, last)
        return last

    def _round(
        self, probes: Sequence[Probe], order: Sequence[int], hopeful: Collection[int], fates: list[Fate]
    ) -> None:
        again: dict[int, Callable[[], None]] = {}
        by_place: dict[str, list[int]] = {}
        for i in order:
            by_place.setdefault(probes[i].source, []).append(i)
        opened: dict[int, socket.socket] = {}
        for name, indices in by_place.items():
            opened |= self._places[name].call(self._clients, [(i, probes[i]) for i in indices])
        try:
            for count, i in enumerate(order):
                again[i] = self._send(probes[i], opened.get(i), fates[i])
                if count % 20 == 0:
                    self._turn(0)
            self._wait({i: again[i] for i in hopeful}, fates)
        finally:
            for client in opened.values():
                self._drop(client)

    def _wait(self, hopeful: Mapping[int, Callable[[], None]], fates: Sequence[Fate]) -> None:
        """Until those were answered, whose datagrams are sent again; then until nothing comes any more."""
        self._news = begun = sent = time.monotonic()
        while left := [i for i in hopeful if not fates[i].answered]:
            now = time.monotonic()
            if now > begun + _PATIENCE or now > self._news + _NEWS:
                break
            if now > sent + _AGAIN:
                sent = now
                for i in left:
                    hopeful[i]()
            self._turn(0.05)
        quiet = time.monotonic() + _QUIET
        while self._turn(max(quiet - time.monotonic(), 0)):
            pass  # all of it is read, however late we are

    def _turn(self, timeout: float) -> bool:
        """Whether anything was there to be done."""
        ready = self._selector.select(timeout)
        for key, _ in ready:
            if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]  # not closed by one before it
                with suppress(BlockingIOError):
                    key.data()
        return bool(ready)

    # What is sent.

    def _clients(self, probes: Iterable[tuple[int, Probe]]) -> dict[int, socket.socket]:
        """TCP and UDP have a socket for each; call it inside."""
        kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
        return {i: socket.socket(_RAW[p.family], kinds[p.protocol]) for i, p in probes if p.protocol in kinds}

    def _send(self, probe: Probe, client: socket.socket | None, fate: Fate) -> Callable[[], None]:
        """Send it; gives what sends it again where nobody else does."""
        self._next += 1
        index = self._next
        self._fates[index] = fate
        port = _FIRST_PORT + index % _PORTS
        token = QUESTION + struct.pack("!I", index)
        to: Any = (probe.address, probe.port) if probe.family == 4 else (probe.address, probe.port, 0, probe.scope)
        if client is not None:
            client.setblocking(False)
            if probe.protocol == "tcp":
                self._by_port[port] = fate
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.bind(("", port))
            failed = client.connect_ex(to)
            if failed not in (0, errno.EINPROGRESS):
                fate.error = failed
                return lambda: None
            if probe.protocol == "tcp":
                self._selector.register(client, selectors.EVENT_WRITE, lambda: self._connected(client, token))
                return lambda: None
            self._selector.register(client, selectors.EVENT_READ, lambda: self._answered(client))
            return self._sender(fate, lambda: client.send(token))
        number, packet = self._packet(probe, index, port, token)
        place = self._raw[probe.source, probe.family, number]
        return self._sender(fate, lambda: place.sendto(packet, (to[0], 0, *to[2:])))

    def _sender(self, fate: Fate, send: Callable[[], object]) -> Callable[[], None]:
        def again() -> None:
            try:
                send()
            except OSError as e:
                fate.error = e.errno or 0

        again()
        return again

    def _packet(self, probe: Probe, index: int, port: int, token: bytes) -> tuple[int, bytes]:
        match probe.protocol:
            case "sctp":
                return sctp.PROTOCOL, sctp.packet(port, probe.port, sctp.INIT, 0, index)
            case "icmp":
                head = struct.pack("!HH", index & 0xFFFF, index >> 16)
                if probe.family == 6:  # the kernel puts in the checksum
                    return _ICMP6, struct.pack("!BBH", 128, 0, 0) + head + token
                checksum = _checksum(struct.pack("!BBH", 8, 0, 0) + head + token)
                return socket.IPPROTO_ICMP, struct.pack("!BBH", 8, 0, checksum) + head + token
            case _:
                return probe.number, token

    def _connected(self, client: socket.socket, token: bytes) -> None:
        if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop(client)
            return
        client.send(token)
        self._selector.modify(client, selectors.EVENT_READ, lambda: self._answered(client))

    def _answered(self, client: socket.socket) -> None:
        try:
            data = client.recv(64)
        except BlockingIOError:
            raise
        except OSError:  # refused or reset: no answer
            data = b""
        if not self._is_answer(data) and client.type == socket.SOCK_STREAM:
            self._drop(client)

    # What arrives.

    def _open(self, name: str, ports: Sequence[int]) -> None:
        """All sockets of a place; call it inside."""
        for port in ports:
            for version in (_V4, _V6):
                listener = self._socket(version, socket.SOCK_STREAM)
                self._bind(listener, port)
                listener.listen(512)
                self._read(listener, lambda s=listener: self._accept(name, s))  # type: ignore[misc]
                datagrams = self._socket(version, socket.SOCK_DGRAM)
                self._bind(datagrams, port)
                self._read(datagrams, lambda s=datagrams: self._asked(name, s))  # type: ignore[misc]
        for family in (4, 6):
            numbers = (sctp.PROTOCOL, 253, 254, _ICMP6 if family == 6 else socket.IPPROTO_ICMP, socket.IPPROTO_TCP)
            for number in numbers:
                one = self._socket(_RAW[family], socket.SOCK_RAW, number)
                self._raw[name, family, number] = one
                self._read(one, lambda s=one, n=number: self._packet_came(name, s, n))  # type: ignore[misc]
            blocked = bytearray(b"\xff" * 32)
            struct.pack_into("=I", blocked, 16, 0xFFFFFFFC)  # all but echo requests and replies (128, 129)
            if family == 6:
                self._raw[name, 6, _ICMP6].setsockopt(_ICMP6, 1, bytes(blocked))  # ICMPV6_FILTER

    def _socket(self, family: int, kind: int, number: int = 0) -> socket.socket:
        one = socket.socket(family, kind, number)
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: all may come at once
        if kind != socket.SOCK_STREAM:
            one.setsockopt(*_ASK_FOR[family], 1)
        return one

    def _bind(self, one: socket.socket, port: int) -> None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if one.family == _V6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(("", port))

    def _read(self, one: socket.socket, act: Callable[[], None]) -> None:
        self._selector.register(one, selectors.EVENT_READ, act)

    def _accept(self, name: str, listener: socket.socket) -> None:
        connection, client = listener.accept()
        connection.setblocking(False)
        self._read(connection, lambda: self._served(name, connection, client[0]))

    def _served(self, name: str, connection: socket.socket, client: str) -> None:
        try:
            data = connection.recv(64)
        except BlockingIOError:
            raise
        except OSError:
            data = b""
        if self._came(name, data, client):
            connection.send(ANSWER + data[4:8])
        else:
            self._drop(connection)

    def _asked(self, name: str, server: socket.socket) -> None:
        data, told, _, client = server.recvmsg(64, 64)
        if self._came(name, data, client[0]):
            self._reply(server, ANSWER + data[4:8], told, client)

    def _packet_came(self, name: str, one: socket.socket, number: int) -> None:
        data, told, _, sender = one.recvmsg(2048, 64)
        if one.family == _V4:
            data = data[(data[0] & 15) * 4 :]
        if number == socket.IPPROTO_TCP:
            if data[13] & 0x12 == 0x02 and (fate := self._by_port.get(int.from_bytes(data[:2], "big"))):  # SYN alone
                fate.knocked[name] = sender[0]
        elif number == sctp.PROTOCOL:
            kind, source, to, tag, token = sctp.read(data)
            if kind == sctp.INIT_ACK:
                self._is_answer(ANSWER + struct.pack("!I", tag))
            elif to in self._servers.get(name, ()) and self._came(name, QUESTION + struct.pack("!I", token), sender[0]):
                self._fates[token].port = to
                self._reply(one, sctp.packet(to, source, sctp.INIT_ACK, token, token), told, sender)
        elif number in (socket.IPPROTO_ICMP, _ICMP6):
            body = data[8:]
            if data[0] in (8, 128):
                self._came(name, body, sender[0])
            elif data[0] in (0, 129) and body.startswith(QUESTION):
                self._is_answer(ANSWER + body[4:])
        elif not self._is_answer(data) and self._came(name, data, sender[0]):
            self._reply(one, ANSWER + data[4:8], told, sender)

    def _reply(self, one: socket.socket, data: bytes, told: Any, client: Any) -> None:
        """From the address that was asked."""
        level, kind, value = told[0]
        if one.family == _V4:
            value = struct.pack("=i", 0) + value[4:8] + bytes(4)
        elif not client[0].startswith("fe80:"):
            value = value[:16] + bytes(4)
        try:
            one.sendmsg(
                [data],
                [(level, kind, value)],
                0,
                (client[0], 0 if one.type == socket.SOCK_RAW else client[1], *client[2:]),
            )
        except OSError:
            pass  # no way back: the question stays unanswered, and that is told

    def _came(self, name: str, data: bytes, sender: str) -> bool:
        fate = self._fates.get(int.from_bytes(data[4:8], "big")) if data.startswith(QUESTION) else None
        if fate is None:
            return False
        if name not in fate.arrived:
            self._news = time.monotonic()
        fate.arrived[name] = sender.partition("%")[0]
        return True

    def _is_answer(self, data: bytes) -> bool:
        fate = self._fates.get(int.from_bytes(data[4:8], "big")) if data.startswith(ANSWER) else None
        if fate is None:
            return False
        if not fate.answered:
            self._news = time.monotonic()
        fate.answered = True
        return True

    def _drop(self, one: Any) -> None:
        if one.fileno() >= 0:
            with suppress(KeyError):
                self._selector.unregister(one)
            one.close()


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)
