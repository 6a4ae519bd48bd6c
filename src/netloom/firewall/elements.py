"""Intents as elements: what a network and an endpoint put into the sets, in the kernel's register encoding.

A key or data field is padded to a multiple of four bytes when it is part of a concatenation; alone it has its own
length (include/uapi/linux/netfilter/nf_tables.h: registers of 32 bits). Numbers of the network are big-endian,
interface names fill 16 bytes. Marks and priorities are the host's own numbers, big-endian only in sets of intervals
(nft 1.0.6 and later turns them there, so that they can be compared octet by octet).
Everything is O(1): a network's elements and an endpoint's own, never others'.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from msgspec import Struct

from netloom.firewall import cooperation, guard, relayed, rules
from netloom.firewall.ruleset import Field, Set
from netloom.model.desired import Element
from netloom.model.endpoint import PortBinding

_SETS = {s.name: s for s in (*rules.SETS, *cooperation.SETS, *guard.SETS)}
_BRIDGE = {s.name for s in guard.SETS}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "sctp": 132}
_PROTOCOL_NAMES = {number: name for name, number in _PROTOCOLS.items()}
_FAMILIES = {"ipv4": 2, "ipv6": 10}  # NFPROTO_…, as are the two below
_INET, _OF_BRIDGES = 1, 7
_FAMILY_NAMES = {number: name for name, number in _FAMILIES.items()}
_SIZES: dict[Field, int] = {
    "classid": 4,
    "ether_addr": 6,
    "ether_type": 2,
    "ifname": 16,
    "inet_proto": 1,
    "inet_service": 2,
    "ipv4_addr": 4,
    "ipv6_addr": 16,
    "mark": 4,
    "nd_target": 16,
    "nf_proto": 1,
}
_ANY = ("0.0.0.0", "::")
_RELAYED = ("tcp", "udp")
_RUN = 32  # ports side by side that become a range: the kernel copies all ranges when one comes, hashes it does not


class Way(Struct, frozen=True):
    """How containers of a network reach the world in one family, and are reached."""

    family: Literal[4, 6]
    masquerade: bool = True
    source: str = ""  # the host's address that they leave with; empty: that of the interface
    reached: Literal["nat", "routed", "unprotected"] = "nat"


def element(
    name: str,
    key: Sequence[str | int],
    data: Sequence[str | int] | None = None,
    *,
    last: str | int | None = None,
    timeout: int = 0,
) -> Element:
    """An element of the set or map `name`: addresses, protocols and interfaces as text, ports as numbers.

    In a set of intervals the last field goes from its value in `key` to `last`, if given. `timeout` in ms.
    """
    s = _SETS[name]
    order = _order(s)
    end = b""
    if s.flags == "interval":
        end = _pack(s.fields, key if last is None else (*key[:-1], last), order)
    return Element(
        set=name,
        key_data=_pack(s.fields, key, order),
        value=_pack(s.data, data) if data is not None else None,
        family=_OF_BRIDGES if name in _BRIDGE else _INET,
        key_end=end,
        timeout=timeout,
    )


def _order(s: Set) -> Literal["big", "little"]:
    return "big" if s.flags == "interval" else sys.byteorder


def network_elements(bridge: str, *, internal: bool, apart: bool = False, ways: Iterable[Way] = ()) -> list[Element]:
    """What a network puts into the sets; `ways` tell how its families reach the world and are reached."""
    elements = [element("bridges", (bridge,)), element("apart" if apart else "together", (bridge, bridge))]
    if internal:
        return [*elements, element("internal", (bridge,))]
    elements.append(element("outward", (bridge,)))
    for way in ways:
        family = f"ipv{way.family}"
        if way.masquerade:
            elements.append(element("masqueraded", (bridge, family)))
            if way.source:
                elements.append(element(f"source{way.family}", (bridge,), (way.source,)))
        if way.reached != "nat":
            elements.append(element(way.reached, (bridge, family)))
    return elements


def lan_elements(bridge: str, *, hosted: bool) -> list[Element]:
    """What a bridge puts into the sets whose containers are machines of a LAN. `hosted`: the host is one too.

    Then published ports of other networks are reached from there, for which the kernel must forward; nothing else is.
    """
    elements = [element("together", (bridge, bridge))]
    return [*elements, element("switched", (bridge,))] if hosted else elements


def shim_element(link: str) -> Element:
    """What comes from the containers beside a host's interface is forwarded to published ports and nowhere else."""
    return element("switched", (link,))


def member_elements(link: str, addresses: Iterable[str]) -> list[Element]:
    """What keeps a container of a LAN from being reached by way of this host; `link` is the host's to that LAN."""
    return [element("members6" if ":" in a else "members4", (link, a)) for a in addresses]


def trust_elements(bridge: str, links: Iterable[str]) -> list[Element]:
    """Interfaces by which a network's published ports are reached without translation."""
    return [element("trusted", (link, bridge)) for link in links]


def guard_elements(
    port: str, mac: str, addresses: Iterable[str], *, routing: bool = False, ethertypes: Iterable[int] = ()
) -> list[Element]:
    """What keeps the container behind a port of a bridge to its own addresses (without prefix lengths)."""
    elements = [element("guarded_mac", (port, mac))]
    for address in dict.fromkeys(addresses):
        if ":" in address:
            elements += [element("guarded6", (port, mac, address)), element("guarded_targets", (port, address))]
        else:
            elements.append(element("guarded4", (port, mac, address)))
    if routing:
        elements.append(element("routing", (port,)))
    elements += [element("ethertypes", (port, ethertype)) for ethertype in ethertypes]
    return [*elements, element("guarded", (port,))]


def apart_elements(port: str) -> list[Element]:
    """What keeps the container behind a port from its neighbours."""
    return [element("apart_ports", (port,))]


def port_elements(ports: Sequence[PortBinding], ipv4: str, ipv6: str) -> list[Element]:
    """What an endpoint's published ports put into the maps; `ipv4` and `ipv6` are its addresses without prefix.

    An IPv4 port needs an IPv4 address behind it. An IPv6 port goes to the IPv6 address, and to the relay what the
    kernel cannot translate. Many ports side by side that lead to the same numbers are one element.
    """
    singles, runs = _runs(ports)
    elements: list[Element] = []
    for proto, ip, first, last in runs:
        any_address = ip in _ANY
        at = (proto, first) if any_address else (ip, proto, first)
        suffix = "" if any_address else "_at"
        if ":" in ip:
            if ipv6:
                elements.append(element(f"published_ranges6{suffix}", at, (ipv6,), last=last))
            if (ipv4 or ipv6) and proto in _RELAYED:
                whom = (relayed.target_number(ipv4, ipv6),)
                elements.append(element(f"relayed_ranges{suffix}", at, whom, last=last))
        elif ipv4:
            elements.append(element(f"published_ranges4{suffix}", at, (ipv4,), last=last))
    for port in singles:
        if not port.host_port:
            continue
        where = (port.proto, port.host_port)
        any_address = port.host_ip in _ANY
        at = where if any_address else (port.host_ip, *where)
        suffix = "" if any_address else "_at"
        if ":" in port.host_ip:
            if ipv6:
                elements.append(element(f"published6{suffix}", at, (ipv6, port.container_port)))
            if (ipv4 or ipv6) and port.proto in _RELAYED:
                elements.append(element(f"relayed{suffix}", at, (relayed.target_number(ipv4, ipv6),)))
        elif ipv4:
            elements.append(element(f"published4{suffix}", at, (ipv4, port.container_port)))
    return elements


def _runs(ports: Sequence[PortBinding]) -> tuple[Sequence[PortBinding], list[tuple[str, str, int, int]]]:
    """Ports by themselves, and (protocol, host address, first, last) of those that run beside one another."""
    if sum(port.width for port in ports) < _RUN:
        return [one for port in ports for one in port.each()], []
    beside: dict[tuple[str, str], list[PortBinding]] = {}
    singles: list[PortBinding] = []
    for port in ports:
        if port.host_port and port.host_port == port.container_port:
            beside.setdefault((port.proto, port.host_ip), []).append(port)
        else:
            singles += port.each()
    runs: list[tuple[str, str, int, int]] = []
    for (proto, ip), alike in beside.items():
        alike.sort(key=lambda port: port.host_port)
        start = 0
        for end in range(1, len(alike) + 1):
            next_to = alike[end - 1].host_port + alike[end - 1].width
            if end < len(alike) and alike[end].host_port == next_to:
                continue
            first = alike[start].host_port
            if next_to - first < _RUN:
                singles += [one for port in alike[start:end] for one in port.each()]
            else:
                runs.append((proto, ip, first, next_to - 1))
            start = end
    return singles, runs


def open_elements(ports: Iterable[PortBinding], ipv4: str, ipv6: str) -> list[Element]:
    """The ports of a container that are reached by its own addresses, whatever port of the host leads there."""
    opened = dict.fromkeys((":" in p.host_ip, p.proto, p.container_port) for wide in ports for p in wide.each())
    return [
        element("open6" if six else "open4", (address, proto, port))
        for six, proto, port in opened
        if (address := ipv6 if six else ipv4)
    ]


def relay_elements(port: int) -> list[Element]:
    """Where the relay listens: given once, whatever is published. 0, for no relay, makes none."""
    if not port:
        return []
    return [element("relay_port", ("ipv6",), (port,)), element("relay_ports", (port,))]


class Lead(NamedTuple):
    """Where a published port leads; numbers as in the IP header, the address packed."""

    proto: int
    host_address: bytes  # empty: all
    host_port: int
    address: bytes
    port: int
    width: int = 1  # how many ports, from these two on, side by side


def lead(e: Element) -> Lead | None:
    """What an element of the maps of published ports says; None for all others."""
    if e.value is None or not e.set.startswith("published"):
        return None
    where = e.key_data[-8:]  # protocol and port, each padded to four bytes
    if e.key_end:
        first, last = (int.from_bytes(key[-4:-2], "big") for key in (e.key_data, e.key_end))
        return Lead(where[0], e.key_data[:-8], first, e.value, first, last - first + 1)
    target, port = e.value[:-4], e.value[-4:-2]
    return Lead(where[0], e.key_data[:-8], int.from_bytes(where[4:6], "big"), target, int.from_bytes(port, "big"))


def needs_loopback_route(ports: Sequence[PortBinding]) -> bool:
    """Is a port reachable through 127.0.0.0/8, so that the bridge needs route_localnet?"""
    return any(p.host_port and (p.host_ip == "0.0.0.0" or p.host_ip.startswith("127.")) for p in ports)


def family_name(e: Element) -> str:
    """The family of the table that holds it, as nft writes it."""
    return "bridge" if e.family == _OF_BRIDGES else "inet"


def text(e: Element) -> str:
    """The element in nft's syntax, without the name of its set."""
    s = _SETS[e.set]
    fields = _unpack(s.fields, e.key_data, _order(s))
    if e.key_end not in (b"", e.key_data):
        fields[-1] += f"-{_unpack(s.fields, e.key_end, _order(s))[-1]}"
    words = " . ".join(fields)
    if e.value is not None:
        words += f" : {' . '.join(_unpack(s.data, e.value))}"
    return words


def _pack(
    fields: Sequence[Field], values: Sequence[str | int], order: Literal["big", "little"] = sys.byteorder
) -> bytes:
    packed = [_bytes(f, v, order) for f, v in zip(fields, values, strict=True)]
    if len(packed) == 1:
        return packed[0]
    return b"".join(p.ljust(-(-len(p) // 4) * 4, b"\0") for p in packed)


def _bytes(field: Field, value: str | int, order: Literal["big", "little"]) -> bytes:
    match field:
        case "ifname":
            name = str(value).encode()
            if len(name) >= _SIZES["ifname"]:
                raise ValueError(f"{value}: an interface name has at most 15 bytes")
            return name.ljust(_SIZES["ifname"], b"\0")
        case "ether_addr":
            return bytes.fromhex(str(value).replace(":", ""))
        case "ether_type":
            return int(value).to_bytes(2, "big")
        case "inet_proto":
            return bytes([_PROTOCOLS[str(value)]])
        case "nf_proto":
            return bytes([_FAMILIES[str(value)]])
        case "inet_service":
            return int(value).to_bytes(2, "big")
        case "mark" | "classid":
            return int(value).to_bytes(4, order)
        case "ipv4_addr" | "ipv6_addr" | "nd_target":
            return _address(str(value), _SIZES[field])


@lru_cache(maxsize=1024)
def _address(text: str, size: int) -> bytes:
    """An endpoint's addresses are asked for several times in one attach."""
    packed = ipaddress.ip_address(text).packed
    if len(packed) != size:
        raise ValueError(f"{text}: an address of the other family")
    return packed


def _unpack(fields: Sequence[Field], data: bytes, order: Literal["big", "little"] = sys.byteorder) -> list[str]:
    words, offset = [], 0
    for field in fields:
        size = _SIZES[field]
        words.append(_word(field, data[offset : offset + size], order))
        offset += -(-size // 4) * 4
    return words


def _word(field: Field, data: bytes, order: Literal["big", "little"]) -> str:
    match field:
        case "mark":
            return f"{int.from_bytes(data, order):#010x}"
        case "classid":
            number = int.from_bytes(data, order)
            return f"{number >> 16:x}:{number & 0xFFFF:x}"
        case "ifname":
            return f'"{data.rstrip(bytes(1)).decode()}"'
        case "inet_proto":
            return _PROTOCOL_NAMES.get(data[0], str(data[0]))
        case "nf_proto":
            return _FAMILY_NAMES.get(data[0], str(data[0]))
        case "ether_addr":
            return data.hex(":")
        case "ether_type":
            return f"{int.from_bytes(data, 'big'):#06x}"
        case "inet_service":
            return str(int.from_bytes(data, "big"))
        case "nd_target":
            return f"0x{data.hex()}"
        case _:
            return str(ipaddress.ip_address(data))
