"""What stands in the kernel and carries our mark, as desired objects; and the facts about the host.

Ours are bridges, VLANs, dummies, macvlans and ipvlans with an alias `netloom …`, veths named `nl` and twelve hex
digits, the tables named `netloom`, the pair of `firewall.cooperation`; and inside sandboxes what is in the interface
groups `netlink.link.MARKED`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netloom.firewall.cooperation import BACK, IN
from netloom.firewall.forwarding import bridge_paths, watched_paths
from netloom.kernel import claims, sysctl, translate
from netloom.kernel.socket import NetlinkSocket
from netloom.model.desired import (
    Address,
    Bridge,
    Child,
    ChildKind,
    Desired,
    Element,
    HostFacts,
    HostLink,
    HostRoute,
    Loop,
    Neighbour,
    Parent,
    Route,
    Shim,
    ShimKind,
    Sysctl,
    Veth,
)
from netloom.netlink import address, link, neighbour, nft, route

ALIAS = "netloom "
TABLE = "netloom"
_VETH = re.compile(r"nl[0-9a-f]{12}")
_SHIMS = ("macvlan", "ipvlan")
_LINK_SCOPE = 253
_LOOP_SETTINGS = ("net/ipv4/conf/{}/rp_filter", "net/ipv4/conf/{}/forwarding")
_BRIDGE_SETTINGS = (  # what drivers set on a bridge
    "net/ipv4/conf/{}/forwarding",
    "net/ipv4/conf/{}/route_localnet",
    "net/ipv6/conf/{}/accept_dad",
    "net/ipv6/conf/{}/accept_ra",
    "net/ipv6/conf/{}/forwarding",
)


def links(socket: NetlinkSocket) -> list[link.Link]:
    """All links of the socket's namespace."""
    return [link.parse(body) for body in socket.dump(link.dump())]


def is_ours(one: link.Link) -> bool:
    """Does it carry our mark?"""
    if one.kind == "veth":
        return one.name in (IN, BACK) or _VETH.fullmatch(one.name) is not None
    return one.kind in ("bridge", "vlan", "dummy", *_SHIMS) and one.alias.startswith(ALIAS)


def host(socket: NetlinkSocket, nft_socket: NetlinkSocket) -> list[Desired]:
    """Everything of ours in the host's namespace, in which the calling thread is."""
    everything = links(socket)
    names = {one.ifindex: one.name for one in everything}
    bridges = [one for one in everything if one.kind == "bridge" and is_ours(one)]
    found: list[Desired] = [_bridge(one) for one in bridges]
    found += [_parent(one, names) for one in everything if one.kind in ("vlan", "dummy") and is_ours(one)]
    found += [_host_half(one, names) for one in everything if one.kind == "veth" and _VETH.fullmatch(one.name)]
    loops = [one for one in everything if one.kind == "veth" and one.name in (IN, BACK)]
    found += [_loop(one, loops) for one in loops if one.name == IN]
    shims = [one for one in everything if one.kind in _SHIMS and is_ours(one)]
    found += [_shim(one, names) for one in shims]
    ours = {one.ifindex: one.name for one in (*bridges, *loops, *shims)}
    found += [Address(ours[a.ifindex], a.ifindex, a.address) for a in _addresses(socket) if a.ifindex in ours]
    found += _neighbours(socket, ours)
    found += _routes_by(socket, shims, found)
    found += [s for one in (*bridges, *shims) for s in _settings(one.name, _BRIDGE_SETTINGS)]
    found += [s for one in loops if one.name == BACK for s in _settings(one.name, _LOOP_SETTINGS)]
    found += _elements(nft_socket)
    return found


def sandbox(socket: NetlinkSocket, key: str, ipv6: Iterable[str]) -> list[Desired]:
    """Links (as far as they can be known from inside), addresses and routes of the socket's namespace.

    `ipv6` are the interfaces that have IPv6 on. A veth has the host's index and no host's name; what stands on a
    parent does not tell its name.
    """
    inside = {one.ifindex: one for one in links(socket) if one.kind == "veth" or one.group in link.MARKED}
    on = set(ipv6)
    found: list[Desired] = [
        (_child if one.group in link.MARKED else _inner_half)(one, key, one.name in on) for one in inside.values()
    ]
    found += [
        Address(inside[a.ifindex].name, a.ifindex, a.address, key) for a in _addresses(socket) if a.ifindex in inside
    ]
    found += [
        Route(r.destination, r.via, inside[r.ifindex].name, r.ifindex, key)
        for r in _routes(socket)
        if r.ifindex in inside
    ]
    return found


def facts(socket: NetlinkSocket) -> HostFacts:
    """Routes, addresses, uplinks and settings of the host's namespace, in which the calling thread is."""
    everything = {one.ifindex: one for one in links(socket)}
    all_routes = [r for r in _all_routes(socket) if r.ifindex in everything]
    addresses = _addresses(socket)
    routes = [r for r in all_routes if r.table == route.MAIN]
    ours = {i for i, one in everything.items() if is_ours(one)}
    defaults = sorted((r for r in routes if r.destination in ("default", "default6")), key=lambda r: r.metric)
    uplinks = tuple(dict.fromkeys(everything[r.ifindex].name for r in defaults if r.ifindex not in ours))
    first = next((everything[r.ifindex] for r in defaults if r.destination == "default"), None)
    first = first or next((everything[r.ifindex] for r in defaults), None)
    others = tuple(
        HostRoute(r.destination, everything[r.ifindex].name)
        for r in routes
        if r.ifindex not in ours and r.destination not in ("default", "default6")
    )
    bridges = [one.name for one in everything.values() if one.kind == "bridge" and one.ifindex not in ours]
    paths = [*watched_paths([*uplinks, *(r.link for r in others)]), *bridge_paths(bridges)]
    return HostFacts(
        default_mtu=first.mtu if first else 1500,
        uplinks=uplinks,
        routes=others,
        claimed=tuple(claims.claimed(everything, ours, all_routes, addresses)),
        addresses=tuple(a.address.partition("/")[0] for a in addresses if a.ifindex not in ours),
        interfaces=tuple(
            _host_link(one, everything, addresses) for one in everything.values() if one.ifindex not in ours
        ),
        vlan_masters=tuple(
            (one.name, everything[one.master].name)
            for one in everything.values()
            if one.kind == "vlan" and one.ifindex in ours and one.master in everything
        ),
        sysctls=tuple(_values(dict.fromkeys(paths))),
    )


def _host_link(
    one: link.Link, everything: Mapping[int, link.Link], addresses: Iterable[address.InterfaceAddress]
) -> HostLink:
    master = everything.get(one.master)
    own = tuple(a.address for a in addresses if a.ifindex == one.ifindex)
    return HostLink(one.name, one.ifindex, one.kind, one.mtu, one.mac, master.name if master else "", own)


def _bridge(one: link.Link) -> Bridge:
    ipv6 = _has_ipv6(one.name)
    return Bridge(one.name, one.ifindex, one.mac, one.mtu, one.alias, ipv6=ipv6, up=one.up, hooked=one.hooked)


def _parent(one: link.Link, names: dict[int, str]) -> Parent:
    base = names.get(one.peer, "?") if one.kind == "vlan" else ""
    return Parent(one.name, one.ifindex, one.alias, base=base, vlan=one.vlan, up=one.up)


def _loop(one: link.Link, loops: Iterable[link.Link]) -> Loop:
    """As its ends are: where they differ in anything it is none of ours."""
    back = next((other for other in loops if other.name == BACK and one.peer == other.ifindex), None)
    alike = back is not None and (one.mac, one.mtu) == (back.mac, back.mtu)
    return Loop(
        name=one.name,
        index=one.ifindex,
        peer_name=back.name if back else "",
        peer_index=one.peer,
        mac=one.mac if alike else "",
        mtu=one.mtu,
        up=one.up and back is not None and back.up,
    )


def _shim(one: link.Link, names: dict[int, str]) -> Shim:
    kind: ShimKind = "ipvlan" if one.kind == "ipvlan" else "macvlan"
    parent = names.get(one.peer, "?")
    return Shim(kind, one.name, one.ifindex, parent, one.alias, one.mac, ipv6=_has_ipv6(one.name), up=one.up)


def _routes_by(socket: NetlinkSocket, shims: Sequence[link.Link], found: Iterable[Desired]) -> list[Route]:
    """Routes by interfaces that are ours alone, without those that the kernel makes of their addresses."""
    if not shims:
        return []
    names = {one.ifindex: one.name for one in shims}
    own = {(o.link, o.address) for o in found if isinstance(o, Address)}
    return [
        Route(r.destination, r.via, names[r.ifindex], r.ifindex)
        for r in _routes(socket)
        if r.ifindex in names and (names[r.ifindex], r.destination) not in own
    ]


def _child(one: link.Link, key: str, ipv6: bool) -> Child:
    kind: ChildKind = "device" if one.group == link.LENT else "ipvlan" if one.kind == "ipvlan" else "macvlan"
    return Child(kind, key, one.name, one.ifindex, parent="", mode="", mac=one.mac, mtu=one.mtu, ipv6=ipv6)


def _has_ipv6(interface: str) -> bool:
    return _value(translate.ipv6_switch(interface)) == "0"


def _host_half(one: link.Link, names: dict[int, str]) -> Veth:
    return Veth(
        name=one.name,
        index=one.ifindex,
        mac=one.mac,
        mtu=one.mtu,
        master=names.get(one.master, ""),
        master_index=one.master,
        sandbox="",
        peer_name="",
        peer_index=one.peer,
        peer_mac="",
        hairpin=one.hairpin,
        up=one.up,
    )


def _inner_half(one: link.Link, key: str, ipv6: bool) -> Veth:
    return Veth(
        name="",
        index=one.peer,
        mac="",
        mtu=one.mtu,
        master="",
        master_index=0,
        sandbox=key,
        peer_name=one.name,
        peer_index=one.ifindex,
        peer_mac=one.mac,
        peer_ipv6=ipv6,
        up=one.up,
    )


def _addresses(socket: NetlinkSocket) -> list[address.InterfaceAddress]:
    """Those that somebody gave: not the link-local ones, which the kernel makes."""
    found = (address.parse(body) for body in socket.dump(address.dump()))
    return [a for a in found if a is not None and a.scope != _LINK_SCOPE]


def _routes(socket: NetlinkSocket) -> list[route.RouteEntry]:
    """Those of the main table."""
    return [r for r in _all_routes(socket) if r.table == route.MAIN]


def _all_routes(socket: NetlinkSocket) -> list[route.RouteEntry]:
    """Unicast routes of all tables, without the kernel's for link-local and multicast addresses."""
    found = (route.parse(body) for body in socket.dump(route.dump()))
    return [r for r in found if r is not None and r.unicast and not r.destination.startswith(("fe80:", "ff00:"))]


def _neighbours(socket: NetlinkSocket, ours: dict[int, str]) -> list[Neighbour]:
    found = (neighbour.parse(body) for body in socket.dump(neighbour.dump()))
    return [
        Neighbour(ours[n.ifindex], n.ifindex, n.address, n.mac)
        for n in found
        if n is not None and n.ifindex in ours and not n.address.startswith("fe80:")
    ]


def _settings(link: str, patterns: Iterable[str]) -> Iterator[Sysctl]:
    for pattern in patterns:
        path = pattern.format(link)
        value = _value(path)
        if value is not None:
            # The host's switch of IPv6 forwarding sets each interface's too, and whoever throws it changes `default`.
            by_host = pattern == "net/ipv6/conf/{}/forwarding"
            yield Sysctl(path, value, untouched=by_host or value == _value(pattern.format("default")))


def _elements(socket: NetlinkSocket) -> Iterator[Element]:
    for family in (nft.INET, nft.BRIDGE):
        for body in socket.dump(nft.dump_sets(family, TABLE)):
            one = nft.parse_set(body)
            if not one.plain:
                continue
            for part in socket.dump(nft.dump_elements(family, TABLE, one.name)):
                for e in nft.parse_elements(part):
                    yield Element(one.name, e.key, e.value, e.verdict, TABLE, family, e.key_end)


def hits(socket: NetlinkSocket, sets: Iterable[str]) -> list[tuple[Element, int]]:
    """Elements of sets of the inet table, and their counters."""
    return [
        (Element(name, e.key, e.value, e.verdict, TABLE, nft.INET, e.key_end), e.hits)
        for name in sets
        for part in socket.dump(nft.dump_elements(nft.INET, TABLE, name))
        for e in nft.parse_elements(part)
    ]


def _values(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        if (value := _value(path)) is not None:
            yield path, value


def _value(path: str) -> str | None:
    """None where there is no such setting: the kernel lacks the protocol, or the interface has just gone."""
    try:
        return sysctl.read(path)
    except OSError:
        return None
