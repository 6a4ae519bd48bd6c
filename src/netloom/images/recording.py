"""What a layer's tar had besides the contents of its files, kept so that the very same bytes can be put together again.

An image's configuration names its layers by the digest of their tars. Headers, padding and end of a tar are written
to a compressed recording while it is unpacked; a file's contents are named there by path, and read from the layer.

    B length bytes         bytes of the tar
    F length path size     that many bytes of the file `path`
"""

from __future__ import annotations

import hashlib
import os
import struct
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

LARGEST_HEADER = 1 << 20  # bytes; Go's archive/tar reads no larger one either
_CHUNK = 1 << 16
_BYTES, _FILE = b"B", b"F"


class Source(Protocol):
    """Bytes of the tar, in order."""

    def read(self, size: int) -> bytes:
        """At most that many; empty at the end."""
        ...


class Recorder:
    """The file object that tarfile reads a layer's tar from, forward only. Everything read is hashed.

    What is not read by `payload` goes into the recording.
    """

    def __init__(self, source: Source, out: IO[bytes]) -> None:
        self._source = source
        self._out = out
        self._packer = zlib.compressobj(3)
        self._digest = hashlib.sha256()
        self._position = 0
        self._held = bytearray()
        self.last_block = b""  # the latest block that was read as a header
        self.files = 0  # how many contents the recording names

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Forward only: a tar that points backwards is no honest one."""
        if whence != os.SEEK_SET or position < self._position:
            raise tarfile.ReadError("invalid tar header")
        while self._position < position:
            if not self._take(min(_CHUNK, position - self._position)):
                raise EOFError("unexpected EOF")
        return position

    def read(self, size: int) -> bytes:
        """Bytes that are no file's contents; fewer than asked only at the end."""
        if not 0 <= size <= LARGEST_HEADER:
            raise tarfile.ReadError("invalid tar header: too large")
        data = self._take(size)
        while len(data) < size and (more := self._take(size - len(data))):
            data += more
        if size == tarfile.BLOCKSIZE:
            self.last_block = data
        return data

    def payload(self, path: bytes, size: int) -> Iterator[bytes]:
        """The contents of a file, which the caller keeps under that path. Raises EOFError when they are cut short."""
        self._flush()
        self._pack(_FILE + struct.pack(">H", len(path)) + path + struct.pack(">Q", size))
        self.files += 1
        while size:
            data = self._source.read(min(_CHUNK, size))
            if not data:
                raise EOFError("unexpected EOF")
            self._digest.update(data)
            self._position += len(data)
            size -= len(data)
            yield data

    def finish(self) -> str:
        """Read what follows the tar's end, complete the recording; the digest of all."""
        while self._take(_CHUNK):
            continue
        self._flush()
        self._out.write(self._packer.flush())
        return f"sha256:{self._digest.hexdigest()}"

    def _take(self, size: int) -> bytes:
        data = self._source.read(size)
        self._digest.update(data)
        self._position += len(data)
        self._held += data
        if len(self._held) >= LARGEST_HEADER:
            self._flush()
        return data

    def _flush(self) -> None:
        if self._held:
            self._pack(_BYTES + struct.pack(">I", len(self._held)) + bytes(self._held))
            self._held.clear()

    def _pack(self, data: bytes) -> None:
        if packed := self._packer.compress(data):
            self._out.write(packed)


def replay(recording: IO[bytes], root: int, spare: str) -> Iterator[bytes]:
    """The tar again, in pieces. `root` is an fd of the layer; contents that were overwritten lie in folder `spare`.

    Raises OSError or EOFError when the layer has not what the recording names.
    """
    reader = _Inflating(recording)
    number = 0
    while kind := reader.read(1):
        if kind == _BYTES:
            (left,) = struct.unpack(">I", reader.exactly(4))
            while left:
                data = reader.exactly(min(left, _CHUNK))
                left -= len(data)
                yield data
            continue
        (length,) = struct.unpack(">H", reader.exactly(2))
        path = reader.exactly(length)
        (size,) = struct.unpack(">Q", reader.exactly(8))
        number += 1
        yield from _contents(path, size, root, f"{spare}/{number}")


def _contents(path: bytes, size: int, root: int, spare: str) -> Iterator[bytes]:
    try:
        fd = os.open(spare, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=root)
    with open(fd, "rb", buffering=0) as file:
        while size:
            data = file.read(min(size, 1 << 20))
            if not data:
                raise EOFError("a file of the layer is shorter than it was")
            size -= len(data)
            yield data


class _Inflating:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflater = zlib.decompressobj()
        self._data = b""

    def read(self, size: int) -> bytes:
        while not self._data:
            packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                return b""
            self._data = self._inflater.decompress(packed, LARGEST_HEADER)
        data, self._data = self._data[:size], self._data[size:]
        return data

    def exactly(self, size: int) -> bytes:
        data = self.read(size)
        while len(data) < size:
            more = self.read(size - len(data))
            if not more:
                raise EOFError("the recording of a layer is cut short")
            data += more
        return data
