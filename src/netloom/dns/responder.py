"""A query in, an answer or an order to forward out (RFC 1035, 7.3; RFC 6891). Knows no socket and no clock.

The flags of answers are Docker's: RA set, AA not. Unlike Docker's, a query with EDNS is answered with EDNS (RFC 6891,
6.1.1), class CHAOS is not answered with an address of class IN, and the TTL is short.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from netloom.dns import message as m
from netloom.dns.cache import Cache, Form, folded
from netloom.dns.message import CLASS_IN, Edns, Message, Question, Record
from netloom.dns.view import Found, Pairs, View
from netloom.dns.wire import Reader, WireError
from netloom.dns.zone import Zones

TTL = 5  # seconds: whoever remembers a name must not go on for long asking a container that has ended
EDNS_SIZE = 1232  # what we take over UDP
ANY_CLASS = 255
MAX_TCP = 0xFFFF
MAX_READY = 4096  # questions: a wildcard, and names that are not ours, are as many as somebody likes to ask for


class Forward(Struct, frozen=True):
    """Ask a server outside; `question` are the bytes of the question (name uncompressed, type, class)."""

    query: bytes
    question: bytes
    limit: int  # bytes that the client takes
    form: Form


Reply: TypeAlias = bytes | Forward | None


class _Ready:
    """An answer that needs only its id, flags and question to be complete; one form for each order of addresses."""

    __slots__ = ("bodies", "turn")

    def __init__(self, bodies: list[bytes]) -> None:
        self.bodies = bodies  # answer count (two bytes), then the records
        self.turn = 0


_FOREIGN = _Ready([])  # a question that is not ours to answer
_A, _Z = b"AZ"

# The headers of plain queries, from the flags to the last count: (our flags and question count, what shapes an answer).
_PLAIN = {
    flags.to_bytes(2, "big") + b"\0\1\0\0\0\0" + extra.to_bytes(2, "big"): (
        (m.QR | m.RA | flags & (m.RD | m.CD)).to_bytes(2, "big") + b"\0\1",
        Form(flags, edns=bool(extra)),
    )
    for flags in (0, m.RD, m.AD, m.RD | m.AD, m.CD, m.RD | m.CD, m.RD | m.AD | m.CD)
    for extra in (0, 1)
}
_NO_MORE = b"\0\0\0\0"
_ONE_OPT = b"\0\0\0\1"
_OPT_HEAD = b"\0\0\x29"  # the root's name, type OPT
_OPT_TAIL = b"\0\0\0\0\0\0"  # rcode, version, flags, no options
_OUR_OPT = _OPT_HEAD + EDNS_SIZE.to_bytes(2, "big") + _OPT_TAIL


class Responder(View):
    """Answers for one view, and remembers its answers, and what is not ours, until a name changes."""

    def __init__(self, zones: Zones, networks: tuple[str, ...], links: Pairs = (), records: Pairs = ()) -> None:
        super().__init__(zones, networks, links, records)
        self._ready: dict[bytes, _Ready] = {}

    def changed(self) -> None:
        self._ready.clear()

    def quick(self, query: bytes, cache: Cache | None = None, now: float = 0.0) -> bytes | None:
        """The answer to a plain query that was answered before, by us or (in `cache`) outside; None: ask `respond`.

        Of ours, only answers that fit into 512 bytes are remembered, so any transport takes them. Lower-casing the
        question as a whole is right because no type that is remembered holds a byte that is a letter.
        """
        form = _PLAIN.get(query[2:12])
        if form is None:
            return None
        end = query.find(0, 12) + 5
        key = query[12:end].lower()
        ready = self._ready.get(key)
        if ready is None:
            return None
        limit = m.PLAIN_UDP
        if not form[1].edns:
            if len(query) != end:
                return None
        elif len(query) != end + m.OPT_SIZE or query[end : end + 3] != _OPT_HEAD or query[end + 5 :] != _OPT_TAIL:
            return None
        elif ready is _FOREIGN:
            limit = max(limit, query[end + 3] << 8 | query[end + 4])
        if ready is _FOREIGN:
            found = cache.get(key, form[1], now) if cache is not None else None
            if found is None or end + len(found[1]) > limit:
                return None
            return b"".join((query[:2], found[0], query[12:end], found[1]))
        if not ready.bodies:
            return None
        body = ready.bodies[ready.turn]
        if len(ready.bodies) > 1:
            ready.turn = (ready.turn + 1) % len(ready.bodies)
        if not form[1].edns:
            return b"".join((query[:2], form[0], body[:2], _NO_MORE, query[12:end], body[2:]))
        return b"".join((query[:2], form[0], body[:2], _ONE_OPT, query[12:end], body[2:], _OUR_OPT))

    def respond(self, query: bytes, *, tcp: bool = False) -> Reply:
        """The answer to any bytes: a message, an order to forward, or None for silence. Never raises."""
        if len(query) < m.HEADER_SIZE or query[2] & 0x80:
            return None  # too short to be answered, or an answer itself
        flags = int.from_bytes(query[2:4], "big")
        if flags & m.OPCODE:
            return _bare(query, m.NOTIMP)
        try:
            asked = m.decode(query)
        except WireError:
            return _bare(query, m.FORMERR)
        if len(asked.questions) != 1:
            return _bare(query, m.FORMERR)
        limit = MAX_TCP if tcp else max(m.PLAIN_UDP, asked.edns.size if asked.edns else 0)
        if asked.edns and asked.edns.version:
            return m.encode(_answer(asked, m.BADVERS, ()), limit)
        question = asked.questions[0]
        raw = question.name + question.kind.to_bytes(2, "big") + question.cls.to_bytes(2, "big")
        if not query.startswith(raw, m.HEADER_SIZE):
            return _bare(query, m.FORMERR)  # its name points into the header
        found = self.find(question.name.lower(), question.kind) if question.cls in (CLASS_IN, ANY_CLASS) else None
        if found is None:
            if question.cls == CLASS_IN and not any(_A <= byte <= _Z for byte in raw[-4:-2]):
                self._remember(raw.lower(), _FOREIGN)
            form = Form(flags, asked.edns is not None, asked.edns is not None and bool(asked.edns.flags & m.DO))
            return Forward(query, raw, limit, form)
        return m.encode(_answer(asked, m.NOERROR, self._rotated(question, found)), limit)

    def _rotated(self, question: Question, found: Found) -> Found:
        """The data in this answer's order; remembers the answer in all its orders, if it is small."""
        if question.cls != CLASS_IN:
            return found
        key = question.name.lower() + question.kind.to_bytes(2, "big") + question.cls.to_bytes(2, "big")
        ready = self._ready.get(key)
        if ready is None:
            ready = _Ready(_bodies(question, found))
            self._remember(key, ready)
        turn = ready.turn
        ready.turn = (turn + 1) % max(1, len(found))
        return found[turn:] + found[:turn]

    def _remember(self, key: bytes, ready: _Ready) -> None:
        if len(self._ready) >= MAX_READY:
            self._ready.clear()
        self._ready[key] = ready


def failure(forward: Forward, rcode: int = m.SERVFAIL) -> bytes:
    """What the client is told when nobody outside answered. RA is not set, as in Docker's answer."""
    asked = m.decode(forward.query)
    answer = _answer(asked, rcode, ())
    return m.encode(Message(answer.id, answer.flags & ~m.RA, answer.questions, edns=answer.edns), forward.limit)


def _answer(asked: Message, rcode: int, data: Found) -> Message:
    question = asked.questions[0]
    flags = m.QR | m.RA | asked.flags & (m.RD | m.CD) | rcode & m.RCODE
    edns = Edns(EDNS_SIZE, rcode >> 4, 0, asked.edns.flags & m.DO) if asked.edns else None
    return Message(asked.id, flags, (question,), tuple(Record(question.name, value, TTL) for value in data), edns=edns)


def _bodies(question: Question, found: Found) -> list[bytes]:
    """The answer in each of its orders, as `_Ready` keeps it; none when it is too long for a plain answer."""
    head = m.HEADER_SIZE + len(question.name) + 4
    bodies = []
    for first in range(max(1, len(found))):
        order = found[first:] + found[:first]
        whole = m.encode(Message(0, 0, (question,), tuple(Record(question.name, value, TTL) for value in order)))
        if len(whole) + m.OPT_SIZE > m.PLAIN_UDP:
            return []
        bodies.append(len(order).to_bytes(2, "big") + whole[head:])
    return bodies


def _bare(query: bytes, rcode: int) -> bytes:
    """A header alone, for a query whose question cannot be repeated."""
    flags = int.from_bytes(query[2:4], "big")
    flags = m.QR | flags & (m.OPCODE | m.RD) | rcode
    return query[:2] + flags.to_bytes(2, "big") + bytes(8)


def fitted(forward: Forward, answer: bytes) -> bytes:
    """A server's answer as this client gets it: under its id, with its question, and cut if it takes no more."""
    rest = m.HEADER_SIZE + len(forward.question)
    flags = int.from_bytes(answer[2:4], "big")
    if answer[4:6] != b"\0\1":  # a refusal without the question; nothing else can be in it
        return b"".join((forward.query[:2], answer[2:4], b"\0\1", bytes(6), forward.question))
    if len(answer) <= forward.limit:
        return b"".join((forward.query[:2], answer[2 : m.HEADER_SIZE], forward.question, answer[rest:]))
    return b"".join((forward.query[:2], (flags | m.TC).to_bytes(2, "big"), b"\0\1", bytes(6), forward.question))


def cached(forward: Forward, cache: Cache, now: float) -> bytes | None:
    """The answer that the cache has for it."""
    found = cache.get(folded(forward.question), forward.form, now)
    if found is None:
        return None
    return fitted(forward, b"".join((forward.query[:2], found[0], forward.question, found[1])))


def question_of(message: bytes) -> bytes | None:
    """The question's bytes of a message with exactly one question, name uncompressed; None if there is none."""
    if len(message) < m.HEADER_SIZE or message[4:6] != b"\0\1":
        return None
    reader = Reader(message, m.HEADER_SIZE)
    try:
        return reader.name() + reader.take(4)
    except WireError:
        return None
