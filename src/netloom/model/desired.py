"""Kernel objects as data: what a driver wants, what observation found, what a step adds or deletes.

Each has a `key` (its identity) and compares by value; the same types describe wanted and found objects, so the
planner is set arithmetic. `sandbox` is the id of the sandbox whose network namespace holds the object; empty is
the host. Addresses are text; indices are interface indices that were allotted before the driver was asked.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Key: TypeAlias = tuple[str, ...]
ChildKind: TypeAlias = Literal["macvlan", "ipvlan", "device"]
ShimKind: TypeAlias = Literal["macvlan", "ipvlan"]
LinkKind: TypeAlias = Literal["macvlan", "ipvlan", "vlan", "dummy"]  # of those that a kernel may lack


class Bridge(Struct, frozen=True):
    """A Linux bridge on the host, up. `alias` marks it as ours (`netloom ID`)."""

    name: str
    index: int
    mac: str
    mtu: int
    alias: str
    ipv6: bool = False
    up: bool = True  # False is only ever observed
    hooked: bool = False  # what it bridges passes the IP hooks, whatever bridge-nf-call-iptables says

    @property
    def key(self) -> Key:
        return ("link", self.name)


class Veth(Struct, frozen=True):
    """A veth pair: `name` on the host as a port of `master`, its peer inside `sandbox`; both up.

    Deleting either end deletes both, and so does the end of the namespace.
    """

    name: str
    index: int
    mac: str
    mtu: int
    master: str
    master_index: int
    sandbox: str
    peer_name: str
    peer_index: int
    peer_mac: str
    hairpin: bool = False
    peer_ipv6: bool = False  # else IPv6 is off on the inner interface
    peer_mtu: int = 0  # of the inner interface; 0: the same
    up: bool = True  # the host's end; False is only ever observed

    @property
    def key(self) -> Key:
        return ("link", self.name)


class Parent(Struct, frozen=True):
    """An interface of the host, up, on which `Child` interfaces stand: VLAN `vlan` of `base`, or a dummy without base.

    `alias` marks it as ours. What stands on it goes with it.
    """

    name: str
    index: int
    alias: str
    base: str = ""  # empty: a dummy
    vlan: int = 0
    up: bool = True  # False is only ever observed

    @property
    def key(self) -> Key:
        return ("link", self.name)


class Loop(Struct, frozen=True):
    """A veth pair with both ends on the host, up, without ARP, of one MAC: what `name` sends comes in by its peer.

    The peer gives itself no IPv6 address.
    """

    name: str
    index: int
    peer_name: str
    peer_index: int
    mac: str
    mtu: int
    up: bool = True  # both ends; False is only ever observed

    @property
    def key(self) -> Key:
        return ("link", self.name)


class Port(Struct, frozen=True):
    """An interface of somebody else, up, as a port of one of our bridges; it leaves with the bridge."""

    link: str
    master: str
    master_index: int

    @property
    def key(self) -> Key:
        return ("port", self.link)


class Shim(Struct, frozen=True):
    """A macvlan or ipvlan interface of the host itself, up, beside those of containers on `parent`.

    By it the host and they reach each other, which the parent and they cannot. `alias` marks it as ours; it goes with
    its parent. `mac` empty: its parent's (ipvlan).
    """

    kind: ShimKind
    name: str
    index: int
    parent: str
    alias: str
    mac: str = ""
    ipv6: bool = False  # else IPv6 is off on it
    up: bool = True  # False is only ever observed

    @property
    def key(self) -> Key:
        return ("link", self.name)


class Child(Struct, frozen=True):
    """A macvlan or ipvlan interface inside `sandbox`, up, made on `parent`, an interface of the host.

    Or, as a device, the parent itself, lent: deleted, it goes home as what it was. The others go with their parent
    and with their namespace. `mac` empty: its parent's (ipvlan). `mtu` 0: its parent's.
    `flag` is of ipvlan alone.
    """

    kind: ChildKind
    sandbox: str
    name: str
    index: int
    parent: str
    mode: str
    flag: str = ""
    mac: str = ""
    mtu: int = 0
    ipv6: bool = False  # else IPv6 is off on it

    @property
    def key(self) -> Key:
        return ("link", self.sandbox, str(self.index))


class Address(Struct, frozen=True):
    """An address with its prefix length on an interface; IPv6 ones skip DAD (IPAM has already decided)."""

    link: str
    index: int
    address: str
    sandbox: str = ""

    @property
    def key(self) -> Key:
        return ("address", self.sandbox, self.link, self.address)


class Route(Struct, frozen=True):
    """A route; `destination` is a CIDR or `default` / `default6`; `via` empty means link scope."""

    destination: str
    via: str
    link: str
    index: int
    sandbox: str = ""

    @property
    def key(self) -> Key:
        return ("route", self.sandbox, self.destination)


class Neighbour(Struct, frozen=True):
    """The host's own neighbour entry of an endpoint, so that a reused address has no stale MAC (state STALE)."""

    link: str
    index: int
    address: str
    mac: str

    @property
    def key(self) -> Key:
        return ("neighbour", self.link, self.address)


class Sysctl(Struct, frozen=True):
    """A value below /proc/sys; `path` with slashes."""

    path: str
    value: str
    sandbox: str = ""
    untouched: bool = False  # as a new interface has it: only ever observed

    @property
    def key(self) -> Key:
        return ("sysctl", self.sandbox, self.path)


class Element(Struct, frozen=True):
    """One element of a set or map of our nftables table, in the kernel's register encoding.

    `value` is a map's data, `verdict` a verdict map's; both absent for a set. With `key_end` it stands for all keys
    from `key_data` to that one, field by field. `timeout` (ms): it goes by itself after that.
    """

    set: str
    key_data: bytes
    value: bytes | None = None
    verdict: Literal["accept", "drop"] | None = None
    table: str = "netloom"
    family: int = 1  # NFPROTO_INET
    key_end: bytes = b""
    timeout: int = 0

    @property
    def key(self) -> Key:
        return ("element", self.table, self.set, (self.key_data + self.key_end).hex())


Desired: TypeAlias = (
    Bridge | Veth | Parent | Loop | Shim | Port | Child | Address | Route | Neighbour | Sysctl | Element
)


Link: TypeAlias = Bridge | Veth | Parent | Loop | Shim | Child
LINKS = (Bridge, Veth, Parent, Loop, Shim, Child)


class Step(Struct, frozen=True):
    """One change to the kernel. `set` replaces an object of the same key whose values differ."""

    verb: Literal["add", "set", "del"]
    what: Desired


class HostRoute(Struct, frozen=True):
    """A route of the host that is not ours, for overlap checks; with `address` that of an interface without route."""

    destination: str  # CIDR
    link: str
    address: str = ""  # with prefix length


class HostLink(Struct, frozen=True):
    """An interface of the host that is not ours, as it is now."""

    name: str
    index: int
    kind: str = ""  # empty: a physical one, or loopback
    mtu: int = 1500
    mac: str = ""
    master: str = ""  # the bridge or bond of which it is a port
    addresses: tuple[str, ...] = ()  # that somebody gave it, with prefix length: no link-local ones


class HostFacts(Struct, frozen=True):
    """What drivers and IPAM need to know of the host's network namespace; refreshed on notifications."""

    default_mtu: int = 1500  # of the interface of the default route
    uplinks: tuple[str, ...] = ()  # interfaces of default routes
    routes: tuple[HostRoute, ...] = ()
    claimed: tuple[HostRoute, ...] = ()  # `routes`, those of other tables, and subnets of interfaces without route
    addresses: tuple[str, ...] = ()  # the host's own addresses, without prefix length
    interfaces: tuple[HostLink, ...] = ()  # that are not ours
    vlan_masters: tuple[tuple[str, str], ...] = ()  # VLANs that are ours, and the bridges of which they are ports
    sysctls: tuple[tuple[str, str], ...] = ()  # (path, value) of `firewall.forwarding.watched_paths`

    @property
    def links(self) -> frozenset[str]:
        """Names of interfaces that are not ours."""
        return frozenset(one.name for one in self.interfaces)

    def interface(self, name: str) -> HostLink | None:
        """The interface of that name that is not ours."""
        return next((one for one in self.interfaces if one.name == name), None)

    def master_of(self, name: str) -> str:
        """The bridge of which an interface of others, or a VLAN of ours, is a port."""
        there = self.interface(name)
        return there.master if there else dict(self.vlan_masters).get(name, "")


class PassedDrop(Struct, frozen=True):
    """A dropping chain of somebody else. With a `remedy` netloom changes nothing there; else our rule passes it."""

    owner: str
    chain: str
    remedy: str
    changed: bool
