"""Reading and writing of names and messages, at every byte boundary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dns import message as m
from netloom.dns.rdata.a import A
from netloom.dns.rdata.aaaa import AAAA
from netloom.dns.rdata.opaque import Opaque
from netloom.dns.rdata.ptr import PTR
from netloom.dns.wire import Reader, WireError, Writer, encode_name, name_text

labels = st.binary(min_size=1, max_size=20)
names = st.lists(labels, max_size=6).map(lambda parts: b"".join(bytes([len(p)]) + p for p in parts) + b"\0")
data = st.one_of(
    st.binary(min_size=4, max_size=4).map(A),
    st.binary(min_size=16, max_size=16).map(AAAA),
    names.map(PTR),
    st.binary(max_size=40).map(lambda d: Opaque(16, d)),
)
records = st.builds(m.Record, names, data, st.integers(0, 2**32 - 1))
messages = st.builds(
    m.Message,
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.lists(st.builds(m.Question, names, st.integers(0, 0xFFFF)), max_size=2).map(tuple),
    st.lists(records, max_size=4).map(tuple),
    st.lists(records, max_size=2).map(tuple),
    st.lists(records, max_size=2).map(tuple),
    st.none() | st.builds(m.Edns, st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, 255)),
)


@given(messages)
def test_round_trip(message: m.Message) -> None:
    decoded = m.decode(m.encode(message))
    # A name is compressed against one of another case: names are equal but for their case (RFC 1035, 2.3.3).
    assert _lowered(decoded) == _lowered(message)
    assert decoded.id == message.id
    assert decoded.flags == message.flags


def _lowered(message: m.Message) -> list[object]:
    def one(record: m.Record) -> tuple[object, ...]:
        value = record.data
        return (record.name.lower(), PTR(value.target.lower()) if isinstance(value, PTR) else value, record.ttl)

    sections = (message.answers, message.authority, message.additional)
    asked = [(q.name.lower(), q.kind, q.cls) for q in message.questions]
    return [asked, [[one(r) for r in s] for s in sections], message.edns]


@given(messages, st.data())
def test_every_cut_is_our_own_error(message: m.Message, draw: st.DataObject) -> None:
    whole = m.encode(message)
    size = draw.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(WireError):
        m.decode(whole[:size])
    with pytest.raises(WireError):
        m.decode(whole + b"\0")


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    try:
        m.decode(raw)
    except WireError:
        return


@given(messages, st.integers(60, 600))
def test_limit_is_kept_and_told(message: m.Message, limit: int) -> None:
    short = m.Message(message.id, message.flags & ~m.TC, (), message.answers, (), (), message.edns)
    encoded = m.encode(short, limit)
    assert len(encoded) <= limit
    decoded = m.decode(encoded)
    assert bool(decoded.flags & m.TC) == (len(decoded.answers) < len(short.answers))
    assert decoded.edns == short.edns


def test_names_are_compressed_across_cases() -> None:
    writer = Writer()
    for text in ("web.example.test", "WWW.EXAMPLE.test", "example.test", "."):
        writer.name(encode_name(text) if text != "." else b"\0")
    assert writer.data == b"\x03web\x07example\x04test\x00\x03WWW\xc0\x04\xc0\x04\x00"
    reader = Reader(bytes(writer.data))
    assert [name_text(reader.name()) for _ in range(4)] == [
        "web.example.test.",
        "WWW.example.test.",
        "example.test.",
        ".",
    ]
    assert reader.left == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"\xc0\x00",  # itself
        b"\x01a\xc0\x00",  # its own piece
        b"\xc0\x02\xc0\x00",  # two that point at each other
        b"\xc0\x05\x00\x00\x00\x00",  # forward
        b"\xc0",
        b"\x3f" + b"a" * 10,
        b"\x40" + b"a" * 64 + b"\x00",
        b"\x80\x00",
        b"",
        b"\x01a",
        (b"\x3f" + b"a" * 63) * 4 + b"\x00",  # 257 bytes
    ],
)
def test_bad_names(raw: bytes) -> None:
    with pytest.raises(WireError):
        Reader(raw).name()


def test_longest_name() -> None:
    raw = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\x00"
    assert len(raw) == 255
    assert Reader(raw).name() == raw


@pytest.mark.parametrize("text", ["", ".", "a..b", ".a", "a" * 64, "a." * 128])
def test_not_a_name(text: str) -> None:
    with pytest.raises(WireError, match="not a name"):
        encode_name(text)


def test_presentation_escapes() -> None:
    assert name_text(b"\x05a.b\\\x00\x02\xc3\xa9\x00") == "a\\.b\\\\\\000.\\195\\169."


def test_opt_only_once_and_only_at_the_end() -> None:
    edns = m.Message(1, 0, edns=m.Edns())
    whole = m.encode(edns)
    with pytest.raises(WireError, match="OPT"):
        m.decode(whole[:10] + b"\0\2" + whole[12:] * 2)
    with pytest.raises(WireError, match="OPT"):
        m.decode(whole[:6] + b"\0\1\0\0\0\0" + whole[12:])
