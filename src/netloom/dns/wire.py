"""Bounds-checked reading and writing of DNS messages (RFC 1035, section 4.1).

A name is handled in its wire form without compression: length-prefixed labels and the root's zero byte. Lower-casing
it is `bytes.lower()`: a length byte is at most 63, below every letter.
"""

from __future__ import annotations

MAX_NAME = 255  # bytes in wire form, RFC 1035, section 2.3.4
MAX_LABEL = 63
_POINTER = 0xC0
_MAX_OFFSET = 0x3FFF


class WireError(ValueError):
    """The bytes are not what the format says. The only exception that reading raises."""


class Reader:
    """A cursor over one message; nothing is read beyond `end`."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return self.end - self.at

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > self.end - self.at:
            raise WireError(f"{size} bytes wanted at {self.at}, {self.end - self.at} are there")
        self.at += size
        return self.data[self.at - size : self.at]

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes, network order."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Four bytes, network order."""
        return int.from_bytes(self.take(4), "big")

    def part(self, size: int) -> Reader:
        """A reader of the next `size` bytes, which may still follow pointers into the whole message."""
        self.take(size)
        return Reader(self.data, self.at - size, self.at)

    def name(self) -> bytes:
        """A name, decompressed, its case kept.

        Each pointer must lead to before the piece that holds it: so every chain ends, and no forward reference is
        taken (RFC 1035, section 4.1.4, says "a prior occurrence").
        """
        labels = bytearray()
        at, end, piece = self.at, self.end, self.at
        after: int | None = None  # where reading goes on, once a pointer was followed
        while True:
            if at >= end:
                raise WireError("a name runs out of the message")
            length = self.data[at]
            if length >= _POINTER:
                if at + 2 > end:
                    raise WireError("a pointer runs out of the message")
                target = (length & 0x3F) << 8 | self.data[at + 1]
                if target >= piece:
                    raise WireError(f"the pointer at {at} does not lead backwards")
                if after is None:
                    after = at + 2
                at, piece, end = target, target, len(self.data)
                continue
            if length > MAX_LABEL:
                raise WireError(f"unknown kind of label at {at}")
            if at + 1 + length > end:
                raise WireError("a label runs out of the message")
            if len(labels) + 1 + length + (1 if length else 0) > MAX_NAME:
                raise WireError("a name is longer than 255 bytes")
            labels += self.data[at : at + 1 + length]
            at += 1 + length
            if not length:
                self.at = at if after is None else after
                return bytes(labels)


class Writer:
    """Builds one message. Names are compressed against those written before, whatever their case."""

    __slots__ = ("_offsets", "data")

    def __init__(self) -> None:
        self.data = bytearray()
        self._offsets: dict[bytes, int] = {}

    def put(self, data: bytes) -> None:
        """Bytes as they are."""
        self.data += data

    def u16(self, value: int) -> None:
        """Two bytes, network order."""
        self.data += value.to_bytes(2, "big")

    def u32(self, value: int) -> None:
        """Four bytes, network order."""
        self.data += value.to_bytes(4, "big")

    def name(self, name: bytes) -> None:
        """A name in wire form; its longest suffix that stands already becomes a pointer."""
        at = 0
        while name[at]:
            suffix = name[at:].lower()
            offset = self._offsets.get(suffix)
            if offset is not None:
                self.u16(_POINTER << 8 | offset)
                return
            if len(self.data) <= _MAX_OFFSET:
                self._offsets[suffix] = len(self.data)
            length = name[at]
            self.data += name[at : at + 1 + length]
            at += 1 + length
        self.data.append(0)

    def forget_from(self, size: int) -> None:
        """Cut back to the first `size` bytes, as if nothing had been written after them."""
        del self.data[size:]
        self._offsets = {suffix: offset for suffix, offset in self._offsets.items() if offset < size}


def encode_name(text: str) -> bytes:
    """Dotted text, with or without the trailing dot, in wire form. Raises WireError when it cannot be a name."""
    wire = bytearray()
    for label in text.removesuffix(".").encode().split(b"."):
        if not 0 < len(label) <= MAX_LABEL:
            raise WireError(f"not a name: {text!r}")
        wire.append(len(label))
        wire += label
    wire.append(0)
    if len(wire) > MAX_NAME:
        raise WireError(f"not a name: {text!r}")
    return bytes(wire)


def name_text(name: bytes) -> str:
    """A name in presentation format with its trailing dot (RFC 4343, section 2.1)."""
    labels = []
    at = 0
    while name[at]:
        label = name[at + 1 : at + 1 + name[at]]
        labels.append(
            "".join(
                f"\\{byte:03d}" if not 0x21 <= byte <= 0x7E else f"\\{byte:c}" if byte in b'.\\"();@$' else chr(byte)
                for byte in label
            )
        )
        at += 1 + name[at]
    return ".".join(labels) + "."
