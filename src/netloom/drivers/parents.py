"""What drivers share whose containers' interfaces stand on an interface of the host: its name, and how it comes to be.

The parent is an interface of somebody else; or a VLAN of one (`eth0.10`), which is made where it is not there; or,
without a name, a dummy that leads nowhere. What is made stands for as long as a network needs it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence

from netloom.drivers.bridge_options import ADVERTISE_COUNT, ADVERTISE_INTERVAL
from netloom.drivers.options import parse_in_range
from netloom.model.desired import Address, Child, Desired, HostFacts, LinkKind, Parent, Route, Sysctl
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, Failed
from netloom.model.network import Network

PARENT = "parent"
COMMON = (PARENT, ADVERTISE_COUNT, ADVERTISE_INTERVAL)  # options of all drivers of this sort
KINDS = ("macvlan", "ipvlan")

_DOTTED = str.maketrans("./", "/.")
_INDEX_BASE = 0x60000000  # above those that follow from numbers of networks and endpoints
_MODULES = {"vlan": "8021q"}
_MOST_VLANS = 4094  # IEEE 802.1Q, 9.6: 0 and 4095 are reserved


def parent_of(network: Network) -> str:
    """The name of the interface that the network's containers stand on."""
    return network.options.get(PARENT, "") or f"dm-{network.id[:12]}"


def on_parent(network: Network) -> bool:
    """Do its containers' interfaces stand on an interface of the host?"""
    return network.driver in KINDS and not network.config_only


def lan_of(network: Network) -> str:
    """The host's interface by which frames reach the neighbours of its containers."""
    return parent_of(network) if on_parent(network) else network.bridge


def leased_mtu(network: Network, endpoint: Endpoint, facts: HostFacts) -> int:
    """What the endpoint's lease says of the LAN, no more than the parent takes; 0: nothing."""
    mtu = endpoint.lease.terms.mtu if endpoint.lease else 0
    if not mtu:
        return 0
    names = dict(zip(facts.links, facts.mtus, strict=False))
    parent = parent_of(network)
    return min(mtu, names.get(parent) or names.get(parent.rpartition(".")[0]) or mtu)


def leased_routes(endpoint: Endpoint, link: str, index: int) -> list[Desired]:
    """Routes beside the default one that came with the endpoint's lease."""
    routes = endpoint.lease.terms.routes if endpoint.lease else ()
    return [Route(destination, via, link, index, endpoint.sandbox) for destination, via in routes]


def same_parent(network: Network, others: Iterable[Network]) -> list[Network]:
    """The others that stand on the same interface."""
    parent = parent_of(network)
    return [n for n in others if on_parent(n) and parent_of(n) == parent]


def check_common(driver: str, options: Mapping[str, str]) -> None:
    """Raises Failed in Docker's words for what can be no parent, or no way to announce an address."""
    if ADVERTISE_COUNT in options:
        parse_in_range(ADVERTISE_COUNT, options[ADVERTISE_COUNT], 0, 3, "an integer")
    if ADVERTISE_INTERVAL in options:
        parse_in_range(ADVERTISE_INTERVAL, options[ADVERTISE_INTERVAL], 100, 2000, "integer milliseconds")
    if options.get(PARENT) == "lo":
        raise Failed(f"loopback interface is not a valid {driver} parent link")


def check_there(network: Network, facts: HostFacts) -> None:
    """Is the parent there, or can it be made? Raises Failed in Docker's words."""
    name = network.options.get(PARENT, "")
    if not name or name in facts.links:
        return
    parts = name.split(".")
    if len(parts) == 1:
        raise Failed(
            f"invalid subinterface vlan name {name}, example formatting is eth0.10",
            remedy=f"this host has no interface {name} that is not netloom's own",
        )
    if len(parts) > 2:
        raise Failed(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received " + name
        )
    base, number = parts
    if not re.fullmatch("[+-]?[0-9]{1,9}", number, re.ASCII):
        raise Failed(f"unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)")
    if not 1 <= int(number) <= _MOST_VLANS:
        raise Failed(f"vlan id must be between 1-{_MOST_VLANS}, received: {int(number)}")
    if base not in facts.links:
        raise Failed(f"-o parent interface was not found on the host: {base}")


def check_beside(network: Network, others: Sequence[Network]) -> None:
    """The kernel keeps one kind on an interface. Raises Conflict naming the network that is there."""
    for other in same_parent(network, others):
        if other.driver != network.driver:
            raise Conflict(
                f"{other.driver} network {other.name} ({other.id}) is already using parent interface"
                f" {parent_of(network)}",
                remedy=f"one interface carries {' or '.join(KINDS)}; choose another parent, or a VLAN of it",
            )


def needs(network: Network, facts: HostFacts) -> list[LinkKind]:
    """The kinds of links, beside its own, that the kernel must have for this network."""
    return ["vlan" if one.base else "dummy" for one in made(network, facts)]


def lacking(kind: LinkKind, parent: str) -> Failed:
    """What to tell where the kernel does not have this kind of link: Docker's words, and the module."""
    sentence = {
        "vlan": f"failed to create {parent} vlan link: operation not supported",
        "dummy": "operation not supported",
    }.get(kind, f"failed to create the {kind} port: operation not supported")
    module = _MODULES.get(kind, kind)
    return Failed(
        sentence, remedy=f"this kernel has no module {module} (modprobe {module}; it may be in a package of its own)"
    )


def made(network: Network, facts: HostFacts) -> list[Parent]:
    """What is made for the network: nothing where the parent is somebody else's, or cannot be made now."""
    name = parent_of(network)
    if name in facts.links:
        return []
    index = _INDEX_BASE + zlib.crc32(name.encode()) % 0x10000000  # the same for all networks that share it
    if not network.options.get(PARENT):
        return [Parent(name=name, index=index, alias=f"netloom {network.id}")]
    base, _, number = name.rpartition(".")
    if base not in facts.links or not number.isdecimal() or not 1 <= int(number) <= _MOST_VLANS:
        return []  # it was somebody's, and has gone
    return [Parent(name=name, index=index, alias="netloom vlan", base=base, vlan=int(number))]


def below(network: Network, facts: HostFacts) -> tuple[tuple[str, int], ...]:
    """The interfaces of others that the network stands on, as they are now: (name, index)."""
    name = parent_of(network)
    names = (name, name.rpartition(".")[0])
    return tuple((link, index) for link, index in zip(facts.links, facts.indices, strict=False) if link in names)


def stands(network: Network, facts: HostFacts) -> bool:
    """Is there something to stand on?"""
    return parent_of(network) in facts.links or bool(made(network, facts))


def check_stands(network: Network, facts: HostFacts) -> None:
    """Raises Failed when the parent has gone since the network was created."""
    if not stands(network, facts):
        raise Failed(
            f"parent interface {parent_of(network)} of network {network.name} is not there",
            remedy="bring it back, or create the network anew on another",
        )


def inside(network: Network, endpoint: Endpoint, child: Child) -> list[Desired]:
    """The interface and what is on it."""
    sandbox, link, index = endpoint.sandbox, child.name, child.index
    desired: list[Desired] = [child]
    desired += [Address(link, index, address, sandbox) for address in (endpoint.ipv4, endpoint.ipv6) if address]
    desired += [Address(link, index, with_prefix(address), sandbox) for address in endpoint.link_local]
    for destination, wanted, gateway in (
        ("default", endpoint.default4, endpoint.gateway4),
        ("default6", endpoint.default6, endpoint.gateway6),
    ):
        if wanted and (gateway or endpoint.on_link) and not network.internal:
            desired.append(Route(destination, gateway, link, index, sandbox))
    if not network.internal:
        desired += leased_routes(endpoint, link, index)
    # Dots between names become slashes; a slash stands for a dot of the interface's own name (sysctl.d(5)).
    desired += [Sysctl(path.translate(_DOTTED), value, sandbox) for path, value in endpoint.sysctls]
    return desired


def with_prefix(link_local: str) -> str:
    """169.254.0.0/16 is one link (RFC 3927), of fe80::/10 the first /64 (RFC 4291)."""
    return link_local if "/" in link_local else f"{link_local}/{64 if ':' in link_local else 16}"
