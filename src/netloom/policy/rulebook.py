"""Policies compiled: which selectors choose an endpoint, and what its identity may do.

An identity stands for a set of selectors, and its number follows from their text alone: it is the same after a restart
and on every host. An endpoint's cost is that of the selectors which could choose it, found by its labels and names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from netloom.firewall.policy import HOST
from netloom.model.policy import Entry, NameRule, Peer, Policy, PortRange
from netloom.policy.segments import Segment, segments

Choice: TypeAlias = frozenset[Peer]  # the selectors that choose an endpoint or an outer address
Kind: TypeAlias = Literal["deny", "allow", "cross", "trial_deny", "trial_allow"]
NOBODY: Choice = frozenset()
_FIRST = 16  # below it are the identities that no selector makes


class Subject(NamedTuple):
    """An endpoint, as selectors see it."""

    container: str  # id
    name: str
    labels: Mapping[str, str]
    network: str  # name


class Said(NamedTuple):
    """An entry and the policy that says it."""

    policy: Policy
    entry: Entry

    @property
    def name(self) -> str:
        return f"{self.policy.name}/{self.entry.name}"

    @property
    def kind(self) -> Kind:
        """The sets that hold what it says."""
        if self.policy.dry_run:
            return "trial_allow" if self.entry.allow else "trial_deny"
        if not self.entry.allow:
            return "deny"
        return "cross" if crosses(self.entry) else "allow"


class Pair(NamedTuple):
    """What is said of two identities: of these ports, or without any of all. `by`: who says so."""

    kind: Kind
    source: int
    target: int
    ports: tuple[PortRange, ...]
    by: tuple[str, ...]


def crosses(entry: Entry) -> bool:
    """Does it open the way from one network to another? Only where both are named."""
    return bool(entry.allow and entry.source.network and entry.target.network) and (
        entry.source.network != entry.target.network
    )


def identity(choice: Choice) -> int:
    """The number that stands for it; 0 for nobody."""
    if not choice:
        return 0
    text = "\n".join(sorted(repr(peer) for peer in choice))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % ((1 << 32) - _FIRST) + _FIRST


class Rulebook:
    """All policies together; immutable."""

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        self.policies = tuple(policies)
        self.said = [Said(policy, entry) for policy in self.policies for entry in policy.entries]
        self.segments: dict[int, list[Segment]] = segments(
            {peer.cidr for said in self.said for peer in (said.entry.source, said.entry.target) if peer.cidr}
        )
        self._closed = {
            trial: frozenset(n for policy in self.policies if policy.dry_run == trial for n in policy.closed)
            for trial in (False, True)
        }
        self._outer = {identity(s.choice): s.choice for part in self.segments.values() for s in part}
        self._by_handle: dict[tuple[str, str], list[Peer]] = {}
        self._from: dict[Peer, list[Said]] = {}
        self._to: dict[Peer, list[Said]] = {}
        for said in self.said:
            self._from.setdefault(said.entry.source, []).append(said)
            self._to.setdefault(said.entry.target, []).append(said)
        for peer in {*self._from, *self._to}:
            if peer.endpoints:
                self._by_handle.setdefault(_handle(peer), []).append(peer)

    def closed(self, *, trial: bool) -> frozenset[str]:
        """Names of networks that policies close, for good or in a dry run."""
        return self._closed[trial]

    def choice(self, subject: Subject) -> Choice:
        """The selectors that choose an endpoint."""
        handles = [("owner", subject.container), ("container", subject.name), ("network", subject.network)]
        for key, value in subject.labels.items():
            handles += [("label", key), ("label", f"{key}={value}")]
        return frozenset(
            peer for handle in handles for peer in self._by_handle.get(handle, ()) if _chosen(peer, subject)
        )

    def pairs(self, known: Mapping[int, Choice], only: Iterable[int] | None = None) -> list[Pair]:
        """What is said of identities that stand; with `only` what concerns one of those."""
        everybody = {0: NOBODY, **known}
        found: dict[tuple[Kind, int, int], list[Said]] = {}
        wanted = None if only is None else set(only)
        for said in self._concerned(everybody, wanted):
            for source in self._matching(said.entry.source, everybody):
                for target in self._matching(said.entry.target, everybody, receiver=True):
                    if wanted is not None and source not in wanted and target not in wanted:
                        continue
                    if source in everybody or target in everybody:
                        found.setdefault((said.kind, source, target), []).append(said)
        return [_pair(key, sayings) for key, sayings in found.items()]

    def names(self, choice: Choice) -> tuple[NameRule, ...]:
        """What the names that such an endpoint looks up open or close to it."""
        return tuple(
            NameRule(
                entry.target.name,
                entry.allow,
                tuple((ports.proto, ports.first) for ports in entry.ports if ports.last == ports.first),
            )
            for peer in (Peer(), *choice)
            for said in self._from.get(peer, ())
            if (entry := said.entry).target.name
        )

    @cached_property
    def all_names(self) -> frozenset[Said]:
        """The entries that speak of names."""
        return frozenset(said for said in self.said if said.entry.target.name)

    @cached_property
    def crossings(self) -> frozenset[tuple[str, str]]:
        """Names of networks between which a way is open, each pair in both directions."""
        ways = [(e.source.network, e.target.network) for s in self.said if s.kind == "cross" and (e := s.entry)]
        return frozenset((*ways, *((b, a) for a, b in ways)))

    def _concerned(self, everybody: Mapping[int, Choice], wanted: set[int] | None) -> Iterator[Said]:
        """The entries that say something of the wanted identities."""
        if wanted is None:
            yield from self.said
            return
        peers = {Peer()} | {peer for key in wanted for peer in everybody.get(key, ())}
        seen: set[int] = set()
        for peer in peers:
            for said in (*self._from.get(peer, ()), *self._to.get(peer, ())):
                if id(said) not in seen:
                    seen.add(id(said))
                    yield said

    def _matching(self, peer: Peer, everybody: Mapping[int, Choice], *, receiver: bool = False) -> list[int]:
        if peer.host:
            return [HOST]
        if peer.name:
            return []
        if peer.cidr:
            return [key for key, choice in self._outer.items() if peer in choice]
        if peer.anybody:
            return [*everybody, *self._outer, *([HOST] if receiver else [])]
        return [key for key, choice in everybody.items() if peer in choice]


def _handle(peer: Peer) -> tuple[str, str]:
    """By what an endpoint that it chooses is found: the rarest of what it names."""
    if peer.owner:
        return ("owner", peer.owner)
    if peer.container:
        return ("container", peer.container)
    if peer.labels:
        return ("label", max(peer.labels, key=lambda label: "=" in label))
    return ("network", peer.network)


def _chosen(peer: Peer, subject: Subject) -> bool:
    if peer.owner not in ("", subject.container) or peer.container not in ("", subject.name):
        return False
    if peer.network not in ("", subject.network):
        return False
    for label in peer.labels:
        key, given, value = label.partition("=")
        if key not in subject.labels or (given and subject.labels[key] != value):
            return False
    return True


def _pair(key: tuple[Kind, int, int], sayings: Sequence[Said]) -> Pair:
    by = tuple(dict.fromkeys(said.name for said in sayings))
    if not all(said.entry.ports for said in sayings):
        return Pair(*key, (), by)
    return Pair(*key, _merged(port for said in sayings for port in said.entry.ports), by)


def _merged(ports: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """Disjoint ranges: a set of intervals takes no others."""
    merged: list[PortRange] = []
    for port in sorted(ports, key=lambda p: (p.proto, p.first)):
        before = merged[-1] if merged else None
        if before and before.proto == port.proto and port.first <= before.last + 1:
            merged[-1] = PortRange(port.proto, before.first, max(before.last, port.last))
        else:
            merged.append(port)
    return tuple(merged)
