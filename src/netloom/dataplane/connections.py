"""A client of 127.0.0.11 over TCP: messages with their length before them (RFC 7766)."""

from __future__ import annotations

import socket
import struct
from typing import Protocol

from netloom.dataplane.forwarding import Answer
from netloom.dataplane.loop import EventLoop

_IDLE = 10.0  # seconds after which a silent connection is closed
_MAX_UNSENT = 256 << 10  # bytes of answers that a client does not fetch


class Asked(Protocol):
    """Whom a connection asks."""

    loop: EventLoop
    queries: int

    def quick(self, query: bytes, now: float) -> bytes | None:
        """The answer that is at hand."""
        ...

    def take(self, query: bytes, answer: Answer, *, tcp: bool) -> bool:
        """Answer a query for which there is no quick answer; False: it gets none."""
        ...

    def forget(self, connection: Connection) -> None:
        """The connection has ended."""
        ...


class Connection:
    """Its queries are answered as the answers are ready (RFC 7766, 6.2.1.1)."""

    def __init__(self, owner: Asked, sock: socket.socket) -> None:
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
