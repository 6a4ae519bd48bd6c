"""What the resolver of a sandbox knows: its networks in order, their records, its links. No bytes of messages here."""

from __future__ import annotations

from typing import TypeAlias

from netloom.dns import records as extra
from netloom.dns.message import TYPE_MX
from netloom.dns.rdata import Rdata
from netloom.dns.rdata.a import A
from netloom.dns.rdata.aaaa import AAAA
from netloom.dns.rdata.ptr import PTR
from netloom.dns.zone import Addresses, Network, Zones, closest, reverse_address, wire_name

Found: TypeAlias = tuple[Rdata, ...]
Pairs: TypeAlias = tuple[tuple[str, str], ...]

# Asked of a container's name, these are answered here, with nothing if need be. All others go upstream, as Docker sends
# them (it answers SRV for services only). A name with records of its own is answered here whatever is asked.
ANSWERED = frozenset((A.TYPE, AAAA.TYPE, TYPE_MX))


class View:
    """The names that one set of sandboxes sees: those on the same networks, in the same order, with the same links."""

    def __init__(self, zones: Zones, networks: tuple[str, ...], links: Pairs = (), records: Pairs = ()) -> None:
        """`links` are (name, endpoint), `records` (network, text as `dns.records` reads it)."""
        self.zones = zones
        self._ids = networks
        self._links = {wire: endpoint for name, endpoint in links if (wire := wire_name(name)) is not None}
        self._networks: list[Network] = [zones.watch(ident, self.changed) for ident in networks]
        tables = {ident: extra.parse(text) for ident, text in records}
        self._extra = [tables.get(ident, {}) for ident in networks]
        self._plain = not any(self._extra)

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
        if kind == PTR.TYPE and (found := self._reverse(name)):
            return found
        containers = kind in ANSWERED
        if self._plain and not containers:
            return None
        for prefix, suffix in _splits(name):
            known = False
            for addresses, rows in self._told(prefix, suffix):
                if rows is None and not containers:
                    continue
                known = True
                data = (*_of_type(addresses, kind), *(rows or {}).get(kind, ()))
                if data:
                    return data
            if known:
                return ()
        return None

    def _told(self, name: bytes, network_name: bytes) -> list[tuple[Addresses | None, dict[int, Found] | None]]:
        """What each network that may answer says, in order; a link hides the name that it is called by."""
        if not network_name and name in self._links:
            linked = self._links[name]
            return [(found, None) for network in self._networks if (found := network.of_endpoint(linked)) is not None]
        told = []
        for network, table in zip(self._networks, self._extra, strict=True):
            if network_name and network.name != network_name:
                continue
            addresses, rows = network.lookup(name), table.get(name)
            if addresses is None and rows is None:
                addresses, rows = network.wildcard(name), closest(table, name) if table else None
            if addresses is not None or rows is not None:
                told.append((addresses, rows))
        return told

    def _reverse(self, name: bytes) -> Found | None:
        address = reverse_address(name)
        if address is not None:
            for network in self._networks:
                target = network.reverse(address)
                if target is not None:
                    return (PTR(target),)
        return None


def _of_type(addresses: Addresses | None, kind: int) -> Found:
    if addresses is None:
        return ()
    if kind == A.TYPE:
        return tuple(A(address) for address in addresses.ipv4)
    return tuple(AAAA(address) for address in addresses.ipv6) if kind == AAAA.TYPE else ()


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
