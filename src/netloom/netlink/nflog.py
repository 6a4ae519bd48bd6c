"""Packets that rules hand to a log group. Source: linux/netfilter/nfnetlink_log.h."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import NamedTuple

from netloom.netlink.message import Malformed, Message, attr, attributes, decode

PACKET = (4 << 8) | 0  # NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET
_CONFIG = (4 << 8) | 1
_HEADER = struct.Struct("!BBH")  # struct nfgenmsg: family, version, group
_COMMAND, _MODE, _THRESHOLD = 1, 2, 5  # NFULA_CFG_…
_BIND = 1  # NFULNL_CFG_CMD_BIND
_COPY_PACKET = 2  # NFULNL_COPY_PACKET
_PAYLOAD, _PREFIX = 9, 10  # NFULA_…
_ENOUGH = 128  # bytes of a packet: the longest headers before the ports, but for rare IPv6 extensions
_WITH_PORTS = (6, 17, 132)
_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: as long as they say


class Logged(NamedTuple):
    """A packet; ports are 0 where its protocol has none."""

    prefix: str
    proto: int
    source: str
    source_port: int
    target: str
    target_port: int


def listen(group: int) -> list[Message]:
    """Have a group's packets sent to the socket that asks, each at once. EBUSY when somebody else listens."""
    head = _HEADER.pack(0, 0, group)
    return [
        Message(_CONFIG, 0, head + attr(_COMMAND, bytes([_BIND]))),
        Message(_CONFIG, 0, head + attr(_MODE, struct.pack("!IBB", _ENOUGH, _COPY_PACKET, 0))),
        Message(_CONFIG, 0, head + attr(_THRESHOLD, struct.pack("!I", 1))),
    ]


def parse(body: bytes) -> Logged:
    """A message of type PACKET. Raises Malformed."""
    if len(body) < _HEADER.size:
        raise Malformed("netlink: log message too short")
    found = attributes(body, _HEADER.size)
    packet = found.get(_PAYLOAD, b"")
    prefix = decode(found.get(_PREFIX, b""))
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        proto, rest = packet[9], packet[(packet[0] & 15) * 4 :]
        source, target = packet[12:16], packet[16:20]
    elif version == 6 and len(packet) >= 40:
        proto, rest = packet[6], packet[40:]
        source, target = packet[8:24], packet[24:40]
        while proto in _EXTENSIONS and len(rest) >= 2:
            proto, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    else:
        raise Malformed("netlink: logged packet is cut short")
    ports = struct.unpack_from("!HH", rest) if proto in _WITH_PORTS and len(rest) >= 4 else (0, 0)
    return Logged(prefix, proto, str(ip_address(source)), ports[0], str(ip_address(target)), ports[1])
