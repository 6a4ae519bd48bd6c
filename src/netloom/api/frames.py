"""Docker's stream framing: eight bytes before each piece tell which stream it is and how long."""

from __future__ import annotations

import struct

_HEADER = struct.Struct(">BxxxI")
_MAX = (1 << 32) - 1

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


def frame(stream: int, data: bytes) -> bytes:
    """One piece of a stream (1 stdout, 2 stderr)."""
    return _HEADER.pack(stream, len(data)) + data


def content_type(version: tuple[int, int], *, tty: bool) -> str:
    """What the stream is called; before 1.42 Docker had one name for both."""
    return RAW if tty or version < (1, 42) else MULTIPLEXED
