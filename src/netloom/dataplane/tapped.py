"""127.0.0.11 of a sandbox without a port of it: queries are read from a raw socket (`capture`)."""

from __future__ import annotations

import socket

from netloom.dataplane import packets
from netloom.dataplane.forwarding import Answer, Forwarder
from netloom.dataplane.learning import Learning
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.protocol import HandPackets
from netloom.dataplane.resolver import DRAIN, QUERY, ResolverSockets
from netloom.dataplane.sandbox_sockets import Packets
from netloom.dataplane.streams import Ends, Streams
from netloom.dns.responder import Responder
from netloom.model.names import Resolver

_PLAIN_QUERY = packets.HEAD + QUERY  # bytes of a packet without IP options
_HERE, _THERE = bytes((127, 0, 0, 1)), ("127.0.0.1", 0)  # where nearly all clients are
_HEAD, _IP_HEADER, _PLAIN, _UDP = packets.HEAD, packets.IP_HEADER, packets.PLAIN, packets.UDP
_LARGEST = packets.LARGEST


class TappedSockets(ResolverSockets):
    """`incoming` is the tap. What TCP takes is opened when the first connection comes."""

    def __init__(
        self,
        loop: EventLoop,
        sandbox: str,
        sockets: Packets,
        streams: Streams,
        number: int,
        ends: Ends | None,
        responder: Responder,
        forwarder: Forwarder,
        learning: Learning,
    ) -> None:
        self._sockets = sockets
        self._streams = streams
        self._number = number
        self._ends = ends
        streams.add(number, ends)
        super().__init__(loop, sandbox, sockets.tap, ends and ends.listener, responder, forwarder, learning)

    def close(self) -> None:
        super().close()
        self._streams.drop(self._number)
        self._sockets.close()

    def handed(self, pid: int, resolver: Resolver) -> tuple[HandPackets, list[int]]:
        message = HandPackets(self.sandbox, pid, resolver, self._number, connected=self._ends is not None)
        return message, [sock.fileno() for sock in (*self._sockets, *(self._ends or ()))]

    def _datagrams(self) -> None:
        quick, receive, send = self.responder.quick, self.incoming.recv, self._sockets.raw.sendto
        cache, now = self.forwarder.cache, self.loop.time()
        head, answer_to = packets.head, packets.answer_to
        slow = bool(self.watches or self.learning.rules)
        taken = 0
        for _ in range(DRAIN):
            try:
                packet = receive(_LARGEST)
            except OSError:
                break
            first, proto, client, port, length = head(packet)
            if len(packet) == _IP_HEADER + length <= _PLAIN_QUERY and proto == _UDP and first == _PLAIN:
                query = packet[_HEAD:]
            elif proto == packets.TCP:
                self._segment(packet)
                continue
            else:
                found = packets.datagram(packet)
                if found is None:
                    continue
                port, query = found[0], found[1][:QUERY]
            taken += 1
            answer = None if slow else quick(query, cache, now)
            if answer is None:
                self.take(query, self._sender(client, port), tcp=False)
            elif client == _HERE:
                try:
                    send(answer_to(port, answer), _THERE)
                except OSError:
                    continue  # the container's own firewall refuses it
            else:
                self._send(client, answer_to(port, answer))
        self.queries += taken

    def _sender(self, client: bytes, port: bytes) -> Answer:
        def send(answer: bytes, _: str) -> None:
            self._send(client, packets.answer_to(port, answer))

        return send

    def _send(self, client: bytes, packet: bytes) -> None:
        if client == packets.RESOLVER and packet[2:4] == packet[:2]:
            return  # from our own port: the answer would be a query again
        try:
            self._sockets.raw.sendto(packet, (socket.inet_ntoa(client), 0))
        except OSError:
            return  # as above, or there is no such client

    def _segment(self, packet: bytes) -> None:
        found = packets.segment(packet)
        if found is None:
            return
        client, content = found
        if self._ends is None and packets.opens(content):
            self._ends = self._streams.open(self._number, self.incoming)
            if self._ends is not None:
                self.listener = self._ends.listener
                self.accept_more()
        if self._ends is not None:
            self._streams.carry(self._number, client, content)
