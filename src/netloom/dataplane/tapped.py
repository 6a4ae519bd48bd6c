"""127.0.0.11 of a sandbox without a port of it: queries are read from a packet socket on its `lo`."""

from __future__ import annotations

import socket

from netloom.dataplane import packets
from netloom.dataplane.forwarding import Answer, Forwarder
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.protocol import HandPackets
from netloom.dataplane.resolver import DRAIN, QUERY, ResolverSockets
from netloom.dataplane.sandbox_sockets import Packets
from netloom.dataplane.streams import Streams
from netloom.dns.responder import Responder
from netloom.model.names import Resolver

_CLIENTS = 64  # addresses that are remembered in text
_PLAIN_QUERY = packets.HEAD + QUERY  # bytes of a packet without IP options

# What is being read; only one callback runs at a time, and none keeps a part of it.
_buffer = bytearray(packets.LARGEST)
_view = memoryview(_buffer)


class TappedSockets(ResolverSockets):
    """`incoming` is the packet socket; `listener`, made when first needed, is in the namespace of the streams."""

    def __init__(
        self,
        loop: EventLoop,
        sandbox: str,
        sockets: Packets,
        listener: socket.socket | None,
        streams: Streams,
        number: int,
        responder: Responder,
        forwarder: Forwarder,
    ) -> None:
        self.sockets = sockets
        self.number = number
        self._streams = streams
        self._clients: dict[bytes, tuple[str, int]] = {}
        streams.add(number, self.send)
        super().__init__(loop, sandbox, sockets.tap, listener, responder, forwarder)

    def close(self) -> None:
        super().close()
        self._streams.drop(self.number)
        self.sockets.close()

    def send(self, client: bytes, packet: bytes) -> None:
        """Send a whole packet to a client."""
        address = self._clients.get(client)
        if address is None:
            if len(self._clients) >= _CLIENTS:
                self._clients.clear()
            address = self._clients[client] = (socket.inet_ntoa(client), 0)
        try:
            self.sockets.raw.sendto(packet, address)
        except OSError:
            return  # the container's own firewall refuses it, or the client's address is none of the sandbox's

    def handed(self, pid: int, resolver: Resolver) -> tuple[HandPackets, list[int]]:
        sockets = self.sockets if self.listener is None else (*self.sockets, self.listener)
        message = HandPackets(self.sandbox, pid, resolver, self.number, listening=len(sockets) > len(self.sockets))
        return message, [sock.fileno() for sock in sockets]

    def _datagrams(self) -> None:
        quick, receive, send, answer_to = self.responder.quick, self.incoming.recv_into, self.send, packets.answer_to
        cache, now = self.forwarder.cache, self.loop.time()
        taken = 0
        for _ in range(DRAIN):
            try:
                size = receive(_buffer)
            except OSError:
                break
            first, proto, client, port, length = packets.head(_buffer)
            if proto == packets.TCP:
                self._segment(_view[:size])
                continue
            if first == packets.PLAIN and size == packets.IP_HEADER + length <= _PLAIN_QUERY:
                query = bytes(_view[packets.HEAD : size])
            else:
                found = packets.datagram(_view[:size])
                if found is None:
                    continue
                port, query = found[0], found[1][:QUERY]
            taken += 1
            answer = None if self.watches else quick(query, cache, now)
            if answer is None:
                self.take(query, self._sender(client, port), tcp=False)
            else:
                send(client, answer_to(client, port, answer))
        self.queries += taken

    def _sender(self, client: bytes, port: bytes) -> Answer:
        def send(answer: bytes, _: str) -> None:
            self.send(client, packets.answer_to(client, port, answer))

        return send

    def _segment(self, packet: memoryview) -> None:
        found = packets.segment(packet)
        if found is None:
            return
        client, content = found
        if self.listener is None:
            if not packets.opens(content):
                return
            self.listener = self._streams.listen(self.number)
            self.accept_more()
        self._streams.carry(self.number, client, content)
