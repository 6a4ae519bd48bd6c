"""Netlink framing: messages, attributes, acknowledgements. Bytes in and out; sources are the headers
linux/netlink.h (framing, error codes) and linux/rtnetlink.h. Integers are in the machine's byte order.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from netloom.model.errors import Failed

REQUEST, ACK, DUMP = 0x001, 0x004, 0x300
REPLACE, EXCL, CREATE = 0x100, 0x200, 0x400
DUMP_INTERRUPTED = 0x010  # NLM_F_DUMP_INTR: what was dumped changed meanwhile

ERROR, DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_CAPPED, _TLVS = 0x100, 0x200  # NLM_F_CAPPED, NLM_F_ACK_TLVS
_EXT_TEXT = 1  # NLMSGERR_ATTR_MSG

_NESTED = 0x8000  # NLA_F_NESTED
_TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK

_HEADER = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")
_U16 = struct.Struct("=H")
_U32 = struct.Struct("=I")
_I32 = struct.Struct("=i")


class Malformed(Failed):
    """Bytes that are no netlink message, or not the one expected."""


class Message(NamedTuple):
    """A request before it has a sequence number. `flags` without REQUEST and ACK, which framing adds."""

    type: int
    flags: int
    body: bytes


class Reply(NamedTuple):
    """A message as it came in, without its header. `sender` is the port id of whoever caused it, 0 the kernel."""

    type: int
    flags: int
    sequence: int
    sender: int
    body: bytes


class Verdict(NamedTuple):
    """An acknowledgement: `errno` positive, 0 for success; `text` is the kernel's own explanation, often empty."""

    errno: int
    text: str


def u8(value: int) -> bytes:
    """One octet."""
    return value.to_bytes()


def u16(value: int) -> bytes:
    """A 16-bit number."""
    return _U16.pack(value)


def u32(value: int) -> bytes:
    """A 32-bit number."""
    return _U32.pack(value)


def text(value: str) -> bytes:
    """A string with its closing zero."""
    return value.encode() + b"\0"


def attr(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four octets."""
    return _ATTR.pack(4 + len(data), kind) + data + bytes(-len(data) % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attr(kind | _NESTED, b"".join(parts))


def frame(messages: Sequence[Message], sequence: int) -> bytes:
    """The messages as one send, numbered from `sequence`. Only the last asks for an acknowledgement.

    The kernel reports the failure of any message unasked, and goes on with the next.
    """
    last = len(messages) - 1
    parts: list[bytes] = []
    for i, (kind, flags, body) in enumerate(messages):
        wanted = flags | REQUEST | ACK if i == last else flags | REQUEST
        parts.append(_HEADER.pack(16 + len(body), kind, wanted, sequence + i, 0))
        parts.append(body)
        if len(body) % 4:
            parts.append(bytes(-len(body) % 4))
    return b"".join(parts)


def replies(data: bytes) -> Iterator[Reply]:
    """The messages of one datagram. Raises Malformed."""
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < 16:
            raise Malformed(f"netlink: {end - offset} octets where a header was expected")
        size, kind, flags, sequence, sender = _HEADER.unpack_from(data, offset)
        if size < 16 or size > end - offset:
            raise Malformed(f"netlink: message of {size} octets in {end - offset}")
        yield Reply(kind, flags, sequence, sender, data[offset + 16 : offset + size])
        offset += (size + 3) & ~3


def attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """Attributes by type, from octet `start` on; of a repeated type the last. Raises Malformed."""
    return dict(_each(data, start))


def items(data: bytes, start: int = 0) -> Iterable[bytes]:
    """The attributes of a list, whatever their types. Raises Malformed."""
    return [value for _, value in _each(data, start)]


def _each(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    offset, end = start, len(data)
    if offset > end:
        raise Malformed(f"netlink: {end} octets, at least {start} expected")
    while offset < end:
        if end - offset < 4:
            raise Malformed(f"netlink: {end - offset} octets where an attribute was expected")
        size, kind = _ATTR.unpack_from(data, offset)
        if size < 4 or size > end - offset:
            raise Malformed(f"netlink: attribute of {size} octets in {end - offset}")
        yield kind & _TYPE_MASK, data[offset + 4 : offset + size]
        offset += (size + 3) & ~3


def verdict(reply: Reply) -> Verdict:
    """What an ERROR or DONE message says. Raises Malformed."""
    body = reply.body
    if len(body) < 4:
        if reply.type == DONE:
            return Verdict(0, "")
        raise Malformed("netlink: acknowledgement without a code")
    (code,) = _I32.unpack_from(body)
    if code > 0 or not reply.flags & _TLVS:
        return Verdict(max(-code, 0), "")
    if reply.type == DONE:
        start = 4
    elif len(body) < 20:
        raise Malformed("netlink: acknowledgement without the header of its request")
    else:
        # The request follows whole, unless the socket asked for its header alone (NETLINK_CAP_ACK).
        (size,) = _U32.unpack_from(body, 4)
        start = 20 if reply.flags & _CAPPED else 4 + ((size + 3) & ~3)
    return Verdict(-code, decode(attributes(body, start).get(_EXT_TEXT, b"")))


def decode(data: bytes) -> str:
    """The string in an attribute."""
    return data.rstrip(b"\0").decode(errors="replace")


def number(data: bytes | None, default: int = 0) -> int:
    """The number in an attribute of one, two, four or eight octets; `default` where the attribute is missing."""
    if data is None:
        return default
    if len(data) not in (1, 2, 4, 8):
        raise Malformed(f"netlink: a number of {len(data)} octets")
    return int.from_bytes(data, sys.byteorder)
