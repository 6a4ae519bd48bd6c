"""SCTP packets by hand (RFC 9260): no kernel here has its sockets, and forwarding needs none."""

from __future__ import annotations

import struct

PROTOCOL = 132
INIT, INIT_ACK = 1, 2


def packet(source: int, to: int, kind: int, tag: int) -> bytes:
    """A common header and an INIT or INIT ACK chunk, with the checksum that conntrack looks at."""
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20, 0x1234, 65536, 1, 1, 1)
    header = struct.pack("!HHI", source, to, tag)
    checksum = struct.pack("<I", _crc32c(header + bytes(4) + chunk))
    return header + checksum + chunk


def ports(data: bytes) -> tuple[int, int]:
    """Source and destination of a packet as a raw IPv4 socket gives it; raises ValueError for a wrong checksum."""
    body = data[(data[0] & 15) * 4 :]
    if struct.unpack("<I", body[8:12])[0] != _crc32c(body[:8] + bytes(4) + body[12:]):
        raise ValueError("checksum")
    source, to = struct.unpack("!HH", body[:4])
    return source, to


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
