"""Routes, of the main table unless said otherwise. Source: linux/rtnetlink.h (struct rtmsg).

A destination is a CIDR, `default` or `default6`.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from netloom.netlink.address import pack, split, unpacked
from netloom.netlink.message import CREATE, DUMP, EXCL, REPLACE, Malformed, Message, attr, attributes, number, u32

NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26

_INFO = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NEXTHOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, hops, index
_DST, _OIF, _GATEWAY, _PRIORITY, _MULTIPATH, _TABLE = 1, 4, 5, 6, 9, 15  # RTA_…
MAIN, LOCAL = 254, 255  # RT_TABLE_…
_BOOT = 3  # RTPROT_BOOT: `ip route` prints no protocol, as in Docker's containers
_UNIVERSE, _LINK, _HOST, _NOWHERE = 0, 253, 254, 255  # RT_SCOPE_…
_UNICAST, _LOCAL = 1, 2  # RTN_…
_CLONED = 0x200  # RTM_F_CLONED: a cache entry


class RouteEntry(NamedTuple):
    """One route of a dump. `via` empty: on the link; of several next hops the first."""

    destination: str
    via: str
    ifindex: int
    metric: int
    table: int
    unicast: bool


def _request(destination: str, via: str, index: int, scope: int, *, table: int = MAIN, kind: int = _UNICAST) -> bytes:
    family, packed, length = _destination(destination)
    body = _INFO.pack(family, length, 0, 0, table, _BOOT, scope, kind, 0)
    if length:
        body += attr(_DST, packed)
    if via:
        body += attr(_GATEWAY, pack(via)[1])
    return body + attr(_OIF, u32(index))


def _destination(destination: str) -> tuple[int, bytes, int]:
    if destination == "default":
        return socket.AF_INET, bytes(4), 0
    if destination == "default6":
        return socket.AF_INET6, bytes(16), 0
    return split(destination)


def add(destination: str, via: str, index: int) -> Message:
    """Add it; EEXIST when the destination has a route already, whichever."""
    return Message(NEWROUTE, CREATE | EXCL, _request(destination, via, index, _UNIVERSE if via else _LINK))


def add_local(destination: str, index: int) -> Message:
    """Every address of the range is the namespace's own."""
    return Message(NEWROUTE, CREATE | EXCL, _request(destination, "", index, _HOST, table=LOCAL, kind=_LOCAL))


def replace(destination: str, via: str, index: int) -> Message:
    """Put it in place of the destination's present route, without a gap; add where there is none."""
    return Message(NEWROUTE, CREATE | REPLACE, _request(destination, via, index, _UNIVERSE if via else _LINK))


def delete(destination: str, via: str, index: int) -> Message:
    """Delete it; one with another gateway or interface is not touched (ESRCH)."""
    return Message(DELROUTE, 0, _request(destination, via, index, _NOWHERE))


def dump() -> Message:
    """Ask for all, of both families and all tables."""
    return Message(GETROUTE, DUMP, _INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))


def parse(body: bytes) -> RouteEntry | None:
    """A route from a dump or a notification; None for other families and cache entries. Raises Malformed."""
    if len(body) < _INFO.size:
        raise Malformed("netlink: route message too short")
    family, length, _, _, table, _, _, kind, flags = _INFO.unpack_from(body)
    if family not in (socket.AF_INET, socket.AF_INET6) or flags & _CLONED:
        return None
    found = attributes(body, _INFO.size)
    if _MULTIPATH in found and _OIF not in found:
        found |= _first_hop(found[_MULTIPATH])
    empty = bytes(16 if family == socket.AF_INET6 else 4)
    destination = f"{unpacked(family, found.get(_DST, empty))}/{length}"
    if length == 0:
        destination = "default6" if family == socket.AF_INET6 else "default"
    return RouteEntry(
        destination=destination,
        via=unpacked(family, found[_GATEWAY]) if _GATEWAY in found else "",
        ifindex=number(found.get(_OIF)),
        metric=number(found.get(_PRIORITY)),
        table=number(found.get(_TABLE), table),
        unicast=kind == _UNICAST,
    )


def _first_hop(hops: bytes) -> dict[int, bytes]:
    if len(hops) < _NEXTHOP.size:
        raise Malformed("netlink: next hop too short")
    size, _, _, index = _NEXTHOP.unpack_from(hops)
    if not _NEXTHOP.size <= size <= len(hops):
        raise Malformed(f"netlink: next hop of {size} octets in {len(hops)}")
    return {_OIF: u32(index & 0xFFFFFFFF), **attributes(hops[:size], _NEXTHOP.size)}
