"""Attaching by websocket; the handshake's example is RFC 6455's own."""

from __future__ import annotations

import asyncio
import os
import struct

import pytest

from netloom.api.websocket import Decoder, accept, message
from netloom.model.errors import InvalidArgument
from netloom.testing.api_client import Client, read_head, request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def masked(data: bytes, kind: int = 2) -> bytes:
    """A message as a client sends it."""
    mask = os.urandom(4)
    head = message(data, kind)
    size = len(head) - len(data)
    return (
        bytes([head[0], head[1] | 0x80])
        + head[2:size]
        + mask
        + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    )


async def read_message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One from the server."""
    kind, size = await asyncio.wait_for(reader.readexactly(2), 10)
    if size == 126:
        (size,) = struct.unpack(">H", await reader.readexactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", await reader.readexactly(8))
    return kind & 0x0F, await asyncio.wait_for(reader.readexactly(size), 10)


async def opened(api: Client, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, dict[str, str]]:
    reader, writer = await api.connect()
    writer.write(request("GET", path, None, UPGRADE))
    status, headers = await read_head(reader)
    assert status == 101
    return reader, writer, headers


def test_the_handshake() -> None:
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in accept(UPGRADE)
    with pytest.raises(InvalidArgument, match="not websocket protocol"):
        accept({})


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_messages_at_any_boundary(size: int, step: int) -> None:
    if size > 1000 and step == 1:
        step = 4001
    data = os.urandom(size)
    text = masked(data) + masked(b"next", 1)
    decoder = Decoder()
    found = [one for at in range(0, len(text), step) for one in decoder.feed(text[at : at + step])]
    assert found == [(2, data), (1, b"next")]


def test_what_is_no_websocket() -> None:
    with pytest.raises(ValueError, match="masked"):
        Decoder().feed(message(b"unmasked"))
    with pytest.raises(OverflowError):
        Decoder().feed(bytes([0x82, 0xFF]) + (1 << 40).to_bytes(8, "big"))


async def test_bytes_go_both_ways(api: Client) -> None:
    await api("POST", "/containers/create?name=c", {"Image": "host", "Cmd": ["cat"], "OpenStdin": True})
    await api("POST", "/containers/c/start")
    reader, writer, headers = await opened(api, "/containers/c/attach/ws?stream=1&stdin=1&stdout=1")
    assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    writer.write(masked(b"hello\n"))
    assert await read_message(reader) == (2, b"hello\n")
    writer.write(masked(b"are you there", 9))
    assert await read_message(reader) == (10, b"are you there")
    writer.write(masked(struct.pack(">H", 1000), 8))
    assert (await read_message(reader))[0] == 8
    writer.close()


async def test_output_before_and_its_end(api: Client) -> None:
    await api("POST", "/containers/create?name=c", {"Image": "host", "Cmd": ["echo", "hi"]})
    reader, writer, _ = await opened(api, "/containers/c/attach/ws?stream=1&stdout=1")
    await api("POST", "/containers/c/start")
    assert await read_message(reader) == (2, b"hi\n")
    assert await read_message(reader) == (8, struct.pack(">H", 1000))
    writer.close()


async def test_a_plain_request_is_refused(api: Client) -> None:
    await api("POST", "/containers/create?name=c", {"Image": "host", "Cmd": ["cat"]})
    assert (await api("GET", "/containers/c/attach/ws?stream=1")).status == 400
