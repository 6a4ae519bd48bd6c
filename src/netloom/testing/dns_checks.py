"""What must hold of a responder whatever bytes come in, and hostile bytes to try it with."""

from __future__ import annotations

import random

from netloom.dns import message as m
from netloom.dns.cache import Cache, Room, folded
from netloom.dns.exchange import Exchange, Finish
from netloom.dns.message import Edns, Message, Question, Record
from netloom.dns.rdata.a import A
from netloom.dns.rdata.opaque import Opaque
from netloom.dns.responder import Forward, Responder, cached, failure, fitted
from netloom.dns.wire import WireError, encode_name
from netloom.dns.zone import Zones

_KINDS = (1, 12, 15, 28)  # A, PTR, MX, AAAA
_NAMES = ("web", "shared.u1", "other", "2.0.18.172.in-addr.arpa", "example.test")
_EDNS = (None, m.Edns(), m.Edns(4096, flags=m.DO, options=b"\0\x0a\0\x08abcdefgh"))


def queries() -> list[bytes]:
    """Well-formed queries of every shape: what mutations start from."""
    return [
        m.encode(Message(0x1234, m.RD, (Question(encode_name(name), kind),), edns=edns))
        for name in _NAMES
        for kind in _KINDS
        for edns in _EDNS
    ]


def mutated(rng: random.Random, raw: bytes) -> bytes:
    """The query with some bytes changed, moved, doubled or cut, pointers and counts among them."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes([rng.choice((0, 1, 12, 63, 64, 0xC0, 0xFF, rng.randrange(256)))])
            case 1:
                data[at:at] = data[at : at + rng.randint(1, 30)]
            case 2:
                del data[at : at + rng.randint(1, 10)]
            case 3:
                data[at:at] = (0xC000 | rng.randrange(60)).to_bytes(2, "big")
            case 4:
                data[4:12] = bytes(rng.choice((0, 0, 0, 1, 2, 255)) for _ in range(8))
    return bytes(data)


def check_survives(responder: Responder, raw: bytes) -> None:
    """Silence, an order, or an answer to just this id; the quick road says what the slow one says."""
    quick = responder.quick(raw)
    reply = responder.respond(raw)
    try:
        m.decode(raw)
    except WireError:
        assert reply is None or (isinstance(reply, bytes) and reply[3] & m.RCODE in (m.FORMERR, m.NOTIMP))
    if quick is not None:
        assert isinstance(reply, bytes)
        first, second = m.decode(quick), m.decode(reply)
        assert (first.id, first.flags, first.questions) == (second.id, second.flags, second.questions)
        assert set(first.answers) == set(second.answers)
        assert (first.authority, first.additional, first.edns) == (second.authority, second.additional, second.edns)
    if isinstance(reply, bytes):
        assert reply[:2] == raw[:2]
        assert reply[2] & 0x80
        m.decode(reply)
        assert len(reply) <= 0xFFFF
    elif isinstance(reply, Forward):
        m.decode(failure(reply))
        _check_kept(responder, raw, reply)


def _check_kept(responder: Responder, raw: bytes, order: Forward) -> None:
    """What is kept of an answer comes back by both roads alike."""
    cache = Cache(Room())
    answer = Message(7, m.QR | m.RA, (Question(order.question[:-4], *_two(order.question[-4:])),), _records(order))
    cache.put(folded(order.question), order.form, m.encode(answer), 0.0)
    found = cached(order, cache, 0.5)
    quick = responder.quick(raw, cache, 0.5)
    if quick is not None:
        assert quick == found
    if found is not None:
        assert found[:2] == raw[:2]
        assert len(found) <= order.limit
        m.decode(found)


def _two(raw: bytes) -> tuple[int, int]:
    return int.from_bytes(raw[:2], "big"), int.from_bytes(raw[2:], "big")


def _records(order: Forward) -> tuple[Record, ...]:
    kind, cls = _two(order.question[-4:])
    data = A(bytes(4)) if kind == A.TYPE else Opaque(kind, b"x")
    return (Record(order.question[:-4], data, 60, cls),) if kind not in (12, 28, 41) else ()


def answers() -> list[bytes]:
    """Answers of servers to `order`, of every shape."""
    name, other, soa = encode_name("www.test"), encode_name("web.test"), Opaque(6, b"\0\0" + bytes(19) + b"\x09")
    question = (Question(name, 1),)
    here = (Record(name, A(bytes(4)), 60),)
    alias = (Record(name, Opaque(5, other), 60), Record(other, A(bytes(4)), 5))
    flags = m.QR | m.RA
    shapes = (
        Message(7, flags, question, here),
        Message(7, flags | m.TC, question),
        Message(7, flags, question, alias, edns=Edns()),
        Message(7, flags | m.NXDOMAIN, question, authority=(Record(b"\0", soa, 60),)),
        Message(7, flags | m.SERVFAIL, question),
        Message(7, flags | m.REFUSED),
        Message(7, flags, question, here, (), (Record(other, A(bytes(4)), 60),)),
    )
    return [m.encode(shape) for shape in shapes]


def check_answer_survives(raw: bytes) -> None:
    """Bytes of a server: an exchange ends with one answer or goes on, and what is kept is well-formed."""
    query = m.encode(Message(9, m.RD, (Question(encode_name("wWw.test"), 1),)))
    zones = Zones()
    order = Responder(zones, ()).respond(query)
    assert isinstance(order, Forward)
    exchange = Exchange(order, 2, 7, tcp=False)
    exchange.start()
    for command in exchange.received(0, raw):
        if not isinstance(command, Finish) or command.answer is None:
            continue
        reply = fitted(order, command.answer)
        assert reply[:2] == query[:2]
        assert len(reply) <= order.limit
        cache = Cache(Room())
        cache.put(folded(order.question), order.form, command.answer, 0.0)
        kept = cached(order, cache, 0.5)
        if kept is not None:
            decoded = m.decode(kept)
            assert (decoded.id, decoded.questions) == (9, (Question(encode_name("wWw.test"), 1),))
