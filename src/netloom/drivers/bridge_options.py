"""The options of bridge networks, checked once and typed from then on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from netloom.drivers.options import PARENT, PREFIX, parse_bool, parse_in_range, parse_int, parse_ip, refuse_unknown
from netloom.firewall.elements import Way
from netloom.model.errors import Failed, InvalidArgument

MTU = f"{PREFIX}driver.mtu"
IFACE_PREFIX = f"{PREFIX}container_iface_prefix"
ADVERTISE_COUNT = f"{PREFIX}advertise_addr_nmsgs"
ADVERTISE_INTERVAL = f"{PREFIX}advertise_addr_ms"
HOST_IPV4 = f"{PREFIX}host_ipv4"
HOST_IPV6 = f"{PREFIX}host_ipv6"
_BRIDGE = f"{PREFIX}bridge."
NAME = f"{_BRIDGE}name"
MASQUERADE = f"{_BRIDGE}enable_ip_masquerade"
ICC = f"{_BRIDGE}enable_icc"
HOST_BINDING = f"{_BRIDGE}host_binding_ipv4"
DEFAULT_BRIDGE = f"{_BRIDGE}default_bridge"
INHIBIT_IPV4 = f"{_BRIDGE}inhibit_ipv4"
GATEWAY_MODE4 = f"{_BRIDGE}gateway_mode_ipv4"
GATEWAY_MODE6 = f"{_BRIDGE}gateway_mode_ipv6"
TRUSTED = f"{_BRIDGE}trusted_host_interfaces"

GUARD = "netloom.guard"
ETHERTYPES = f"{GUARD}.ethertypes"
DEFAULT = "netloom.policy.default"

KNOWN = (
    *(GUARD, ETHERTYPES, DEFAULT, PARENT),
    *(MTU, IFACE_PREFIX, ADVERTISE_COUNT, ADVERTISE_INTERVAL, HOST_IPV4, HOST_IPV6),
    *(NAME, MASQUERADE, ICC, HOST_BINDING, DEFAULT_BRIDGE, INHIBIT_IPV4, GATEWAY_MODE4, GATEWAY_MODE6, TRUSTED),
)

IFNAMSIZ = 16
GatewayMode = Literal["nat", "nat-unprotected", "routed", "isolated"]
_LEAST_MTU, _MOST_MTU = 68, 65535  # include/uapi/linux/if_ether.h: ETH_MIN_MTU, ETH_MAX_MTU
_LEAST_MTU6 = 1280  # RFC 8200, section 5
_LEAST_ETHERTYPE = 0x600  # below it stands a length (IEEE 802.3)
_JUDGED = (0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x9100)  # IPv4, ARP, IPv6; tags


class BridgeOptions(Struct, frozen=True):
    """What the options of a bridge network mean. `mtu` 0 is the default, `name` empty is ours to choose."""

    mtu: int = 0
    name: str = ""
    iface_prefix: str = "eth"
    masquerade: bool = True
    host_binding: str = ""
    default_bridge: bool = False
    inhibit_ipv4: bool = False
    advertise_count: int = 3
    advertise_interval: int = 1000  # ms
    icc: bool = True
    guard: bool = True
    ethertypes: tuple[int, ...] = ()  # that the guard lets through beside ARP and IP
    mode4: GatewayMode = "nat"
    mode6: GatewayMode = "nat"
    source4: str = ""  # of what is masqueraded; empty: the address of the interface
    source6: str = ""
    trusted: tuple[str, ...] = ()  # interfaces by which published ports are reached without translation

    @property
    def routed(self) -> frozenset[int]:
        """Families whose published ports are no ports of the host."""
        return frozenset(f for f, mode in ((4, self.mode4), (6, self.mode6)) if mode == "routed")

    @property
    def ways(self) -> tuple[Way, ...]:
        """How each family reaches the world, and is reached."""
        return (self._way(4, self.mode4, self.source4), self._way(6, self.mode6, self.source6))

    def _way(self, family: Literal[4, 6], mode: GatewayMode, source: str) -> Way:
        translated = mode in ("nat", "nat-unprotected")
        reached: Literal["nat", "routed", "unprotected"] = "nat"
        if mode in ("routed", "nat-unprotected"):
            reached = "routed" if mode == "routed" else "unprotected"
        return Way(family, masquerade=self.masquerade and translated, source=source, reached=reached)

    @staticmethod
    def parse(options: Mapping[str, str], *, internal: bool = False, ipv6: bool = False) -> BridgeOptions:
        """Check every option. Raises InvalidArgument or Failed with Docker's sentence, then Unsupported."""
        values = {key: value for key, value in options.items() if key in KNOWN}
        parsed = BridgeOptions(
            mtu=_mtu(values[MTU], ipv6) if MTU in values else 0,
            name=_interface(values[NAME]) if values.get(NAME) else "",
            iface_prefix=_iface_prefix(values.get(IFACE_PREFIX, "eth")),
            masquerade=parse_bool(MASQUERADE, values.get(MASQUERADE, "true")),
            host_binding=parse_ip(HOST_BINDING, values[HOST_BINDING]) if HOST_BINDING in values else "",
            default_bridge=parse_bool(DEFAULT_BRIDGE, values.get(DEFAULT_BRIDGE, "false")),
            inhibit_ipv4=parse_bool(INHIBIT_IPV4, values.get(INHIBIT_IPV4, "false")),
            advertise_count=parse_in_range(ADVERTISE_COUNT, values.get(ADVERTISE_COUNT, "3"), 0, 3, "an integer"),
            advertise_interval=parse_in_range(
                ADVERTISE_INTERVAL, values.get(ADVERTISE_INTERVAL, "1000"), 100, 2000, "integer milliseconds"
            ),
            icc=parse_bool(ICC, values.get(ICC, "true")),
            guard=parse_bool(GUARD, values.get(GUARD, "true")),
            ethertypes=_ethertypes(values.get(ETHERTYPES, "")),
            mode4=_gateway_mode(GATEWAY_MODE4, values.get(GATEWAY_MODE4, "nat")),
            mode6=_gateway_mode(GATEWAY_MODE6, values.get(GATEWAY_MODE6, "nat")),
            source4=_source(HOST_IPV4, values[HOST_IPV4], 4) if HOST_IPV4 in values else "",
            source6=_source(HOST_IPV6, values[HOST_IPV6], 6) if HOST_IPV6 in values else "",
            trusted=tuple(dict.fromkeys(_interface(n) for n in values.get(TRUSTED, "").split(":") if n)),
        )
        if _default(values.get(DEFAULT, "allow")) and not parsed.guard:
            raise InvalidArgument(
                f"{DEFAULT}=deny cannot hold with {GUARD}=false",
                remedy="a container could take the address of one that policies allow more; leave the guard on",
            )
        if values.get(PARENT) == "lo":
            raise Failed("loopback interface is not a valid bridge parent link")
        if "isolated" in (parsed.mode4, parsed.mode6) and not internal:
            raise Failed("gateway mode 'isolated' can only be used for an internal network")
        refuse_unknown(options, KNOWN, "bridge")
        return parsed


def closes(options: Mapping[str, str]) -> bool:
    """Does nothing pass in a network of these options but what policies allow?"""
    return options.get(DEFAULT) == "deny"


def _default(text: str) -> bool:
    if text not in ("allow", "deny"):
        raise InvalidArgument(f"failed to parse {DEFAULT} value: {text}", remedy="write allow or deny")
    return text == "deny"


def _mtu(text: str, ipv6: bool) -> int:
    mtu = parse_int(MTU, text)
    if mtu < 0:
        raise InvalidArgument(f"invalid MTU number: {mtu}")
    if mtu and not _LEAST_MTU <= mtu <= _MOST_MTU:
        raise Failed("invalid argument", remedy=f"{MTU}={mtu}: a bridge takes {_LEAST_MTU} to {_MOST_MTU}")
    if mtu and ipv6 and mtu < _LEAST_MTU6:
        raise Failed("invalid argument", remedy=f"{MTU}={mtu}: IPv6 needs {_LEAST_MTU6} at least")
    return mtu


def _ethertypes(text: str) -> tuple[int, ...]:
    """`0x88cc 0x8863`; not those that are judged, nor tags, behind which they could hide."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            number = int(word, 16)
        except ValueError:
            number = 0
        if not _LEAST_ETHERTYPE <= number <= 0xFFFF or number in _JUDGED:
            raise InvalidArgument(
                f"failed to parse {ETHERTYPES} value: {text}",
                remedy=f"{word}: write hexadecimal numbers from 0600 to ffff, without IP, ARP and VLAN tags",
            )
        found.append(number)
    return tuple(dict.fromkeys(found))


def _interface(name: str) -> str:
    """A name that the kernel takes (net/core/dev.c, dev_valid_name) and that our alias and elements can carry."""
    if len(name.encode()) >= IFNAMSIZ:
        raise Failed("numerical result out of range", remedy=f"{name}: an interface name has at most 15 bytes")
    if name in (".", "..") or re.search(r"[\s/:\"\0]", name):
        raise InvalidArgument("invalid argument", remedy=f'"{name}" cannot be the name of an interface')
    return name


def _iface_prefix(prefix: str) -> str:
    try:
        return _interface(f"{prefix}00")[:-2] if prefix else ""
    except (Failed, InvalidArgument) as error:
        raise InvalidArgument(
            f"invalid {IFACE_PREFIX} value: {prefix}", remedy="a number follows it, and both have at most 15 bytes"
        ) from error


def _gateway_mode(key: str, mode: str) -> GatewayMode:
    match mode:
        case "nat" | "nat-unprotected" | "routed" | "isolated":
            return mode
        case _:
            raise InvalidArgument(f"failed to parse {key} value: {mode} (unknown gateway mode {mode})")


def _source(key: str, text: str, family: int) -> str:
    address = parse_ip(key, text)
    if (":" in address) != (family == 6):
        raise InvalidArgument(f"failed to parse {key} value: {text}", remedy=f"it is no IPv{family} address")
    return address
