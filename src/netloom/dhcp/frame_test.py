from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dhcp.frame import ArpSeen, Datagram, datagram, parse, probe
from netloom.dhcp.message import Malformed

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
SERVER, CLIENT = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 9))


def answer(data: bytes) -> bytes:
    """What a server sends: ours with the ports the other way round, so that both sums stay right."""
    frame = datagram(THEIRS, OURS, SERVER, CLIENT, data)
    return frame[:34] + struct.pack("!HH", 67, 68) + frame[38:]


@given(st.binary(max_size=900))
def test_a_server_is_heard(data: bytes) -> None:
    assert parse(answer(data)) == Datagram(THEIRS, SERVER, CLIENT, data)


@given(st.binary(max_size=200), st.data())
def test_a_flipped_bit_is_seen(data: bytes, chosen: st.DataObject) -> None:
    frame = bytearray(answer(data))
    at = chosen.draw(st.integers(14, len(frame) - 1))
    frame[at] ^= 1 << chosen.draw(st.integers(0, 7))
    try:
        assert parse(bytes(frame)) is None
    except Malformed:
        pass


@given(st.binary(max_size=120))
def test_only_our_own_error(frame: bytes) -> None:
    for head in (b"", bytes(12) + b"\x08\x00", bytes(12) + b"\x08\x06", bytes(12) + b"\x08\x00\x45"):
        try:
            parse(head + frame)
        except Malformed:
            pass


def test_a_sum_that_a_device_should_have_made() -> None:
    frame = bytearray(answer(b"hello"))
    frame[40:42] = b"\x12\x34"
    with pytest.raises(Malformed, match="sum"):
        parse(bytes(frame))
    seen = parse(bytes(frame), summed=False)
    assert isinstance(seen, Datagram)
    assert seen.data == b"hello"


def test_padding_of_ethernet_is_left_out() -> None:
    seen = parse(answer(b"x") + bytes(20))
    assert isinstance(seen, Datagram)
    assert seen.data == b"x"


def test_a_question_of_arp() -> None:
    frame = probe(OURS, CLIENT)
    assert frame[:12] == b"\xff" * 6 + OURS
    assert parse(frame) == ArpSeen(OURS, bytes(4), CLIENT)


def test_other_ports_are_not_ours() -> None:
    assert parse(datagram(OURS, THEIRS, CLIENT, SERVER, b"")) is None
