"""What drivers share whose containers' interfaces stand on an interface of the host: its name, and how it comes to be.

The parent is an interface of somebody else; or a VLAN of one (`eth0.10`), which is made where it is not there; or,
without a name, a dummy that leads nowhere. What is made stands for as long as a network needs it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence

from netloom.drivers.bridge_options import ADVERTISE_COUNT, ADVERTISE_INTERVAL
from netloom.drivers.options import PARENT, parse_bool, parse_in_range
from netloom.firewall.elements import member_elements, shim_element
from netloom.model.desired import (
    Address,
    Child,
    ChildKind,
    Desired,
    HostFacts,
    HostLink,
    LinkKind,
    Parent,
    Route,
    Shim,
    ShimKind,
    Sysctl,
)
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, Failed, InvalidArgument
from netloom.model.network import Network
from netloom.model.truth import truth_of

HOST_ACCESS = "host_access"
HOST = "netloom.host"  # label of the auxiliary address that is the host's
COMMON = (PARENT, HOST_ACCESS, ADVERTISE_COUNT, ADVERTISE_INTERVAL)  # options of all drivers of this sort
KINDS = ("macvlan", "ipvlan", "device")

_DOTTED = str.maketrans("./", "/.")
_INDEX_BASE = 0x60000000  # above those that follow from numbers of networks and endpoints
SHIM_BASE = 0x50000000
MODULES = {"vlan": "8021q"}
_MOST_VLANS = 4094  # IEEE 802.1Q, 9.6: 0 and 4095 are reserved


def parent_of(network: Network) -> str:
    """The name of the interface that the network's containers stand on."""
    return network.options.get(PARENT, "") or f"dm-{network.id[:12]}"


def on_parent(network: Network) -> bool:
    """Do its containers' interfaces stand on an interface of the host?"""
    return network.driver in KINDS and not network.config_only


def on_lan(network: Network) -> bool:
    """Are its containers machines of a LAN, reached by their own addresses and by no port of the host?"""
    return on_parent(network) or network.lan


def lan_of(network: Network) -> str:
    """The host's interface by which frames reach the neighbours of its containers."""
    return parent_of(network) if on_parent(network) else network.bridge


def users(parent: str, others: Iterable[Network]) -> list[Network]:
    """The networks, of whatever driver, that stand on an interface of the host or have it as a port."""
    return [n for n in others if not n.config_only and parent == n.options.get(PARENT, "")]


def container_of(endpoint: Endpoint) -> str:
    """Its name, or where it has none the beginning of its id."""
    return endpoint.dns_names[0] if endpoint.dns_names else endpoint.container[:12]


def leased_mtu(network: Network, endpoint: Endpoint, facts: HostFacts) -> int:
    """What the endpoint's lease says of the LAN, no more than the parent takes; 0: nothing."""
    mtu = endpoint.lease.terms.mtu if endpoint.lease else 0
    if not mtu:
        return 0
    parent = carrier(parent_of(network), facts)
    return min(mtu, parent.mtu) if parent else mtu


def carrier(name: str, facts: HostFacts) -> HostLink | None:
    """An interface of somebody else; or the one of which it is, or will be, a VLAN."""
    return facts.interface(name) or facts.interface(name.rpartition(".")[0])


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
    for other in users(parent_of(network), others):
        if other.driver != network.driver:
            raise Conflict(
                f"{other.driver} network {other.name} ({other.id}) is already using parent interface"
                f" {parent_of(network)}",
                remedy="one interface carries macvlan, or ipvlan, or is a port, or goes to a container whole;"
                " choose another parent, or a VLAN of it",
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
    module = MODULES.get(kind, kind)
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


def below(network: Network, facts: HostFacts) -> tuple[HostLink, ...]:
    """The interfaces of others that the network stands on, has as a port, or has as its bridge, as they are now."""
    if network.adopted:
        names: tuple[str, ...] = (network.bridge,)
    elif on_parent(network) or network.options.get(PARENT):
        names = (parent_of(network), parent_of(network).rpartition(".")[0])
    else:
        return ()
    return tuple(one for one in facts.interfaces if one.name in names)


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


def host_access(network: Network) -> bool:
    """Do the host and its containers reach each other, by an interface of the host's beside theirs?"""
    return on_parent(network) and truth_of(network.options.get(HOST_ACCESS, "")) is True


def check_host_access(options: Mapping[str, str], *, shared: bool) -> None:
    """`shared`: the mode lets interfaces on the parent reach each other. Raises InvalidArgument."""
    if HOST_ACCESS in options and parse_bool(HOST_ACCESS, options[HOST_ACCESS]) and not shared:
        raise InvalidArgument(
            f"option {HOST_ACCESS} needs a mode in which interfaces on the parent reach each other",
            remedy="macvlan_mode bridge, or ipvlan_mode l2 with ipvlan_flag bridge",
        )


def host_addresses(network: Network) -> list[str]:
    """The addresses that the host has for its containers, without prefix length."""
    return [pool.aux[HOST] for pool in network.pools if HOST in pool.aux]


def shim_name(network: Network) -> str:
    """The host's interface beside those of its containers."""
    return f"nh-{network.id[:12]}"


def shim(network: Network, kind: ShimKind, mac: str = "") -> list[Desired]:
    """That interface, and what the firewall must know of it: what is forwarded from it leads to published ports."""
    name, index = shim_name(network), SHIM_BASE + network.number
    alias = f"netloom {network.id}"
    desired: list[Desired] = [Shim(kind, name, index, parent_of(network), alias, mac, ipv6=network.ipv6)]
    for address in host_addresses(network):
        six = ":" in address
        if six:
            desired.append(Sysctl(f"net/ipv6/conf/{name}/accept_ra", "0"))
        else:
            desired += [shim_element(name), Sysctl(f"net/ipv4/conf/{name}/forwarding", "1")]
        desired.append(Address(name, index, f"{address}/{128 if six else 32}"))
    return desired


def by_shim(network: Network, endpoint: Endpoint) -> list[Desired]:
    """The host's way to one container, and what keeps others from taking it."""
    name, index = shim_name(network), SHIM_BASE + network.number
    addresses = [a.partition("/")[0] for a in (endpoint.ipv4, endpoint.ipv6) if a]
    routes = [Route(f"{a}/{128 if ':' in a else 32}", "", name, index) for a in addresses]
    return [*member_elements(name, addresses), *routes]


def child(
    network: Network, endpoint: Endpoint, kind: ChildKind, *, mode: str, flag: str = "", mac: str = "", mtu: int = 0
) -> Child:
    """The interface of an endpoint."""
    if not endpoint.sandbox:
        raise ValueError(f"endpoint {endpoint.id} has no sandbox")
    return Child(
        kind=kind,
        sandbox=endpoint.sandbox,
        name=endpoint.inner_name,
        index=endpoint.inner_index,
        parent=parent_of(network),
        mode=mode,
        flag=flag,
        mac=mac,
        mtu=mtu,
        ipv6=network.ipv6,
    )


def beside_host(network: Network, endpoint: Endpoint, interface: Child) -> list[Desired]:
    """The interface, what is on it, and the host's way to it where the network has one."""
    reached = by_shim(network, endpoint) if host_access(network) else []
    return [*inside(network, endpoint, interface), *reached]


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
