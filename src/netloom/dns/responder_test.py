"""What is answered to whom; the cases of Docker 28.5 as dig printed them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dns import message as m
from netloom.dns.message import Message, Question
from netloom.dns.responder import Forward, Responder, failure
from netloom.dns.wire import encode_name
from netloom.dns.zone import Zones
from netloom.model.names import NameEntry
from netloom.testing.dns_checks import check_survives, queries

KINDS = {"A": 1, "NS": 2, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "HTTPS": 65, "ANY": 255}
# `www` and `shared` are two containers in u1; `other` is in u2, without IPv6.
ENTRIES = (
    NameEntry(
        "n1", "u1", "e1", "s1", ("web", "610e3736bdc3", "webhost", "www", "shared"), "web.u1", "172.18.0.2", "fd94::2"
    ),
    NameEntry("n1", "u1", "e2", "s2", ("web2", "www", "Shared"), "web2.u1", "172.18.0.3", "fd94::3"),
    NameEntry("n2", "u2", "e3", "s3", ("other",), "other.u2", "172.19.0.2"),
    NameEntry("n3", "u3", "e4", "s4", ("hidden",), "hidden.u3", "172.20.0.2"),
    NameEntry("n1", "u1", "e5", "s5", ("six",), "six.u1", "", "fd94::6"),
)


@pytest.fixture
def zones() -> Zones:
    zones = Zones()
    for entry in ENTRIES:
        zones.put(entry)
    return zones


@pytest.fixture
def responder(zones: Zones) -> Responder:
    return Responder(zones, ("n1", "n2"))


def query(name: str, kind: str = "A", *, flags: int = m.RD, edns: m.Edns | None = None, ident: int = 0x1234) -> bytes:
    return m.encode(Message(ident, flags, (Question(encode_name(name), KINDS[kind]),), edns=edns))


def ask(responder: Responder, name: str, kind: str = "A", **options: object) -> list[str] | None:
    """The data of the answer, by both roads; None: forwarded."""
    asked = query(name, kind, **options)  # type: ignore[arg-type]
    reply = responder.respond(asked)
    if isinstance(reply, Forward):
        assert responder.quick(asked) is None
        return None
    assert isinstance(reply, bytes)
    first = m.decode(reply)
    again = responder.quick(asked)
    assert again is not None
    second = m.decode(again)
    assert {str(r.data) for r in first.answers} == {str(r.data) for r in second.answers}
    assert (first.flags, first.edns, first.questions) == (second.flags, second.edns, second.questions)
    return [str(record.data) for record in first.answers]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web", "A", ["172.18.0.2"]),
        ("WEB", "A", ["172.18.0.2"]),
        ("web.u1", "A", ["172.18.0.2"]),
        ("Web.U1", "A", ["172.18.0.2"]),
        ("other.u2", "A", ["172.19.0.2"]),
        ("web.u2", "A", None),
        ("webhost", "A", ["172.18.0.2"]),
        ("610e3736bdc3", "A", ["172.18.0.2"]),
        ("other", "A", ["172.19.0.2"]),
        ("nosuch", "A", None),
        ("nosuch.u1", "A", None),
        ("hidden", "A", None),
        ("hidden.u3", "A", None),
        ("web", "AAAA", ["fd94::2"]),
        ("other", "AAAA", []),
        ("six", "A", []),
        ("web", "MX", []),
        ("web", "TXT", None),
        ("web", "ANY", None),
        ("web", "SRV", None),
        ("web", "NS", None),
        ("web", "HTTPS", None),
        ("web", "PTR", None),
        ("2.0.18.172.in-addr.arpa", "PTR", ["web.u1."]),
        ("2.0.18.172.IN-ADDR.arpa", "PTR", ["web.u1."]),
        ("2." + "0." * 27 + "4.9.d.f.ip6.arpa", "PTR", ["web.u1."]),
        ("2.0.20.172.in-addr.arpa", "PTR", None),
        ("99.99.99.10.in-addr.arpa", "PTR", None),
        ("0.18.172.in-addr.arpa", "PTR", None),
        ("x.0.18.172.in-addr.arpa", "PTR", None),
        ("02.0.18.172.in-addr.arpa", "PTR", None),
        ("2.0.18.172.in-addr.arpa", "A", None),
        ("tasks.web", "A", None),
        ("example.test", "A", None),
    ],
)
def test_what_docker_answers(responder: Responder, name: str, kind: str, expected: list[str] | None) -> None:
    assert ask(responder, name, kind) == expected


def test_flags_are_dockers_and_the_ttl_is_short(responder: Responder) -> None:
    for flags, expected in ((m.RD, m.QR | m.RD | m.RA), (0, m.QR | m.RA), (m.RD | m.AD, m.QR | m.RD | m.RA)):
        reply = responder.respond(query("web", flags=flags))
        assert isinstance(reply, bytes)
        answer = m.decode(reply)
        assert (answer.flags, answer.answers[0].ttl, answer.id) == (expected, 5, 0x1234)


def test_case_of_the_question_is_repeated(responder: Responder) -> None:
    responder.respond(query("web"))
    quick = responder.quick(query("wEb"))
    assert quick is not None
    assert m.decode(quick).answers[0].name == b"\x03wEb\x00"


def test_several_addresses_take_turns(responder: Responder) -> None:
    firsts = []
    for _ in range(4):
        answer = ask(responder, "shared")  # asks twice
        assert answer is not None
        assert sorted(answer) == ["172.18.0.2", "172.18.0.3"]
        reply = responder.quick(query("shared"))
        assert reply is not None
        firsts.append(str(m.decode(reply).answers[0].data))
    assert set(firsts) == {"172.18.0.2", "172.18.0.3"}


def test_first_network_that_knows_a_name_answers(zones: Zones) -> None:
    zones.put(NameEntry("n2", "u2", "e9", "s9", ("web",), "web.u2", "172.19.0.9"))
    assert ask(Responder(zones, ("n1", "n2")), "web") == ["172.18.0.2"]
    assert ask(Responder(zones, ("n2", "n1")), "web") == ["172.19.0.9"]
    assert ask(Responder(zones, ("n1", "n2")), "web.u2") == ["172.19.0.9"]
    assert ask(Responder(zones, ("n2", "n1")), "web", "AAAA") == ["fd94::2"]


def test_dotted_names_and_networks(zones: Zones) -> None:
    zones.put(NameEntry("n4", "a.net", "e8", "s8", ("x.y",), "x.y.a.net", "172.21.0.2"))
    responder = Responder(zones, ("n4",))
    assert ask(responder, "x.y") == ["172.21.0.2"]
    assert ask(responder, "x.y.a.net") == ["172.21.0.2"]
    assert ask(responder, "x.y.net") is None
    assert ask(responder, "x") is None


def test_links_are_for_one_sandbox_and_come_first(zones: Zones) -> None:
    linked = Responder(zones, ("n1",), (("db", "e1"), ("web2", "e1"), ("far", "e4")))
    assert ask(linked, "db") == ["172.18.0.2"]
    assert ask(linked, "web2") == ["172.18.0.2"]
    assert ask(linked, "far") is None  # its network is not ours
    assert ask(Responder(zones, ("n1",)), "db") is None
    zones.drop("e1")
    assert ask(linked, "db") is None


def test_changes_are_seen_at_once(zones: Zones, responder: Responder) -> None:
    assert ask(responder, "web") == ["172.18.0.2"]
    zones.put(NameEntry("n1", "u1", "e1", "s1", ("renamed",), "renamed.u1", "172.18.0.9"))
    assert ask(responder, "web") is None
    assert ask(responder, "renamed") == ["172.18.0.9"]
    assert ask(responder, "2.0.18.172.in-addr.arpa", "PTR") is None
    zones.drop_sandbox("s1")
    assert ask(responder, "renamed") is None
    assert ask(responder, "www") == ["172.18.0.3"]


def test_nothing_is_left_of_what_has_gone(zones: Zones) -> None:
    responder = Responder(zones, ("n1", "n2"))
    for entry in ENTRIES:
        zones.drop(entry.endpoint)
        zones.drop(entry.endpoint)
    responder.close()
    assert zones.entries == {}
    assert zones.__dict__ == Zones().__dict__


def test_names_that_cannot_be_asked_for_are_left_out(zones: Zones) -> None:
    zones.put(NameEntry("n1", "u1", "e7", "s7", ("a" * 64, "a..b", "good"), "", "172.18.0.7"))
    assert ask(Responder(zones, ("n1",)), "good") == ["172.18.0.7"]


def test_edns_is_answered_with_edns(responder: Responder) -> None:
    for edns in (m.Edns(512), m.Edns(4096, flags=m.DO), m.Edns(1232, options=b"\0\x0a\0\x08abcdefgh")):
        for _ in range(2):
            reply = responder.quick(query("web", edns=edns)) or responder.respond(query("web", edns=edns))
            assert isinstance(reply, bytes)
            assert m.decode(reply).edns == m.Edns(1232, flags=edns.flags)


def test_unknown_edns_version(responder: Responder) -> None:
    reply = responder.respond(query("web", edns=m.Edns(version=1)))
    assert isinstance(reply, bytes)
    assert m.decode(reply).rcode == m.BADVERS
    assert responder.quick(query("web", edns=m.Edns(version=1))) is None


def test_long_answers_are_cut_over_udp_only(zones: Zones) -> None:
    for number in range(100):
        zones.put(NameEntry("n1", "u1", f"m{number}", "s", ("many",), "many.u1", f"10.0.0.{number + 1}"))
    responder = Responder(zones, ("n1",))
    sizes = {}
    for limit, edns in ((512, None), (1232, m.Edns(1232)), (4096, m.Edns(4096))):
        reply = responder.respond(query("many", edns=edns))
        assert isinstance(reply, bytes)
        assert len(reply) <= limit
        sizes[limit] = (len(m.decode(reply).answers), bool(m.decode(reply).flags & m.TC))
    assert sizes == {512: (30, True), 1232: (74, True), 4096: (100, False)}
    whole = responder.respond(query("many"), tcp=True)
    assert isinstance(whole, bytes)
    assert len({str(r.data) for r in m.decode(whole).answers}) == 100
    assert responder.quick(query("many")) is None
    heads = {m.decode(responder.respond(query("many"))).answers[0].data for _ in range(3)}  # type: ignore[arg-type]
    assert len(heads) == 3


def test_failure_is_dockers(responder: Responder) -> None:
    order = responder.respond(query("example.test", edns=m.Edns()))
    assert isinstance(order, Forward)
    assert order.limit == 1232
    answer = m.decode(failure(order))
    assert (answer.flags, answer.answers, answer.questions[0].name) == (
        m.QR | m.RD | m.SERVFAIL,
        (),
        encode_name("example.test"),
    )


@pytest.mark.parametrize(
    ("raw", "rcode"),
    [
        (b"", None),
        (b"\0" * 11, None),
        (b"\x12\x34\x81\x80" + bytes(8), None),  # an answer
        (b"\x12\x34\x01\x00" + bytes(8), m.FORMERR),  # no question
        (b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0", m.FORMERR),
        (b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", m.FORMERR),
        (b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0\3web\0\0\1\0\1x", m.FORMERR),
        (b"\x12\x34\x29\x00\0\1\0\0\0\0\0\0\3web\0\0\1\0\1", m.NOTIMP),  # UPDATE
    ],
)
def test_malformed(responder: Responder, raw: bytes, rcode: int | None) -> None:
    assert responder.quick(raw) is None
    reply = responder.respond(raw)
    if rcode is None:
        assert reply is None
    else:
        assert isinstance(reply, bytes)
        assert reply[:2] == raw[:2]
        assert m.decode(reply).rcode == rcode


def test_chaos_class_is_not_ours(responder: Responder) -> None:
    asked = m.encode(Message(1, m.RD, (Question(encode_name("web"), 1, 3),)))
    assert isinstance(responder.respond(asked), Forward)


def test_type_whose_number_is_a_letter_is_not_taken_for_another(responder: Responder) -> None:
    """Types 65 and 97 differ by what lower-casing changes."""
    responder.respond(query("web"))
    for kind in range(256):
        asked = m.encode(Message(1, m.RD, (Question(encode_name("web"), kind),)))
        if kind not in (1, 15, 28):
            assert responder.quick(asked) is None
            assert isinstance(responder.respond(asked), Forward)


def _fresh() -> Responder:
    zones = Zones()
    for entry in ENTRIES:
        zones.put(entry)
    return Responder(zones, ("n1", "n2"))


@given(st.binary(max_size=100))
def test_any_bytes_are_survived(raw: bytes) -> None:
    check_survives(_fresh(), raw)


def test_every_cut_and_every_bit_is_survived() -> None:
    responder = _fresh()
    for seed in queries():
        for size in range(len(seed) + 1):
            check_survives(responder, seed[:size])
        for bit in range(len(seed) * 8):
            check_survives(
                responder, seed[: bit // 8] + bytes([seed[bit // 8] ^ (1 << bit % 8)]) + seed[bit // 8 + 1 :]
            )


def test_a_known_name_takes_microseconds() -> None:
    """A tenth of what 100,000 queries a second allow, with a margin for a busy machine."""
    responder, asked = _fresh(), query("web")
    responder.respond(asked)
    best = min(_timed(responder, asked) for _ in range(20))
    assert best < 10e-6


def _timed(responder: Responder, asked: bytes) -> float:
    start = time.perf_counter()
    for _ in range(200):
        responder.quick(asked)
    return (time.perf_counter() - start) / 200
