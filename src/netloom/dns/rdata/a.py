"""An IPv4 address (RFC 1035, section 3.4.1)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import ClassVar

from msgspec import Struct

from netloom.dns.wire import Reader, Writer


class A(Struct, frozen=True):
    """Four bytes, network order."""

    TYPE: ClassVar[int] = 1

    address: bytes

    @property
    def kind(self) -> int:
        return self.TYPE

    def encode(self, writer: Writer) -> None:
        writer.put(self.address)

    @classmethod
    def decode(cls, reader: Reader) -> A:
        return cls(reader.take(4))

    def __str__(self) -> str:
        return str(IPv4Address(self.address))
