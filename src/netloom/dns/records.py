"""Records that a network has beside the names of its containers, as its option writes them.

`NAME TYPE DATA`, separated by semicolons or line ends, in presentation format (RFC 1035, 5.1) without class and TTL:

    db A 192.0.2.7; _http._tcp.web SRV 0 5 8080 web; note TXT "v=1; all"; *.apps A 192.0.2.8
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from netloom.dns.rdata import Rdata
from netloom.dns.rdata.a import A
from netloom.dns.rdata.aaaa import AAAA
from netloom.dns.rdata.opaque import Opaque
from netloom.dns.rdata.ptr import PTR
from netloom.dns.wire import WireError, encode_name
from netloom.model.errors import InvalidArgument

OPTION = "netloom.dns.records"
MAX_RECORDS = 1000  # of one network
_MAX_STRING = 255  # bytes, RFC 1035, section 3.3

Table: TypeAlias = dict[bytes, dict[int, tuple[Rdata, ...]]]  # lower-case name in wire form → type → data

_WORD = re.compile(r'[^\S\n]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+)|([;\n]))')


def parse(text: str) -> Table:
    """The records of an option's text. Raises InvalidArgument naming the first bad one."""
    table: Table = {}
    statements = _statements(text)
    if len(statements) > MAX_RECORDS:
        raise InvalidArgument(f"invalid value for {OPTION}: more than {MAX_RECORDS} records")
    for words in statements:
        name, data = _record(words)
        kinds = table.setdefault(name, {})
        if data not in kinds.get(data.kind, ()):
            kinds[data.kind] = (*kinds.get(data.kind, ()), data)
    return table


def _statements(text: str) -> list[list[str]]:
    statements: list[list[str]] = [[]]
    at = 0
    text = text.strip()
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise InvalidArgument(f"invalid value for {OPTION}: a quote is not closed")
        at = match.end()
        quoted, plain, _ = match.groups()
        if quoted is not None:
            statements[-1].append(re.sub(r"\\(.)", r"\1", quoted))
        elif plain is not None:
            statements[-1].append(plain)
        else:
            statements.append([])
    return [words for words in statements if words]


def _record(words: list[str]) -> tuple[bytes, Rdata]:
    shown = " ".join(words)
    if len(words) < 3:
        raise InvalidArgument(f'invalid value for {OPTION}: "{shown}"', remedy="a record is NAME TYPE DATA")
    make = _KINDS.get(words[1].upper())
    if make is None:
        raise InvalidArgument(
            f'invalid value for {OPTION}: unknown type in "{shown}"', remedy=f"known are {', '.join(_KINDS)}"
        )
    try:
        return encode_name(words[0]).lower(), make(words[2:])
    except (ValueError, WireError) as error:
        raise InvalidArgument(f'invalid value for {OPTION}: "{shown}": {error}') from error


def _one(words: list[str]) -> str:
    if len(words) != 1:
        raise ValueError("one word of data is needed")
    return words[0]


def _mx(words: list[str]) -> Rdata:
    if len(words) != 2:
        raise ValueError("an MX record is PREFERENCE HOST")
    return Opaque(15, _u16(words[0]) + _target(words[1]))


def _srv(words: list[str]) -> Rdata:
    """RFC 2782."""
    if len(words) != 4:
        raise ValueError("an SRV record is PRIORITY WEIGHT PORT HOST")
    return Opaque(33, b"".join(map(_u16, words[:3])) + _target(words[3]))


def _txt(words: list[str]) -> Rdata:
    strings = [word.encode() for word in words]
    if any(len(string) > _MAX_STRING for string in strings):
        raise ValueError(f"a string has at most {_MAX_STRING} bytes")
    return Opaque(16, b"".join(bytes((len(string),)) + string for string in strings))


def _u16(text: str) -> bytes:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 0xFFFF:
        raise ValueError(f"{text} is no number of 0 to 65535")
    return int(text).to_bytes(2, "big")


def _target(text: str) -> bytes:
    return b"\0" if text == "." else encode_name(text)


_KINDS: dict[str, Callable[[list[str]], Rdata]] = {
    "A": lambda words: A(IPv4Address(_one(words)).packed),
    "AAAA": lambda words: AAAA(IPv6Address(_one(words)).packed),
    "MX": _mx,
    "PTR": lambda words: PTR(encode_name(_one(words))),
    "SRV": _srv,
    "TXT": _txt,
}
