"""Ports on which programs of the host listen."""

from __future__ import annotations

import socket

from netloom.kernel.socket import SOCK_DIAG, NetlinkSocket
from netloom.netlink import sock_diag
from netloom.netlink.sock_diag import Listener, Proto


def listeners(*protocols: Proto) -> list[Listener]:
    """Listening TCP and bound, unconnected UDP sockets of the calling thread's namespace; both unless named."""
    found: list[Listener] = []
    with NetlinkSocket(SOCK_DIAG) as diag:
        for proto in protocols or ("tcp", "udp"):
            for family in (socket.AF_INET, socket.AF_INET6):
                found += [sock_diag.parse(proto, body) for body in diag.dump(sock_diag.dump(proto, family))]
    return found


def in_the_way(of: list[Listener], proto: str, ip: str, port: int) -> Listener | None:
    """The first socket that would answer at this address and port, `0.0.0.0` and `::` being all of a family."""
    wants6 = ":" in ip
    for one in of:
        if (one.proto, one.port) != (proto, port):
            continue
        has6 = ":" in one.ip
        if has6 != wants6:
            if one.ip == "::" and not one.v6only:
                return one
            continue
        if one.ip in (ip, "0.0.0.0", "::") or ip in ("0.0.0.0", "::"):
            return one
    return None
