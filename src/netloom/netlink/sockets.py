"""The sockets of a namespace, asked of the kernel. Sources: linux/sock_diag.h, linux/inet_diag.h."""

from __future__ import annotations

import socket
import struct

from netloom.netlink.message import DUMP, Malformed, Message

_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2 with a struct inet_diag_sockid that asks for any
_PORT = slice(4, 6)  # of struct inet_diag_msg: idiag_sport
_LISTEN, _ANY = 1 << 10, 0xFFFFFFFF  # states, by the numbers of include/net/tcp_states.h


def listeners(family: int, proto: int) -> Message:
    """Ask for the TCP sockets that listen, or for all UDP sockets; connections are not looked at."""
    states = _LISTEN if proto == socket.IPPROTO_TCP else _ANY
    return Message(_BY_FAMILY, DUMP, _REQUEST.pack(family, proto, 0, states))


def port(body: bytes) -> int:
    """The local port of one of them. Raises Malformed."""
    if len(body) < _PORT.stop:
        raise Malformed("netlink: a socket without its port")
    return int.from_bytes(body[_PORT], "big")
