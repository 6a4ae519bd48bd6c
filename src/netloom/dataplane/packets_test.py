"""Packets from a sandbox's lo, at every byte boundary."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dataplane import packets
from netloom.model.checksum_test import slow_sum

CLIENT, SERVER = bytes((127, 0, 0, 1)), bytes((127, 0, 0, 11))


def ip(
    payload: bytes, proto: int = packets.UDP, *, options: bytes = b"", total: int = -1, first: int = -1, ttl: int = 64
) -> bytes:
    """A packet as a client's; lengths are right unless given."""
    start = packets.IP_HEADER + len(options)
    words = first if first >= 0 else 0x40 | start // 4
    length = total if total >= 0 else start + len(payload)
    return struct.pack("!BBHHHBBH4s4s", words, 0, length, 7, 0, ttl, proto, 0, CLIENT, SERVER) + options + payload


def udp(query: bytes, length: int = -1) -> bytes:
    size = length if length >= 0 else packets.UDP_HEADER + len(query)
    return struct.pack("!HHHH", 40000, 53, size, 0) + query


PORT = struct.pack("!H", 40000)
QUERY = b"query"


def tcp(data: bytes = b"", flags: int = packets.SYN) -> bytes:
    return struct.pack("!HHIIBBHHH", 40000, 53, 1, 0, 0x50, flags, 1000, 0, 0) + data


@pytest.mark.parametrize(
    ("packet", "query"),
    [
        (ip(udp(QUERY)), QUERY),
        (ip(udp(b"")), b""),
        (ip(udp(QUERY), options=b"\1\1\1\0"), QUERY),
        (ip(udp(QUERY), options=bytes(40)), QUERY),
        (ip(udp(QUERY)) + b"padding", QUERY),
        (ip(udp(QUERY, 8 + 3)), b"que"),  # as the kernel does: the UDP length counts
        (ip(udp(QUERY, 8 + 6)), None),
        (ip(udp(QUERY, 7)), None),
        (ip(udp(QUERY, 0)), None),
        (ip(udp(QUERY)[:7]), None),
        (ip(b""), None),
        (ip(udp(QUERY), total=20 + 8 + 6), None),  # more than there is
        (ip(udp(QUERY), total=20 + 8 + 4), None),
        (ip(udp(QUERY), total=19), None),
        (ip(udp(QUERY), total=0), None),
        (ip(udp(QUERY), first=0x44), None),  # a header of 16 bytes
        (ip(udp(QUERY), first=0x40), None),
        (ip(udp(QUERY), first=0x4F), None),  # options beyond the end
        (ip(udp(QUERY), first=0x65), None),
        (b"", None),
    ],
)
def test_a_query_is_what_udp_would_deliver(packet: bytes, query: bytes | None) -> None:
    assert packets.datagram(packet) == (None if query is None else (PORT, query))


def test_a_plain_query_is_seen_at_a_glance() -> None:
    packet = ip(udp(QUERY), 253, ttl=packets.UDP)
    assert packets.head(packet) == (packets.PLAIN, packets.UDP, CLIENT, PORT, len(packet) - packets.IP_HEADER)


@given(st.binary(max_size=120))
def test_any_bytes_are_survived(data: bytes) -> None:
    for packet in (data, b"\x45" + data, ip(data), ip(data, packets.TCP), ip(data, total=len(data))):
        found = packets.datagram(packet)
        assert found is None or found[1] in packet
        carried = packets.segment(packet)
        if carried is not None:
            assert bytes(carried[1]) in packet
            packets.opens(carried[1])
            check_carried(packets.carrying(carried[1], CLIENT, SERVER))


def check_carried(packet: bytes) -> None:
    """The kernel would take it: every sum is right."""
    pseudo = packet[12:20] + bytes((0, packet[9])) + struct.pack("!H", len(packet) - packets.IP_HEADER)
    assert slow_sum(pseudo + packet[packets.IP_HEADER :]) == 0xFFFF


def test_an_answer_is_a_udp_packet_from_port_53() -> None:
    assert packets.answer_to(PORT, b"answer") == struct.pack("!HHHH", 53, 40000, 14, 0) + b"answer"


@pytest.mark.parametrize(
    ("packet", "found"),
    [
        (ip(tcp(), packets.TCP), True),
        (ip(tcp(b"data"), packets.TCP, options=b"\1\1\1\0"), True),
        (ip(tcp()[:19], packets.TCP), False),
        (ip(tcp(), packets.TCP, total=39), False),
        (ip(tcp(), packets.TCP, total=41), False),
    ],
)
def test_a_segment_is_what_tcp_would_look_at(packet: bytes, found: bool) -> None:
    assert (packets.segment(packet) is not None) == found


def test_a_segment_is_carried_with_its_options_and_data() -> None:
    found = packets.segment(ip(tcp(b"some data"), packets.TCP, options=b"\1\1\1\0") + b"padding")
    assert found is not None
    client, content = found
    assert client == CLIENT
    to = bytes((240, 0, 0, 1))
    packet = packets.carrying(content, client, to)
    assert packet[:1] + packet[9:10] + packet[12:20] == b"\x45\x06" + CLIENT + to
    assert packet[20:36] + packet[38:] == tcp(b"some data")[:16] + tcp(b"some data")[18:]
    check_carried(packet)


@pytest.mark.parametrize(("flags", "opens"), [(0x02, True), (0xC2, True), (0x12, False), (0x10, False), (0x04, False)])
def test_a_connection_begins_with_a_syn_alone(flags: int, opens: bool) -> None:
    assert packets.opens(bytearray(tcp(flags=flags))) == opens
