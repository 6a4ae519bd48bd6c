"""Output that its client has not read yet, in a file without a name. Blocking: for a thread."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from collections.abc import Iterable
from typing import IO

Piece = tuple[int, bytes]

_BATCH = 1 << 18  # bytes that are handed out at once: more than any one piece
_HEAD = struct.Struct("=BI")


class Spool:
    """Pieces in order, as a file of the folder that goes with its last descriptor. Calls may come from any thread."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._written = self._read = 0
        self._lock = threading.Lock()
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._written - self._read

    def add(self, pieces: Iterable[Piece]) -> None:
        """Behind all others. Raises OSError when the disk is full: then none of them is there."""
        block = b"".join(part for stream, data in pieces for part in (_HEAD.pack(stream, len(data)), data))
        with self._lock:
            if self._closed:
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - until `close`
            done = 0
            while done < len(block):
                done += os.pwrite(self._file.fileno(), memoryview(block)[done:], self._written + done)
            self._written += len(block)

    def take(self) -> list[Piece]:
        """The first ones, a batch of them; empty when there are none."""
        with self._lock:
            if self._file is None:
                return []
            block = os.pread(self._file.fileno(), min(_BATCH, self.size), self._read)
            pieces, used = _unpacked(block)
            self._read += used
            if not self.size:
                self._drop()  # the disk has its room back
        return pieces

    def close(self) -> None:
        """Drop everything, and what is still added. Twice is once."""
        with self._lock:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._written = self._read = 0


def _unpacked(block: bytes) -> tuple[list[Piece], int]:
    """The whole pieces at the beginning of a block, and how long they are."""
    pieces: list[Piece] = []
    at = 0
    while at + _HEAD.size <= len(block):
        stream, size = _HEAD.unpack_from(block, at)
        end = at + _HEAD.size + size
        if end > len(block):
            break
        pieces.append((stream, block[at + _HEAD.size : end]))
        at = end
    return pieces, at
