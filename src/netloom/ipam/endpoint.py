"""Checks of what a user asks of an endpoint, in Docker's sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netloom.ipam.mac import interface_mac
from netloom.ipam.validate import joined, parse_address, parse_prefix
from netloom.model.endpoint import EndpointConfig, EndpointIpam
from netloom.model.errors import InvalidArgument
from netloom.model.network import PREDEFINED, IpamConfig

_NO_SUBNET = "user specified IP address is supported only when connecting to networks with user configured subnets"


def check_endpoint(
    config: EndpointConfig, network: str, requested: Sequence[IpamConfig] | None, others: Sequence[str] = ()
) -> None:
    """Raises InvalidArgument with every fault at once; `others` are those of its driver options.

    `network` is the network's name, `requested` its subnets as the user wrote them; None for a network that does not
    exist (yet): then only what needs no network is checked.
    """
    if config.mac:
        interface_mac(config.mac)
    ipam = config.ipam or EndpointIpam()
    faults: list[str] = []
    if network in (*PREDEFINED, "default") or network.startswith("container:"):
        if ipam.ipv4 or ipam.ipv6:
            faults.append("user specified IP address is supported on user defined networks only")
        if config.aliases:
            faults.append("network-scoped alias is supported only for containers in user defined networks")
    faults += _malformed(ipam)
    if requested is not None:
        faults += [fault for fault in (_outside(ipam.ipv4, 4, requested), _outside(ipam.ipv6, 6, requested)) if fault]
    faults += others
    if faults:
        raise InvalidArgument("invalid endpoint settings:\n" + joined(faults))
    for text in ipam.link_local:
        address = parse_address(text)
        if address is None or not address.is_link_local:
            raise InvalidArgument(f"invalid link local IP address: {text}")


def _malformed(ipam: EndpointIpam) -> Iterator[str]:
    for text, version in ((ipam.ipv4, 4), (ipam.ipv6, 6)):
        if text:
            address = parse_address(text)
            if address is None or address.version != version or address.is_unspecified:
                yield f"invalid IPv{version} address: {text}"
    for text in ipam.link_local:
        address = parse_address(text)
        if address is None or address.is_unspecified:
            yield f"invalid link-local IP address: {text}"


def _outside(text: str, version: int, requested: Sequence[IpamConfig]) -> str:
    if not text:
        return ""
    prefixes = [prefix for entry in requested if (prefix := parse_prefix(entry.subnet)) and prefix.version == version]
    if not prefixes:
        return _NO_SUBNET
    address = parse_address(text)
    if address is not None and any(address in prefix.network for prefix in prefixes):
        return ""
    return f"no configured subnet or ip-range contain the IP address {text}"
