"""A client of the API that speaks HTTP by hand, so that hostile bytes can be sent as they are."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """A reply, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Client:
    """One server, by its socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path), limit=1 << 24)

    async def raw(self, data: bytes, method: str = "GET") -> Answer:
        """Send bytes, read one reply."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            return await read_answer(reader, method)
        finally:
            writer.close()

    async def __call__(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own; a body that is no bytes is sent as JSON."""
        return await self.raw(request(method, path, body, headers), method)


def request(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    """A request as bytes."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "d"}
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    lines |= headers or {}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
    return head.encode() + data


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split(" ")[1]), headers


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    """One chunk of a chunked body; empty at its end."""
    size = int(await asyncio.wait_for(reader.readline(), 10), 16)
    data = await asyncio.wait_for(reader.readexactly(size + 2), 10)
    return data[:-2]


async def read_answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    """A whole reply."""
    status, headers = await read_head(reader)
    body = b""
    if method != "HEAD" and status not in (204, 304):
        if headers.get("transfer-encoding") == "chunked":
            while chunk := await read_chunk(reader):
                body += chunk
        elif "content-length" in headers:
            body = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), 10)
        else:
            body = await asyncio.wait_for(reader.read(), 10)
    return Answer(status, headers, body)


async def eventually(condition: Callable[[], object]) -> None:
    """Until a condition holds; at most thirty seconds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        await asyncio.sleep(0.005)
