"""127.0.0.11 of one sandbox: its two sockets, served from the event loop."""

from __future__ import annotations

import errno
import socket
import struct

from netloom.dataplane.forwarding import Answer, Forwarder
from netloom.dataplane.learning import Learning
from netloom.dataplane.loop import EventLoop
from netloom.dataplane.watch import OWN, Watch, told
from netloom.dns.message import FORMERR, NOTIMP, RCODE
from netloom.dns.responder import Forward, Responder
from netloom.model.names import DnsCounts

_DRAIN = 64  # queries answered before the loop looks at other sockets
_QUERY = 4096  # bytes; a longer one is cut and so malformed
MAX_CONNECTIONS = 64  # of one sandbox; further ones wait in the backlog
_IDLE = 10.0  # seconds after which a silent connection is closed
_MAX_UNSENT = 256 << 10  # bytes of answers that a client does not fetch
_FULL_PAUSE = 1.0  # seconds without accepting when descriptors have run out


class ResolverSockets:
    """Owns both sockets. `responder` may be replaced at any time; the next query sees the new one.

    While `watches` holds any, every query is told to them, and takes the slow road; so it does where policies speak of
    names.
    """

    def __init__(
        self,
        loop: EventLoop,
        sandbox: str,
        udp: socket.socket,
        tcp: socket.socket,
        responder: Responder,
        forwarder: Forwarder,
        learning: Learning,
    ) -> None:
        self.sandbox = sandbox
        self.learning = learning
        self.udp = udp
        self.tcp = tcp
        self.responder = responder
        self.forwarder = forwarder
        self.loop = loop
        self.queries = 0
        self.malformed = 0
        self.watches: tuple[Watch, ...] = ()
        self._connections: set[_Connection] = set()
        self._accepting = False
        self._paused = True
        self.resume()

    def pause(self) -> None:
        """Take in no query and no connection until `resume`; what is under way goes on."""
        self._paused = True
        self.loop.remove_reader(self.udp)
        self._stop_accepting()

    def resume(self) -> None:
        """The end of `pause`."""
        self._paused = False
        self.loop.add_reader(self.udp, self._datagrams)
        self._accept_more()

    @property
    def busy(self) -> bool:
        """Is a client waiting for an answer, or connected?"""
        return self.forwarder.busy or bool(self._connections)

    def close(self) -> None:
        """Close the sockets and every connection; the namespace is not held any longer."""
        self.forwarder.close()
        self.learning.close()
        self.loop.remove_reader(self.udp)
        self._stop_accepting()
        for connection in list(self._connections):
            connection.close()
        self.udp.close()
        self.tcp.close()

    def forget(self, connection: _Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._accept_more()

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

    def _datagrams(self) -> None:
        quick, receive, send = self.responder.quick, self.udp.recvfrom, self.udp.sendto
        cache, now = self.forwarder.cache, self.loop.time()
        slow = bool(self.watches or self.learning.rules)
        taken = 0
        for _ in range(_DRAIN):
            try:
                query, client = receive(_QUERY)
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
                self.udp.sendto(answer, client)
            except OSError:
                return  # as above

        return send

    def _accept_more(self) -> None:
        if self._accepting or self._paused or self.tcp.fileno() < 0:
            return
        if len(self._connections) < MAX_CONNECTIONS:
            self._accepting = True
            self.loop.add_reader(self.tcp, self._accept)

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._accepting = False
            self.loop.remove_reader(self.tcp)

    def _accept(self) -> None:
        try:
            sock, _ = self.tcp.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._stop_accepting()
                self.loop.call_later(_FULL_PAUSE, self._accept_more)
            return
        self._connections.add(_Connection(self, sock))
        if len(self._connections) >= MAX_CONNECTIONS:
            self._stop_accepting()


class _Connection:
    """One client over TCP: messages with their length before them, answered as they are ready (RFC 7766, 6.2.1.1)."""

    def __init__(self, owner: ResolverSockets, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._owner = owner
        self._sock = sock
        self._loop = owner.loop
        self._in = bytearray()
        self._out = bytearray()
        self._waiting = 0  # answers from outside
        self._half_closed = False
        self._timer = self._loop.call_later(_IDLE, self.close)
        self._loop.add_reader(sock, self._readable)

    def close(self) -> None:
        """Drop the connection. Twice is once."""
        if self._sock.fileno() < 0:
            return
        self._timer.cancel()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._owner.forget(self)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self._half_closed = True
            self._loop.remove_reader(self._sock)
            self._end_if_done()
            return
        self._timer.cancel()
        self._timer = self._loop.call_later(_IDLE, self.close)
        self._in += data
        while len(self._in) >= 2:
            size = int.from_bytes(self._in[:2], "big")
            if len(self._in) < 2 + size:
                break
            query = bytes(self._in[2 : 2 + size])
            del self._in[: 2 + size]
            self._query(query)

    def _query(self, query: bytes) -> None:
        owner = self._owner
        owner.queries += 1
        reply = owner.quick(query, self._loop.time())
        if reply is not None:
            self._send(reply)
            return
        self._waiting += 1
        if not owner.take(query, self._late, tcp=True):
            self._waiting -= 1

    def _late(self, answer: bytes, _: str) -> None:
        self._waiting -= 1
        self._send(answer)
        self._end_if_done()

    def _send(self, answer: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        self._out += struct.pack("!H", len(answer)) + answer
        if len(self._out) > _MAX_UNSENT:
            self.close()
        else:
            self._writable()

    def _writable(self) -> None:
        try:
            del self._out[: self._sock.send(self._out, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._out:
            self._loop.add_writer(self._sock, self._writable)
        else:
            self._loop.remove_writer(self._sock)
            self._end_if_done()

    def _end_if_done(self) -> None:
        if self._half_closed and not self._waiting and not self._out:
            self.close()
