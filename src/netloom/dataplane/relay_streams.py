"""TCP through the relay: one listener for every relayed port.

The firewall redirects the ports to the listener; where a connection was going is asked of conntrack
(IP6T_SO_ORIGINAL_DST). A connection that was not redirected has no such entry, or names the listener itself, and is
dropped.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

_ORIGINAL_DST = 80  # linux/netfilter_ipv6/ip6_tables.h
_SOCKADDR_IN6 = struct.Struct("=H2xI16sI")
_NO_LINGER = struct.pack("ii", 1, 0)  # close by RST
_CONNECT = 10.0  # seconds
_MAX_UNSENT = 256 << 10  # bytes read ahead of a slow side

Lookup = Callable[[str, int], tuple[str, int] | None]  # original address and port → target


class StreamRelay:
    """Accepts on `listener`, which stays the caller's."""

    def __init__(self, listener: socket.socket, lookup: Lookup) -> None:
        self._listener = listener
        self._lookup = lookup
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pipes: set[_Pipe] = set()
        self._accepting = True
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    @property
    def busy(self) -> bool:
        """Are there connections left?"""
        return bool(self._tasks or self._pipes)

    def stop(self) -> None:
        """Accept nothing more; what runs goes on."""
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # the client has gone, or descriptors have run out: the next event tries again
            return
        client.setblocking(False)
        target = self._target(client)
        if target is None:
            client.close()
            return
        task = self._loop.create_task(self._connect(client, target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _target(self, client: socket.socket) -> tuple[str, int] | None:
        try:
            raw = client.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DST, _SOCKADDR_IN6.size)
        except OSError:
            return None
        port = int.from_bytes(raw[2:4], "big")
        return self._lookup(socket.inet_ntop(socket.AF_INET6, raw[8:24]), port)

    async def _connect(self, client: socket.socket, target: tuple[str, int]) -> None:
        near = _Pipe(self._pipes)
        try:
            async with asyncio.timeout(_CONNECT):
                _, far = await self._loop.create_connection(lambda: _Pipe(self._pipes), *target)
        except OSError:  # includes TimeoutError
            _reset(client)
            return
        near.other, far.other = far, near
        try:
            await self._loop.connect_accepted_socket(lambda: near, client)
        except OSError:
            far.abort()


class _Pipe(asyncio.Protocol):
    """One side of a relayed connection. Bytes, half-close and reset go to `other`, which sets the pace."""

    def __init__(self, pipes: set[_Pipe]) -> None:
        self._pipes = pipes
        self._transport: asyncio.Transport | None = None
        self._lost = False
        self._ended = False  # end of file came in
        self.other: _Pipe | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pipes.add(self)
        transport.set_write_buffer_limits(high=_MAX_UNSENT)
        if self.other is None:
            transport.pause_reading()  # until the near side is there
        elif self.other._transport is not None:
            self.other._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.other and self.other._transport:
            self.other._transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        if self.other and self.other._transport and not self.other._lost:
            self.other._transport.write_eof()
            if self.other._ended:
                self.other._transport.close()  # what is still to be written goes out first
                return False
        return True  # keep our writing side

    def pause_writing(self) -> None:
        if self.other and self.other._transport:
            self.other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other._transport and not self.other._lost:
            self.other._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._pipes.discard(self)
        if self.other and not self.other._lost:
            if exc is not None:
                self.other.abort()
            elif self.other._transport:
                self.other._transport.close()

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()


def _reset(sock: socket.socket) -> None:
    """Close with RST, as a port on which nobody listens would have answered."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    sock.close()
