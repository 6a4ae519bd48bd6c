"""The ruleset as data: tables with static chains, and the sets and maps whose elements come and go.

Rules never change while the daemon runs; networks, endpoints and ports are elements. The ruleset's `version` is the
digest of its text and stands in each table as the name of an empty set, so that one look-up tells whether the
table that stands is this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

# Types of key and data fields, by nft's own names but for one.
Field = Literal[
    "classid",
    "ether_addr",
    "ether_type",
    "ifname",
    "inet_proto",
    "inet_service",
    "ipv4_addr",
    "ipv6_addr",
    "mark",
    "nd_target",
    "nf_proto",
]
TARGET = "@th,64,128"  # of neighbour discovery (RFC 4861, sections 4.3 and 4.4): nft 1.0.6 has no name for it
Family = Literal["inet", "bridge", "ip", "ip6"]


class Set(Struct, frozen=True):
    """A set, or a map where `data` is not empty; a plain hash, but where `flags` say more.

    `interval`: the last field of a key may be a range, all of them one value or an interval. `timeout`: elements may go
    by themselves. `counted`: each element counts its hits. A key of intervals takes the protocol from `ct original
    protocol`: for one byte of the host's order, as `meta l4proto`, nft adds a swap that Linux 6.12 refuses.
    """

    name: str
    fields: tuple[Field, ...]
    about: str
    data: tuple[Field, ...] = ()
    flags: Literal["", "interval", "timeout"] = ""
    counted: bool = False


class Rule(Struct, frozen=True):
    """One rule in nft's syntax, and why it is there."""

    text: str
    why: str = ""


class Hook(Struct, frozen=True):
    """Where a base chain is called."""

    type: Literal["filter", "nat"]
    hook: Literal["prerouting", "input", "forward", "output", "postrouting"]
    priority: int


class Chain(Struct, frozen=True):
    """A chain; without a hook it is entered by jump or goto. The policy of ours is always accept.

    `about` says what it decides.
    """

    name: str
    about: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None


class Table(Struct, frozen=True):
    """One table. Chains stand before those that jump to them."""

    name: str
    sets: tuple[Set, ...]
    chains: tuple[Chain, ...]
    family: Family = "inet"


class Ruleset(Struct, frozen=True):
    """All tables of ours, loaded in one transaction. No two sets have one name."""

    tables: tuple[Table, ...]

    @property
    def version(self) -> str:
        """Name of the empty set by which this very ruleset is known in the kernel."""
        parts = [
            repr((t.family, t.sets, [(c.name, c.hook, [r.text for r in c.rules]) for c in t.chains]))
            for t in self.tables
        ]
        return f"version_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def chain(name: str, about: str, *features: Iterable[Rule], hook: Hook | None = None) -> Chain:
    """A chain of the rules that features contribute, in this order."""
    return Chain(name=name, about=about, rules=tuple(rule for feature in features for rule in feature), hook=hook)
