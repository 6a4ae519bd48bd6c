"""Attaching by websocket (RFC 6455): GET /containers/{id}/attach/ws. Output comes in binary messages, not framed."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Mapping

from netloom.api.connection import Hijack
from netloom.model.errors import InvalidArgument

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _MASK = 0x80, 0x80
_LONGEST = 1 << 20  # bytes of one message from a client: what is typed, or a block of a file
NORMAL, TOO_BIG, PROTOCOL_ERROR = 1000, 1009, 1002


def accept(headers: Mapping[str, str]) -> bytes:
    """The head of the answer. Raises InvalidArgument for a request that is no websocket's."""
    key = headers.get("Sec-WebSocket-Key", "")
    if headers.get("Upgrade", "").lower() != "websocket" or not key:
        raise InvalidArgument("not websocket protocol")
    if headers.get("Sec-WebSocket-Version", "13") != "13":
        raise InvalidArgument("missing or bad WebSocket Version")
    token = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {token}\r\n\r\n"
    ).encode()


def message(data: bytes, kind: int = _BINARY) -> bytes:
    """One whole message from the server: never masked."""
    size = len(data)
    if size < 126:
        head = struct.pack(">BB", _FIN | kind, size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", _FIN | kind, 126, size)
    else:
        head = struct.pack(">BBQ", _FIN | kind, 127, size)
    return head + data


class Decoder:
    """What a client sends, in pieces of any size, as (kind, payload); continuations are like what they continue.

    Raises ValueError for bytes that are no websocket's, OverflowError for a message that is too long.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages that are whole now."""
        self._rest += data
        found = []
        while (one := self._next()) is not None:
            found.append(one)
        return found

    def _next(self) -> tuple[int, bytes] | None:
        rest = self._rest
        if len(rest) < 2:
            return None
        kind, size, at = rest[0] & 0x0F, rest[1] & 0x7F, 2
        if not rest[1] & _MASK or rest[0] & 0x70:
            raise ValueError("a client's frames are masked and have no extensions")
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(rest) < at + width:
                return None
            size = int.from_bytes(rest[at : at + width], "big")
            at += width
        if size > _LONGEST:
            raise OverflowError("message too long")
        if len(rest) < at + 4 + size:
            return None
        mask, payload = rest[at : at + 4], rest[at + 4 : at + 4 + size]
        self._rest = rest[at + 4 + size :]
        return kind, _unmasked(payload, mask)


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")


class WebSocketEnd:
    """A hijacked connection that speaks websocket; the rest of us sees bytes."""

    def __init__(self, client: Hijack) -> None:
        self._client = client
        self._decoder = Decoder()
        self._input: list[bytes] = []
        self._closing = False
        self.gone = client.gone

    async def read(self) -> bytes:
        """What the client sent; empty at its end."""
        while not self._input:
            data = b"" if self._closing else await self._client.read()
            if not data:
                return b""
            try:
                messages = self._decoder.feed(data)
            except ValueError:
                await self._goodbye(PROTOCOL_ERROR)
                return b""
            except OverflowError:
                await self._goodbye(TOO_BIG)
                return b""
            for kind, payload in messages:
                await self._take(kind, payload)
        return self._input.pop(0)

    async def _take(self, kind: int, payload: bytes) -> None:
        if kind in (_CONTINUATION, _TEXT, _BINARY):
            if payload:
                self._input.append(payload)
        elif kind == _PING:
            await self._client.write(message(payload, _PONG))
        elif kind == _CLOSE:
            await self._goodbye(NORMAL)

    async def _goodbye(self, code: int) -> None:
        if not self._closing:
            self._closing = True
            await self._client.write(message(struct.pack(">H", code), _CLOSE))

    async def write(self, data: bytes) -> None:
        """One message."""
        await self._client.write(message(data))

    async def close(self) -> None:
        """Say goodbye."""
        try:
            await self._goodbye(NORMAL)
        except ConnectionError:
            return
