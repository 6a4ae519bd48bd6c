"""What must hold of a responder whatever bytes come in, and hostile bytes to try it with."""

from __future__ import annotations

import random

from netloom.dns import message as m
from netloom.dns.message import Message, Question
from netloom.dns.responder import Forward, Responder, failure
from netloom.dns.wire import encode_name

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
