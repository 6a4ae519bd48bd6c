"""Telling the neighbours that an address has moved: gratuitous ARP and unsolicited neighbour advertisements."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable

from netloom.model.checksum import checksum
from netloom.model.errors import KernelError
from netloom.netlink.address import pack
from netloom.netlink.link import mac_bytes

_ARP, _IPV6 = 0x0806, 0x86DD  # ETH_P_…
_BROADCAST = b"\xff" * 6
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
_ICMPV6 = 58
_ADVERTISEMENT = 136  # RFC 4861 section 4.4
_OVERRIDE = 0x20000000
_TARGET_LINK = 2  # option: target link-layer address


class Announcer:
    """One packet socket in the host's namespace, on no interface of its own.

    One opened inside the sandbox would cost 10 ms to close.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)

    def close(self) -> None:
        """Close the socket. Twice is once."""
        self._socket.close()

    def announce(self, link: str, mac: str, addresses: Iterable[str]) -> None:
        """One frame for each address, flooded to the bridge's ports, or out of another link into its LAN.

        A link that has gone needs none.
        """
        for address in addresses:
            family, packed = pack(address)
            self.send(link, (_arp if family == socket.AF_INET else _na)(mac_bytes(mac), packed))

    def send(self, link: str, frame: bytes) -> None:
        """One frame. A link that has gone needs none. Raises KernelError."""
        try:
            self._socket.sendto(frame, (link, int.from_bytes(frame[12:14], "big")))
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO, errno.ENETDOWN):
                return
            raise KernelError(error.errno or errno.EIO, f"send a frame on {link}") from error


def _arp(mac: bytes, address: bytes) -> bytes:
    """A request for the own address (RFC 5227 section 3): every host that has it in its table takes the new MAC."""
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address
    return _BROADCAST + mac + struct.pack("!H", _ARP) + arp


def _na(mac: bytes, address: bytes) -> bytes:
    """Unsolicited, to all nodes, override set (RFC 4861 section 7.2.6)."""
    option = struct.pack("!BB", _TARGET_LINK, 1) + mac
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + address + option
    pseudo = address + _ALL_NODES + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255) + address + _ALL_NODES
    return _ALL_NODES_MAC + mac + struct.pack("!H", _IPV6) + header + body
