"""A name that an address points to (RFC 1035, section 3.3.12)."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from netloom.dns.wire import Reader, Writer, name_text


class PTR(Struct, frozen=True):
    """A name in wire form; one of the old types whose name may be compressed (RFC 3597, section 4)."""

    TYPE: ClassVar[int] = 12

    target: bytes

    @property
    def kind(self) -> int:
        return self.TYPE

    def encode(self, writer: Writer) -> None:
        writer.name(self.target)

    @classmethod
    def decode(cls, reader: Reader) -> PTR:
        return cls(reader.name())

    def __str__(self) -> str:
        return name_text(self.target)
