"""What the data plane and its relay say to each other, in MessagePack."""

from __future__ import annotations

from msgspec import Struct

from netloom.model.names import Relay


class Update(Struct, frozen=True, array_like=True):
    """`tcp` is the whole table; each of `add_udp` comes with one descriptor, in the same order."""

    seq: int
    tcp: tuple[Relay, ...]
    add_udp: tuple[Relay, ...] = ()
    drop_udp: tuple[Relay, ...] = ()


class Updated(Struct, frozen=True, array_like=True):
    """The answer to an Update, once it stands."""

    seq: int
