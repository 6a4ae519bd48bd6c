"""Classic BPF programs on sockets (linux/filter.h): what of the packets that a socket would see it is given."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

_SO_ATTACH_FILTER = 26

Instruction = tuple[int, int, int, int]  # struct sock_filter: code, jump if true, jump if false, value


def attach(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """From now on. Raises OSError."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))
