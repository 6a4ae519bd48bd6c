"""Filters of connections, as bytes: a mistake here could make the kernel forget every connection of the host."""

import socket

import pytest

from netloom.netlink.conntrack import count, forget_asked, forget_translated
from netloom.netlink.message import Malformed, attr, attributes

TYPE = 0x102


def test_a_target_is_named_by_the_answers_source() -> None:
    message = forget_translated(bytes([172, 18, 0, 2]), 17, 80)
    assert message.type == TYPE
    assert message.body[:2] == bytes([socket.AF_INET, 1])
    found = attributes(message.body, 4)
    assert attributes(attributes(found[2])[1]) == {1: bytes([172, 18, 0, 2])}
    assert attributes(attributes(found[2])[2]) == {1: b"\x11", 2: b"\x00\x50"}
    assert attributes(found[25]) == {2: (0b11001).to_bytes(4, "little")}
    assert (found[3], found[26]) == (b"\0\0\0\x20", b"\0\0\0\x20")


def test_a_target_without_port() -> None:
    found = attributes(forget_translated(bytes([172, 18, 0, 2])).body, 4)
    assert list(attributes(found[2])) == [1]
    assert attributes(found[25]) == {2: (1).to_bytes(4, "little")}


def test_a_port_that_was_asked_for() -> None:
    found = attributes(forget_asked(socket.AF_INET6, 17, 5300, translated=False).body, 4)
    assert attributes(attributes(found[1])[2]) == {1: b"\x11", 3: (5300).to_bytes(2, "big")}
    assert attributes(found[25]) == {1: (0b101000).to_bytes(4, "little")}
    assert (found[3], found[26]) == (bytes(4), b"\0\0\0\x30")


def test_a_port_of_one_address() -> None:
    found = attributes(forget_asked(socket.AF_INET, 6, 80, bytes([10, 0, 0, 1]), translated=True).body, 4)
    assert attributes(attributes(found[1])[1]) == {2: bytes([10, 0, 0, 1])}
    assert attributes(found[25]) == {1: (0b101010).to_bytes(4, "little")}
    assert (found[3], found[26]) == (b"\0\0\0\x20", b"\0\0\0\x20")


def test_how_many_there_are() -> None:
    assert count(bytes(4) + attr(1, bytes([0, 0, 1, 2])) + attr(2, bytes(4))) == 258
    with pytest.raises(Malformed):
        count(bytes(4))
