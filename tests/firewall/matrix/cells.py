"""What is asked: fourteen kinds of networks, and the ways to and from each, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

BRIDGE = "com.docker.network.bridge."
PROTOCOLS = ("tcp", "udp", "sctp", "icmp", "raw")  # raw: numbers that nobody has (253 and 254, RFC 3692)
WITH_PORTS = PROTOCOLS[:3]

# On each engine the host has two neighbours, `outside` and `lan`, behind an interface of each.
UPLINK, OTHER_UPLINK = "mxup1", "mxup2"
HOST4, HOST6 = "10.78.1.2", "fd00:78:1::2"  # of the host, at UPLINK
OTHER4, OTHER6 = "10.78.2.2", "fd00:78:2::2"  # at OTHER_UPLINK


def modes(ipv4: str, ipv6: str) -> dict[str, str]:
    """The options of the gateway modes."""
    return {f"{BRIDGE}gateway_mode_ipv4": ipv4, f"{BRIDGE}gateway_mode_ipv6": ipv6}


@dataclass(frozen=True)
class Kind:
    """A kind of network: `options` and what they mean, in words."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False
    ipv6: bool = True
    modes: tuple[str, str] = ("nat", "nat")
    bindings: tuple[str, ...] = ("",)  # the host's addresses at which its ports are published

    def mode(self, family: int) -> str:
        """The gateway mode of a family."""
        return self.modes[family == 6]

    def has(self, family: int) -> bool:
        """Do its containers have an address of that family?"""
        return family == 4 or self.ipv6


KINDS = {
    kind.name: kind
    for kind in (
        Kind("nat"),
        Kind("bridge", ipv6=False),  # the default network
        Kind("only4", ipv6=False),
        Kind("named", {"com.docker.network.host_ipv4": OTHER4, "com.docker.network.host_ipv6": OTHER6}),
        Kind("open", {f"{BRIDGE}enable_ip_masquerade": "false"}),
        Kind("apart", {f"{BRIDGE}enable_icc": "false"}),
        Kind("bound", {f"{BRIDGE}host_binding_ipv4": HOST4}, bindings=("", HOST6)),
        Kind("local", bindings=("127.0.0.1", "::1")),
        Kind("trusting", {f"{BRIDGE}trusted_host_interfaces": UPLINK}),
        Kind("routed", modes("routed", "routed"), modes=("routed", "routed")),
        Kind("mixed", modes("nat", "routed"), modes=("nat", "routed")),
        Kind("naked", modes("nat-unprotected", "nat-unprotected"), modes=("nat-unprotected", "nat-unprotected")),
        Kind("internal", internal=True),
        Kind("isolated", modes("isolated", "isolated"), internal=True, modes=("isolated", "isolated")),
    )
}
LONELY = ("host", "none")  # containers that have no network of their own


class Cell(NamedTuple):
    """One question. Source and target are words that stand relative to the network."""

    network: str
    source: str
    target: str
    protocol: str
    family: int


class Way(NamedTuple):
    """A target, who asks for it, and by which protocols."""

    target: str
    sources: tuple[str, ...]
    protocols: tuple[str, ...] = PROTOCOLS


# Sources: `itself` is the container with the published ports, `sibling` its neighbour, `far` one on another network
# with the same options, `nat` and `internal` containers of these two kinds.
STRANGERS = ("sibling", "far", "nat", "internal", "host", "outside", "lan")
WAYS = (
    Way("container", STRANGERS),  # at its own address; its ports of this number are published
    Way("unpublished", STRANGERS, WITH_PORTS),  # the same, at a port that is not
    Way("published", ("itself", *STRANGERS), WITH_PORTS),  # at the address of the host's uplink
    Way("published@gateway", ("itself", "sibling", "nat", "host", "outside"), WITH_PORTS),
    Way("published@other gateway", ("sibling", "nat"), WITH_PORTS),
    Way("published@other uplink", ("host", "outside", "lan"), WITH_PORTS),
    Way("published@loopback", ("host",), WITH_PORTS),
    Way("published@127.0.0.9", ("host",), WITH_PORTS),
    Way("published@link-local", ("outside",), WITH_PORTS),
    Way("host@gateway", ("sibling", "far")),  # services of the host, by the gateway of the source
    Way("host@other gateway", ("sibling",)),
    Way("host@uplink", ("sibling",)),
    Way("host@link-local", ("sibling",)),  # the bridge's
    Way("outside", ("sibling",)),
    Way("container of nat", ("sibling",)),
    Way("container of internal", ("sibling",)),
)
ALONE = Way("itself", ("far",))  # where nobody else is reached
LONELY_WAYS = (
    Way("outside", ("itself",)),
    Way("host@uplink", ("itself",)),
    Way("itself", ("itself",)),
    Way("container of nat", ("itself",)),
)
FOREIGN = Way("outside", ("lan",))  # from one neighbour of the host to the other


def cells() -> Iterator[Cell]:
    """All of them."""
    for kind in KINDS.values():
        for way in (*WAYS, *([ALONE] if "isolated" in kind.modes else ())):
            for source in way.sources:
                for family in (4, 6):
                    if _stands(kind, source, way.target, family):
                        yield from (Cell(kind.name, source, way.target, p, family) for p in way.protocols)
    for lonely in LONELY:
        for way in (*LONELY_WAYS, *([FOREIGN] if lonely == "host" else ())):
            for source in way.sources:
                yield from (Cell(lonely, source, way.target, p, f) for f in (4, 6) for p in way.protocols)


def _stands(kind: Kind, source: str, target: str, family: int) -> bool:
    """Is there such a source, and such an address?"""
    if source == kind.name or target == f"container of {kind.name}":
        return False  # the same as `sibling`, the same as `container`
    if source == "far" and kind.name == "bridge":
        return False  # there is but one
    if target == "published@127.0.0.9" and family == 6:
        return False
    if target.endswith("@link-local") and family == 4:
        return False
    if kind.has(family):
        return True
    return target.startswith("published") and target != "published@gateway" and source in STRANGERS[2:]


def source_place(cell: Cell) -> str:
    """Who asks: `KIND.itself`, `KIND.sibling`, `KIND.far`, or a place by its name."""
    match cell.source:
        case "itself" if cell.network in LONELY:
            return cell.network
        case "itself" | "sibling" | "far":
            return f"{cell.network}.{cell.source}"
        case "nat" | "internal":
            return f"{cell.source}.sibling"
        case _:
            return cell.source


def target_place(cell: Cell) -> str:
    """Where it should arrive."""
    match cell.target.partition("@")[0]:
        case "container" | "unpublished" | "published":
            return f"{cell.network}.itself"
        case "itself":
            return source_place(cell)
        case "host" | "outside" as place:
            return place
        case name:
            return f"{name.removeprefix('container of ')}.itself"
