"""What each step is in netlink messages and settings: by object and verb, without touching anything."""

from __future__ import annotations

import errno

from netloom.model.desired import (
    Address,
    Bridge,
    Child,
    Desired,
    Element,
    Link,
    Loop,
    Neighbour,
    Parent,
    Port,
    Route,
    Shim,
    Sysctl,
    Veth,
)
from netloom.netlink import address, link, neighbour, nft, route
from netloom.netlink.message import Message

_GONE = {
    Bridge: (errno.ENODEV,),
    Veth: (errno.ENODEV,),
    Parent: (errno.ENODEV,),
    Loop: (errno.ENODEV,),
    Port: (errno.ENODEV,),
    Shim: (errno.ENODEV,),
    Child: (errno.ENODEV,),
    Address: (errno.EADDRNOTAVAIL, errno.ENODEV),
    Route: (errno.ESRCH, errno.ENODEV),
    Neighbour: (errno.ENOENT, errno.ENODEV),
    Element: (errno.ENOENT,),
    Sysctl: (errno.ENOENT,),
}


def is_gone(what: Desired, number: int) -> bool:
    """Does this errno, at a deletion, say that the object is not there?"""
    return number in _GONE[type(what)]


def create(what: Link, netns: int, below: int) -> Message:
    """The link itself, down, a veth without carrier.

    `netns` is the fd of the sandbox that a link reaches into, `below` the index of the interface that it stands on.
    """
    match what:
        case Bridge():
            return link.bridge(what.name, what.index, what.mac)
        case Parent(base=""):
            return link.dummy(what.name, what.index)
        case Parent():
            return link.vlan(what.name, what.index, what.vlan, base=below)
        case Shim(kind="macvlan"):
            return link.macvlan(what.name, what.index, what.mac, 0, "bridge", parent=below, netns=-1)
        case Shim():
            return link.ipvlan(what.name, what.index, 0, "l2", "bridge", parent=below, netns=-1)
        case Child(kind="macvlan"):
            return link.macvlan(first_name(what), what.index, what.mac, what.mtu, what.mode, parent=below, netns=netns)
        case Child():
            return link.ipvlan(first_name(what), what.index, what.mtu, what.mode, what.flag, parent=below, netns=netns)
        case Veth():
            return _veth(what, netns)
        case Loop():
            return link.veth(
                what.name,
                what.index,
                what.mac,
                what.mtu,
                master=0,
                peer_name=what.peer_name,
                peer_index=what.peer_index,
                peer_mac=what.mac,
                peer_netns=netns,
            )


def first_name(what: Child) -> str:
    """What it is called until it is inside: kernels before 6.13 look for name and index on the host as well."""
    return f"nl{what.index:x}"


def _veth(what: Veth, netns: int) -> Message:
    return link.veth(
        what.name,
        what.index,
        what.mac,
        what.mtu,
        master=what.master_index,
        peer_name=what.peer_name,
        peer_index=what.peer_index,
        peer_mac=what.peer_mac,
        peer_netns=netns,
    )


def configure(what: Link) -> list[Message]:
    """What a link of the host that was just made still lacks. There, a veth or a parent never speaks IPv6 itself."""
    match what:
        case Bridge():
            hooks = [link.hook(what.index, on=True)] if what.hooked else []
            return [link.change(what.index, mtu=what.mtu, alias=what.alias), *hooks, link.up(what.index)]
        case Parent() | Loop() | Shim():
            return correct(what)
        case Veth():
            return [link.quiet(what.index), *([link.port(what.index, hairpin=True)] if what.hairpin else [])]
        case Child():
            return []  # it is inside


def correct(what: Link) -> list[Message]:
    """Everything about a link of the host that stands already and may differ."""
    match what:
        case Bridge():
            return [
                link.change(what.index, mac=what.mac, mtu=what.mtu, alias=what.alias),
                link.hook(what.index, on=what.hooked),
                link.up(what.index),
            ]
        case Parent() | Shim():
            return [link.change(what.index, alias=what.alias), link.quiet(what.index), link.up(what.index)]
        case Veth():
            return [
                link.change(what.index, mac=what.mac, mtu=what.mtu, master=what.master_index),
                link.port(what.index, hairpin=what.hairpin),
                link.quiet(what.index),
                link.up(what.index),
            ]
        case Loop():
            return [
                link.change(what.index, mac=what.mac, mtu=what.mtu),
                link.change(what.peer_index, mac=what.mac, mtu=what.mtu),
                link.quiet(what.peer_index),
                link.up_without_arp(what.index),
                link.up_without_arp(what.peer_index),
            ]
        case Child():
            return []


def add(what: Address | Route | Neighbour) -> Message:
    """Add or replace an object that lies on a link."""
    match what:
        case Address():
            return address.add(what.index, what.address)
        case Neighbour():
            return neighbour.correct(what.index, what.address, what.mac)
        case Route():
            # A sandbox's routes are ours; on the host a route of somebody else is not to be overwritten.
            make = route.replace if what.sandbox else route.add
            return make(what.destination, what.via, what.index)


def replace(what: Address | Route | Neighbour) -> Message:
    """Put it in the place of what has its key."""
    if isinstance(what, Route):
        return route.replace(what.destination, what.via, what.index)
    return add(what)


def delete(what: Address | Route | Neighbour) -> Message:
    """Delete an object that lies on a link."""
    match what:
        case Address():
            return address.delete(what.index, what.address)
        case Neighbour():
            return neighbour.delete(what.index, what.address)
        case Route():
            return route.delete(what.destination, what.via, what.index)


def element(what: Element, *, add: bool) -> Message:
    """An element of a set or map."""
    return nft.element(
        "add" if add else "del",
        what.family,
        what.table,
        what.set,
        what.key_data,
        value=what.value,
        verdict=what.verdict,
        key_end=what.key_end,
        timeout=what.timeout,
    )


def ipv6_switch(interface: str) -> str:
    """The setting that turns IPv6 off on an interface."""
    return f"net/ipv6/conf/{interface}/disable_ipv6"
