from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.netlink import address, link, message, neighbour, nft, route
from netloom.netlink.message import Malformed, Message, attr, attributes, frame, items, nest, replies, verdict

numbers32 = st.integers(0, 2**32 - 1)
octets = st.binary(max_size=200)
requests = st.lists(
    st.builds(Message, st.integers(0x10, 0xFFFF), st.sampled_from([0, 0x100, 0x300, 0x600]), octets), min_size=1
)


@given(requests, st.integers(1, 2**31))
def test_a_frame_reads_back_and_only_its_last_message_asks_for_an_answer(wanted: list[Message], first: int) -> None:
    found = list(replies(frame(wanted, first)))
    assert [(r.type, r.body, r.sequence) for r in found] == [(m.type, m.body, first + i) for i, m in enumerate(wanted)]
    assert [bool(r.flags & message.ACK) for r in found] == [False] * (len(wanted) - 1) + [True]
    assert all(r.flags & message.REQUEST for r in found)


@given(st.dictionaries(st.integers(1, 0x3FFF), octets))
def test_attributes_read_back(wanted: dict[int, bytes]) -> None:
    data = b"".join(attr(kind, value) for kind, value in wanted.items())
    assert attributes(data) == wanted
    assert list(items(data)) == list(wanted.values())
    assert attributes(nest(5, data)) == {5: data}


@pytest.mark.parametrize(
    "parse",
    [
        lambda data: [verdict(r) for r in replies(data)],
        attributes,
        link.parse,
        link.family_and_index,
        address.parse,
        address.index_of,
        route.parse,
        neighbour.parse,
        nft.parse_elements,
        nft.parse_set,
        nft.parse_table,
        nft.table_of,
    ],
)
@given(data=st.one_of(octets, st.binary(min_size=72, max_size=300)))
def test_malformed_input_raises_only_our_own_error(parse, data: bytes) -> None:  # type: ignore[no-untyped-def]
    try:
        parse(data)
    except Malformed:
        pass


@given(data=st.data())
def test_a_damaged_link_message_raises_only_our_own_error(data: st.DataObject) -> None:
    """Near misses reach deeper than noise does."""
    whole = bytearray(link.veth("a", 1, "02:00:00:00:00:01", 1500, master=2, peer_name="b", peer_index=3,
                                peer_mac="02:00:00:00:00:02", peer_netns=4).body)  # fmt: skip
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        link.parse(bytes(whole))
    except Malformed:
        pass


def test_an_acknowledgement_with_text_in_both_layouts() -> None:
    header = struct.pack("=IHHII", 30, 16, 5, 7, 0)
    explained = attr(1, b"no such thing\0")
    capped = message.Reply(2, 0x300, 7, 0, struct.pack("=i", -2) + header + explained)
    whole = message.Reply(2, 0x200, 7, 0, struct.pack("=i", -2) + header + bytes(14) + bytes(2) + explained)
    assert verdict(capped) == verdict(whole) == message.Verdict(2, "no such thing")
    assert verdict(message.Reply(2, 0x100, 7, 0, struct.pack("=i", 0) + header)).errno == 0


def test_numbers() -> None:
    assert [message.number(struct.pack(f, 9)) for f in ("=B", "=H", "=I", "=Q")] == [9] * 4
    assert message.number(None, 3) == 3
    with pytest.raises(Malformed):
        message.number(b"123")
