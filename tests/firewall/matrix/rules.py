"""What the documents promise, cell by cell: docs/firewall.md and docs/drivers.md, in their order.

The first rule that is about a cell says what becomes of it: `-`, nothing arrives, or it is answered, and its sender is
seen with `own` address, as the `gateway` of the target's network, at the address that was `asked`, with the host's
address at its `uplink`, or with the `other` that the network names. `!` behind it: it arrives, its answer does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .cells import KINDS, LONELY, WITH_PORTS, Cell, Kind

DENIED, UNANSWERED = "-", "!"
_OTHERS = ("outside", "lan")  # other hosts
_CONTAINERS = ("far", "nat", "internal")  # of other networks


class Rule(NamedTuple):
    """About cells for which `about` is true; a kind of network that is none stands for what has no network."""

    says: str
    about: Callable[[Cell, Kind], bool]
    verdict: str


def at_container(cell: Cell) -> bool:
    """To a container's own address."""
    return cell.target in ("container", "unpublished")


def through_port(cell: Cell) -> bool:
    """To a published port of the host."""
    return cell.target.startswith("published")


def of_a_port(cell: Cell) -> bool:
    """Does it depend on a port that is published?"""
    if cell.network in LONELY or cell.target != "container":
        return through_port(cell)
    return cell.network == "trusting" or KINDS[cell.network].mode(cell.family) == "routed"


def to_port(cell: Cell) -> bool:
    """To a published port at the container's own address."""
    return cell.target == "container" and cell.protocol in WITH_PORTS


def of_internal(cell: Cell, kind: Kind) -> bool:
    """Is an internal network at either end?"""
    return kind.internal or cell.source == "internal" or cell.target == "container of internal"


def relayed(cell: Cell, kind: Kind) -> bool:
    """IPv6 that the kernel cannot translate."""
    return cell.family == 6 and (not kind.ipv6 or cell.target in ("published@loopback", "published@link-local"))


def bound_elsewhere(cell: Cell, kind: Kind) -> bool:
    """Is the port not published at that address of the host?"""
    match kind.name:
        case "bound":
            return cell.target != "published"
        case "local":
            return cell.target != "published@loopback"
    return False


NO_NETWORK = Kind("")

RULES = (
    # Containers without a network of their own.
    Rule("mode `none`: loopback alone", lambda c, k: c.network == "none" and c.target != "itself", DENIED),
    Rule("anybody: its own loopback", lambda c, k: c.target == "itself", "asked"),
    Rule(
        "between interfaces of others nothing crosses by forwarding that netloom switched on",
        lambda c, k: c.network == "host" and c.source == "lan",
        DENIED,
    ),
    Rule(
        "mode `host`: the host's own services", lambda c, k: c.network == "host" and c.target == "host@uplink", "asked"
    ),
    Rule("mode `host`: other hosts", lambda c, k: c.network == "host" and c.target == "outside", "uplink"),
    Rule("mode `host`: containers, as the host", lambda c, k: c.network == "host", "gateway"),
    # Services of the host.
    Rule(
        "`isolated`: the bridge has no address, nor a link-local one",
        lambda c, k: k.mode(c.family) == "isolated" and c.target in ("host@gateway", "host@link-local"),
        DENIED,
    ),
    Rule(
        "`isolated`: what a container sends to the host's other addresses, by a way of its own making, has no way back",
        lambda c, k: k.mode(c.family) == "isolated" and c.target.startswith("host") and c.family == 4,
        "own!",
    ),
    Rule(
        "`isolated`: and by IPv6 not even that",
        lambda c, k: k.mode(c.family) == "isolated" and c.target.startswith("host"),
        DENIED,
    ),
    Rule(
        "services of the host, on any of its addresses; of an internal network by the gateway's address,"
        " and by others where the container made itself a way",
        lambda c, k: c.target.startswith("host"),
        "own",
    ),
    # Out.
    Rule("internal: no way out", lambda c, k: c.target == "outside" and k.internal, DENIED),
    Rule(
        "with its own address: `enable_ip_masquerade=false`, `routed`",
        lambda c, k: c.target == "outside" and (k.name == "open" or k.mode(c.family) == "routed"),
        "own",
    ),
    Rule("with the address that `host_ipv4` names", lambda c, k: c.target == "outside" and k.name == "named", "other"),
    Rule("other hosts: as the host", lambda c, k: c.target == "outside", "uplink"),
    # Within a network.
    Rule(
        "`enable_icc=false`: only through published ports",
        lambda c, k: at_container(c) and c.source == "sibling" and k.name == "apart",
        DENIED,
    ),
    Rule("within a network: yes", lambda c, k: at_container(c) and c.source == "sibling", "own"),
    # To a container's own address.
    Rule(
        "`isolated`: reached by its own network",
        lambda c, k: at_container(c) and k.mode(c.family) == "isolated",
        DENIED,
    ),
    Rule("the host: every container", lambda c, k: at_container(c) and c.source == "host", "gateway"),
    Rule("internal: nobody else", lambda c, k: not through_port(c) and of_internal(c, k), DENIED),
    Rule(
        "`routed`: published ports and ping, from other hosts and other networks",
        lambda c, k: k.mode(c.family) == "routed" and (to_port(c) or c.protocol == "icmp") and at_container(c),
        "own",
    ),
    Rule(
        "`nat-unprotected`: other hosts, every port",
        lambda c, k: k.mode(c.family) == "nat-unprotected" and at_container(c) and c.source in _OTHERS,
        "own",
    ),
    Rule(
        "`trusted_host_interfaces`: published ports, by that interface",
        lambda c, k: k.name == "trusting" and to_port(c) and c.source == "outside",
        "own",
    ),
    Rule("by its address a container is reached by nobody else", lambda c, k: not through_port(c), DENIED),
    # Published ports.
    Rule("internal: no published ports, neither its own nor others'", of_internal, DENIED),
    Rule("`routed`: no port of the host is taken", lambda c, k: k.mode(c.family) == "routed", DENIED),
    Rule("published at another address of the host", bound_elsewhere, DENIED),
    Rule("the relay has no SCTP", lambda c, k: relayed(c, k) and c.protocol == "sctp", DENIED),
    Rule("by the relay: as the gateway", relayed, "gateway"),
    Rule(
        "from its own network, itself included: as the gateway",
        lambda c, k: c.source in ("itself", "sibling"),
        "gateway",
    ),
    Rule(
        "the host by its loopback: as the gateway",
        lambda c, k: c.target in ("published@loopback", "published@127.0.0.9"),
        "gateway",
    ),
    Rule(
        "the host by one of its own addresses: that address, here the gateway",
        lambda c, k: c.source == "host" and c.target == "published@gateway",
        "gateway",
    ),
    Rule("the host by one of its own addresses: that address", lambda c, k: c.source == "host", "asked"),
    Rule("other hosts and containers of other networks: with their own", lambda c, k: True, "own"),
)


def rule(cell: Cell) -> Rule:
    """The first that is about it."""
    kind = NO_NETWORK if cell.network in LONELY else KINDS[cell.network]
    return next(r for r in RULES if r.about(cell, kind))


def expected(cell: Cell) -> str:
    """What should become of a cell."""
    return rule(cell).verdict


def allowed(verdict: str) -> bool:
    """Was it answered?"""
    return verdict != DENIED and not verdict.endswith(UNANSWERED)


def answered(verdicts: Mapping[Cell, str]) -> list[Cell]:
    """The cells that are."""
    return [cell for cell, verdict in verdicts.items() if allowed(verdict)]


def broken(verdicts: Mapping[Cell, str]) -> list[str]:
    """What is not as promised, a line for each."""
    promises = {cell: rule(cell) for cell in verdicts}
    return [
        f"{' '.join(map(str, cell))}: {verdict}, promised {promises[cell].verdict} ({promises[cell].says})"
        for cell, verdict in verdicts.items()
        if verdict != promises[cell].verdict
    ]
