"""What the resolver of a sandbox knows: its networks in order, and its links. No bytes of messages here."""

from __future__ import annotations

from typing import TypeAlias

from netloom.dns.message import TYPE_MX
from netloom.dns.rdata.a import A
from netloom.dns.rdata.aaaa import AAAA
from netloom.dns.rdata.ptr import PTR
from netloom.dns.zone import Addresses, Network, Zones, reverse_address, wire_name

Found: TypeAlias = tuple[A | AAAA | PTR, ...]

# Asked of a name that is ours, these are answered here, with nothing if need be. All others go upstream, as Docker
# sends them (it answers SRV for services only).
ANSWERED = frozenset((A.TYPE, AAAA.TYPE, TYPE_MX, PTR.TYPE))


class View:
    """The names that one set of sandboxes sees: those on the same networks, in the same order, with the same links."""

    def __init__(self, zones: Zones, networks: tuple[str, ...], links: tuple[tuple[str, str], ...] = ()) -> None:
        self.zones = zones
        self._ids = networks
        self._links = {wire: endpoint for name, endpoint in links if (wire := wire_name(name)) is not None}
        self._networks: list[Network] = [zones.watch(ident, self.changed) for ident in networks]

    def changed(self) -> None:
        """Called after each change of a name that the view may see."""

    def close(self) -> None:
        """Let go of the networks."""
        for ident in self._ids:
            self.zones.unwatch(ident, self.changed)

    def find(self, name: bytes, kind: int) -> Found | None:
        """The data for a lower-case name; empty: it is ours and has none of this type; None: it is not ours.

        `a.b.c` is the name `a.b.c` in any network, else `a.b` in network `c`, else `a` in network `b.c`.
        """
        if kind not in ANSWERED:
            return None
        if kind == PTR.TYPE:
            return self._reverse(name)
        known = False
        for prefix, suffix in _splits(name):
            for addresses in self._addresses(prefix, suffix):
                known = True
                if kind == A.TYPE and addresses.ipv4:
                    return tuple(A(address) for address in addresses.ipv4)
                if kind == AAAA.TYPE and addresses.ipv6:
                    return tuple(AAAA(address) for address in addresses.ipv6)
            if known:
                return ()
        return None

    def _addresses(self, name: bytes, network_name: bytes) -> list[Addresses]:
        """What each network that may answer says, in order; a link hides the name that it is called by."""
        if not network_name and name in self._links:
            linked = self._links[name]
            return [found for network in self._networks if (found := network.of_endpoint(linked)) is not None]
        return [
            found
            for network in self._networks
            if (not network_name or network.name == network_name) and (found := network.lookup(name)) is not None
        ]

    def _reverse(self, name: bytes) -> Found | None:
        address = reverse_address(name)
        if address is not None:
            for network in self._networks:
                target = network.reverse(address)
                if target is not None:
                    return (PTR(target),)
        return None


def _splits(name: bytes) -> list[tuple[bytes, bytes]]:
    """(`a.b.c`, nothing), (`a.b`, `c`), (`a`, `b.c`); the root's name alone has none."""
    starts = []
    at = 0
    while name[at]:
        starts.append(at)
        at += 1 + name[at]
    if not starts:
        return []
    return [(name, b""), *((name[:start] + b"\0", name[start:]) for start in reversed(starts[1:]))]
