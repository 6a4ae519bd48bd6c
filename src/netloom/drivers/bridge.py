"""Bridge networks: a Linux bridge on the host, a veth pair for each endpoint, NAT towards the rest of the world."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from functools import lru_cache

from netloom.dhcp.settings import by_dhcp
from netloom.drivers import lan, parents
from netloom.drivers.bridge_options import BridgeOptions
from netloom.drivers.options import PARENT
from netloom.drivers.parents import leased_routes
from netloom.firewall.elements import (
    apart_elements,
    guard_elements,
    lan_elements,
    member_elements,
    needs_loopback_route,
    network_elements,
    open_elements,
    port_elements,
    trust_elements,
)
from netloom.firewall.forwarding import bridge_sysctls
from netloom.model.desired import (
    Address,
    Bridge,
    Desired,
    Element,
    HostFacts,
    LinkKind,
    Neighbour,
    Route,
    Sysctl,
    Veth,
)
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.errors import Failed, Forbidden, InvalidArgument
from netloom.model.network import DEFAULT_GATEWAY, Network, NetworkRequest

_DOTTED = str.maketrans("./", "/.")

INDEX_BASE = 1_000_000  # far above the interface indices that the kernel counts out by itself


class BridgeDriver:
    """Networks of one host; the default driver."""

    name = "bridge"
    singleton = False

    def options(self, request: NetworkRequest, network_id: str, default_mtu: int) -> tuple[dict[str, str], int, str]:
        """Options as written (Docker adds none), the MTU and the bridge's name."""
        if request.config_only:
            return dict(request.options), default_mtu, ""
        parsed = BridgeOptions.parse(request.options, internal=request.internal, ipv6=bool(request.ipv6))
        if parsed.default_bridge and request.name != "bridge":
            raise InvalidArgument("only the predefined network bridge can be the default bridge")
        return dict(request.options), parsed.mtu or default_mtu, parsed.name or f"br-{network_id[:12]}"

    def check(self, network: Network, others: Sequence[Network], facts: HostFacts | None = None) -> None:
        """One subnet of each family, and a bridge that nobody else has; `facts` tell of interfaces that stand."""
        for family in (4, 6):
            if len([p for p in network.pools if _family(p.subnet) == family]) > 1:
                raise Forbidden("bridge driver doesn't support multiple subnets")
        if network.internal and any(not pool.aux.keys().isdisjoint(DEFAULT_GATEWAY.values()) for pool in network.pools):
            raise InvalidArgument("no gateway can be set on an internal bridge network")
        for other in others:
            if network.bridge and other.bridge == network.bridge:
                raise Forbidden(
                    f"cannot create network {network.id} ({network.bridge}): conflicts with network"
                    f" {other.id} ({other.bridge}): networks have same bridge name"
                )
        if facts:
            lan.check(network, others, facts)

    def internal(self, request: NetworkRequest) -> bool:
        """As asked."""
        return request.internal

    def needs(self, network: Network, facts: HostFacts) -> list[LinkKind]:
        """Nothing that a kernel of our users lacks, but VLANs where one must be made."""
        return parents.needs(network, facts) if network.options.get(PARENT) else []

    def admit(self, network: Network, name: str, mac: str, others: Collection[Endpoint], facts: HostFacts) -> None:
        """Any. Raises Failed when the bridge of somebody else has gone."""
        if network.adopted and facts.interface(network.bridge) is None:
            raise Failed(
                f"bridge {network.bridge} of network {network.name} is not there",
                remedy="bring it back; it was not made by netloom",
            )

    def network(self, network: Network, facts: HostFacts) -> list[Desired]:
        """The bridge, its addresses, its switches, and what the firewall must know of it."""
        if network.config_only:
            return []
        link, index = network.bridge, bridge_index(network, facts)
        addresses = bridge_addresses(network)
        desired: list[Desired] = [] if network.adopted else [_bridge(network, index, addresses)]
        # Elements before addresses: from its first packet on the bridge is judged.
        desired += _network_elements(network, addresses)
        if not network.adopted:
            desired += bridge_sysctls(network, addresses)
            desired += lan.ports(network, facts, index)
        if index:
            desired += [Address(link=link, index=index, address=address) for address in addresses]
        return desired

    def endpoint(self, network: Network, endpoint: Endpoint, facts: HostFacts) -> list[Desired]:
        """The pair, what is inside, and what the host must know of it."""
        if not endpoint.sandbox:
            raise ValueError(f"endpoint {endpoint.id} has no sandbox")
        index = bridge_index(network, facts)
        addresses = [a for a in (endpoint.ipv4, endpoint.ipv6) if a]
        desired: list[Desired] = [
            Veth(
                name=endpoint.host_name,
                index=INDEX_BASE + endpoint.number,
                # A bridge of somebody else takes the lowest MAC of its ports: it must never be one of ours.
                mac=_mac("fe", endpoint.id),
                mtu=network.mtu,
                master=network.bridge if index else "",
                master_index=index,
                sandbox=endpoint.sandbox,
                peer_name=endpoint.inner_name,
                peer_index=endpoint.inner_index,
                peer_mac=endpoint.mac,
                # A container that asks for its own published port comes back out of the port it went in by, where
                # bridged packets pass the IP hooks.
                hairpin=bool(endpoint.ports) and not network.internal,
                peer_ipv6=network.ipv6,
                peer_mtu=_leased_mtu(network, endpoint),
            )
        ]
        desired += _judged(network, endpoint, addresses)
        desired += _inner(network, endpoint, addresses)
        if network.lan:
            desired += member_elements(network.bridge, [a.partition("/")[0] for a in addresses])
        elif index:
            desired += [
                Neighbour(link=network.bridge, index=index, address=a.partition("/")[0], mac=endpoint.mac)
                for a in addresses
                if ":" not in a or network.adopted or _options(network).mode6 != "isolated"
            ]
        if endpoint.ports and not network.internal:
            if needs_loopback_route(endpoint.ports):
                desired.append(Sysctl(path=f"net/ipv4/conf/{network.bridge}/route_localnet", value="1"))
            ipv4, ipv6 = (a.partition("/")[0] for a in (endpoint.ipv4, endpoint.ipv6))
            desired += port_elements(endpoint.ports, ipv4, ipv6)
            desired += open_elements(_untranslated(_options(network), endpoint.ports), ipv4, ipv6)
        return desired


def _options(network: Network) -> BridgeOptions:
    """Those of a network that stands: every attach asks for them."""
    return _parsed(tuple(network.options.items()), network.internal)


@lru_cache(maxsize=256)
def _parsed(options: tuple[tuple[str, str], ...], internal: bool) -> BridgeOptions:
    return BridgeOptions.parse(dict(options), internal=internal)


def bridge_index(network: Network, facts: HostFacts) -> int:
    """The interface index of the network's bridge; 0 where somebody else's has gone."""
    if not network.adopted:
        return INDEX_BASE + network.number
    there = facts.interface(network.bridge)
    return there.index if there is not None else 0


def _bridge(network: Network, index: int, addresses: Sequence[str]) -> Bridge:
    return Bridge(
        name=network.bridge,
        index=index,
        mac=_mac("02", network.id),
        mtu=network.mtu,
        alias=f"netloom {network.id}",
        ipv6=_has_ipv6(network, addresses),
    )


def _has_ipv6(network: Network, addresses: Sequence[str]) -> bool:
    """Has the host IPv6 on the bridge? Without an address not on a LAN, nor where the gateway mode is `isolated`.

    It would take an address that a router advertises, or be reached by its link-local one.
    """
    must_have = network.lan or _options(network).mode6 == "isolated"
    return network.ipv6 and (not must_have or any(":" in a for a in addresses))


def bridge_addresses(network: Network) -> list[str]:
    """What netloom gives the bridge, with prefix length."""
    if network.adopted:
        return list(network.given)
    if network.lan:
        return lan.hosted(network)
    options = _options(network)
    addresses = []
    for pool in network.pools:
        family = _family(pool.subnet)
        isolated = (options.mode6 if family == 6 else options.mode4) == "isolated"
        wanted = not isolated and (network.ipv6 if family == 6 else network.ipv4 and not options.inhibit_ipv4)
        if pool.gateway and wanted:
            addresses.append(f"{pool.gateway}/{pool.subnet.rpartition('/')[2]}")
    return addresses


def _network_elements(network: Network, addresses: Sequence[str]) -> list[Element]:
    options = _options(network)
    if network.lan:
        return lan_elements(network.bridge, hosted=bool(addresses))
    return [
        *network_elements(network.bridge, internal=network.internal, apart=not options.icc, ways=options.ways),
        *trust_elements(network.bridge, options.trusted),
    ]


def guard_of(network: Network, endpoint: Endpoint) -> str:
    """Which sources the guard lets an endpoint use: its `own`, `any` as a router, all without a guard (`off`)."""
    if not _options(network).guard:
        return "off"
    return "any" if endpoint.routing else "own"


def _judged(network: Network, endpoint: Endpoint, addresses: Sequence[str]) -> list[Element]:
    """What keeps the endpoint to its own addresses, and from its neighbours where the network says so."""
    options = _options(network)
    judged: list[Element] = []
    if not options.icc:
        judged += apart_elements(endpoint.host_name)
    if options.guard:
        own = [a.partition("/")[0] for a in (*addresses, *endpoint.link_local)]
        if network.ipv6:
            own.append(link_local(endpoint.mac))
        if by_dhcp(network):
            own.append("0.0.0.0")  # who asks for an address (RFC 2131, section 4.1)
        judged += guard_elements(
            endpoint.host_name,
            endpoint.mac,
            [*own, *endpoint.further],
            routing=endpoint.routing,
            ethertypes=options.ethertypes,
        )
    return judged


def _inner(network: Network, endpoint: Endpoint, addresses: Sequence[str]) -> list[Desired]:
    """What stands in the sandbox."""
    sandbox, link, index = endpoint.sandbox, endpoint.inner_name, endpoint.inner_index
    inner: list[Desired] = [Address(link=link, index=index, address=address, sandbox=sandbox) for address in addresses]
    inner += [
        Address(link=link, index=index, address=_with_prefix(address), sandbox=sandbox)
        for address in endpoint.link_local
    ]
    for destination, wanted, gateway in (
        ("default", endpoint.default4, endpoint.gateway4),
        ("default6", endpoint.default6, endpoint.gateway6),
    ):
        if wanted and gateway and not network.internal:
            inner.append(Route(destination=destination, via=gateway, link=link, index=index, sandbox=sandbox))
    if network.lan and network.ipv6:
        # Its addresses and its router are those that it was given: the guard knows no others.
        inner.append(Sysctl(path=f"net/ipv6/conf/{link.replace('.', '/')}/accept_ra", value="0", sandbox=sandbox))
    if not network.internal:
        inner += leased_routes(endpoint, link, index)
    if endpoint.routing:
        # Where it speaks from an address of another interface, it asks for its neighbours as itself: the guard
        # lets no other sender of ARP pass.
        path = f"net/ipv4/conf/{endpoint.inner_name}/arp_announce"
        inner.append(Sysctl(path=path, value="2", sandbox=sandbox))
    # Dots between names become slashes; a slash stands for a dot of the interface's own name (sysctl.d(5)).
    inner += [Sysctl(path=path.translate(_DOTTED), value=value, sandbox=sandbox) for path, value in endpoint.sysctls]
    return inner


def _leased_mtu(network: Network, endpoint: Endpoint) -> int:
    """What the endpoint's lease says of the LAN, where the user says nothing; no more than the bridge takes."""
    if endpoint.lease is None or _options(network).mtu:
        return 0
    return min(endpoint.lease.terms.mtu, network.mtu)


def _untranslated(options: BridgeOptions, ports: Sequence[PortBinding]) -> list[PortBinding]:
    """Ports that are reached at the container's own address as well, or alone."""
    if options.trusted:
        return list(ports)
    routed = options.routed
    return [p for p in ports if p.family in routed] if routed else []


def link_local(mac: str) -> str:
    """What the kernel gives an interface by itself (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:]))


def _with_prefix(link_local: str) -> str:
    """169.254.0.0/16 is one link (RFC 3927), of fe80::/10 the first /64 (RFC 4291)."""
    return link_local if "/" in link_local else f"{link_local}/{16 if _family(link_local) == 4 else 64}"


def _mac(first: str, key: str) -> str:
    """A unicast, locally administered address that follows from an id: a bridge's must not change with its ports."""
    return ":".join([first, *(key[i : i + 2] for i in range(0, 10, 2))])


def _family(text: str) -> int:
    return ipaddress.ip_address(text.partition("/")[0]).version
