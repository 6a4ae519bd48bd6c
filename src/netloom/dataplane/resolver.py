"""127.0.0.11 of one sandbox, served from the event loop: what does not depend on how its queries come in."""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod

from netloom.dataplane.connections import Connection
from netloom.dataplane.forwarding import Answer, Forwarder
from netloom.dataplane.learning import Learning
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.protocol import Handed
from netloom.dataplane.watch import OWN, Watch, told
from netloom.dns.message import FORMERR, NOTIMP, RCODE
from netloom.dns.responder import Forward, Responder
from netloom.model.names import DnsCounts, Resolver

DRAIN = 64  # queries answered before the loop looks at other sockets
QUERY = 4096  # bytes; a longer one is cut and so malformed
MAX_CONNECTIONS = 64  # of one sandbox; further ones wait in the backlog
_FULL_PAUSE = 1.0  # seconds without accepting when descriptors have run out


class ResolverSockets(ABC):
    """Owns its sockets. `responder` may be replaced at any time; the next query sees the new one.

    Queries come in by `incoming`, connections by `listener` once there is one. While `watches` holds any, every query
    is told to them, and takes the slow road; so it does where policies speak of names.
    """

    def __init__(
        self,
        loop: EventLoop,
        sandbox: str,
        incoming: socket.socket,
        listener: socket.socket | None,
        responder: Responder,
        forwarder: Forwarder,
        learning: Learning,
    ) -> None:
        self.sandbox = sandbox
        self.learning = learning
        self.incoming = incoming
        self.listener = listener
        self.responder = responder
        self.forwarder = forwarder
        self.loop = loop
        self.queries = 0
        self.malformed = 0
        self.watches: tuple[Watch, ...] = ()
        self._connections: set[Connection] = set()
        self._accepting = False
        self._paused = True
        self.resume()

    @abstractmethod
    def _datagrams(self) -> None:
        """Take in what has come, DRAIN packets at most."""

    @abstractmethod
    def handed(self, pid: int, resolver: Resolver) -> tuple[Handed, list[int]]:
        """What a successor is told, and the descriptors that go with it."""

    def pause(self) -> None:
        """Take in no query and no connection until `resume`; what is under way goes on."""
        self._paused = True
        self.loop.remove_reader(self.incoming)
        self._stop_accepting()

    def resume(self) -> None:
        """The end of `pause`."""
        self._paused = False
        self.loop.add_reader(self.incoming, self._datagrams)
        self.accept_more()

    @property
    def busy(self) -> bool:
        """Is a client waiting for an answer, or connected?"""
        return self.forwarder.busy or bool(self._connections)

    def close(self) -> None:
        """Close the sockets and every connection; the namespace is not held any longer."""
        self.forwarder.close()
        self.learning.close()
        self.loop.remove_reader(self.incoming)
        self._stop_accepting()
        for connection in list(self._connections):
            connection.close()
        self.incoming.close()
        if self.listener is not None:
            self.listener.close()

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self.accept_more()

    @property
    def counts(self) -> DnsCounts:
        """What has been answered so far, and how."""
        forwarder = self.forwarder
        cached, forwarded, failed = forwarder.cache.hits, forwarder.forwarded, forwarder.failed
        return DnsCounts(self.queries, cached, forwarded, failed, self.malformed)

    def quick(self, query: bytes, now: float) -> bytes | None:
        """The answer that is at hand."""
        return None if self.watches or self.learning.rules else self.responder.quick(query, self.forwarder.cache, now)

    def take(self, query: bytes, answer: Answer, *, tcp: bool) -> bool:
        """Answer a query for which there is no quick answer; False: it gets none."""
        if self.learning.rules:
            answer = self.learning.before(answer)
        if self.watches:
            answer = told(self.watches, self.sandbox, query, answer, self.loop.time)
        reply = self.responder.respond(query, tcp=tcp)
        if isinstance(reply, Forward):
            self.forwarder.forward(reply, tcp=tcp, answer=answer)
            return True
        if reply is None or reply[3] & RCODE in (FORMERR, NOTIMP):
            self.malformed += 1
        if reply is None:
            return False
        answer(reply, OWN)
        return True

    def accept_more(self) -> None:
        """Accept connections, unless there are enough."""
        if self._accepting or self._paused or self.listener is None or self.listener.fileno() < 0:
            return
        if len(self._connections) < MAX_CONNECTIONS:
            self._accepting = True
            self.loop.add_reader(self.listener, self._accept, self.listener)

    def _stop_accepting(self) -> None:
        if self._accepting and self.listener is not None:
            self._accepting = False
            self.loop.remove_reader(self.listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._stop_accepting()
                self.loop.call_later(_FULL_PAUSE, self.accept_more)
            return
        self._connections.add(Connection(self, sock))
        if len(self._connections) >= MAX_CONNECTIONS:
            self._stop_accepting()
