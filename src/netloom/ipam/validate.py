"""Checks of the `IPAM.Config` of a create request, in Docker's sentences; and strict parsing of addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import TypeAlias

from netloom.model.errors import InvalidArgument
from netloom.model.network import IpamConfig

Address: TypeAlias = IPv4Address | IPv6Address
Prefix: TypeAlias = IPv4Interface | IPv6Interface

# No interface but the host's own may have these; Docker takes them, and the host or the container loses them.
_NEVER: tuple[tuple[IPv4Network | IPv6Network, str], ...] = (
    (ip_network("0.0.0.0/8"), "addresses of this network (RFC 1122) cannot be given to an interface"),
    (ip_network("127.0.0.0/8"), "loopback addresses never leave a host"),
    (ip_network("224.0.0.0/4"), "multicast addresses cannot be given to an interface"),
    (ip_network("::/127"), "loopback addresses never leave a host"),
    (ip_network("ff00::/8"), "multicast addresses cannot be given to an interface"),
)


def parse_address(text: str) -> Address | None:
    """An address as Docker takes it: no zone, no leading zeros, no IPv4 in IPv6 clothes."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
        return None
    return address


def parse_prefix(text: str) -> Prefix | None:
    """An address with its prefix length in decimal digits; bits to the right of it are kept."""
    address, slash, length = text.partition("/")
    if not slash or parse_address(address) is None or not length.isascii() or not length.isdecimal():
        return None
    if length != str(int(length)):
        return None
    try:
        return ip_interface(text)
    except ValueError:
        return None


def is_size(prefix: Prefix) -> bool:
    """A subnet with the unspecified address asks for any subnet of that size: `0.0.0.0/24`, `::/96`."""
    return prefix.ip.is_unspecified and prefix.network.prefixlen < prefix.network.max_prefixlen


def asks_for_any(subnet: str) -> bool:
    """Of the text of a subnet: see `is_size`."""
    prefix = parse_prefix(subnet)
    return prefix is not None and is_size(prefix)


def check_config(config: Sequence[IpamConfig], *, ipv6: bool) -> None:
    """Raises InvalidArgument with every fault at once. IPv6 entries of a network without IPv6 are not looked at."""
    faults = [fault for entry in config for fault in _faults(entry, ipv6)]
    if faults:
        raise InvalidArgument("invalid network config:\n" + joined(faults))


def joined(faults: Sequence[str]) -> str:
    """One fault as it is, several as a list: as Docker joins errors."""
    return faults[0] if len(faults) == 1 else "* " + "\n* ".join(faults)


def _faults(entry: IpamConfig, ipv6: bool) -> Iterator[str]:
    prefix = parse_prefix(entry.subnet)
    if prefix is None:
        yield f"invalid subnet {entry.subnet}: invalid CIDR block notation"
        return
    if prefix.version == 6 and not ipv6:
        return
    if is_size(prefix):
        yield from _size_faults(entry, prefix)
        return
    if prefix.ip != prefix.network.network_address:
        yield f"invalid subnet {prefix}: it should be {prefix.network}"
    for never, reason in _NEVER:
        if never.version == prefix.version and never.overlaps(prefix.network):
            yield f"invalid subnet {prefix}: {reason}"
    yield from _range_faults(entry.ip_range, prefix)
    if fault := _address_fault(entry.gateway, prefix):
        yield f"invalid gateway {entry.gateway}: {fault}"
    for name, address in sorted(entry.aux.items()):
        if fault := _address_fault(address, prefix):
            yield f"invalid auxiliary address {name}: {fault}"


def _size_faults(entry: IpamConfig, prefix: Prefix) -> Iterator[str]:
    if prefix.network.prefixlen == 0:
        yield f"invalid subnet {prefix}: it says neither where nor how large"
    if entry.ip_range or entry.gateway or entry.aux:
        yield f"invalid subnet {prefix}: one chosen by its size has no gateway, ip-range or auxiliary address of yours"


def _range_faults(text: str, parent: Prefix) -> Iterator[str]:
    if not text:
        return
    prefix = parse_prefix(text)
    if prefix is None:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
        return
    if prefix.version != parent.version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{parent.version} block"
        return
    if prefix.network.prefixlen < parent.network.prefixlen:
        yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {parent}"
    if prefix.ip != prefix.network.network_address:
        yield f"invalid ip-range {prefix}: it should be {prefix.network}"
    if not parent.network.overlaps(prefix.network):
        yield f"invalid ip-range {text}: parent subnet {parent} doesn't contain ip-range"


def _address_fault(text: str, parent: Prefix) -> str:
    if not text:
        return ""
    address = parse_address(text)
    if address is None:
        return "invalid address"
    if address.version != parent.version:
        return f"parent subnet is an IPv{parent.version} block"
    if address not in parent.network:
        return f"parent subnet {parent} doesn't contain this address"
    return ""
