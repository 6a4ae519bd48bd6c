"""A whole DNS message as values: header, question, sections, EDNS (RFC 1035, section 4; RFC 6891)."""

from __future__ import annotations

from msgspec import Struct

from netloom.dns import rdata
from netloom.dns.rdata import Rdata
from netloom.dns.wire import Reader, WireError, Writer

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
OPCODE = 0x7800
RCODE = 0x000F
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16

TYPE_OPT = 41
TYPE_MX = 15
CLASS_IN = 1
DO = 0x8000  # in the OPT record's flags

HEADER_SIZE = 12
PLAIN_UDP = 512  # bytes of an answer over UDP to a query without EDNS, RFC 1035, section 2.3.4
OPT_SIZE = 11  # bytes of an OPT record without options


class Question(Struct, frozen=True):
    """`name` in wire form."""

    name: bytes
    kind: int
    cls: int = CLASS_IN


class Record(Struct, frozen=True):
    """One resource record. `ttl` in seconds."""

    name: bytes
    data: Rdata
    ttl: int
    cls: int = CLASS_IN


class Edns(Struct, frozen=True):
    """The OPT pseudo-record. `size` is what its sender takes over UDP; `rcode` the upper eight bits."""

    size: int = 1232
    rcode: int = 0
    version: int = 0
    flags: int = 0
    options: bytes = b""


class Message(Struct, frozen=True):
    """`flags` is the header's second word, opcode and lower rcode included."""

    id: int
    flags: int
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()  # without OPT
    edns: Edns | None = None

    @property
    def rcode(self) -> int:
        """With the upper bits that EDNS carries."""
        return (self.flags & RCODE) | (self.edns.rcode << 4 if self.edns else 0)


def decode(data: bytes) -> Message:
    """Read a whole message. Raises WireError for anything that is not exactly one well-formed message."""
    reader = Reader(data)
    ident, flags = reader.u16(), reader.u16()
    counts = [reader.u16() for _ in range(4)]
    questions = tuple(Question(reader.name(), reader.u16(), reader.u16()) for _ in range(counts[0]))
    answers, _ = _section(reader, counts[1])
    authority, _ = _section(reader, counts[2])
    additional, edns = _section(reader, counts[3], opt=True)
    if reader.left:
        raise WireError(f"{reader.left} bytes follow the message")
    return Message(ident, flags, questions, answers, authority, additional, edns)


def _section(reader: Reader, count: int, *, opt: bool = False) -> tuple[tuple[Record, ...], Edns | None]:
    records = []
    edns: Edns | None = None
    for _ in range(count):
        name = reader.name()
        kind, cls, ttl = reader.u16(), reader.u16(), reader.u32()
        part = reader.part(reader.u16())
        if kind == TYPE_OPT:
            if not opt or edns is not None or name != b"\0":
                raise WireError("an OPT record where none may be")
            edns = Edns(cls, ttl >> 24, ttl >> 16 & 0xFF, ttl & 0xFFFF, _options(part))
        else:
            records.append(Record(name, rdata.decode(kind, part), ttl, cls))
    return tuple(records), edns


def _options(reader: Reader) -> bytes:
    start = reader.at
    while reader.left:
        reader.u16()
        reader.take(reader.u16())
    return reader.data[start : reader.end]


def encode(message: Message, limit: int = 0xFFFF) -> bytes:
    """In wire form, at most `limit` bytes (which must hold header, question and OPT).

    Records that do not fit are left out from the first such one on, and TC is set (RFC 2181, section 9).
    """
    writer = Writer()
    writer.put(bytes(HEADER_SIZE))
    for question in message.questions:
        writer.name(question.name)
        writer.u16(question.kind)
        writer.u16(question.cls)
    room = limit - (OPT_SIZE + len(message.edns.options) if message.edns else 0)
    counts = [len(message.questions), 0, 0, 0]
    cut = False
    for index, section in enumerate((message.answers, message.authority, message.additional), start=1):
        for record in section:
            before = len(writer.data)
            _put_record(writer, record)
            if len(writer.data) > room:
                writer.forget_from(before)
                cut = True
                break
            counts[index] += 1
        if cut:
            break
    if message.edns:
        edns = message.edns
        writer.put(b"\0")
        writer.u16(TYPE_OPT)
        writer.u16(edns.size)
        writer.u32(edns.rcode << 24 | edns.version << 16 | edns.flags)
        writer.u16(len(edns.options))
        writer.put(edns.options)
        counts[3] += 1
    flags = message.flags | TC if cut else message.flags
    writer.data[:HEADER_SIZE] = b"".join(value.to_bytes(2, "big") for value in (message.id, flags, *counts))
    return bytes(writer.data)


def _put_record(writer: Writer, record: Record) -> None:
    writer.name(record.name)
    writer.u16(record.data.kind)
    writer.u16(record.cls)
    writer.u32(record.ttl)
    at = len(writer.data)
    writer.u16(0)
    record.data.encode(writer)
    writer.data[at : at + 2] = (len(writer.data) - at - 2).to_bytes(2, "big")
