"""A connection to the daemon as the command uses it: blocking for requests, not blocking for a stream's input."""

from __future__ import annotations

import socket
from typing import Protocol


class Connection(Protocol):
    """What both kinds have."""

    def fileno(self) -> int:
        """To wait on. Nothing is kept back after a `recv`: readable means new bytes."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send all of it, waiting as long as it takes."""
        ...

    def recv(self, size: int, /) -> bytes:
        """What has come, at least a byte; empty at the end. It may be more than asked for."""
        ...

    def offer(self, data: bytes) -> None:
        """Send without waiting: what does not go now is `pending` and goes by `flush`."""
        ...

    def finish(self) -> None:
        """After all that was offered the peer reads end of file; its answer goes on."""
        ...

    def flush(self) -> None:
        """Send what goes now."""
        ...

    @property
    def pending(self) -> bool:
        """Does something wait for `flush`, once the connection is writable?"""
        ...

    def close(self) -> None:
        """Drop it."""
        ...


class Outbox:
    """Bytes on their way into a socket. A peer that has gone takes them silently: its answer says that it ended."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain
        self._waiting = bytearray()
        self._closing = False

    @property
    def pending(self) -> bool:
        """Are there bytes that did not go yet?"""
        return bool(self._waiting)

    def queue(self, data: bytes) -> None:
        """Send what goes now, keep the rest."""
        self._waiting += data
        self.flush()

    def close_after(self) -> None:
        """Close the socket's writing half after the last byte."""
        self._closing = True
        self.flush()

    def flush(self) -> None:
        """Send what goes now."""
        try:
            while self._waiting:
                sent = self._plain.send(self._waiting, socket.MSG_DONTWAIT)
                del self._waiting[:sent]
            if self._closing:
                self._closing = False
                self._plain.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self._waiting.clear()
            self._closing = False


class PlainConnection:
    """A socket."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain
        self._outbox = Outbox(plain)
        self.fileno = plain.fileno
        self.sendall = plain.sendall
        self.recv = plain.recv
        self.offer = self._outbox.queue
        self.finish = self._outbox.close_after
        self.flush = self._outbox.flush
        self.close = plain.close

    @property
    def pending(self) -> bool:
        """See `Connection`."""
        return self._outbox.pending
