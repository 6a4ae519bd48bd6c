"""stdin as a tar archive: its headers for tarfile, its bytes past everybody straight into files."""

from __future__ import annotations

import errno
import os
import tarfile

from netloom.runtime.archive_process.inside import PIECE, write_all


class Reader:
    """stdin as the file that tarfile reads headers from: no byte more than it asks for, so that what follows a header
    can go from the pipe into its file by splice(2)."""

    def __init__(self) -> None:
        self.position = 0
        self.first = b""  # looked at, not yet read

    def peek(self) -> bytes:
        """The first block, or what there is of it."""
        self.first = self._take(tarfile.BLOCKSIZE)
        return self.first

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only."""
        data, self.first = self.first[:size], self.first[size:]
        data += self._take(size - len(data))
        self.position += len(data)
        return data

    def tell(self) -> int:
        """Bytes that are read."""
        return self.position

    def seek(self, position: int) -> None:
        """Forward only."""
        while self.position < position and self.read(min(PIECE, position - self.position)):
            continue

    def copy(self, size: int, fd: int) -> None:
        """The next bytes, into a file."""
        while size:
            try:
                moved = os.splice(0, fd, min(size, PIECE))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                data = self._take(min(size, PIECE))
                write_all(fd, data)
                moved = len(data)
            if not moved:
                raise tarfile.ReadError("unexpected end of data")
            size -= moved
            self.position += moved

    @staticmethod
    def _take(size: int) -> bytes:
        pieces = []
        while size and (piece := os.read(0, size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class Compressed:
    """The same for an archive that tarfile must unpack first."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        """What there is, at most so much."""
        if self._reader.first:
            return self._reader.read(min(size, len(self._reader.first)))
        return os.read(0, size)
