"""Bytes as they came (gzip, zstd, bzip2, xz, or none of these) into plain ones, told apart by how they begin."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import subprocess
import threading
import zlib
from typing import IO

_CHUNK = 1 << 16
_LONGEST_MAGIC = 6


class Compressed:
    """The incoming bytes: counted, hashed, and read at most to `limit`."""

    def __init__(self, file: IO[bytes], limit: int | None = None) -> None:
        self._file = file
        self._left = limit
        self._digest = hashlib.sha256()
        self.count = 0

    def read(self, size: int) -> bytes:
        """At most that many; empty at the end."""
        if self._left is not None:
            size = min(size, self._left)
        data = self._file.read(size) if size else b""
        if self._left is not None:
            self._left -= len(data)
        self._digest.update(data)
        self.count += len(data)
        return data

    def digest(self) -> str:
        """Of all that was read."""
        return f"sha256:{self._digest.hexdigest()}"


class Plain:
    """The decompressed bytes of a source. Several gzip, bzip2 or xz streams in a row are one, as the tools have it."""

    def __init__(self, source: Compressed) -> None:
        self._source = source
        head = b""
        while len(head) < _LONGEST_MAGIC and (more := source.read(_LONGEST_MAGIC - len(head))):
            head += more
        self._input = head
        self._output = b""
        self._begin = _kind(head)
        self._current = self._begin() if self._begin else None
        self._ended = False
        self._zstd = _Zstd(source, head) if head.startswith(b"\x28\xb5\x2f\xfd") else None

    def read(self, size: int) -> bytes:
        """At most that many; empty at the end. Raises EOFError for a stream that is cut short."""
        if self._zstd is not None:
            return self._zstd.read(size)
        while not self._output:
            if self._current is None:
                self._output, self._input = self._input or self._source.read(_CHUNK), b""
                if not self._output:
                    return b""
                break
            if not self._more():
                return b""
        data, self._output = self._output[:size], self._output[size:]
        return data

    def finish(self) -> None:
        """Read what follows the compressed stream, so that the digest is of all."""
        while self.read(_CHUNK) or self._source.read(_CHUNK):
            continue

    def _more(self) -> bool:
        """Decompress one piece; False at the end."""
        if self._ended:
            return False
        current = self._current
        assert current is not None
        assert self._begin is not None
        data = self._input or self._source.read(_CHUNK)
        self._input = b""
        if current.eof:
            if not data.strip(b"\0"):  # padding, as tar writes it to tapes
                self._ended = not data
                return not self._ended
            self._current = current = self._begin()
        elif not data:
            raise EOFError("unexpected EOF")
        self._output = current.decompress(data)
        if current.eof:
            self._input = current.unused_data
        return True


class _Zlib:
    """zlib's gzip reader in the shape of the other two."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes) -> bytes:
        return self._inner.decompress(data)


class _Zstd:
    """The program zstd, fed by a thread."""

    def __init__(self, source: Compressed, head: bytes) -> None:
        self._process = subprocess.Popen(
            ["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._feeder = threading.Thread(target=self._feed, args=(source, head), daemon=True)
        self._feeder.start()

    def _feed(self, source: Compressed, head: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            data = head
            while data:
                pipe.write(data)
                data = source.read(_CHUNK)
        except BrokenPipeError:
            return
        finally:
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if not data:
            self._feeder.join()
            if self._process.wait():
                raise EOFError("unexpected EOF: zstd refused the stream")
        return data


def _kind(head: bytes) -> type[_Zlib] | type[bz2.BZ2Decompressor] | type[lzma.LZMADecompressor] | None:
    if head.startswith(b"\x1f\x8b"):
        return _Zlib
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor
    return None
