"""The verdict on one connection, by the same order in which the firewall's chains look it up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from netloom.firewall.policy import HOST
from netloom.model.policy import PortRange
from netloom.policy.relayed import Relayed
from netloom.policy.rulebook import Kind, Pair, Rulebook, identity

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp", 132: "sctp"}


class Place(NamedTuple):
    """Where an address of an endpoint is."""

    identity: int
    network: str  # name
    named: tuple[tuple[bool, tuple[tuple[str, int], ...]], ...] = ()  # what its names open: (allow, ports)


class Verdict(NamedTuple):
    """May it pass? `by`: the entries that say so, none where a network's default does."""

    allowed: bool
    by: tuple[str, ...] = ()


class Judge:
    """A snapshot: `places` are the endpoints by address, `host` the host's own addresses.

    `relayed` says whom the relay serves.
    """

    def __init__(
        self,
        book: Rulebook,
        pairs: Iterable[Pair],
        places: Mapping[str, Place],
        closed: Collection[str],
        host: Collection[str],
        relayed: Relayed | None = None,
    ) -> None:
        self._pairs: dict[tuple[Kind, int, int], Pair] = {(p.kind, p.source, p.target): p for p in pairs}
        self._outer = [
            (int(ip_address(s.first)), int(ip_address(s.last)), family, identity(s.choice))
            for family, part in book.segments.items()
            for s in part
        ]
        self._crossings = book.crossings
        self._places = places
        self._closed = closed
        self._host = host
        self._relayed = relayed or Relayed()

    def elsewhere(self, address: str) -> bool:
        """Is it no endpoint's?"""
        return address not in self._places

    def behind(self, proto: int, asked: str, port: int) -> tuple[str, int] | None:
        """The container's address and port, where an address and a port of the host lead there by the relay."""
        if ":" not in asked or asked in self._places or not (asked in self._host or ip_address(asked).is_link_local):
            return None
        return self._relayed.behind(_PROTOCOLS.get(proto, ""), asked, port)

    def verdict(self, proto: int, source: str, target: str, port: int, *, dry_run: bool = False) -> Verdict:
        """On a connection from one address to another; `port` is the target's, 0 where the protocol has none.

        With `dry_run` as if dry runs were none.
        """
        if source in self._host:
            return Verdict(True)
        here, there = self._places.get(source), self._places.get(target)
        if here is None and there is None:
            return Verdict(True)
        pair = (self._identity(source), self._identity(target))
        trial: tuple[Kind, ...] = ("trial_deny",) if dry_run else ()
        if said := self._said(("deny", *trial), pair, proto, port):
            return Verdict(False, said.by)
        more: tuple[Kind, ...] = ("trial_allow",) if dry_run else ()
        if said := self._said(("allow", "cross", *more), pair, proto, port):
            return Verdict(True, said.by)
        if here and there and (here.network, there.network) in self._crossings:
            return Verdict(False)
        if here and any(allow and _covers(ports, proto, port) for allow, ports in here.named):
            return Verdict(True)  # by a name, whose addresses are the data plane's to know
        return Verdict(not any(place and place.network in self._closed for place in (here, there)))

    def _identity(self, address: str) -> int:
        place = self._places.get(address)
        if place is not None:
            return place.identity
        if address in self._host:
            return HOST
        parsed = ip_address(address)
        number = int(parsed)
        return next(
            (key for low, high, family, key in self._outer if family == parsed.version and low <= number <= high), 0
        )

    def _said(self, kinds: Iterable[Kind], pair: tuple[int, int], proto: int, port: int) -> Pair | None:
        for kind in kinds:
            found = self._pairs.get((kind, *pair))
            if found is not None and (not found.ports or any(_holds(p, proto, port) for p in found.ports)):
                return found
        return None


def _holds(ports: PortRange, proto: int, port: int) -> bool:
    return ports.proto == _PROTOCOLS.get(proto) and (ports.proto == "icmp" or ports.first <= port <= ports.last)


def _covers(ports: Collection[tuple[str, int]], proto: int, port: int) -> bool:
    return not ports or (_PROTOCOLS.get(proto, ""), port) in ports
