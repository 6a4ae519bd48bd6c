"""Answers from outside, kept for as long as they say (RFC 2181, 5.2 and 8; RFC 2308). No clock: `now` is an argument.

An answer is kept under its whole question and served for that question only, without the additional section: nothing
that a server says beside the point is ever used (bailiwick). Without DNSSEC (DO) the authority section goes too, but
for the SOA of a negative answer. What is kept is bytes: an answer is put together by joining pieces, its TTLs counted
down once a second.
"""

from __future__ import annotations

from msgspec import Struct

from netloom.dns import message as m
from netloom.dns import rdata
from netloom.dns.wire import Reader, WireError

MAX_ENTRIES = 1000  # of one sandbox
MAX_BYTES = 512 << 10  # likewise
MAX_BYTES_OF_ALL = 64 << 20
MAX_TTL = 3600  # seconds: longer ones are cut (RFC 8767, 4)
MAX_NEGATIVE_TTL = 300  # seconds, below RFC 2308's three hours: who waits for a name to appear is a person
_MAX_RECORDS = 250  # of an answer that is kept: looking at it takes its time
_OVERHEAD = 400  # bytes of an entry beside its data
_TTL_SIGN = 1 << 31

_CNAME, _SOA, _DNAME = 5, 6, 39
_OPT_HEAD = b"\0\0\x29"
_OUR_SIZE = m.Edns().size.to_bytes(2, "big")


class Form(Struct, frozen=True):
    """What of a query beside its question shapes the answer."""

    flags: int  # the query's
    edns: bool = False
    do: bool = False

    @property
    def key(self) -> bytes:
        """Follows the question in the key: answers differ with DO, and with checking disabled."""
        return bytes((self.do | (self.flags & m.CD) >> 3,))


class Room:
    """Bytes that all caches of a process may still take."""

    def __init__(self, size: int = MAX_BYTES_OF_ALL) -> None:
        self.left = size


class _Entry:
    __slots__ = ("age", "body", "born", "counts", "expires", "flags", "offsets", "original", "size")

    def __init__(self, flags: int, counts: bytes, body: bytes, offsets: tuple[int, ...], born: float, ttl: int) -> None:
        self.flags = flags
        self.counts = counts  # answers and authority, four bytes
        self.original = self.body = body
        self.offsets = offsets  # of the TTLs in the body
        self.born = born
        self.expires = born + ttl
        self.age = 0  # seconds by which the TTLs in `body` are lessened
        self.size = len(body) + _OVERHEAD


class Cache:
    """One sandbox's. The oldest entries go first; where all have too much, one can only replace its own."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._entries: dict[bytes, _Entry] = {}
        self._bytes = 0
        self.hits = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, question: bytes, form: Form, now: float) -> tuple[bytes, bytes] | None:
        """(Flags and counts, what follows the question) of the answer to a question in lower case; None: ask."""
        key = question + form.key
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry.expires:
            self._drop(key)
            return None
        age = int(now - entry.born)
        if age != entry.age:
            entry.body = _aged(entry.original, entry.offsets, age)
            entry.age = age
        self.hits += 1
        flags = entry.flags | form.flags & (m.RD | m.CD)
        if not (form.do or form.flags & m.AD):
            flags &= ~m.AD  # RFC 6840, 5.8
        head = flags.to_bytes(2, "big") + b"\0\1" + entry.counts
        if not form.edns:
            return head + b"\0\0", entry.body
        return head + b"\0\1", entry.body + _OPT[form.do]

    def put(self, question: bytes, form: Form, answer: bytes, now: float) -> None:
        """Keep an answer to this question (lower case), if it is one that may be kept."""
        found = _kept(question, form, answer, now)
        if found is None:
            return
        key = question + form.key
        self._drop(key)
        size = found.size + len(key)
        found.size = size
        while self._entries and (
            len(self._entries) >= MAX_ENTRIES or self._bytes + size > MAX_BYTES or size > self._room.left
        ):
            self._drop(next(iter(self._entries)))
        if size <= min(MAX_BYTES, self._room.left):
            self._entries[key] = found
            self._bytes += size
            self._room.left -= size

    def clear(self) -> None:
        """Forget everything."""
        self._room.left += self._bytes
        self._bytes = 0
        self._entries.clear()

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
            self._room.left += entry.size


_OPT = {do: _OPT_HEAD + _OUR_SIZE + b"\0\0" + (m.DO if do else 0).to_bytes(2, "big") + b"\0\0" for do in (False, True)}


def folded(question: bytes) -> bytes:
    """The question's bytes with the name in lower case: type and class may hold bytes that look like letters."""
    return question[:-4].lower() + question[-4:]


def _aged(body: bytes, offsets: tuple[int, ...], age: int) -> bytes:
    data = bytearray(body)
    for at in offsets:
        left = max(0, int.from_bytes(data[at : at + 4], "big") - age)
        data[at : at + 4] = left.to_bytes(4, "big")
    return bytes(data)


class _Section(Struct):
    """What one section holds: offsets of TTLs, types, the least TTL, the end, the SOA's bound."""

    ttls: list[int]
    least: int
    end: int
    soa: int | None = None
    kinds: set[int] = set()
    chain: list[tuple[bytes, int, bytes]] = []  # owner, type, target of a CNAME


def _kept(question: bytes, form: Form, answer: bytes, now: float) -> _Entry | None:
    """The answer as it is kept; None for one that may not be, or that is malformed."""
    start = m.HEADER_SIZE + len(question)
    rcode = answer[3] & m.RCODE
    if rcode not in (m.NOERROR, m.NXDOMAIN) or answer[2] & (m.TC >> 8) or answer[4:6] != b"\0\1":
        return None
    if folded(answer[m.HEADER_SIZE : start]) != question:
        return None
    counts = [int.from_bytes(answer[at : at + 2], "big") for at in (6, 8, 10)]
    if sum(counts) > _MAX_RECORDS:
        return None
    reader = Reader(answer, start)
    try:
        answers = _section(reader, counts[0])
        authority = _section(reader, counts[1])
        _section(reader, counts[2], opt=True)
    except WireError:
        return None
    if reader.left or not _to_the_point(question[:-4], answers.chain):
        return None
    kind = int.from_bytes(question[-4:-2], "big")
    negative = rcode == m.NXDOMAIN or not (kind in answers.kinds or (kind == 255 and answers.kinds))
    if negative and authority.soa is None:
        return None
    ttl = (
        min(answers.least, authority.soa, MAX_NEGATIVE_TTL)
        if negative and authority.soa is not None
        else (min(answers.least, MAX_TTL))
    )
    if ttl <= 0:
        return None
    whole = negative or form.do
    end = authority.end if whole else answers.end
    offsets = [*answers.ttls, *(authority.ttls if whole else ())]
    return _Entry(
        flags=m.QR | m.RA | (answer[3] & m.AD) | rcode,
        counts=answer[6:8] + (answer[8:10] if whole else b"\0\0"),
        body=_capped(answer[start:end], tuple(at - start for at in offsets), ttl),
        offsets=tuple(at - start for at in offsets),
        born=now,
        ttl=ttl,
    )


def _section(reader: Reader, count: int, *, opt: bool = False) -> _Section:
    section = _Section([], MAX_TTL, reader.at, kinds=set(), chain=[])
    for _ in range(count):
        owner = reader.name().lower()
        kind = reader.u16()
        reader.u16()
        at, ttl = reader.at, reader.u32()
        data = reader.part(reader.u16())
        if kind == m.TYPE_OPT:
            if not opt or ttl >> 24:
                raise WireError("an OPT record where none may be, or an error that needs one")
            continue
        ttl = 0 if ttl >= _TTL_SIGN else ttl  # RFC 2181, section 8
        section.ttls.append(at)
        section.least = min(section.least, ttl)
        section.kinds.add(kind)
        section.chain.append((owner, kind, _target(kind, data)))
        if kind == _SOA and data.left >= 22:
            section.soa = min(ttl, int.from_bytes(reader.data[data.end - 4 : data.end], "big"))
        section.end = reader.at
    return section


def _target(kind: int, data: Reader) -> bytes:
    """Of a CNAME; empty for others. Raises WireError for data that cannot be of this type."""
    if kind in rdata.KINDS:
        rdata.decode(kind, data)
    if kind != _CNAME:
        return b""
    target = data.name().lower()
    if data.left:
        raise WireError("bytes follow the name of a CNAME record")
    return target


def _to_the_point(name: bytes, chain: list[tuple[bytes, int, bytes]]) -> bool:
    """Is every record of the answer section about the name that was asked for, or one that it is an alias of?"""
    names = {name}
    for _ in chain:
        aliases = {target for owner, kind, target in chain if kind == _CNAME and owner in names}
        if aliases <= names:
            break
        names |= aliases
    return all(
        owner in names or (kind == _DNAME and any(one.endswith(owner) for one in names)) for owner, kind, _ in chain
    )


def _capped(body: bytes, offsets: tuple[int, ...], ttl: int) -> bytes:
    """No TTL above that of the whole: what a client keeps is not older than what we keep."""
    data = bytearray(body)
    for at in offsets:
        data[at : at + 4] = min(int.from_bytes(data[at : at + 4], "big"), ttl).to_bytes(4, "big")
    return bytes(data)
