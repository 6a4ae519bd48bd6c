"""The client's half of HTTP/1.1 (RFC 9112), one request to a connection.

By hand because a hijacked connection needs its bytes back, and because the standard library's client takes longer to
import than a command takes to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netloom.cli.connection import Connection

_PIECE = 1 << 16
_HEAD_LIMIT = 1 << 18  # bytes; no answer of the API comes near


class BrokenAnswer(Exception):
    """The peer does not speak HTTP, or stopped in the middle."""


class Exchange:
    """One request and its answer. Owns the connection until `close` or `surrender`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rest = b""
        self.status = 0
        self.headers: dict[str, str] = {}

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send the request and read the head of the answer."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self._read_head()

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes."""
        if self.status in (204, 304):
            return
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif "content-length" in self.headers:
            yield from self._exactly(int(self.headers["content-length"]))
        else:
            while piece := self._some():
                yield piece

    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces())

    def surrender(self) -> tuple[Connection, bytes]:
        """The connection, now the caller's, and what was read of it past the head."""
        rest, self._rest = self._rest, b""
        return self._connection, rest

    def close(self) -> None:
        """Drop the connection."""
        self._connection.close()

    def _read_head(self) -> None:
        while b"\r\n\r\n" not in self._rest:
            piece = self._connection.recv(_PIECE)
            if not piece or len(self._rest) > _HEAD_LIMIT:
                raise BrokenAnswer("no answer came")
            self._rest += piece
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdecimal():
            raise BrokenAnswer("what answers does not speak HTTP")
        self.status = int(words[1])
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()

    def _some(self) -> bytes:
        if self._rest:
            piece, self._rest = self._rest, b""
            return piece
        return self._connection.recv(_PIECE)

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self._some()
            if not piece:
                raise BrokenAnswer(f"{length} bytes are missing")
            self._rest = piece[length:] + self._rest
            piece = piece[:length]
            length -= len(piece)
            yield piece

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            piece = self._connection.recv(_PIECE)
            if not piece:
                raise BrokenAnswer("a chunk is missing")
            self._rest += piece
        line, self._rest = self._rest.split(b"\r\n", 1)
        return line

    def _chunks(self) -> Iterator[bytes]:
        while True:
            try:
                size = int(self._line().partition(b";")[0], 16)
            except ValueError:
                raise BrokenAnswer("a chunk has no size") from None
            if not size:
                return
            yield from self._exactly(size)
            self._line()
