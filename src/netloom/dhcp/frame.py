"""What carries DHCP on a link where nobody has an address yet: Ethernet, IPv4 and UDP, and probes by ARP.

Sums are checked as RFC 1071 has it. A frame from a neighbour on this very machine may come with a UDP sum that
nobody has completed: whoever receives it is told so by the kernel, and says `summed=False`.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from netloom.dhcp.message import Malformed
from netloom.model.checksum import checksum

EVERYBODY = b"\xff" * 6
ANY, ALL = bytes(4), b"\xff" * 4
IPV4, ARP = 0x0800, 0x0806  # ETH_P_…
CLIENT_PORT, SERVER_PORT = 68, 67

_ETHERNET = 14
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_UDP_NUMBER = 17
_TTL = 64
_FRAGMENT = 0x1FFF | 0x2000  # offset, or more to come
_REQUEST, _REPLY = 1, 2


class Datagram(Struct, frozen=True):
    """A UDP datagram and who sent it."""

    mac: bytes  # source, of the link
    source: bytes
    target: bytes
    data: bytes


class ArpSeen(Struct, frozen=True):
    """An ARP frame: who says so, and which address is the sender's; `target` is the address that is asked for."""

    mac: bytes
    sender: bytes
    target: bytes


def datagram(mac: bytes, to_mac: bytes, source: bytes, target: bytes, data: bytes) -> bytes:
    """A client's datagram to a server, as a whole frame."""
    udp = _UDP.pack(CLIENT_PORT, SERVER_PORT, _UDP.size + len(data), 0) + data
    pseudo = source + target + struct.pack("!HH", _UDP_NUMBER, len(udp))
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    head = _IP.pack(0x45, 0, _IP.size + len(udp), 0, 0, _TTL, _UDP_NUMBER, 0, source, target)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return to_mac + mac + struct.pack("!H", IPV4) + head + udp


def probe(mac: bytes, address: bytes) -> bytes:
    """Does anybody have this address? Without saying that we do (RFC 5227, section 2.1.1)."""
    arp = _ARP.pack(1, IPV4, 6, 4, _REQUEST, mac, ANY, bytes(6), address)
    return EVERYBODY + mac + struct.pack("!H", ARP) + arp


def parse(frame: bytes, *, summed: bool = True) -> Datagram | ArpSeen | None:
    """A server's datagram to a client, or ARP; None for all else. Raises Malformed."""
    kind = int.from_bytes(frame[12:_ETHERNET], "big")
    if kind == ARP:
        return _arp(frame[_ETHERNET:])
    return _datagram(frame, summed) if kind == IPV4 else None


def _arp(body: bytes) -> ArpSeen:
    if len(body) < _ARP.size:
        raise Malformed(f"ARP of {len(body)} octets")
    link, kind, link_size, size, _, mac, sender, _, target = _ARP.unpack_from(body)
    if (link, kind, link_size, size) != (1, IPV4, 6, 4):
        raise Malformed("ARP of another link than Ethernet")
    return ArpSeen(mac, sender, target)


def _datagram(frame: bytes, summed: bool) -> Datagram | None:
    packet = frame[_ETHERNET:]
    if len(packet) < _IP.size:
        raise Malformed(f"a packet of {len(packet)} octets")
    first, _, total, _, fragment, _, proto, _, source, target = _IP.unpack_from(packet)
    size = (first & 15) * 4
    if first >> 4 != 4 or size < _IP.size or not size <= total <= len(packet):
        raise Malformed("an IPv4 header that does not fit its packet")
    if proto != _UDP_NUMBER:
        return None
    if fragment & _FRAGMENT:
        raise Malformed("a fragment")
    if checksum(packet[:size]):
        raise Malformed("a wrong sum of the IPv4 header")
    udp = packet[size:total]
    if len(udp) < _UDP.size:
        raise Malformed("a datagram shorter than its header")
    sport, dport, length, given = _UDP.unpack_from(udp)
    if not _UDP.size <= length <= len(udp):
        raise Malformed("a datagram longer than its packet")
    if (sport, dport) != (SERVER_PORT, CLIENT_PORT):
        return None
    pseudo = source + target + struct.pack("!HH", _UDP_NUMBER, length)
    if summed and given and checksum(pseudo + udp[:length]):
        raise Malformed("a wrong sum of the datagram")
    return Datagram(frame[6:12], source, target, udp[_UDP.size : length])
