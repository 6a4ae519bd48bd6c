"""Frames as they pass an interface, captured by the kernel's packet sockets with their 802.1Q tags."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple, Self

from netloom.testing.hosts import Netns, eventually

_ETH_P_ALL = 0x0003
_SOL_PACKET, _AUXDATA, _VLAN_VALID = 263, 8, 1 << 4  # linux/if_packet.h
_TAGGED = 0x8100
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD


class Frame(NamedTuple):
    """`vlan` 0: no tag. `source` and `target` are the MACs, `sender` the source address of IPv4 and of ARP."""

    source: str
    target: str
    vlan: int
    ethertype: int
    sender: str
    outgoing: bool


class Capture:
    """Everything that passes an interface, from `with` on."""

    def __init__(self, where: Netns, interface: str) -> None:
        self.frames: list[Frame] = []
        self._socket = where.call(_open, interface)
        self._thread = threading.Thread(target=self._read, name="capture")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.settimeout(0)
        self._thread.join()
        self._socket.close()

    def wait(self, wanted: Callable[[Frame], bool], what: str) -> Frame:
        """The first that is wanted, also one that has passed already."""
        return (
            eventually(lambda: next(filter(wanted, self.frames.copy()), None), what=f"{what}: {self.frames[-8:]}")
            or (self.frames[0])
        )

    def _read(self) -> None:
        while self._socket.gettimeout() != 0:
            try:
                data, extra, _, sender = self._socket.recvmsg(2048, 64)
            except (TimeoutError, BlockingIOError):
                continue
            self.frames.append(_frame(data, extra, outgoing=sender[2] == socket.PACKET_OUTGOING))


def _open(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    opened.bind((interface, _ETH_P_ALL))
    opened.setsockopt(_SOL_PACKET, _AUXDATA, 1)
    opened.settimeout(0.1)
    return opened


def _frame(data: bytes, extra: list[tuple[int, int, bytes]], *, outgoing: bool) -> Frame:
    vlan, (ethertype,) = 0, struct.unpack_from("!H", data, 12)
    body = data[14:]
    for level, kind, value in extra:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, tag = struct.unpack_from("=IIIHHH", value)
            vlan = tag & 0xFFF if status & _VLAN_VALID else 0
    if ethertype == _TAGGED:
        tag, ethertype = struct.unpack_from("!HH", data, 14)
        vlan, body = tag & 0xFFF, data[18:]
    at = {ARP: 14, IPV4: 12}.get(ethertype)
    sender = socket.inet_ntoa(body[at : at + 4]) if at and len(body) >= at + 4 else ""
    return Frame(data[6:12].hex(":"), data[:6].hex(":"), vlan, ethertype, sender, outgoing)
