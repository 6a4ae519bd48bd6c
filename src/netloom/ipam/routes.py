"""The host's routes, and the subnets of its interfaces, as addresses that no network may take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from netloom.ipam.intervals import Intervals
from netloom.ipam.pools import Subnet
from netloom.model.desired import HostRoute

# What is wider only says where everything else goes: default routes, their halves as VPNs set them (0.0.0.0/1), and
# 2000::/3, the whole of global unicast. Lengths are in bits.
_WIDEST = {4: 2, 6: 4}


class Routes:
    """Routes to somewhere in particular."""

    def __init__(self, routes: Sequence[HostRoute]) -> None:
        self._routes = [(ip_network(route.destination, strict=False), route) for route in routes if _names(route)]
        self._routes = [(block, route) for block, route in self._routes if _matters(block)]

    def __iter__(self) -> Iterator[tuple[Subnet, HostRoute]]:
        return iter(self._routes)

    def ranges(self, version: int) -> Intervals:
        """All of a family, for choosing around them."""
        ranges = Intervals()
        for block, _ in self._routes:
            if block.version == version:
                ranges.add(int(block.network_address), int(block.broadcast_address))
        return ranges

    def meeting(self, subnet: Subnet) -> HostRoute | None:
        """The narrowest route that shares an address with this subnet."""
        met = [
            (block.prefixlen, at)
            for at, (block, _) in enumerate(self._routes)
            if block.version == subnet.version and block.overlaps(subnet)
        ]
        return self._routes[max(met)[1]][1] if met else None


def words(route: HostRoute) -> str:
    """What it is, for people."""
    if route.address:
        return f"the address {route.address} of the host's interface {route.link}"
    return f"the host's route to {route.destination} by {route.link}"


def _names(route: HostRoute) -> bool:
    return route.destination not in ("", "default", "default6")


def _matters(block: Subnet) -> bool:
    # every host has its own loopback, link-local and multicast blocks; they say nothing about where a subnet lies
    apart = block.is_loopback or block.is_link_local or block.is_multicast
    return block.prefixlen >= _WIDEST[block.version] and not apart
