"""Neighbour entries: which MAC an address has on a link. Source: linux/neighbour.h."""

from __future__ import annotations

import struct
from typing import NamedTuple

from netloom.netlink.address import pack, unpacked
from netloom.netlink.link import mac_bytes, mac_text
from netloom.netlink.message import DUMP, REPLACE, Malformed, Message, attr, attributes, u32

NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30

_INFO = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, index, state, flags, type
_DST, _LLADDR, _IFINDEX = 1, 2, 8  # NDA_…
STALE = 0x04  # NUD_STALE: used at once, verified at its next use
_NOARP = 0x40


class NeighbourEntry(NamedTuple):
    """One entry of a dump."""

    ifindex: int
    address: str
    mac: str
    state: int


def correct(index: int, address: str, mac: str) -> Message:
    """Put another MAC into an entry that is there (state STALE); ENOENT where there is none.

    None is made: all namespaces of a machine share one table of 1,024 entries (net.ipv4.neigh.default.gc_thresh3),
    and when it is full of young ones nobody resolves anything for five seconds.
    """
    family, packed = pack(address)
    body = _INFO.pack(family, index, STALE, 0, 0) + attr(_DST, packed) + attr(_LLADDR, mac_bytes(mac))
    return Message(NEWNEIGH, REPLACE, body)


def delete(index: int, address: str) -> Message:
    """Delete it."""
    family, packed = pack(address)
    return Message(DELNEIGH, 0, _INFO.pack(family, index, 0, 0, 0) + attr(_DST, packed))


def dump(index: int = 0) -> Message:
    """Ask for all, of both IP families, of one interface or of all."""
    return Message(GETNEIGH, DUMP, _INFO.pack(0, 0, 0, 0, 0) + (attr(_IFINDEX, u32(index)) if index else b""))


def parse(body: bytes) -> NeighbourEntry | None:
    """An entry of a dump; None for those that no host can be behind (multicast, unresolved). Raises Malformed."""
    if len(body) < _INFO.size:
        raise Malformed("netlink: neighbour message too short")
    family, index, state, _, _ = _INFO.unpack_from(body)
    found = attributes(body, _INFO.size)
    if family not in (2, 10) or _LLADDR not in found or _DST not in found or state & _NOARP:
        return None
    return NeighbourEntry(index, unpacked(family, found[_DST]), mac_text(found[_LLADDR]), state)
