"""Connections that the kernel tracks, to be forgotten by what they have in common.

Source: linux/netfilter/nfnetlink_conntrack.h. A kernel before 5.8 knows no filter: it takes such a request for that
of one connection, and finds none.
"""

from __future__ import annotations

import socket
import struct

from netloom.netlink.message import Message, attr, nest

_DELETE = (1 << 8) | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
_HEADER = struct.Struct("!BBH")  # struct nfgenmsg; with version 0 the family would be ignored
_ORIGINAL, _REPLY, _STATUS, _FILTER, _STATUS_MASK = 1, 2, 3, 25, 26  # CTA_…
_IP, _PROTO = 1, 2  # CTA_TUPLE_…
_IPV4_SOURCE, _IPV4_DESTINATION = 1, 2  # CTA_IP_V4_…
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_…
# CTA_FILTER_F_…
_BY_SOURCE, _BY_DESTINATION, _BY_NUMBER, _BY_SOURCE_PORT, _BY_DESTINATION_PORT = 1 << 0, 1 << 1, 1 << 3, 1 << 4, 1 << 5
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_…
_SOURCE_NAT, _DESTINATION_NAT = 1 << 4, 1 << 5  # IPS_SRC_NAT, IPS_DST_NAT


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
