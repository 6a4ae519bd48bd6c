"""Docker's stream framing: eight bytes before each piece tell which stream it is and how long."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable

_HEADER = struct.Struct(">BxxxI")
_MAX = (1 << 32) - 1

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


def frame(stream: int, data: bytes) -> bytes:
    """One piece of a stream (1 stdout, 2 stderr)."""
    return _HEADER.pack(stream, len(data)) + data


def frames(pieces: Iterable[tuple[int, bytes]], wanted: Container[int]) -> bytes:
    """The pieces of the wanted streams, each behind its header."""
    pack = _HEADER.pack
    parts: list[bytes] = []
    for stream, data in pieces:
        if stream in wanted:
            parts += (pack(stream, len(data)), data)
    return b"".join(parts)


def content_type(version: tuple[int, int], *, tty: bool) -> str:
    """What the stream is called; before 1.42 Docker had one name for both."""
    return RAW if tty or version < (1, 42) else MULTIPLEXED
