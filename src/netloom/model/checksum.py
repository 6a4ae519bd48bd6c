"""The Internet checksum of IPv4, ICMPv6, TCP and UDP (RFC 1071)."""

from __future__ import annotations


def checksum(data: bytes | bytearray) -> int:
    """Of octets whose own field of it is 0; 0 where that is filled in and right.

    The one's complement sum of 16-bit words is the whole number modulo 65535, but for 0xFFFF in the place of 0 where
    anything is summed up at all.
    """
    number = int.from_bytes(data + b"\0" if len(data) % 2 else data)
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))
