"""The record types, one small file each; a type that is not listed is carried as opaque bytes."""

from __future__ import annotations

from typing import TypeAlias

from netloom.dns.rdata.a import A
from netloom.dns.rdata.aaaa import AAAA
from netloom.dns.rdata.opaque import Opaque
from netloom.dns.rdata.ptr import PTR
from netloom.dns.wire import Reader, WireError

Rdata: TypeAlias = A | AAAA | PTR | Opaque

KINDS: dict[int, type[A] | type[AAAA] | type[PTR]] = {A.TYPE: A, AAAA.TYPE: AAAA, PTR.TYPE: PTR}


def decode(kind: int, reader: Reader) -> Rdata:
    """The data of a record; it must fill `reader` exactly."""
    known = KINDS.get(kind)
    data: Rdata = known.decode(reader) if known else Opaque(kind, reader.take(reader.left))
    if reader.left:
        raise WireError(f"{reader.left} bytes too many in the data of a record of type {kind}")
    return data
