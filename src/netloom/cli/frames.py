"""Docker's framed stream: eight bytes of head (stream, three zeros, length), then the piece."""

from __future__ import annotations

from collections.abc import Iterator

from netloom.cli.errors import CliError

HEAD = 8
STDERR = 2
SYSTEM_ERROR = 3  # the daemon's own complaint


class Frames:
    """Takes bytes as they come and gives whole or partial pieces at once: output does not wait for a frame's end."""

    def __init__(self) -> None:
        self._rest = b""
        self._stream = 0
        self._missing = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(stream, bytes) for all that can be told so far."""
        data = self._rest + data
        self._rest = b""
        while data:
            if not self._missing:
                if len(data) < HEAD:
                    self._rest = data
                    return
                self._stream, self._missing = data[0], int.from_bytes(data[4:HEAD], "big")
                if self._stream > SYSTEM_ERROR:
                    raise CliError(f"the daemon's stream is broken: unrecognized stream {self._stream}")
                data = data[HEAD:]
            piece, data = data[: self._missing], data[self._missing :]
            self._missing -= len(piece)
            if piece:
                yield self._stream, piece
