"""SCTP packets by hand (RFC 9260): no kernel here has its sockets, and forwarding needs none."""

from __future__ import annotations

import struct

PROTOCOL = 132
INIT, INIT_ACK = 1, 2


def packet(source: int, to: int, kind: int, tag: int, token: int) -> bytes:
    """A common header and an INIT or INIT ACK chunk, with the checksum; `token` is the initiate tag."""
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20, token, 65536, 1, 1, 1)
    header = struct.pack("!HHI", source, to, tag)
    checksum = struct.pack("<I", _crc32c(header + bytes(4) + chunk))
    return header + checksum + chunk


def read(data: bytes) -> tuple[int, int, int, int, int]:
    """Of a packet: kind of its chunk, source, destination, tag and initiate tag. ValueError for a wrong checksum."""
    if struct.unpack("<I", data[8:12])[0] != _crc32c(data[:8] + bytes(4) + data[12:]):
        raise ValueError("checksum")
    source, to, tag = struct.unpack_from("!HHI", data)
    return data[12], source, to, tag, struct.unpack_from("!I", data, 16)[0]


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _entry(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


_TABLE = [_entry(byte) for byte in range(256)]
