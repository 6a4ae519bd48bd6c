"""Bridges that belong to a LAN: with an interface of the host as a port (`parent`), or of somebody else's making.

On a LAN a container is a machine like any other: its frames leave with its own MAC, its router is the LAN's, and the
host neither forwards nor translates for it. A bridge of somebody else may also be an ordinary one, on which the host
is the router; which of both it is follows from who has the gateway's address when the network is created.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_interface, ip_network

import msgspec

from netloom.drivers import parents
from netloom.drivers.bridge_options import (
    GATEWAY_MODE4,
    GATEWAY_MODE6,
    HOST_BINDING,
    HOST_IPV4,
    HOST_IPV6,
    INHIBIT_IPV4,
    MASQUERADE,
    MTU,
    NAME,
    TRUSTED,
)
from netloom.drivers.options import PARENT
from netloom.ipam.validate import parse_prefix
from netloom.model.desired import Desired, HostFacts, HostLink, Port
from netloom.model.errors import Conflict, Failed, InvalidArgument
from netloom.model.network import DEFAULT_GATEWAY, IpamConfig, Network, NetworkRequest
from netloom.model.truth import truth_of

_OF_THE_HOST = (GATEWAY_MODE4, GATEWAY_MODE6, HOST_BINDING, HOST_IPV4, HOST_IPV6, TRUSTED)


def completed(request: NetworkRequest, facts: HostFacts) -> NetworkRequest:
    """What the request leaves open and a bridge of somebody else says: the subnet, and the gateway of one.

    An address of the bridge is the gateway of its subnet where none is named: the host has it already.
    """
    bridge = _adoptable(request.driver, request.options.get(NAME, ""), facts)
    if bridge is None or request.config_only:
        return request
    config = list(request.ipam_config)
    for family, wanted in ((4, request.ipv4), (6, request.ipv6)):
        own = [a for a in bridge.addresses if ip_interface(a).version == family]
        if wanted and own and not any(_family(entry.subnet) == family for entry in config):
            config.append(IpamConfig(subnet=str(ip_interface(own[0]).network)))
    return msgspec.structs.replace(request, ipam_config=tuple(_with_gateway(entry, bridge) for entry in config))


def placed(network: Network, facts: HostFacts) -> Network:
    """The network with what follows from the host as it is now: whose its bridge is, its router, its MTU."""
    if network.driver != "bridge" or network.config_only:
        return network
    if parent := network.options.get(PARENT, ""):
        below = parents.carrier(parent, facts)
        mtu = network.mtu if MTU in network.options or below is None else below.mtu
        return msgspec.structs.replace(network, lan=True, mtu=mtu)
    bridge = _adoptable(network.driver, network.bridge, facts)
    if bridge is None:
        return network
    missing = list(_missing_gateways(network, bridge))
    inhibited = truth_of(network.options.get(INHIBIT_IPV4, "")) is True
    foreign = [a for a in missing if inhibited or _other_address(a, bridge)]
    lan = bridge.name in facts.uplinks or bool(foreign)
    return msgspec.structs.replace(
        network,
        adopted=True,
        lan=lan,
        given=() if lan else tuple(missing),
        mtu=network.mtu if MTU in network.options else bridge.mtu,
    )


def check(network: Network, others: Sequence[Network], facts: HostFacts) -> None:
    """Can the new network's bridge be part of that LAN? Raises naming the interface, whose it is, and what helps."""
    if network.lan:
        _check_options(network)
    if network.options.get(PARENT, ""):
        _check_parent(network, others, facts)
    elif not network.adopted and network.bridge in facts.links:
        raise Failed(f"existing interface {network.bridge} is not a bridge", remedy="choose another name")


def ports(network: Network, facts: HostFacts, index: int) -> list[Desired]:
    """The parent, made where it is a VLAN that is not there, and its place in the bridge.

    Nothing while the parent is gone, or a port of a bridge of somebody else: it is not taken from there.
    """
    if not network.options.get(PARENT, ""):
        return []
    name = parents.parent_of(network)
    made = parents.made(network, facts)
    there = facts.interface(name)
    if not made and (there is None or there.master not in ("", network.bridge)):
        return []
    return [*made, Port(link=name, master=network.bridge, master_index=index)]


def hosted(network: Network) -> list[str]:
    """The addresses, with prefix length, that the host has on the bridge of a LAN: those beside which a router of the
    LAN is named (auxiliary address DefaultGatewayIPv4 or …IPv6)."""
    inhibited = truth_of(network.options.get(INHIBIT_IPV4, "")) is True
    return [
        _on(pool.gateway, pool.subnet)
        for pool in network.pools
        if (family := _family(pool.subnet)) and DEFAULT_GATEWAY[family] in pool.aux and not network.adopted
        if (network.ipv6 if family == 6 else network.ipv4 and not inhibited)
    ]


def _adoptable(driver: str, name: str, facts: HostFacts) -> HostLink | None:
    there = facts.interface(name) if driver == "bridge" and name else None
    return there if there is not None and there.kind == "bridge" else None


def _with_gateway(entry: IpamConfig, bridge: HostLink) -> IpamConfig:
    if entry.gateway or parse_prefix(entry.subnet) is None:
        return entry  # what is no subnet is refused soon
    own = next((a for a in bridge.addresses if _within(a, entry.subnet)), "")
    return msgspec.structs.replace(entry, gateway=own.partition("/")[0]) if own else entry


def _missing_gateways(network: Network, bridge: HostLink) -> Iterator[str]:
    """Gateways that no interface of the host has: with prefix length."""
    have = {a.partition("/")[0] for a in bridge.addresses}
    for pool in network.pools:
        on = network.ipv6 if _family(pool.subnet) == 6 else network.ipv4
        if on and pool.gateway and pool.gateway not in have:
            yield _on(pool.gateway, pool.subnet)


def _other_address(gateway: str, bridge: HostLink) -> bool:
    """Has the host another address in the gateway's subnet? Then the gateway is a machine of the LAN."""
    subnet = str(ip_interface(gateway).network)
    return any(_within(a, subnet) for a in bridge.addresses)


def _check_options(network: Network) -> None:
    if network.internal:
        raise InvalidArgument(
            f"network {network.name} cannot be internal: its bridge {network.bridge} is part of a LAN",
            remedy="leave out --internal, or the parent",
        )
    told = [key for key in _OF_THE_HOST if key in network.options]
    if truth_of(network.options.get(MASQUERADE, "")) is True:
        told.append(MASQUERADE)
    if told:
        raise InvalidArgument(
            f"option {told[0]} means nothing on network {network.name}: its containers are machines of a LAN",
            remedy="leave it out; the host neither forwards nor translates for them",
        )


def _check_parent(network: Network, others: Sequence[Network], facts: HostFacts) -> None:
    parent = parents.parent_of(network)
    if network.bridge in facts.links:
        raise InvalidArgument(
            f"bridge {network.bridge} is there already, and option parent is for bridges that netloom makes",
            remedy=f"make {parent} a port of it yourself (ip link set {parent} master {network.bridge}), or choose"
            " another name",
        )
    for other in parents.users(parent, others):
        raise Conflict(
            f"{other.driver} network {other.name} ({other.id}) is already using parent interface {parent}",
            remedy="a bridge has its port alone; choose another interface, or a VLAN of it",
        )
    parents.check_there(network, facts)
    there = facts.interface(parent)
    if there is None:
        return
    if there.kind == "bridge":
        raise InvalidArgument(
            f"parent interface {parent} is a bridge", remedy=f"use it as it stands: -o {NAME}={parent}, without parent"
        )
    if there.master:
        raise Conflict(
            f"parent interface {parent} is a port of {there.master} already",
            remedy=f"where that is a bridge, use it: -o {NAME}={there.master}, without parent; or take {parent} from"
            f" it (ip link set {parent} nomaster)",
        )
    if there.addresses:
        raise Conflict(
            f"parent interface {parent} has addresses, which stop working when it becomes a port of a bridge:"
            f" {', '.join(there.addresses)}",
            remedy=f"make a bridge, move them there with {parent} as its port, and name it by -o {NAME}; or take the"
            " driver macvlan",
        )


def _on(address: str, subnet: str) -> str:
    return f"{address}/{subnet.rpartition('/')[2]}"


def _within(address: str, subnet: str) -> bool:
    interface, block = ip_interface(address), ip_network(subnet, strict=False)
    return interface.version == block.version and interface.ip in block


def _family(text: str) -> int:
    return 6 if ":" in text else 4
