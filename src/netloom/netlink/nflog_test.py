"""Logged packets: whole, cut, and any bytes at all."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.netlink import nflog
from netloom.netlink.message import Malformed, attr

HEAD = struct.pack("!BBH", 2, 0, 7)


def logged(packet: bytes, prefix: str = "no") -> nflog.Logged:
    return nflog.parse(HEAD + attr(10, prefix.encode() + b"\0") + attr(9, packet))


def ipv4(proto: int, rest: bytes) -> bytes:
    addresses = socket.inet_aton("10.0.0.2") + socket.inet_aton("10.0.0.3")
    return bytes([0x45]) + bytes(8) + bytes([proto]) + bytes(2) + addresses + rest


def test_packets() -> None:
    ports = struct.pack("!HH", 1234, 80)
    assert logged(ipv4(6, ports + bytes(16))) == ("no", 6, "10.0.0.2", 1234, "10.0.0.3", 80)
    assert logged(ipv4(1, bytes(8))) == ("no", 1, "10.0.0.2", 0, "10.0.0.3", 0)
    head = bytes([0x60]) + bytes(5) + bytes([0, 64])
    addresses = socket.inet_pton(socket.AF_INET6, "fd00::2") + socket.inet_pton(socket.AF_INET6, "fd00::3")
    hop_by_hop = bytes([17, 0]) + bytes(6)
    assert logged(head + addresses + hop_by_hop + ports) == ("no", 17, "fd00::2", 1234, "fd00::3", 80)
    with pytest.raises(Malformed):
        logged(b"\x45short")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_packet_or_malformed(data: bytes) -> None:
    for body in (data, HEAD + data, HEAD + attr(9, data)):
        try:
            nflog.parse(body)
        except Malformed:
            continue
