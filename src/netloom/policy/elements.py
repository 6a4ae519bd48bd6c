"""What policies say, as elements of the firewall's sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netloom.firewall.elements import element
from netloom.firewall.policy import HOST
from netloom.model.desired import Element
from netloom.model.policy import PortRange
from netloom.policy.rulebook import Pair, Rulebook, identity

__all__ = ["HOST", "endpoint_elements", "network_elements", "outer_elements", "pair_elements"]

NOBODY = 0
_PROTOCOLS = {"tcp": ("tcp",), "udp": ("udp",), "sctp": ("sctp",), "icmp": ("icmp", "ipv6-icmp")}


def endpoint_elements(number: int, addresses: Iterable[str]) -> list[Element]:
    """Who an endpoint is, by its addresses without prefix; nobody (0) needs no element."""
    return [
        element(f"{side}{6 if ':' in address else 4}", (address,), (number,))
        for address in addresses
        if number
        for side in ("from", "to")
    ]


def network_elements(bridge: str, *, closed: bool, trial: bool) -> list[Element]:
    """Where nothing passes that no policy allows, and where a dry run would have it so."""
    return [element(name, (bridge,)) for name, wanted in (("closed", closed), ("trial_closed", trial)) if wanted]


def crossing_elements(book: Rulebook, name: str, bridge: str, others: Mapping[str, str]) -> list[Element]:
    """Between a network and those that stand (bridges by name) policies open a way; it goes with either of both."""
    bridges = {**others, name: bridge}
    return [
        element("crossed", (bridges[one], bridges[other]))
        for one, other in sorted(book.crossings)
        if name in (one, other) and one in bridges and other in bridges
    ]


def outer_elements(book: Rulebook) -> list[Element]:
    """Who the addresses outside of netloom's networks are."""
    return [
        element(f"outer_{side}{family}", (NOBODY, segment.first), (identity(segment.choice),), last=segment.last)
        for family, part in book.segments.items()
        for segment in part
        for side in ("from", "to")
    ]


def pair_elements(pairs: Iterable[Pair]) -> dict[Element, tuple[str, ...]]:
    """What is said of identities, and who says so."""
    found: dict[Element, tuple[str, ...]] = {}
    for pair in pairs:
        if not pair.ports:
            found[element(f"{pair.kind}_pairs", (pair.source, pair.target))] = pair.by
        for port in pair.ports:
            for made in _of_port(pair, port):
                found[made] = pair.by
    return found


def _of_port(pair: Pair, port: PortRange) -> list[Element]:
    return [
        element(f"{pair.kind}_ports", (pair.source, pair.target, proto, port.first), last=port.last)
        for proto in _PROTOCOLS[port.proto]
    ]
