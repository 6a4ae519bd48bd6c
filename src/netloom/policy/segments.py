"""CIDRs that may lie within each other, as segments that do not: each with all the CIDRs that it lies in."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import NamedTuple

from netloom.model.policy import Peer


class Segment(NamedTuple):
    """Addresses from `first` to `last`, and what chooses them."""

    first: str
    last: str
    choice: frozenset[Peer]


def segments(cidrs: Collection[str]) -> dict[int, list[Segment]]:
    """By family, in order; addresses of no CIDR are in no segment."""
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    return {family: _of_family([n for n in networks if n.version == family]) for family in (4, 6)}


def _of_family(networks: Collection[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> list[Segment]:
    """CIDRs are nested or apart, so a stack of those that are open says where an address lies."""
    found: list[Segment] = []
    ends: list[tuple[int, Peer]] = []
    at = 0

    def until(end: int) -> None:
        nonlocal at
        if ends and at <= end:
            address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
            found.append(Segment(str(address(at)), str(address(end)), frozenset(peer for _, peer in ends)))
        at = max(at, end + 1)

    version = next((n.version for n in networks), 4)
    for network in sorted(networks, key=lambda n: (int(n.network_address), n.prefixlen)):
        first, last = int(network.network_address), int(network.broadcast_address)
        while ends and ends[-1][0] < first:
            until(ends[-1][0])
            ends.pop()
        until(first - 1)
        at = first
        ends.append((last, Peer(cidr=str(network))))
    while ends:
        until(ends[-1][0])
        ends.pop()
    return found
