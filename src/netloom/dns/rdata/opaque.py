"""A record of any other type, its data as bytes (RFC 3597)."""

from __future__ import annotations

from msgspec import Struct

from netloom.dns.wire import Writer


class Opaque(Struct, frozen=True):
    """Never rewritten: names inside would lose what their pointers point to."""

    kind: int
    data: bytes

    def encode(self, writer: Writer) -> None:
        writer.put(self.data)

    def __str__(self) -> str:
        return f"\\# {len(self.data)} {self.data.hex()}"
