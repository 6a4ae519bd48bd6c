"""Has the other side of a unix socket accepted our connection? A connect returns before that.

conmon accepts one client in each turn of its loop and tells a piece of output to those that it has: a client that is
still in the queue when a short program writes would miss all of it.
"""

from __future__ import annotations

import os
import select
import socket
import struct

_NETLINK_SOCK_DIAG = 4  # linux/netlink.h
_SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
_NLM_F_REQUEST = 1
_UDIAG_SHOW_PEER = 4  # linux/unix_diag.h
_UNIX_DIAG_PEER = 2
_ANY = 0xFFFFFFFF
_HEADER, _REPLY, _ATTRIBUTE = 16, 16, 4


def is_accepted(connection: socket.socket) -> bool:
    """False while the connection waits in the queue; True too where the kernel cannot tell (no unix_diag)."""
    poll = select.poll()
    poll.register(connection, 0)
    if poll.poll(0):  # POLLHUP: it was accepted and closed, and a closed peer has no inode either
        return True
    inode = os.fstat(connection.fileno()).st_ino
    request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, _ANY, inode & _ANY, _UDIAG_SHOW_PEER, _ANY, _ANY)
    header = struct.pack("=IHHII", _HEADER + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as diag:
            diag.send(header + request)
            reply = diag.recv(4096)
    except OSError:
        return True
    if struct.unpack_from("=H", reply, 4)[0] != _SOCK_DIAG_BY_FAMILY:
        return True
    # The peer of a queued connection has no inode yet: the kernel gives it one in accept(2).
    return _attribute(reply[_HEADER + _REPLY :], _UNIX_DIAG_PEER) != 0


def _attribute(data: bytes, wanted: int) -> int | None:
    offset = 0
    while offset + _ATTRIBUTE <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if kind == wanted:
            return int(struct.unpack_from("=I", data, offset + _ATTRIBUTE)[0])
        offset += (max(length, _ATTRIBUTE) + 3) & ~3
    return None
