from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dhcp import message as m
from netloom.dhcp.message import Malformed, Message, parse

MAC = bytes.fromhex("020000000001")

options = st.dictionaries(
    st.integers(1, 254).filter(lambda code: code != m.OVERLOAD), st.binary(min_size=1, max_size=600), max_size=5
)
messages = st.builds(
    Message,
    reply=st.booleans(),
    xid=st.integers(0, 2**32 - 1),
    secs=st.integers(0, 65535),
    flags=st.integers(0, 65535),
    client=st.binary(min_size=4, max_size=4),
    yours=st.binary(min_size=4, max_size=4),
    relay=st.binary(min_size=4, max_size=4),
    mac=st.binary(min_size=6, max_size=6),
    options=options,
)


@given(messages)
def test_round_trip(message: Message) -> None:
    assert parse(message.encode()) == message


@given(st.binary(max_size=700))
def test_only_our_own_error(data: bytes) -> None:
    try:
        parse(data)
    except Malformed:
        pass


@given(messages, st.data())
def test_every_cut_is_a_message_or_our_error(message: Message, data: st.DataObject) -> None:
    octets = message.encode()
    cut = octets[: data.draw(st.integers(0, len(octets)))]
    at = data.draw(st.integers(0, max(len(cut) - 1, 0)))
    flipped = cut[:at] + bytes(b ^ 0xFF for b in cut[at : at + 1]) + cut[at + 1 :]
    for octets in (cut, flipped):
        try:
            parse(octets)
        except Malformed:
            pass


def test_bytes_of_a_discover() -> None:
    octets = Message(xid=0x01020304, flags=m.BROADCAST, mac=MAC, options={m.KIND: b"\x01"}).encode()
    assert octets[:12].hex() == "010106000102030400008000"
    assert octets[28:34] == MAC
    assert octets[236:244].hex() == "63825363350101ff"
    assert len(octets) == 300


def test_options_go_on_in_other_fields() -> None:
    plain = Message(reply=True, xid=1, mac=MAC, options={m.KIND: b"\x02", m.OVERLOAD: b"\x03"}).encode()
    octets = plain[:44] + bytes((m.ROUTER, 4, 10, 0, 0, 1, 255)).ljust(64, b"\0")
    octets += bytes((m.MTU, 2, 5, 120, 255)).ljust(128, b"\0") + plain[236:]
    found = parse(octets)
    assert found.options == {m.KIND: b"\x02", m.ROUTER: bytes((10, 0, 0, 1)), m.MTU: bytes((5, 120))}


@pytest.mark.parametrize("overload", [b"\x04", b"\x01\x01"])
def test_an_overload_that_says_nothing(overload: bytes) -> None:
    with pytest.raises(Malformed):
        parse(Message(xid=1, mac=MAC, options={m.OVERLOAD: overload}).encode())


def test_an_option_beyond_the_end() -> None:
    head = Message(xid=1, mac=MAC).encode()[:240]
    with pytest.raises(Malformed, match="option 51"):
        parse(head + bytes((51, 4, 0, 0)))
    with pytest.raises(Malformed, match="option 51"):
        parse(head + bytes((51,)))
