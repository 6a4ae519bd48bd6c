"""TCP through the relay: one listener for every relayed port.

The firewall redirects the ports to the listener; where a connection was going is asked of conntrack
(IP6T_SO_ORIGINAL_DST). A connection that was not redirected has no such entry, or names the listener itself, and is
dropped.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from netloom.dataplane.loop import EventLoop

_ORIGINAL_DST = 80  # linux/netfilter_ipv6/ip6_tables.h
_SOCKADDR_IN6 = struct.Struct("=H2xI16sI")
_NO_LINGER = struct.pack("ii", 1, 0)  # close by RST
_CONNECT = 10.0  # seconds
_PIECE = 256 << 10  # bytes moved at a time, and the most that waits for a slow side
_BULK = 64 << 10  # bytes read at once that show it
_PIPE = 1 << 20  # bytes a pipe has: the most that an unprivileged user may (pipe(7))
_MOVE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_PAUSE = 1.0  # seconds without accepting when descriptors have run out
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Lookup = Callable[[str, int], tuple[str, int] | None]  # original address and port → target


class StreamRelay:
    """Accepts on `listener`, which stays the caller's, from `begin` to `stop`."""

    def __init__(self, loop: EventLoop, listener: socket.socket, lookup: Lookup) -> None:
        self.loop = loop
        self.piece = memoryview(bytearray(_PIECE))  # of all: nothing stays in it between two callbacks
        self._listener = listener
        self._lookup = lookup
        self._links: set[_Link] = set()
        self._accepts = False
        listener.setblocking(False)

    @property
    def busy(self) -> bool:
        """Are there connections left?"""
        return bool(self._links)

    def begin(self) -> None:
        """Accept, now that it is known what leads where. Twice is once."""
        if not self._accepts:
            self._accepts = True
            self.loop.add_reader(self._listener, self._accept)

    def stop(self) -> None:
        """Accept nothing more; what runs goes on."""
        self._accepts = False
        self.loop.remove_reader(self._listener)

    def forget(self, link: _Link) -> None:
        """A connection has ended."""
        self._links.discard(link)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _FULL:
                self.loop.remove_reader(self._listener)
                self.loop.call_later(_PAUSE, self._accept_again)
            return
        client.setblocking(False)
        target = self._target(client)
        if target is None:
            client.close()
            return
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        try:
            server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError:
            _reset(client)
            return
        link = _Link(self, client, server)
        self._links.add(link)
        link.connect(target)

    def _accept_again(self) -> None:
        if self._accepts:
            self.loop.add_reader(self._listener, self._accept)

    def _target(self, client: socket.socket) -> tuple[str, int] | None:
        try:
            raw = client.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DST, _SOCKADDR_IN6.size)
        except OSError:
            return None
        port = int.from_bytes(raw[2:4], "big")
        return self._lookup(socket.inet_ntop(socket.AF_INET6, raw[8:24]), port)


class _Link:
    """A client and its server. Bytes, half-close and reset pass; the slower side sets the pace."""

    def __init__(self, owner: StreamRelay, client: socket.socket, server: socket.socket) -> None:
        self._owner = owner
        self._loop = owner.loop
        self._client = client
        self._server = server
        self._flows = (_Flow(self, client, server), _Flow(self, server, client))
        self._timer = self._loop.call_later(_CONNECT, self.reset)

    def connect(self, target: tuple[str, int]) -> None:
        """Reach the server; its refusal becomes the client's reset."""
        for sock in (self._client, self._server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._server.connect(target)
        except BlockingIOError:
            self._loop.add_writer(self._server, self._connected)
        except OSError:
            self.reset()
        else:
            self._connected()

    def reset(self) -> None:
        """End both sides with a reset."""
        self._forget()
        _reset(self._client)
        _reset(self._server)

    def ended(self) -> None:
        """One direction is through; with the second one both sides are closed."""
        if all(flow.over for flow in self._flows):
            self._forget()
            self._client.close()
            self._server.close()

    def _connected(self) -> None:
        self._loop.remove_writer(self._server)
        if self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.reset()
            return
        self._timer.cancel()
        for flow in self._flows:
            flow.start(self._loop, self._owner.piece)

    def _forget(self) -> None:
        self._timer.cancel()
        for flow in self._flows:
            flow.close()
        for sock in (self._client, self._server):
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                self._loop.remove_writer(sock)
        self._owner.forget(self)


class _Flow:
    """One direction. What fills a buffer is bulk, and goes through a pipe from then on: the kernel hands pages over."""

    def __init__(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        self._link = link
        self._source = source
        self._sink = sink
        self._rest = b""  # what the sink did not take; nothing is read meanwhile
        self._pipe: _Pipe | None = None
        self.over = False

    def start(self, loop: EventLoop, piece: memoryview) -> None:
        """Move from now on."""
        self._loop = loop
        self._piece = piece
        loop.add_reader(self._source, self._readable)

    def close(self) -> None:
        """Twice is once."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _readable(self) -> None:
        try:
            size = self._pipe.fill(self._source) if self._pipe else self._source.recv_into(self._piece)
            if not size:
                self._loop.remove_reader(self._source)
                self.over = True
                self.close()
                self._sink.shutdown(socket.SHUT_WR)
                self._link.ended()
                return
            through = self._pipe.empty(self._sink) if self._pipe else self._copied(size)
        except BlockingIOError:
            return
        except OSError:
            self._link.reset()
            return
        if not through:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._sink, self._writable)
        elif self._pipe is None and size >= _BULK:
            self._pipe = _Pipe.opened()

    def _writable(self) -> None:
        try:
            if self._pipe:
                through = self._pipe.empty(self._sink)
            else:
                self._rest = self._rest[self._send(memoryview(self._rest)) :]
                through = not self._rest
        except OSError:
            self._link.reset()
            return
        if through:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._readable)

    def _copied(self, size: int) -> bool:
        sent = self._send(self._piece[:size])
        self._rest = bytes(self._piece[sent:size])
        return sent == size

    def _send(self, data: memoryview) -> int:
        """How much the sink took; 0 when it is full."""
        try:
            return self._sink.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0


class _Pipe:
    """Between two sockets, by splice(2). It is filled only when it is empty: EAGAIN is then the socket's word."""

    def __init__(self, ends: tuple[int, int]) -> None:
        self._out, self._in = ends
        self._held = 0
        with suppress(OSError):  # beyond what this user may have; it stays as it is
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIPE)

    @classmethod
    def opened(cls) -> Self | None:
        """None when descriptors have run out: bytes are copied then."""
        try:
            return cls(os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError:
            return None

    def fill(self, source: socket.socket) -> int:
        """How much came; 0 at the end. Raises OSError, BlockingIOError where nothing is there yet."""
        self._held = os.splice(source.fileno(), self._in, _PIPE, flags=_MOVE)
        return self._held

    def empty(self, sink: socket.socket) -> bool:
        """Did the sink take all that is in it? Raises OSError."""
        try:
            while self._held:
                self._held -= os.splice(self._out, sink.fileno(), self._held, flags=_MOVE)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)


def _reset(sock: socket.socket) -> None:
    """Close with RST, as a port on which nobody listens would have answered. Closed already is success."""
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        sock.close()
