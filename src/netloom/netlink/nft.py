"""Elements of nftables sets and maps by nfnetlink transactions, and dumps of them.

Source: linux/netfilter/nfnetlink.h and nf_tables.h. Numbers in attributes are big-endian here, unlike rtnetlink's.
Only named sets, maps and verdict maps: hashes, and intervals of concatenations; element keys and values are in the
kernel's register encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple

from netloom.netlink.message import (
    CREATE,
    DUMP,
    REQUEST,
    Malformed,
    Message,
    attr,
    attributes,
    decode,
    frame,
    items,
    nest,
    text,
)

INET, IP, BRIDGE, IP6 = 1, 2, 7, 10  # NFPROTO_…

_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GETTABLE, _GETSET = _SUBSYSTEM | 1, _SUBSYSTEM | 10
_GETCHAIN, _GETRULE = _SUBSYSTEM | 4, _SUBSYSTEM | 7
_NEWELEM, _GETELEM, _DELELEM = _SUBSYSTEM | 12, _SUBSYSTEM | 13, _SUBSYSTEM | 14
ELEMENTS = (_NEWELEM, _DELELEM)
_BEGIN, _END = 16, 17  # NFNL_MSG_BATCH_…

_INFO = struct.Struct("!BBH")  # struct nfgenmsg: family, version, resource id
_TABLE_NAME, _TABLE_USERDATA = 1, 6  # NFTA_TABLE_…
_CHAIN_TABLE, _CHAIN_SAYS = 1, (3, 4, 5, 7)  # NFTA_CHAIN_… name, hook, policy, type
_RULE_TABLE, _RULE_SAYS = 1, (2, 4)  # NFTA_RULE_… chain, expressions
_SET_TABLE, _SET_NAME, _SET_FLAGS = 1, 2, 3  # NFTA_SET_…
_NOT_PLAIN = 0x01 | 0x02 | 0x10 | 0x20  # NFT_SET_… anonymous, constant, timeout, eval
_INTERVAL, _CONCAT = 0x04, 0x80  # the same; without the second an interval takes two elements
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_…
_LIST_ELEM = 1  # NFTA_LIST_ELEM
_ELEM_KEY, _ELEM_DATA, _ELEM_TIMEOUT, _ELEM_EXPRESSION, _ELEM_KEY_END = 1, 2, 4, 7, 10  # NFTA_SET_ELEM_…
_EXPRESSION_DATA, _COUNTER_PACKETS = 2, 2  # NFTA_EXPR_DATA, NFTA_COUNTER_PACKETS
_DATA_VALUE, _DATA_VERDICT = 1, 2  # NFTA_DATA_…
_VERDICT_CODE = 1  # NFTA_VERDICT_CODE
_CODES: dict[str, bytes] = {"drop": struct.pack("!I", 0), "accept": struct.pack("!I", 1)}  # NF_DROP, NF_ACCEPT
_VERDICTS: dict[bytes, Literal["accept", "drop"]] = {_CODES["drop"]: "drop", _CODES["accept"]: "accept"}
_COMMENT = 0  # NFTNL_UDATA_TABLE_COMMENT, libnftnl's

VerdictName = Literal["accept", "drop"] | None


class SetElement(NamedTuple):
    """One element of a dump. Neither value nor verdict: of a set."""

    key: bytes
    value: bytes | None
    verdict: VerdictName
    key_end: bytes = b""
    hits: int = 0  # of the element's counter, packets


class SetInfo(NamedTuple):
    """A set or map. A `plain` one has a name, and elements that come and go by transactions alone."""

    name: str
    plain: bool


def element(
    operation: Literal["add", "del"],
    family: int,
    table: str,
    set_name: str,
    key: bytes,
    *,
    value: bytes | None = None,
    verdict: VerdictName = None,
    key_end: bytes = b"",
    timeout: int = 0,
) -> Message:
    """Add or delete one element, or one interval.

    Adding what is there with the same data succeeds, with other data EEXIST or EBUSY. Where another interval holds the
    first key, deleting takes that one. `timeout` in ms; one that is there already keeps its own.
    """
    one = nest(_ELEM_KEY, attr(_DATA_VALUE, key))
    if key_end:
        one += nest(_ELEM_KEY_END, attr(_DATA_VALUE, key_end))
    if operation == "add" and timeout:
        one += attr(_ELEM_TIMEOUT, struct.pack("!Q", timeout))
    if operation == "add":
        if verdict is not None:
            one += nest(_ELEM_DATA, nest(_DATA_VERDICT, attr(_VERDICT_CODE, _CODES[verdict])))
        elif value is not None:
            one += nest(_ELEM_DATA, attr(_DATA_VALUE, value))
    body = (
        _INFO.pack(family, 0, 0)
        + attr(_LIST_TABLE, text(table))
        + attr(_LIST_SET, text(set_name))
        + nest(_LIST_ELEMENTS, nest(_LIST_ELEM, one))
    )
    return Message(_NEWELEM, CREATE, body) if operation == "add" else Message(_DELELEM, 0, body)


def transaction(messages: Sequence[Message], sequence: int) -> bytes:
    """All or none, as one send: `begin` has the number `sequence`, the messages follow, the last one answers."""
    edge = _INFO.pack(0, 0, 10)
    begin = struct.pack("=IHHII", 20, _BEGIN, REQUEST, sequence, 0) + edge
    end = struct.pack("=IHHII", 20, _END, REQUEST, sequence + len(messages) + 1, 0) + edge
    return begin + frame(messages, sequence + 1) + end


def dump_elements(family: int, table: str, set_name: str) -> Message:
    """Ask for all elements of a set or map."""
    body = _INFO.pack(family, 0, 0) + attr(_LIST_TABLE, text(table)) + attr(_LIST_SET, text(set_name))
    return Message(_GETELEM, DUMP, body)


def parse_elements(body: bytes) -> list[SetElement]:
    """The elements of one message of such a dump; catch-all ones are left out. Raises Malformed."""
    found = []
    for one in items(_attributes(body).get(_LIST_ELEMENTS, b"")):
        parts = attributes(one)
        if _ELEM_KEY not in parts:
            continue
        key = attributes(parts[_ELEM_KEY]).get(_DATA_VALUE)
        if key is None:
            raise Malformed("netlink: set element without a key")
        data = attributes(parts.get(_ELEM_DATA, b""))
        verdict: VerdictName = None
        if _DATA_VERDICT in data:
            verdict = _VERDICTS.get(attributes(data[_DATA_VERDICT]).get(_VERDICT_CODE, b""))
        end = attributes(parts.get(_ELEM_KEY_END, b"")).get(_DATA_VALUE, b"")
        found.append(SetElement(key, data.get(_DATA_VALUE), verdict, end, _hits(parts.get(_ELEM_EXPRESSION, b""))))
    return found


def _hits(expression: bytes) -> int:
    counter = attributes(attributes(expression).get(_EXPRESSION_DATA, b""))
    return int.from_bytes(counter.get(_COUNTER_PACKETS, b""), "big")


def dump_sets(family: int, table: str) -> Message:
    """Ask for the sets and maps of a table."""
    return Message(_GETSET, DUMP, _INFO.pack(family, 0, 0) + attr(_SET_TABLE, text(table)))


def parse_set(body: bytes) -> SetInfo:
    """A set or map of a dump. Raises Malformed."""
    found = _attributes(body)
    flags = int.from_bytes(found.get(_SET_FLAGS, b""), "big")
    plain = not flags & _NOT_PLAIN and (not flags & _INTERVAL or bool(flags & _CONCAT))
    return SetInfo(decode(found.get(_SET_NAME, b"")), plain=plain)


def dump_chains(family: int, table: str) -> Message:
    """Ask for the chains of a table; those of other tables may come along."""
    return Message(_GETCHAIN, DUMP, _INFO.pack(family, 0, 0) + attr(_CHAIN_TABLE, text(table)))


def dump_rules(family: int, table: str) -> Message:
    """Ask for the rules of a table, in the order of each chain."""
    return Message(_GETRULE, DUMP, _INFO.pack(family, 0, 0) + attr(_RULE_TABLE, text(table)))


def chain_says(body: bytes) -> tuple[bytes, ...]:
    """What a chain does, without what the kernel numbers and counts: equal for equal chains. Raises Malformed."""
    found = _attributes(body)
    return tuple(found.get(kind, b"") for kind in _CHAIN_SAYS)


def rule_says(body: bytes) -> tuple[bytes, ...]:
    """The same for a rule. Raises Malformed."""
    found = _attributes(body)
    return tuple(found.get(kind, b"") for kind in _RULE_SAYS)


def get_table(family: int, table: str) -> Message:
    """Ask for a table; ENOENT when there is none."""
    return Message(_GETTABLE, 0, _INFO.pack(family, 0, 0) + attr(_TABLE_NAME, text(table)))


def parse_table(body: bytes) -> str:
    """The comment of a table. Raises Malformed."""
    data = _attributes(body).get(_TABLE_USERDATA, b"")
    offset = 0
    while offset + 2 <= len(data):  # libnftnl's own TLVs: one octet of type, one of length
        kind, size = data[offset], data[offset + 1]
        if kind == _COMMENT:
            return decode(data[offset + 2 : offset + 2 + size])
        offset += 2 + size
    return ""


def table_of(body: bytes) -> str:
    """The table that a notification is about: attribute 1 of tables, chains, rules, sets and elements alike.

    Raises Malformed.
    """
    return decode(_attributes(body).get(1, b""))


def set_of(body: bytes) -> str:
    """The set that a message of type ELEMENTS is about. Raises Malformed."""
    return decode(_attributes(body).get(_LIST_SET, b""))


def flush_set(family: int, table: str, set_name: str) -> Message:
    """Delete all elements of a set."""
    body = _INFO.pack(family, 0, 0) + attr(_LIST_TABLE, text(table)) + attr(_LIST_SET, text(set_name))
    return Message(_DELELEM, 0, body)


def _attributes(body: bytes) -> dict[int, bytes]:
    if len(body) < _INFO.size:
        raise Malformed("netlink: nftables message too short")
    return attributes(body, _INFO.size)
