"""An IPv6 address (RFC 3596, section 2.2)."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import ClassVar

from msgspec import Struct

from netloom.dns.wire import Reader, Writer


class AAAA(Struct, frozen=True):
    """Sixteen bytes, network order."""

    TYPE: ClassVar[int] = 28

    address: bytes

    @property
    def kind(self) -> int:
        return self.TYPE

    def encode(self, writer: Writer) -> None:
        writer.put(self.address)

    @classmethod
    def decode(cls, reader: Reader) -> AAAA:
        return cls(reader.take(16))

    def __str__(self) -> str:
        return str(IPv6Address(self.address))
