"""Addresses that a network and something else of the host both have: said so that both sides are known."""

from __future__ import annotations

from ipaddress import ip_network

from msgspec import Struct

from netloom.ipam.routes import words
from netloom.model.desired import HostRoute
from netloom.model.finding import Finding


class Clash(Struct, frozen=True):
    """A subnet of a network, by the network's id, and what of the host's came to overlap it."""

    network: str
    subnet: str
    other: HostRoute

    @property
    def shared(self) -> str:
        """The addresses that both have: of two overlapping CIDRs the narrower one."""
        blocks = ip_network(self.subnet), ip_network(self.other.destination, strict=False)
        return str(max(blocks, key=lambda block: block.prefixlen))


def finding(clash: Clash, name: str) -> Finding:
    """For people; `name` is the network's."""
    if name == "bridge":
        anew = "give the daemon another subnet for its default network (--bip) and start it again"
    else:
        anew = f"remove network {name} and create it again, without a subnet (a free one is chosen) or with another one"
    return Finding(
        kind="address clash",
        between=(f"network {name} ({clash.subnet})", words(clash.other)),
        effect=f"of those who have an address of {clash.shared} the host reaches only the ones of one side",
        remedy=f"{anew}; or give the other side other addresses",
    )
