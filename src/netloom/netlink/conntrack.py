"""Connections that the kernel tracks, to be forgotten by what they have in common.

Source: linux/netfilter/nfnetlink_conntrack.h. A kernel before 5.8 knows no filter: it takes such a request for that
of one connection, and finds none.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from netloom.netlink.message import DUMP, Malformed, Message, attr, attributes, nest

_GET, _DELETE, _STATISTICS = (1 << 8) | 1, (1 << 8) | 2, (1 << 8) | 5  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_…
_ENTRIES = 1  # CTA_STATS_GLOBAL_ENTRIES
_HEADER = struct.Struct("!BBH")  # struct nfgenmsg; with version 0 the family would be ignored
_ORIGINAL, _REPLY, _STATUS, _FILTER, _STATUS_MASK = 1, 2, 3, 25, 26  # CTA_…
_IP, _PROTO = 1, 2  # CTA_TUPLE_…
_IPV4_SOURCE, _IPV4_DESTINATION, _IPV6_SOURCE, _IPV6_DESTINATION = 1, 2, 3, 4  # CTA_IP_…
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_…
# CTA_FILTER_F_…
_BY_SOURCE, _BY_DESTINATION, _BY_NUMBER, _BY_SOURCE_PORT, _BY_DESTINATION_PORT = 1 << 0, 1 << 1, 1 << 3, 1 << 4, 1 << 5
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_…
_SOURCE_NAT, _DESTINATION_NAT = 1 << 4, 1 << 5  # IPS_SRC_NAT, IPS_DST_NAT


class Connection(NamedTuple):
    """One connection: what its client asked for, who answers, and what was translated. Addresses are packed."""

    original: bytes  # its first tuple, as the kernel wrote it
    proto: int
    asked_address: bytes
    asked_port: int  # 0 where the protocol has none
    target_address: bytes
    target_port: int
    destination_translated: bool
    untouched: bool  # neither source nor destination were translated
    source_address: bytes  # its client's own


def statistics() -> Message:
    """Ask how many there are: the cheapest question that only ctnetlink answers."""
    return Message(_STATISTICS, 0, _HEADER.pack(socket.AF_UNSPEC, 1, 0))


def count(body: bytes) -> int:
    """How many there are in this namespace. Raises Malformed."""
    found = attributes(body, _HEADER.size)
    if _ENTRIES not in found:
        raise Malformed("netlink: statistics of connections without their number")
    return int.from_bytes(found[_ENTRIES], "big")


def dump(family: int) -> Message:
    """Ask for all connections of a family."""
    return Message(_GET, DUMP, _HEADER.pack(family, 1, 0))


def parse(body: bytes) -> Connection:
    """One of such a dump. Raises Malformed."""
    found = attributes(body, _HEADER.size)
    if _ORIGINAL not in found or _REPLY not in found:
        raise Malformed("netlink: connection without its tuples")
    first, answer = attributes(found[_ORIGINAL]), attributes(found[_REPLY])
    asked, target = attributes(first.get(_IP, b"")), attributes(answer.get(_IP, b""))
    proto, answers = attributes(first.get(_PROTO, b"")), attributes(answer.get(_PROTO, b""))
    status = int.from_bytes(found.get(_STATUS, b""), "big")
    return Connection(
        original=found[_ORIGINAL],
        proto=int.from_bytes(proto.get(_NUMBER, b""), "big"),
        asked_address=asked.get(_IPV4_DESTINATION, b"") or asked.get(_IPV6_DESTINATION, b""),
        asked_port=int.from_bytes(proto.get(_DESTINATION_PORT, b""), "big"),
        target_address=target.get(_IPV4_SOURCE, b"") or target.get(_IPV6_SOURCE, b""),
        target_port=int.from_bytes(answers.get(_SOURCE_PORT, b""), "big"),
        destination_translated=bool(status & _DESTINATION_NAT),
        untouched=not status & (_SOURCE_NAT | _DESTINATION_NAT),
        source_address=asked.get(_IPV4_SOURCE, b"") or asked.get(_IPV6_SOURCE, b""),
    )


def forget(family: int, connection: Connection) -> Message:
    """Forget this one; ENOENT when it has ended meanwhile."""
    return Message(_DELETE, 0, _HEADER.pack(family, 1, 0) + nest(_ORIGINAL, connection.original))


def forget_translated(address: bytes, proto: int = 0, port: int = 0) -> Message:
    """Forget connections whose destination was translated to this IPv4 address, and this port of it if one is named."""
    parts = nest(_IP, attr(_IPV4_SOURCE, address))
    flags = _BY_SOURCE
    if port:
        parts += nest(_PROTO, attr(_NUMBER, bytes([proto])) + attr(_SOURCE_PORT, port.to_bytes(2, "big")))
        flags |= _BY_NUMBER | _BY_SOURCE_PORT
    return _forget(
        socket.AF_INET,
        nest(_REPLY, parts) + nest(_FILTER, attr(_REPLY_FLAGS, struct.pack("=I", flags))),
        _DESTINATION_NAT,
        _DESTINATION_NAT,
    )


def forget_asked(family: int, proto: int, port: int, address: bytes = b"", *, translated: bool) -> Message:
    """Forget connections whose client asked for this port; of one IPv4 address, or of whatever address.

    Either those whose destination was translated, or those that nobody has translated at all.
    """
    parts = nest(_PROTO, attr(_NUMBER, bytes([proto])) + attr(_DESTINATION_PORT, port.to_bytes(2, "big")))
    flags = _BY_NUMBER | _BY_DESTINATION_PORT
    if address:
        parts = nest(_IP, attr(_IPV4_DESTINATION, address)) + parts
        flags |= _BY_DESTINATION
    body = nest(_ORIGINAL, parts) + nest(_FILTER, attr(_ORIGINAL_FLAGS, struct.pack("=I", flags)))
    if translated:
        return _forget(family, body, _DESTINATION_NAT, _DESTINATION_NAT)
    return _forget(family, body, 0, _SOURCE_NAT | _DESTINATION_NAT)


def _forget(family: int, body: bytes, status: int, mask: int) -> Message:
    wanted = attr(_STATUS, struct.pack("!I", status)) + attr(_STATUS_MASK, struct.pack("!I", mask))
    return Message(_DELETE, 0, _HEADER.pack(family, 1, 0) + body + wanted)
