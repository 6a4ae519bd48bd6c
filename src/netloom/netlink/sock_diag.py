"""Which ports programs listen on. Source: linux/inet_diag.h, linux/sock_diag.h."""

from __future__ import annotations

import socket
import struct
from typing import Literal, NamedTuple

from netloom.netlink.address import unpacked
from netloom.netlink.message import DUMP, Malformed, Message, attributes, number

_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2: family, protocol, ext, states, id
_ID = struct.Struct("!4xH2x16s")  # family, state, timer, retrans; source port, destination port, source address
_MIN = 72  # sizeof(struct inet_diag_msg)
_LISTEN, _CLOSE = 1 << 10, 1 << 7  # TCP_LISTEN; TCP_CLOSE is a UDP socket that is bound and not connected
_V6ONLY = 11  # INET_DIAG_SKV6ONLY

Proto = Literal["tcp", "udp"]


class Listener(NamedTuple):
    """A bound socket. `v6only` False on an IPv6 one: it serves IPv4 too when its address is `::`."""

    proto: Proto
    ip: str
    port: int
    v6only: bool


def dump(proto: Proto, family: int) -> Message:
    """Ask for all listening TCP or bound UDP sockets of a family."""
    number, states = (socket.IPPROTO_TCP, _LISTEN) if proto == "tcp" else (socket.IPPROTO_UDP, _CLOSE)
    return Message(_BY_FAMILY, DUMP, _REQUEST.pack(family, number, 0, states))


def parse(proto: Proto, body: bytes) -> Listener:
    """One socket of a dump. Raises Malformed."""
    if len(body) < _MIN:
        raise Malformed("netlink: socket message too short")
    family = body[0]
    if family not in (socket.AF_INET, socket.AF_INET6):
        raise Malformed(f"netlink: a socket of family {family}")
    port, packed = _ID.unpack_from(body)
    ip = unpacked(family, packed if family == socket.AF_INET6 else packed[:4])
    return Listener(proto, ip, port, bool(number(attributes(body, _MIN).get(_V6ONLY))))
