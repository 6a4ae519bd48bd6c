"""Ethernet frames by hand, as a program with NET_RAW writes them. Each carries `TOKEN` and a name, to be known by."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv6Address

TOKEN = b"netloom-frame:"
BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "ff02::1"
BRIDGES = "01:80:c2:00:00:00"  # spanning tree (IEEE 802.1D, 7.12.3)

IP, ARP, IP6, Q, AD, LOCAL = 0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x88B5
UDP, ICMP, ICMP6, HOP_BY_HOP, FRAGMENT, OPTIONS = 17, 1, 58, 0, 44, 60
ROUTER_SOLICIT, ROUTER_ADVERT, SOLICIT, ADVERT, REDIRECT, JOIN = 133, 134, 135, 136, 137, 143


def mac(text: str) -> bytes:
    """Six octets."""
    return bytes.fromhex(text.replace(":", ""))


def ethernet(to: str, source: str, ethertype: int, body: bytes, *tags: int) -> bytes:
    """A frame; `tags` are the ethertypes of priority tags (VLAN 0) in front, outermost first."""
    tagged = b"".join(struct.pack("!HH", tag, 0) for tag in tags)
    return (mac(to) + mac(source) + tagged + struct.pack("!H", ethertype) + body).ljust(60, b"\0")


def llc(to: str, source: str, body: bytes) -> bytes:
    """A frame with a length in place of an ethertype (IEEE 802.3)."""
    return (mac(to) + mac(source) + struct.pack("!H", len(body)) + body).ljust(60, b"\0")


def snap(ethertype: int, body: bytes) -> bytes:
    """A protocol behind LLC (RFC 1042)."""
    return b"\xaa\xaa\x03\0\0\0" + struct.pack("!H", ethertype) + body


def tagged(frame: bytes, *tags: int) -> bytes:
    """An Ethernet frame with priority tags put in front, outermost first."""
    return frame[:12] + b"".join(struct.pack("!HH", tag, 0) for tag in tags) + frame[12:]


def behind_snap(frame: bytes) -> bytes:
    """What an Ethernet frame carries, behind LLC."""
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    length = struct.pack("!H", len(frame) - 6)
    return frame[:12] + length + snap(ethertype, frame[14:])


def arp(
    sender_mac: str,
    sender: str,
    target: str,
    *,
    reply: bool = True,
    hlen: int = 6,
    hardware: int = 1,
    name: bytes = b"",
) -> bytes:
    """ARP for Ethernet and IPv4 (RFC 826)."""
    return (
        struct.pack("!HHBBH", hardware, IP, hlen, 4, 2 if reply else 1)
        + mac(sender_mac)
        + socket.inet_aton(sender)
        + bytes(6)
        + socket.inet_aton(target)
        + TOKEN
        + name
    )


def ipv4(
    source: str, to: str, protocol: int, body: bytes, *, offset: int = 0, more: bool = False, number: int = 77
) -> bytes:
    """A packet or a fragment at `offset` octets; those of one packet have one number."""
    where = offset // 8 | (0x2000 if more else 0)

    def header(checksum: int) -> bytes:
        ends = socket.inet_aton(source) + socket.inet_aton(to)
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number, where, 64, protocol, checksum) + ends

    return header(_checksum(header(0))) + body


def ipv6(source: str, to: str, following: int, body: bytes, *, hops: int = 255) -> bytes:
    """A packet; `following` is the protocol of what comes first in `body`."""
    ends = IPv6Address(source).packed + IPv6Address(to).packed
    return struct.pack("!IHBB", 6 << 28, len(body), following, hops) + ends + body


def options(following: int, body: bytes, padding: bytes = b"") -> bytes:
    """Hop-by-hop or destination options, `padding` alone (RFC 8200, 4.2), before `body`."""
    padding = padding.ljust(-(-(len(padding) + 4) // 8) * 8 - 4, b"\0") or bytes(4)
    return bytes([following, (len(padding) + 4) // 8 - 1, 1, len(padding)]) + padding + body


def fragment(following: int, body: bytes, *, offset: int = 0, more: bool = False) -> bytes:
    """A fragment header before `body` (RFC 8200, 4.5)."""
    return struct.pack("!BBHI", following, 0, offset | more, 77) + body


def udp(source: int, to: int, name: bytes) -> bytes:
    """A datagram without a checksum."""
    body = TOKEN + name
    return struct.pack("!HHHH", source, to, 8 + len(body), 0) + body


def icmp6(source: str, to: str, kind: int, body: bytes) -> bytes:
    """With its checksum, which receivers look at."""
    message = bytes([kind, 0, 0, 0]) + body
    pseudo = IPv6Address(source).packed + IPv6Address(to).packed + struct.pack("!II", len(message), ICMP6)
    checksum = _checksum(pseudo + message)
    return message[:2] + struct.pack("!H", checksum) + message[4:]


def discovery(source: str, to: str, kind: int, target: str, name: bytes) -> bytes:
    """Neighbour solicitation, advertisement or redirect about `target`, in its packet."""
    body = bytes(4) + IPv6Address(target).packed + TOKEN + name
    return ipv6(source, to, ICMP6, icmp6(source, to, kind, body))


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
