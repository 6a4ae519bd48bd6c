"""Which endpoint of a container its default routes leave by, and its published ports come in by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from netloom.drivers.parents import on_lan
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.network import Network


def settle(
    endpoints: Iterable[Endpoint],
    networks: Mapping[str, Network],
    priorities: Mapping[str, int],
    ports: tuple[PortBinding, ...],
) -> list[Endpoint]:
    """The endpoints with their default routes and ports in place.

    For each family the endpoint with the highest gw-priority wins; among equals one with gateways of both families,
    then one with IPv6, then the first by network name (libnetwork's Endpoint.Less). An internal network has no way
    out and never wins. Published ports belong to the winner of IPv4, or of IPv6 where
    no endpoint has IPv4: then those of the host's IPv4 addresses wait for one. A network on a LAN publishes
    nothing. `priorities` is by network id.
    """
    ranked = sorted(
        (e for e in endpoints),
        key=lambda e: (
            -priorities.get(e.network, 0),
            -(bool(e.gateway4) + 2 * bool(e.gateway6)),
            networks[e.network].name,
        ),
    )
    outward = [e for e in ranked if not networks[e.network].internal]
    first4 = next((e.id for e in outward if (e.gateway4 or e.on_link) and e.ipv4), "")
    first6 = next((e.id for e in outward if (e.gateway6 or e.on_link) and e.ipv6), "")
    holder = first4 or first6
    return [
        msgspec.structs.replace(
            e,
            default4=e.id == first4,
            default6=e.id == first6,
            ports=tuple(p for p in ports if e.ipv4 or ":" in p.host_ip)
            if e.id == holder and not on_lan(networks[e.network])
            else (),
        )
        for e in endpoints
    ]
