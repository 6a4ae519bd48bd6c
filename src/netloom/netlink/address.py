"""Interface addresses. Source: linux/if_addr.h. Addresses are text with prefix length (`172.18.0.2/16`)."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from netloom.netlink.message import CREATE, DUMP, EXCL, REPLACE, Malformed, Message, attr, attributes

NEWADDR, DELADDR, GETADDR = 20, 21, 22

_INFO = struct.Struct("=BBBBi")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_ADDRESS, _LOCAL, _BROADCAST, _CACHEINFO = 1, 2, 4, 6  # IFA_…
_NODAD = 0x02  # IFA_F_NODAD


class InterfaceAddress(NamedTuple):
    """One address of a dump; `scope` is RT_SCOPE_…, 253 for link-local ones."""

    ifindex: int
    address: str
    scope: int


def add(index: int, address: str) -> Message:
    """Add it. IPv4 with its broadcast address, as `ip addr add … brd +`; IPv6 without duplicate detection."""
    family, packed, length = split(address)
    if family == socket.AF_INET6:
        return Message(NEWADDR, CREATE | EXCL, _INFO.pack(family, length, _NODAD, 0, index) + attr(_LOCAL, packed))
    body = _INFO.pack(family, length, 0, 0, index) + attr(_LOCAL, packed) + attr(_ADDRESS, packed)
    if length < 31:  # RFC 3021: shorter ranges have no broadcast address
        host = (1 << (32 - length)) - 1
        body += attr(_BROADCAST, (int.from_bytes(packed, "big") | host).to_bytes(4, "big"))
    return Message(NEWADDR, CREATE | EXCL, body)


def limit(index: int, address: str, seconds: int) -> Message:
    """From now on it lives so long, 0xFFFFFFFF for ever; the kernel takes it away by itself. It must be there."""
    family, packed, length = split(address)
    body = _INFO.pack(family, length, 0, 0, index) + attr(_LOCAL, packed) + attr(_ADDRESS, packed)
    return Message(NEWADDR, REPLACE, body + attr(_CACHEINFO, struct.pack("=IIII", seconds, seconds, 0, 0)))


def delete(index: int, address: str) -> Message:
    """Delete it."""
    family, packed, length = split(address)
    return Message(DELADDR, 0, _INFO.pack(family, length, 0, 0, index) + attr(_LOCAL, packed))


def dump() -> Message:
    """Ask for all, of both families."""
    return Message(GETADDR, DUMP, _INFO.pack(0, 0, 0, 0, 0))


def index_of(body: bytes) -> int:
    """The interface that a notification is about. Raises Malformed."""
    if len(body) < _INFO.size:
        raise Malformed("netlink: address message too short")
    index: int = _INFO.unpack_from(body)[4]
    return index


def parse(body: bytes) -> InterfaceAddress | None:
    """An address from a dump or a notification; None for other families. Raises Malformed."""
    if len(body) < _INFO.size:
        raise Malformed("netlink: address message too short")
    family, length, _, scope, index = _INFO.unpack_from(body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(body, _INFO.size)
    packed = found.get(_LOCAL) or found.get(_ADDRESS, b"")
    return InterfaceAddress(index, f"{unpacked(family, packed)}/{length}", scope)


def split(address: str) -> tuple[int, bytes, int]:
    """Family, octets and prefix length; the whole address where no length is given. Raises ValueError."""
    plain, _, length = address.partition("/")
    family, packed = pack(plain)
    return family, packed, int(length) if length else 8 * len(packed)


def pack(address: str) -> tuple[int, bytes]:
    """Family and octets. Raises ValueError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return family, socket.inet_pton(family, address)
    except OSError:
        raise ValueError(f"no address: {address!r}") from None


def unpacked(family: int, packed: bytes) -> str:
    """An address as text. Raises Malformed."""
    if len(packed) != (16 if family == socket.AF_INET6 else 4):
        raise Malformed(f"netlink: an address of {len(packed)} octets")
    return socket.inet_ntop(family, packed)
