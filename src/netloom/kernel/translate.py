"""What each step is in netlink messages and settings: by object and verb, without touching anything."""

from __future__ import annotations

import errno

from netloom.model.desired import Address, Bridge, Desired, Element, Neighbour, Route, Sysctl, Veth
from netloom.netlink import address, link, neighbour, nft, route
from netloom.netlink.message import Message

_GONE = {
    Bridge: (errno.ENODEV,),
    Veth: (errno.ENODEV,),
    Address: (errno.EADDRNOTAVAIL, errno.ENODEV),
    Route: (errno.ESRCH, errno.ENODEV),
    Neighbour: (errno.ENOENT, errno.ENODEV),
    Element: (errno.ENOENT,),
    Sysctl: (errno.ENOENT,),
}


def is_gone(what: Desired, number: int) -> bool:
    """Does this errno, at a deletion, say that the object is not there?"""
    return number in _GONE[type(what)]


def create(what: Bridge | Veth, peer_netns: int) -> Message:
    """The link itself, a bridge down, a veth without carrier. `peer_netns` is the fd of a veth's sandbox."""
    if isinstance(what, Bridge):
        return link.bridge(what.name, what.index, what.mac)
    return link.veth(
        what.name,
        what.index,
        what.mac,
        what.mtu,
        master=what.master_index,
        peer_name=what.peer_name,
        peer_index=what.peer_index,
        peer_mac=what.peer_mac,
        peer_netns=peer_netns,
    )


def configure(what: Bridge | Veth) -> list[Message]:
    """What a link that was just made still lacks. The host's end of a veth never speaks IPv6 itself."""
    if isinstance(what, Bridge):
        return [link.change(what.index, mtu=what.mtu, alias=what.alias), link.up(what.index)]
    return [link.quiet(what.index), *([link.port(what.index, hairpin=True)] if what.hairpin else [])]


def correct(what: Bridge | Veth) -> list[Message]:
    """Everything about a link that stands already and may differ."""
    if isinstance(what, Bridge):
        return [link.change(what.index, mac=what.mac, mtu=what.mtu, alias=what.alias), link.up(what.index)]
    return [
        link.change(what.index, mac=what.mac, mtu=what.mtu, master=what.master_index),
        link.port(what.index, hairpin=what.hairpin),
        link.quiet(what.index),
        link.up(what.index),
    ]


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
    )


def ipv6_switch(interface: str) -> str:
    """The setting that turns IPv6 off on an interface."""
    return f"net/ipv6/conf/{interface}/disable_ipv6"
