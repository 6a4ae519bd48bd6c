"""Links: requests that make, change and delete them, and what a dump says. Source: linux/if_link.h, linux/if.h.

MACs are text (`02:42:ac:11:00:02`). Every request names the link by its index.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from netloom.netlink.message import (
    CREATE,
    DUMP,
    EXCL,
    Malformed,
    Message,
    attr,
    attributes,
    decode,
    nest,
    number,
    text,
    u8,
    u16,
    u32,
)

NEWLINK, DELLINK, GETLINK = 16, 17, 18
AF_BRIDGE = 7  # in the notification of a port that leaves its bridge
UP, _NOARP = 1, 0x80  # IFF_…
HEARS = 0x100 | 0x200  # IFF_PROMISC, IFF_ALLMULTI: what somebody asked for (ports and sniffers are not told here)

_INFO = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change

_ADDRESS, _NAME, _MTU, _LINK, _MASTER = 1, 3, 4, 5, 10  # IFLA_…
_NEW_IFINDEX = 49
_LINKINFO, _ALIAS, _AF_SPEC, _GROUP, _NET_NS_FD = 18, 20, 26, 27, 28
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5  # IFLA_INFO_…
_VETH_PEER = 1  # VETH_INFO_PEER
_MACVLAN_MODE = 1  # IFLA_MACVLAN_MODE
_IPVLAN_MODE, _IPVLAN_FLAGS = 1, 2  # IFLA_IPVLAN_…
_VLAN_ID = 1  # IFLA_VLAN_ID
_IP_HOOKS = (36, 37)  # IFLA_BR_NF_CALL_IPTABLES, …_IP6TABLES
_PORT_HAIRPIN = 4  # IFLA_BRPORT_MODE
_INET6, _ADDR_GEN_MODE, _GEN_NONE = 10, 8, 1  # AF_INET6, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE


INSIDE = 0x4E4C0001  # interface group of the macvlan and ipvlan interfaces that netloom made: "NL" and a number
LENT = 0x4E4C0002  # that of the host's own interfaces while they are in a container
MARKED = (INSIDE, LENT)
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}  # MACVLAN_MODE_…
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}  # IPVLAN_MODE_…
IPVLAN_FLAGS = {"": 0, "bridge": 0, "private": 1, "vepa": 2}  # IPVLAN_F_…


class Link(NamedTuple):
    """One link of a dump. `peer` is the index of a veth's other end or of the link it stands on, in its namespace."""

    ifindex: int
    name: str
    kind: str
    up: bool
    mac: str
    mtu: int
    master: int
    alias: str
    peer: int
    hairpin: bool
    group: int
    vlan: int = 0  # id of a VLAN
    hooked: bool = False  # a bridge whose packets pass the IP hooks by its own setting
    hears: int = 0  # of HEARS


def mac_bytes(mac: str) -> bytes:
    """The six octets of a MAC. Raises ValueError."""
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != 6:
        raise ValueError(f"no MAC: {mac}")
    return octets


def mac_text(octets: bytes) -> str:
    """A MAC as text."""
    return octets.hex(":")


def bridge(name: str, index: int, mac: str) -> Message:
    """A bridge, down. Its MAC is set by hand, or it would change with its ports.

    So would its MTU, unless it is changed to another value afterwards: given here, it does not count as chosen.
    """
    return Message(
        NEWLINK,
        CREATE | EXCL,
        _INFO.pack(0, 0, index, 0, 0)
        + attr(_NAME, text(name))
        + attr(_ADDRESS, mac_bytes(mac))
        + attr(_LINKINFO, attr(_INFO_KIND, b"bridge\0")),
    )


def veth(
    name: str,
    index: int,
    mac: str,
    mtu: int,
    *,
    master: int,
    peer_name: str,
    peer_index: int,
    peer_mac: str,
    peer_netns: int,
) -> Message:
    """A veth pair: one end here, up, as a port of `master` (0: of none), its peer in the namespace of the fd, down.

    Bring the peer up from inside: IFF_UP for it in this message gives ENOTCONN. Until then this end has no carrier,
    and so no IPv6 address of its own making: time enough to make it `quiet`.
    """
    peer = (
        _INFO.pack(0, 0, peer_index, 0, 0)
        + attr(_NAME, text(peer_name))
        + attr(_ADDRESS, mac_bytes(peer_mac))
        + attr(_MTU, u32(mtu))
        + attr(_NET_NS_FD, u32(peer_netns))
    )
    return Message(
        NEWLINK,
        CREATE | EXCL,
        _INFO.pack(0, 0, index, UP, UP)
        + attr(_NAME, text(name))
        + attr(_ADDRESS, mac_bytes(mac))
        + attr(_MTU, u32(mtu))
        + (attr(_MASTER, u32(master)) if master else b"")
        + attr(_LINKINFO, attr(_INFO_KIND, b"veth\0") + attr(_INFO_DATA, attr(_VETH_PEER, peer))),
    )


def macvlan(name: str, index: int, mac: str, mtu: int, mode: str, *, parent: int, netns: int) -> Message:
    """A macvlan on the link `parent` of this namespace, in that of the fd (-1: in this one), down.

    Before Linux 6.13 EEXIST where this namespace has a link of that name or index.
    """
    data = nest(_INFO_DATA, attr(_MACVLAN_MODE, u32(MACVLAN_MODES[mode])))
    return _on_parent("macvlan", data, name, index, mac, mtu, parent=parent, netns=netns)


def ipvlan(name: str, index: int, mtu: int, mode: str, flag: str, *, parent: int, netns: int) -> Message:
    """The same for an ipvlan, which has its parent's MAC. Mode and flag become those of all on the parent."""
    data = nest(_INFO_DATA, attr(_IPVLAN_MODE, u16(IPVLAN_MODES[mode])), attr(_IPVLAN_FLAGS, u16(IPVLAN_FLAGS[flag])))
    return _on_parent("ipvlan", data, name, index, "", mtu, parent=parent, netns=netns)


def _on_parent(
    kind: str, data: bytes, name: str, index: int, mac: str, mtu: int, *, parent: int, netns: int
) -> Message:
    """The kernel looks for the parent in the sender's namespace, and makes the link in the other at once."""
    return Message(
        NEWLINK,
        CREATE | EXCL,
        _INFO.pack(0, 0, index, 0, 0)
        + attr(_NAME, text(name))
        + (attr(_ADDRESS, mac_bytes(mac)) if mac else b"")
        + (attr(_MTU, u32(mtu)) if mtu else b"")
        + attr(_LINK, u32(parent))
        + (attr(_GROUP, u32(INSIDE)) + attr(_NET_NS_FD, u32(netns)) if netns >= 0 else b"")
        + nest(_LINKINFO, attr(_INFO_KIND, text(kind)), data),
    )


def vlan(name: str, index: int, number: int, *, base: int) -> Message:
    """VLAN `number` (802.1Q) of the link `base`, down."""
    return Message(
        NEWLINK,
        CREATE | EXCL,
        _INFO.pack(0, 0, index, 0, 0)
        + attr(_NAME, text(name))
        + attr(_LINK, u32(base))
        + nest(_LINKINFO, attr(_INFO_KIND, b"vlan\0"), nest(_INFO_DATA, attr(_VLAN_ID, u16(number)))),
    )


def dummy(name: str, index: int) -> Message:
    """An interface that leads nowhere, down."""
    return Message(
        NEWLINK,
        CREATE | EXCL,
        _INFO.pack(0, 0, index, 0, 0) + attr(_NAME, text(name)) + nest(_LINKINFO, attr(_INFO_KIND, b"dummy\0")),
    )


def probe(kind: str) -> Message:
    """A request that no kernel can fulfil: EOPNOTSUPP where it does not have this kind of link, else something else.

    A MAC of one octet; the kind is looked up (its module loaded) before that is looked at.
    """
    return Message(
        NEWLINK,
        CREATE | EXCL,
        _INFO.pack(0, 0, 0, 0, 0) + attr(_ADDRESS, b"\0") + nest(_LINKINFO, attr(_INFO_KIND, text(kind))),
    )


def up(index: int) -> Message:
    """Set it up."""
    return Message(NEWLINK, 0, _INFO.pack(0, 0, index, UP, UP))


def up_without_arp(index: int) -> Message:
    """The same, where nobody is asked for an address: frames go to the interface's own MAC."""
    return Message(NEWLINK, 0, _INFO.pack(0, 0, index, UP | _NOARP, UP | _NOARP))


def rename(index: int, name: str) -> Message:
    """Call it otherwise. Before Linux 6.3 EBUSY when it is up, even by that name."""
    return Message(NEWLINK, 0, _INFO.pack(0, 0, index, 0, 0) + attr(_NAME, text(name)))


def down(index: int) -> Message:
    """Set it down: no packet passes from now on, in either direction. Cheap, unlike deleting.

    It stays a port of its bridge: leaving that costs as much again, and deleting does it anyway.
    """
    return Message(NEWLINK, 0, _INFO.pack(0, 0, index, 0, UP))


def quiet(index: int) -> Message:
    """No IPv6 address by itself (addr_gen_mode none), so no multicast chatter when it comes up.

    A message of its own, before there is a carrier: in one with IFF_UP the kernel brings the link up first.
    EAFNOSUPPORT where there is no IPv6 to silence: the kernel has none, or the MTU is below IPv6's 1,280.
    """
    spec = nest(_AF_SPEC, nest(_INET6, attr(_ADDR_GEN_MODE, u8(_GEN_NONE))))
    return Message(NEWLINK, 0, _INFO.pack(0, 0, index, 0, 0) + spec)


def port(index: int, *, hairpin: bool) -> Message:
    """Settings of a bridge's port, which must be one already."""
    settings = nest(_INFO_SLAVE_DATA, attr(_PORT_HAIRPIN, u8(hairpin)))
    body = _INFO.pack(0, 0, index, 0, 0) + nest(_LINKINFO, attr(_INFO_SLAVE_KIND, b"bridge\0"), settings)
    return Message(NEWLINK, 0, body)


def change(
    index: int, *, mac: str = "", mtu: int = 0, master: int | None = None, alias: str | None = None, group: int = 0
) -> Message:
    """Change what is given. `master` 0 takes it from its bridge."""
    body = _INFO.pack(0, 0, index, 0, 0)
    if mac:
        body += attr(_ADDRESS, mac_bytes(mac))
    if mtu:
        body += attr(_MTU, u32(mtu))
    if master is not None:
        body += attr(_MASTER, u32(master))
    if alias is not None:
        body += attr(_ALIAS, alias.encode())
    if group:
        body += attr(_GROUP, u32(group))
    return Message(NEWLINK, 0, body)


def hook(index: int, *, on: bool) -> Message:
    """Have what a bridge carries pass the IP hooks, or leave that to bridge-nf-call-iptables and its like.

    EOPNOTSUPP or silence where the kernel has no br_netfilter.
    """
    settings = b"".join(attr(setting, bytes([on])) for setting in _IP_HOOKS)
    info = attr(_INFO_KIND, b"bridge\0") + nest(_INFO_DATA, settings)
    return Message(NEWLINK, 0, _INFO.pack(0, 0, index, 0, 0) + nest(_LINKINFO, info))


def move(
    index: int,
    *,
    name: str = "",
    mac: str = "",
    mtu: int = 0,
    alias: str,
    group: int,
    netns: int = -1,
    new_index: int = 0,
    up: bool = False,
    hears: int = -1,
) -> Message:
    """Move a link into the namespace of the fd, and change it there; without a fd only change it, which is down.

    It is down on arrival. `name` also stands in for the present one where that is taken there; EEXIST, the link
    having moved, where `name` is taken. `new_index` EBUSY where that is; 0: the present one, or any that is free.
    `hears`: those of HEARS that are on from then on; -1: as they are.
    """
    flags = UP if up else 0
    body = _INFO.pack(0, 0, index, flags | max(hears, 0), flags | (HEARS if hears >= 0 else 0))
    if netns >= 0:
        body += attr(_NET_NS_FD, u32(netns))
    if new_index:
        body += attr(_NEW_IFINDEX, u32(new_index))
    if name:
        body += attr(_NAME, text(name))
    if mac:
        body += attr(_ADDRESS, mac_bytes(mac))
    if mtu:
        body += attr(_MTU, u32(mtu))
    return Message(NEWLINK, 0, body + attr(_ALIAS, alias.encode()) + attr(_GROUP, u32(group)))


def cannot_arrive(index: int, netns: int) -> Message:
    """Move a link into the namespace of the fd, under the index that lo has there: EBUSY; EINVAL for what stays here.

    Nothing happens to it: whether it may leave is asked before whether there is room (net/core/dev.c).
    """
    return Message(
        NEWLINK, 0, _INFO.pack(0, 0, index, 0, 0) + attr(_NET_NS_FD, u32(netns)) + attr(_NEW_IFINDEX, u32(1))
    )


def delete(index: int) -> Message:
    """Delete it. The call returns after a grace period of some 20 ms; the link is unlisted long before."""
    return Message(DELLINK, 0, _INFO.pack(0, 0, index, 0, 0))


def delete_group(group: int) -> Message:
    """Delete all links of a group, in one grace period."""
    return Message(DELLINK, 0, _INFO.pack(0, 0, 0, 0, 0) + attr(_GROUP, u32(group)))


def get(*, index: int = 0, name: str = "") -> Message:
    """Ask for one, by index or name."""
    return Message(GETLINK, 0, _INFO.pack(0, 0, index, 0, 0) + (attr(_NAME, text(name)) if name else b""))


def dump() -> Message:
    """Ask for all."""
    return Message(GETLINK, DUMP, _INFO.pack(0, 0, 0, 0, 0))


def family_and_index(body: bytes) -> tuple[int, int]:
    """The head of a link message: what a notification is about. Raises Malformed."""
    if len(body) < _INFO.size:
        raise Malformed("netlink: link message too short")
    family, _, index, _, _ = _INFO.unpack_from(body)
    return family, index


def parse(body: bytes) -> Link:
    """A link from a dump or a notification. Raises Malformed."""
    if len(body) < _INFO.size:
        raise Malformed("netlink: link message too short")
    _, _, index, flags, _ = _INFO.unpack_from(body)
    found = attributes(body, _INFO.size)
    info = attributes(found.get(_LINKINFO, b""))
    kind = decode(info.get(_INFO_KIND, b""))
    own = attributes(info.get(_INFO_DATA, b"")) if kind in ("vlan", "bridge") else {}
    settings = attributes(info[_INFO_SLAVE_DATA]) if decode(info.get(_INFO_SLAVE_KIND, b"")) == "bridge" else {}
    return Link(
        ifindex=index,
        name=decode(found.get(_NAME, b"")),
        kind=kind,
        up=bool(flags & UP),
        mac=mac_text(found.get(_ADDRESS, b"")),
        mtu=number(found.get(_MTU)),
        master=number(found.get(_MASTER)),
        alias=decode(found.get(_ALIAS, b"")),
        peer=number(found.get(_LINK)),
        hairpin=bool(number(settings.get(_PORT_HAIRPIN))),
        group=number(found.get(_GROUP)),
        vlan=number(own.get(_VLAN_ID)) if kind == "vlan" else 0,
        hooked=kind == "bridge" and all(own.get(setting, b"\0")[0] for setting in _IP_HOOKS),
        hears=flags & HEARS,
    )
