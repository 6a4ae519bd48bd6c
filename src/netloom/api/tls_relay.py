"""TLS in front of the server: ends it here and hands the plain bytes on through a socket pair.

asyncio's own TLS closes a connection as soon as the peer closes its side. Docker's clients do that first of all when
they have no input to send, and read on: attach and exec would lose their output.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

_HANDSHAKE = 30.0  # seconds
_PIECE = 1 << 16  # bytes

Accept = Callable[[socket.socket], Awaitable[object]]


class TlsEnd(asyncio.Protocol):
    """The TCP side of one connection."""

    def __init__(self, context: ssl.SSLContext, accept: Accept) -> None:
        self._accept = accept
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._plain = PlainEnd(self)
        self._opening: asyncio.Task[None] | None = None
        self._shaken = False
        self._ended = False  # the peer has closed its side as TLS wants it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(_HANDSHAKE, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Decrypt what is whole and hand it on."""
        self._incoming.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                self._timer.cancel()
                self._opening = asyncio.ensure_future(self._open())
            self._decrypt()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._flush()  # the alert that says why
            self._transport.close()
            self._plain.abort()
            return
        self._flush()

    def eof_received(self) -> bool:
        """The end of TCP without the end of TLS may be somebody cutting the line: nothing of it counts."""
        if not self._ended:
            self._plain.abort()
        return self._ended

    def connection_lost(self, exc: Exception | None) -> None:
        """The plain side ends with us."""
        self._timer.cancel()
        if self._opening is not None:
            self._opening.cancel()
        self._plain.abort()

    def pause_writing(self) -> None:
        """The client does not read: take no more from the server."""
        self._plain.pause_reading()

    def resume_writing(self) -> None:
        """See pause_writing."""
        self._plain.resume_reading()

    def send(self, data: bytes) -> None:
        """Encrypt and send."""
        try:
            for start in range(0, len(data), _PIECE):
                self._tls.write(data[start : start + _PIECE])
        except ssl.SSLError:
            self._transport.abort()  # nothing can be sent in order any more
            return
        self._flush()

    def finish(self) -> None:
        """The server has closed: say so as TLS wants it."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the peer's own end has not come yet; nobody waits for it
        self._flush()
        self._transport.close()

    def pause_reading(self) -> None:
        """The server does not read: take no more from the client."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See pause_reading."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _open(self) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        try:
            await self._accept(theirs)
            await asyncio.get_running_loop().create_connection(lambda: self._plain, sock=ours)
        except BaseException:
            ours.close()
            self._transport.abort()
            raise

    def _decrypt(self) -> None:
        while not self._ended:
            try:
                data = self._tls.read(_PIECE)
            except ssl.SSLZeroReturnError:
                data = b""
            if data:
                self._plain.send(data)
            else:
                self._ended = True
                self._plain.send_eof()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())


class PlainEnd(asyncio.Protocol):
    """The server's side. What comes before it is connected waits here."""

    def __init__(self, tls: TlsEnd) -> None:
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._early_end = False
        self._aborted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand on what has waited."""
        self._transport = cast(asyncio.Transport, transport)
        if self._aborted:
            self._transport.abort()
            return
        self._transport.writelines(self._early)
        self._early.clear()
        if self._early_end:
            self._transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """From the server to the client."""
        self._tls.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has closed."""
        if not self._aborted:
            self._tls.finish()

    def pause_writing(self) -> None:
        """See TlsEnd.pause_reading."""
        self._tls.pause_reading()

    def resume_writing(self) -> None:
        """See TlsEnd.resume_reading."""
        self._tls.resume_reading()

    def send(self, data: bytes) -> None:
        """From the client to the server."""
        if self._transport is None:
            self._early.append(data)
        else:
            self._transport.write(data)

    def send_eof(self) -> None:
        """The client has closed its side."""
        if self._transport is None:
            self._early_end = True
        elif not self._transport.is_closing():
            self._transport.write_eof()

    def abort(self) -> None:
        """The client has gone."""
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        """See TlsEnd.pause_writing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See TlsEnd.resume_writing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
