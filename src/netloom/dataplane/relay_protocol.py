"""What the data plane and its relay say to each other, in MessagePack."""

from __future__ import annotations

from msgspec import Struct

from netloom.model.names import Relay


class Update(Struct, frozen=True, array_like=True):
    """Ports that come (or replace) and go. Each UDP port in `add` has one descriptor, in the same order."""

    seq: int
    add: tuple[Relay, ...]
    drop: tuple[Relay, ...] = ()


class Updated(Struct, frozen=True, array_like=True):
    """The answer to an Update, once it stands."""

    seq: int
