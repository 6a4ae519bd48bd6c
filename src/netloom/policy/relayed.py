"""Whom the relay serves, as policies see it, and what the ports of the host that lead there stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netloom.firewall.elements import element
from netloom.firewall.ports import relayed
from netloom.firewall.relayed import target_number
from netloom.model.desired import Element
from netloom.model.endpoint import PortBinding

ANY = "::"
CLOSED, TRIAL_CLOSED = "relayed_closed", "relayed_trial_closed"


def closed_elements(ipv4: str, ipv6: str, ports: Iterable[PortBinding], *, closed: bool, trial: bool) -> list[Element]:
    """Of an endpoint, by its addresses without prefix, whose network lets nothing pass that no policy allows."""
    if not (closed or trial) or not any(relayed(ports)):
        return []
    number = target_number(ipv4, ipv6)
    return [element(name, (number,)) for name, wanted in ((CLOSED, closed), (TRIAL_CLOSED, trial)) if wanted]


def relayed_elements(identity: int, ipv4: str, ipv6: str, ports: Iterable[PortBinding]) -> list[Element]:
    """Who an endpoint is to the relay's clients, nobody (0) included, and its own ports where the host's differ."""
    served = tuple(relayed(ports))
    if not served:
        return []
    found = [element("relayed_to", (target_number(ipv4, ipv6),), (identity,))]
    for port in (one for wide in served if wide.host_port != wide.container_port for one in wide.each()):
        where = (port.proto, port.host_port)
        at, name = (where, "relayed_inner") if port.host_ip == ANY else ((port.host_ip, *where), "relayed_inner_at")
        found.append(element(name, at, (port.container_port,)))
    return found


class _Way(NamedTuple):
    host_ip: str
    first: int
    width: int
    address: str
    container_port: int


class Relayed:
    """Where published ports lead by the relay: a snapshot."""

    def __init__(self) -> None:
        self._single: dict[tuple[str, str, int], _Way] = {}
        self._wide: dict[str, list[_Way]] = {}

    def add(self, address: str, ports: Iterable[PortBinding]) -> None:
        """Those of the endpoint with this address, without prefix."""
        for port in relayed(ports):
            way = _Way(port.host_ip, port.host_port, port.width, address, port.container_port)
            if port.width == 1:
                self._single[port.proto, port.host_ip, port.host_port] = way
            else:
                self._wide.setdefault(port.proto, []).append(way)

    def behind(self, proto: str, address: str, port: int) -> tuple[str, int] | None:
        """The container's address and port behind one of the host."""
        found = self._single.get((proto, address, port)) or self._single.get((proto, ANY, port))
        wide = (
            way
            for way in self._wide.get(proto, ())
            if way.host_ip in (ANY, address) and 0 <= port - way.first < way.width
        )
        way = found or next(wide, None)
        return (way.address, way.container_port + port - way.first) if way else None
