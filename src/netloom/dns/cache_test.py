"""What is kept of answers from outside, for how long, and how it is given again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dns import cache as c
from netloom.dns import message as m
from netloom.dns.cache import Cache, Form, Room
from netloom.dns.message import Message, Question, Record
from netloom.dns.rdata import Rdata
from netloom.dns.rdata.a import A
from netloom.dns.rdata.opaque import Opaque
from netloom.dns.responder import Forward, cached
from netloom.dns.wire import encode_name

WWW, WEB, ZONE = encode_name("www.example.test"), encode_name("web.example.test"), encode_name("example.test")
ADDRESS = A(b"\xc0\0\2\1")
PLAIN = Form(m.RD)


def soa(minimum: int) -> Opaque:
    return Opaque(6, b"\0\0" + bytes(16) + minimum.to_bytes(4, "big"))


def question(name: bytes = WWW, kind: int = 1, cls: int = 1) -> bytes:
    return name.lower() + kind.to_bytes(2, "big") + cls.to_bytes(2, "big")


def answer(
    *records: tuple[bytes, Rdata, int],
    name: bytes = WWW,
    kind: int = 1,
    flags: int = m.QR | m.RA,
    authority: tuple[tuple[bytes, Rdata, int], ...] = (),
    edns: m.Edns | None = None,
    additional: tuple[tuple[bytes, Rdata, int], ...] = (),
) -> bytes:
    sections = (tuple(Record(*one) for one in section) for section in (records, authority, additional))
    return m.encode(Message(7, flags, (Question(name, kind),), *sections, edns=edns))


def given_again(cache: Cache, now: float, form: Form = PLAIN, asked: bytes = question()) -> Message | None:
    found = cache.get(asked, form, now)
    return m.decode(b"\0\7" + found[0] + asked + found[1]) if found else None


def kept(reply: bytes, form: Form = PLAIN, asked: bytes = question()) -> Cache:
    cache = Cache(Room())
    cache.put(asked, form, reply, 100.0)
    return cache


def test_ttl_is_counted_down_and_honoured() -> None:
    cache = kept(answer((WWW, ADDRESS, 10)))
    ages = {now: given_again(cache, now) for now in (100.0, 100.9, 103.5, 109.9)}
    assert [one and one.answers[0].ttl for one in ages.values()] == [10, 10, 7, 1]
    assert given_again(cache, 110.0) is None
    assert len(cache) == 0


def test_an_alias_chain_ends_with_its_shortest_ttl() -> None:
    cache = kept(answer((WWW, Opaque(5, WEB), 30), (WEB, ADDRESS, 10)))
    found = given_again(cache, 104.0)
    assert found is not None
    assert [record.ttl for record in found.answers] == [6, 6]
    assert given_again(cache, 110.0) is None


@pytest.mark.parametrize(
    ("reply", "lasts"),
    [
        (answer(flags=m.QR | m.NXDOMAIN, authority=((ZONE, soa(20), 60),)), 20),
        (answer(flags=m.QR | m.NXDOMAIN, authority=((ZONE, soa(60), 20),)), 20),
        (answer(authority=((ZONE, soa(20), 60),)), 20),  # NODATA
        (answer((WWW, Opaque(5, WEB), 9), authority=((ZONE, soa(20), 60),)), 9),  # an alias without an address
        (answer(authority=((ZONE, soa(99999), 99999),)), c.MAX_NEGATIVE_TTL),
        (answer((WWW, ADDRESS, 99999)), c.MAX_TTL),
        (answer((WWW, ADDRESS, 0)), 0),
        (answer((WWW, ADDRESS, 2**31)), 0),  # RFC 2181, section 8
        (answer(flags=m.QR | m.NXDOMAIN), 0),  # RFC 2308, section 5: without a SOA it is not kept
        (answer((WWW, Opaque(5, WEB), 9)), 0),
        (answer((WWW, ADDRESS, 9), flags=m.QR | m.TC), 0),
        (answer((WWW, ADDRESS, 9), flags=m.QR | m.SERVFAIL), 0),
        (answer((WWW, ADDRESS, 9), edns=m.Edns(rcode=1)), 0),
        (answer((WEB, ADDRESS, 9)), 0),  # beside the point
        (answer((WWW, ADDRESS, 9), (WEB, ADDRESS, 9)), 0),
        (answer((WWW, ADDRESS, 9), name=WEB), 0),
        (answer((WWW, ADDRESS, 9))[:-1], 0),
        (answer((WWW, ADDRESS, 9)) + b"x", 0),
    ],
)
def test_how_long_it_is_kept(reply: bytes, lasts: int) -> None:
    cache = kept(reply)
    assert (cache.get(question(), PLAIN, 100.0) is not None) == (lasts > 0)
    assert (cache.get(question(), PLAIN, 99.9 + lasts) is not None) == (lasts > 0)
    assert cache.get(question(), PLAIN, 100.0 + lasts) is None


def test_nothing_beside_the_answer_is_kept() -> None:
    others = ((ZONE, Opaque(2, WEB), 9),)
    cache = kept(answer((WWW, ADDRESS, 9), authority=others, additional=((WEB, A(b"\6\6\6\6"), 9),)))
    found = given_again(cache, 100.0)
    assert found is not None
    assert (len(found.answers), found.authority, found.additional) == (1, (), ())
    assert cache.get(question(WEB), PLAIN, 100.0) is None


def test_a_negative_answer_keeps_its_soa() -> None:
    found = given_again(kept(answer(flags=m.QR | m.NXDOMAIN, authority=((ZONE, soa(20), 60),))), 105.0)
    assert found is not None
    assert (found.rcode, found.authority[0].ttl) == (m.NXDOMAIN, 15)


def test_edns_is_ours_and_goes_to_who_has_it() -> None:
    cache = kept(answer((WWW, ADDRESS, 9), edns=m.Edns(4096, options=b"\0\x0a\0\1x")))
    plain, with_edns = given_again(cache, 100.0), given_again(cache, 100.0, Form(m.RD, edns=True))
    assert plain is not None
    assert with_edns is not None
    assert (plain.edns, with_edns.edns) == (None, m.Edns())
    assert given_again(cache, 100.0, Form(m.RD, edns=True, do=True)) is None
    assert given_again(cache, 100.0, Form(m.RD | m.CD)) is None


def test_dnssec_is_kept_whole_and_ad_is_for_who_asks() -> None:
    form = Form(m.RD, edns=True, do=True)
    cache = kept(answer((WWW, ADDRESS, 9), flags=m.QR | m.AD, authority=((ZONE, Opaque(47, b"x"), 9),)), form)
    found = given_again(cache, 100.0, form)
    assert found is not None
    assert found.edns == m.Edns(flags=m.DO)
    assert (found.flags & m.AD, len(found.authority)) == (m.AD, 1)
    cache = kept(answer((WWW, ADDRESS, 9), flags=m.QR | m.AD))
    for flags, expected in ((m.RD, 0), (m.RD | m.AD, m.AD)):
        found = given_again(cache, 100.0, Form(flags))
        assert found is not None
        assert found.flags == m.QR | m.RA | m.RD | expected


def test_types_whose_numbers_are_letters_are_not_mixed_up() -> None:
    cache = kept(answer((WWW, Opaque(65, b"x"), 9), kind=65), asked=question(kind=65))
    assert cache.get(question(kind=65), PLAIN, 100.0) is not None
    assert cache.get(question(kind=97), PLAIN, 100.0) is None
    assert c.folded(b"\1A\0\0\x41\0\1") == b"\1a\0\0\x41\0\1"


def test_it_stays_within_its_bounds_and_hurts_no_other() -> None:
    room = Room(20_000)
    one, other = Cache(room), Cache(room)
    other.put(question(), PLAIN, answer((WWW, ADDRESS, 9)), 0.0)
    for number in range(2000):
        name = encode_name(f"n{number}.test")
        one.put(question(name), PLAIN, answer((name, ADDRESS, 9), name=name), 0.0)
        assert room.left >= 0
    assert 0 < len(one) <= c.MAX_ENTRIES
    assert one.get(question(encode_name("n1999.test")), PLAIN, 1.0) is not None  # the newest are kept
    assert other.get(question(), PLAIN, 1.0) is not None
    third = Cache(room)
    third.put(question(), PLAIN, answer((WWW, ADDRESS, 9)), 0.0)  # no room, and nothing of its own to put away
    assert len(third) <= 1
    for cache in (one, other, third):
        cache.clear()
    assert room.left == 20_000


def test_entries_are_bounded() -> None:
    cache = Cache(Room())
    for number in range(c.MAX_ENTRIES + 10):
        name = encode_name(f"n{number}.test")
        cache.put(question(name), PLAIN, answer((name, ADDRESS, 9), name=name), 0.0)
    assert len(cache) == c.MAX_ENTRIES


def test_too_long_for_the_client_is_cut() -> None:
    reply = answer(*((WWW, A(bytes((10, 0, 0, n))), 9) for n in range(60)))
    cache = kept(reply)
    query = m.encode(Message(7, m.RD, (Question(WWW, 1),)))
    cut = cached(Forward(query, question(), 512, PLAIN), cache, 100.0)
    whole = cached(Forward(query, question(), 0xFFFF, PLAIN), cache, 100.0)
    assert cut is not None
    assert whole is not None
    assert (m.decode(cut).answers, bool(m.decode(cut).flags & m.TC)) == ((), True)
    assert len(m.decode(whole).answers) == 60


@given(st.binary(max_size=200), st.sampled_from([b"", answer((WWW, ADDRESS, 9)), answer((WWW, Opaque(5, WEB), 3))]))
def test_any_answer_is_survived(raw: bytes, start: bytes) -> None:
    cache = Cache(Room())
    data = start[: len(start) - len(raw) % 7] + raw
    if len(data) >= m.HEADER_SIZE:
        cache.put(question(), PLAIN, data, 0.0)
        found = cache.get(question(), PLAIN, 0.5)
        if found:
            m.decode(b"\0\7" + found[0] + question() + found[1])
