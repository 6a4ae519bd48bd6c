"""A network as Docker's JSON, keys in Docker's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from netloom.api.gotext import rfc3339nano
from netloom.ipam.shown import shown_config
from netloom.model.endpoint import Endpoint
from netloom.model.network import IpamConfig, Network

Own = Callable[[Endpoint], dict[str, str]]
_UINT64 = 2**64 - 1


def network_json(network: Network, containers: dict[str, Any]) -> dict[str, Any]:
    """GET /networks/{id}; `containers` by container id, as `containers_json` makes them."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339nano(network.created),
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.ipv4,
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": _sorted(network.ipam_options),
            "Config": [_pool(pool) for pool in shown_config(network.requested, network.pools)] or None,
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": network.ingress,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": containers,
        "Options": _sorted(network.options),
        "Labels": _sorted(network.labels),
    }


def status_json(figures: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """`Status` of an inspect: how full each subnet is. The figures are unsigned numbers of 64 bits."""
    subnets = {
        subnet: {"IPsInUse": min(used, _UINT64), "DynamicIPsAvailable": min(free, _UINT64)}
        for subnet, (used, free) in sorted(figures.items())
    }
    return {"IPAM": {"Subnets": subnets}}


def bridge_json(network: Network, addresses: Sequence[str]) -> dict[str, Any]:
    """The bridge of a network; `addresses` are those that netloom gave it."""
    return {
        "Name": network.bridge,
        "Adopted": network.adopted,
        "LAN": network.lan,
        "Addresses": list(addresses),
    }


def containers_json(
    endpoints: Iterable[Endpoint], name_of: Callable[[str], str], own_of: Own | None = None
) -> dict[str, Any]:
    """The endpoints of a network by container id, sorted as Go sorts a map.

    `own_of` adds what is netloom's own, such as `HostInterface`; Docker's clients do not ask for it.
    """
    shown: dict[str, Any] = {}
    for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.container):
        entry = {
            "Name": name_of(endpoint.container),
            "EndpointID": endpoint.id,
            "MacAddress": endpoint.mac,
            "IPv4Address": endpoint.ipv4,
            "IPv6Address": endpoint.ipv6,
        }
        if own_of is not None:
            entry |= own_of(endpoint)
        shown[endpoint.container] = entry
    return shown


def _pool(pool: IpamConfig) -> dict[str, Any]:
    shown: dict[str, Any] = {"Subnet": pool.subnet}
    if pool.ip_range:
        shown["IPRange"] = pool.ip_range
    if pool.gateway:
        shown["Gateway"] = pool.gateway
    if pool.aux:
        shown["AuxiliaryAddresses"] = _sorted(pool.aux)
    return shown


def _sorted(values: dict[str, str] | None) -> dict[str, str] | None:
    return None if values is None else dict(sorted(values.items()))
