"""IPv4 packets between a sandbox's `lo` and the resolver (RFC 791, 768, 9293). Bytes in and out, no sockets.

Checksums of what comes in are not looked at: the kernel leaves them open on lo, where nothing is corrupted.
"""

from __future__ import annotations

import struct

from netloom.model.checksum import checksum

UDP, TCP = 17, 6  # protocol numbers
IP_HEADER, UDP_HEADER, TCP_HEADER = 20, 8, 20  # bytes, without options
SYN, ACK = 0x02, 0x10  # of a TCP header's flags
LARGEST = 1 << 16  # bytes of any packet, and more

RESOLVER = bytes((127, 0, 0, 11))
_DNS = struct.pack("!H", 53)
_DONT_FRAGMENT, _TTL = 0x4000, 64
_FIXED = "!BBHHHBBH4s4s"  # the whole IP header; the kernel fills in length, id and checksum

# What is looked at of a packet: version and header length, TTL (what its protocol was: `capture`), the client, and, of
# UDP without IP options, port and length. Raises struct.error for a packet of less than HEAD bytes.
head = struct.Struct("!B7xB3x4s4x2s2xH2x").unpack_from
HEAD = IP_HEADER + UDP_HEADER  # bytes
PLAIN = 0x45  # version 4, no options

_udp_header = struct.Struct("!2s2sHH").pack


def answer_to(port: bytes, answer: bytes) -> bytes:
    """A UDP packet with an answer, less its IP header; without a checksum, which lo does not need."""
    return _udp_header(_DNS, port, UDP_HEADER + len(answer), 0) + answer


def datagram(packet: bytes) -> tuple[bytes, bytes] | None:
    """The client's port and the query in a UDP packet; None for one that IP or UDP would drop."""
    ends = _payload(packet)
    if ends is None or ends[1] - ends[0] < UDP_HEADER:
        return None
    start, end = ends
    length = int.from_bytes(packet[start + 4 : start + 6])
    if not UDP_HEADER <= length <= end - start:
        return None
    return packet[start : start + 2], packet[start + UDP_HEADER : start + length]


def segment(packet: bytes) -> tuple[bytes, bytearray] | None:
    """The source address and the TCP segment in a packet; None for one that IP or TCP would drop."""
    ends = _payload(packet)
    if ends is None or ends[1] - ends[0] < TCP_HEADER:
        return None
    return packet[12:16], bytearray(packet[ends[0] : ends[1]])


def opens(content: bytearray) -> bool:
    """Is this segment the first of a connection?"""
    return content[13] & (SYN | ACK) == SYN


def carrying(content: bytearray, source: bytes, destination: bytes) -> bytes:
    """A packet with this segment, whose checksum is set right."""
    content[16:18] = b"\0\0"
    pseudo = struct.pack("!4s4sxBH", source, destination, TCP, len(content))
    content[16:18] = checksum(pseudo + content).to_bytes(2)
    return struct.pack(_FIXED, PLAIN, 0, 0, 0, _DONT_FRAGMENT, _TTL, TCP, 0, source, destination) + content


def _payload(packet: bytes) -> tuple[int, int] | None:
    """Where the payload begins and ends, of a packet that is not a fragment."""
    if len(packet) < IP_HEADER or packet[0] >> 4 != 4:
        return None
    start, end = (packet[0] & 15) * 4, int.from_bytes(packet[2:4])
    return (start, end) if IP_HEADER <= start <= end <= len(packet) else None
