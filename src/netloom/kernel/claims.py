"""Which addresses others on the host use: what no new network may have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_interface

from netloom.model.desired import HostRoute
from netloom.netlink.address import InterfaceAddress
from netloom.netlink.link import Link
from netloom.netlink.route import LOCAL, RouteEntry

_ANYWHERE = ("default", "default6")


def claimed(
    links: Mapping[int, Link],
    ours: Collection[int],
    routes: Iterable[RouteEntry],
    addresses: Iterable[InterfaceAddress],
) -> list[HostRoute]:
    """Routes of whatever table (VPNs have their own), then subnets of interfaces that no route tells of: one that is
    down has none. What is in a VRF is a world of its own. `ours` are indices of netloom's links.
    """
    vrfs = {index for index, one in links.items() if one.kind == "vrf"}
    others = {
        index: one.name
        for index, one in links.items()
        if index not in ours and index not in vrfs and one.master not in vrfs
    }
    found = {
        (r.destination, r.ifindex): HostRoute(r.destination, others[r.ifindex])
        for r in routes
        if r.ifindex in others and r.table != LOCAL and r.destination not in _ANYWHERE
    }
    for a in addresses:
        if a.ifindex in others:
            subnet = str(ip_interface(a.address).network)
            found.setdefault((subnet, a.ifindex), HostRoute(subnet, others[a.ifindex], a.address))
    return list(found.values())
