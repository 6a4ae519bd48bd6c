"""127.0.0.11 of a sandbox as versions before this one opened it: a UDP and a TCP socket on ports of the sandbox.

A rewrite inside the namespace leads port 53 to them. They are taken over in an upgrade, and never opened.
"""

from __future__ import annotations

from netloom.dataplane.forwarding import Answer
from netloom.dataplane.protocol import HandSandbox
from netloom.dataplane.resolver import DRAIN, QUERY, ResolverSockets
from netloom.model.names import Resolver


class BoundSockets(ResolverSockets):
    """`incoming` is the UDP socket, `listener` the TCP socket."""

    def handed(self, pid: int, resolver: Resolver) -> tuple[HandSandbox, list[int]]:
        assert self.listener is not None
        return HandSandbox(self.sandbox, pid, resolver), [self.incoming.fileno(), self.listener.fileno()]

    def _datagrams(self) -> None:
        quick, receive, send = self.responder.quick, self.incoming.recvfrom, self.incoming.sendto
        cache, now = self.forwarder.cache, self.loop.time()
        slow = bool(self.watches or self.learning.rules)
        taken = 0
        for _ in range(DRAIN):
            try:
                query, client = receive(QUERY)
            except OSError:
                break
            taken += 1
            answer = None if slow else quick(query, cache, now)
            if answer is None:
                self.take(query, self._sender(client), tcp=False)
                continue
            try:
                send(answer, client)
            except OSError:
                continue  # the container's own firewall refuses it, or the client has gone
        self.queries += taken

    def _sender(self, client: tuple[str, int]) -> Answer:
        def send(answer: bytes, _: str) -> None:
            try:
                self.incoming.sendto(answer, client)
            except OSError:
                return  # as above

        return send
