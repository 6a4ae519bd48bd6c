"""Streams of a container as a seam: `runtime` provides them, `api` carries them to the client."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

STDIN, STDOUT, STDERR = 0, 1, 2


class Attachment(Protocol):
    """A live connection to a process's stdio. All methods may be called until `close`; `close` twice is once."""

    tty: bool

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece as (STDOUT or STDERR, bytes); None at the end of output."""
        ...

    async def read_many(self) -> list[tuple[int, bytes]]:
        """All pieces that are there by now, after waiting for the first; empty at the end of output."""
        ...

    async def write(self, data: bytes) -> None:
        """Send to stdin; waits while the process does not read. Silent when the process has gone."""
        ...

    async def close_stdin(self) -> None:
        """Half-close: the process reads end of file, its output goes on."""
        ...

    async def close(self) -> None:
        """Drop the connection; the process is not touched."""
        ...


class LogRecord(Struct, frozen=True):
    """One line of a container's log, or a part of one (`partial`: no newline follows)."""

    time_nano: int
    stream: Literal["stdout", "stderr"]
    data: bytes
    partial: bool = False
