"""A client's connection: HTTP by aiohttp until a stream takes it over."""

from __future__ import annotations

import asyncio
import select
from collections import deque
from typing import Any, cast

from netloom.api import web
from netloom.api.respond import message_reply
from netloom.api.web import RequestHandler

_STDIN_HIGH = 1 << 18  # bytes of input that wait for the process before we stop reading from the client
_OUTPUT_HIGH = 1 << 18  # bytes of output that wait for the client before we stop reading from the process
_HANGUP_INTERVAL = 1.0  # seconds


class Connection(RequestHandler):
    """aiohttp's connection, with our error replies, which tells a streaming handler that its client has gone."""

    stream_task: asyncio.Task[Any] | None = None
    taken_by: Hijack | None = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is not HTTP, told in our own form. The connection ends: its framing cannot be trusted."""
        text = " ".join((message or str(exc)).split())
        reply = message_reply(status, f"malformed request: {text}")
        self.close()
        return cast(web.StreamResponse, reply)

    def end_streams(self) -> None:
        """The daemon stops: streams end, requests in progress do not."""
        if self.taken_by is not None:
            self.taken_by.abort()
        elif self.stream_task is not None:
            self.stream_task.cancel()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the stream that nobody reads any more; other requests go on to their end."""
        task = self.stream_task
        super().connection_lost(exc)
        if task is not None:
            task.cancel()


class Hijack(asyncio.Protocol):
    """A connection that carries raw bytes both ways. Neither side can make us hold more than its high-water mark."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        transport = connection.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport: asyncio.Transport = transport
        self._input: deque[bytes] = deque()
        self._waiting = 0
        self._reading = True
        self._ended = False
        self._lost = False
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.gone = asyncio.Event()  # set when the client has gone altogether
        connection.taken_by = self
        self._transport.set_write_buffer_limits(high=_OUTPUT_HIGH)
        self._transport.set_protocol(self)

    async def read(self) -> bytes:
        """What the client sent; empty once it has closed its side."""
        while not self._input:
            if self._ended:
                return b""
            self._wake.clear()
            await self._wake.wait()
        data = self._input.popleft()
        self._waiting -= len(data)
        if not self._reading and self._waiting < _STDIN_HIGH and not self._lost:
            self._reading = True
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send; waits while the client does not read. Raises ConnectionResetError when it has gone."""
        if self._lost or self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        if not self._room.is_set():
            await self._room.wait()

    def close(self) -> None:
        """End the connection once everything is sent."""
        if not self._lost:
            self._transport.close()

    def abort(self) -> None:
        """End it now: the daemon stops."""
        if not self._lost:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._input.append(bytes(data))
        self._waiting += len(data)
        self._wake.set()
        if self._reading and self._waiting >= _STDIN_HIGH:
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has closed its side; output goes on."""
        self._ended = True
        self._wake.set()
        self._look_for_hangup()
        return True

    def _look_for_hangup(self) -> None:
        """See whether the client has closed altogether since: after its end of file no event tells, only a write.

        A unix socket shows it to poll (unix_poll in the kernel's net/unix/af_unix.c), TCP does not.
        """
        if self._lost or self._transport.is_closing():
            return
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), 0)
        if poll.poll(0):
            self._transport.abort()
        else:
            asyncio.get_running_loop().call_later(_HANGUP_INTERVAL, self._look_for_hangup)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._room.clear()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits, and let aiohttp forget the connection."""
        self._lost = self._ended = True
        self.gone.set()
        self._wake.set()
        self._room.set()
        self._connection.connection_lost(exc)
