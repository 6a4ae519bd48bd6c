"""The names of every network: who is called what, and what an address is called.

Names are kept in wire form and lower case, so that a query's bytes are the key. A name that cannot be one on the wire
(a label longer than 63 bytes) is not kept: nobody can ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from msgspec import Struct

from netloom.dns.wire import WireError, encode_name
from netloom.model.names import NameEntry

_STAR = b"\1*"
_IN_ADDR = b"\x07in-addr\x04arpa\x00"
_IP6_ARPA = b"\x03ip6\x04arpa\x00"


V = TypeVar("V")


class Addresses(Struct, frozen=True):
    """Every address of a name in one network, packed; empty where it has none of that family."""

    ipv4: tuple[bytes, ...] = ()
    ipv6: tuple[bytes, ...] = ()


class Network:
    """One network's names. Endpoints that share an alias answer in the order in which they came."""

    def __init__(self, name: str) -> None:
        self.name = wire_name(name)
        self._endpoints: dict[str, Addresses] = {}
        self._names: dict[bytes, dict[str, Addresses]] = {}
        self._reverse: dict[bytes, dict[str, bytes]] = {}
        self._wildcards = 0  # how many times one is called so
        self.changed: list[Callable[[], None]] = []  # called after every change

    def put(self, entry: NameEntry) -> None:
        """Add the names of an endpoint that has none yet."""
        addresses = Addresses(_packed(entry.ipv4, 4), _packed(entry.ipv6, 16))
        self._endpoints[entry.endpoint] = addresses
        for name in _wire_names(entry.names):
            self._names.setdefault(name, {})[entry.endpoint] = addresses
            self._wildcards += name.startswith(_STAR)
        target = wire_name(entry.ptr)
        if target is not None:
            for address in (*addresses.ipv4, *addresses.ipv6):
                self._reverse.setdefault(address, {})[entry.endpoint] = target
        self._tell()

    def drop(self, entry: NameEntry) -> None:
        """Forget the names of an endpoint."""
        self._endpoints.pop(entry.endpoint, None)
        for name in _wire_names(entry.names):
            _remove(self._names, name, entry.endpoint)
            self._wildcards -= name.startswith(_STAR)
        for address in (*_packed(entry.ipv4, 4), *_packed(entry.ipv6, 16)):
            _remove(self._reverse, address, entry.endpoint)
        self._tell()

    def lookup(self, name: bytes) -> Addresses | None:
        """What a lower-case name in wire form stands for; None when nobody has just this name."""
        found = self._names.get(name)
        return _together(found) if found else None

    def wildcard(self, name: bytes) -> Addresses | None:
        """What the closest wildcard above a name stands for."""
        found = closest(self._names, name) if self._wildcards else None
        return _together(found) if found else None

    def of_endpoint(self, endpoint: str) -> Addresses | None:
        """The addresses of one endpoint."""
        return self._endpoints.get(endpoint)

    def reverse(self, address: bytes) -> bytes | None:
        """The name of a packed address, in wire form."""
        found = self._reverse.get(address)
        return next(iter(found.values())) if found else None

    @property
    def empty(self) -> bool:
        return not self._endpoints

    def _tell(self) -> None:
        for call in self.changed:
            call()


class Zones:
    """Every network and every entry, by endpoint."""

    def __init__(self) -> None:
        self.entries: dict[str, NameEntry] = {}
        self._networks: dict[str, Network] = {}
        self._of_sandbox: dict[str, set[str]] = {}

    def network(self, ident: str, name: str = "") -> Network:
        """The network of this id; made on first mention, its name known once an entry has told it."""
        network = self._networks.get(ident)
        if network is None:
            network = self._networks[ident] = Network(name)
        elif name and network.name is None:
            network.name = wire_name(name)
        return network

    def put(self, entry: NameEntry) -> None:
        """Add or replace the names of one endpoint."""
        old = self.entries.get(entry.endpoint)
        if old == entry:
            return
        if old is not None:
            self.drop(entry.endpoint)
        self.entries[entry.endpoint] = entry
        self._of_sandbox.setdefault(entry.sandbox, set()).add(entry.endpoint)
        self.network(entry.network, entry.network_name).put(entry)

    def drop(self, endpoint: str) -> None:
        """Forget one endpoint; unknown is success."""
        entry = self.entries.pop(endpoint, None)
        if entry is None:
            return
        siblings = self._of_sandbox[entry.sandbox]
        siblings.discard(endpoint)
        if not siblings:
            del self._of_sandbox[entry.sandbox]
        network = self._networks[entry.network]
        network.drop(entry)
        if network.empty and not network.changed:
            del self._networks[entry.network]

    def drop_sandbox(self, sandbox: str) -> None:
        """Forget every endpoint of a sandbox."""
        for endpoint in sorted(self._of_sandbox.get(sandbox, ())):
            self.drop(endpoint)

    def watch(self, ident: str, call: Callable[[], None]) -> Network:
        """The network, which calls `call` after each change until `unwatch`."""
        network = self.network(ident)
        network.changed.append(call)
        return network

    def unwatch(self, ident: str, call: Callable[[], None]) -> None:
        """The end of `watch`; a network without names and watchers is forgotten."""
        network = self._networks[ident]
        network.changed.remove(call)
        if network.empty and not network.changed:
            del self._networks[ident]


def _together(found: dict[str, Addresses]) -> Addresses:
    if len(found) == 1:
        return next(iter(found.values()))
    return Addresses(
        tuple(dict.fromkeys(a for each in found.values() for a in each.ipv4)),
        tuple(dict.fromkeys(a for each in found.values() for a in each.ipv6)),
    )


def wire_name(text: str) -> bytes | None:
    """Lower case, in wire form; None when it cannot be asked for."""
    try:
        return encode_name(text).lower()
    except WireError:
        return None


def closest(names: Mapping[bytes, V], name: bytes) -> V | None:
    """What the closest wildcard above a name has: `*.web` for `a.web` and `a.b.web`. `*` alone is none."""
    at = 1 + name[0] if name[0] else 0
    while name[at]:
        found = names.get(_STAR + name[at:])
        if found:
            return found
        at += 1 + name[at]
    return None


def reverse_address(name: bytes) -> bytes | None:
    """The packed address that a lower-case reverse name asks for (RFC 1035, 3.5; RFC 3596, 2.5); else None."""
    labels = []
    at = 0
    while name[at]:
        labels.append(name[at + 1 : at + 1 + name[at]])
        at += 1 + name[at]
    try:
        if name.endswith(_IN_ADDR) and len(labels) == 6:
            return IPv4Address(b".".join(labels[3::-1]).decode("ascii")).packed
        if name.endswith(_IP6_ARPA) and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
            return bytes.fromhex(b"".join(labels[31::-1]).decode("ascii"))
    except ValueError:
        return None
    return None


def _packed(address: str, size: int) -> tuple[bytes, ...]:
    """The address, with or without prefix length, as a tuple of one; empty for an empty text."""
    if not address:
        return ()
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("/")[0])
    return (parsed.packed,) if len(parsed.packed) == size else ()


def _wire_names(names: Iterable[str]) -> list[bytes]:
    return list(dict.fromkeys(wire for name in names if (wire := wire_name(name)) is not None))


def _remove(table: dict[bytes, dict[str, Addresses]] | dict[bytes, dict[str, bytes]], key: bytes, who: str) -> None:
    row = table.get(key)
    if row is not None:
        row.pop(who, None)
        if not row:
            del table[key]
