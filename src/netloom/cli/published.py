"""The ports column: `0.0.0.0:8080->80/tcp, 99/udp`, neighbours joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def shown_ports(ports: Iterable[Mapping[str, Any]]) -> str:
    """Ports as the API lists them, in docker's one line."""
    ordered = sorted(
        ports, key=lambda port: (port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port["Type"])
    )
    groups: dict[tuple[str, str], list[int]] = {}
    closed: list[str] = []
    mapped: list[str] = []
    for port in ordered:
        number, ip, proto = port["PrivatePort"], port.get("IP", ""), port["Type"]
        public = port.get("PublicPort", 0)  # a routed network's ports are none of the host: docker says 0
        if ip and public != number:
            mapped.append(f"{_joined(ip, public)}->{number}/{proto}")
            continue
        group = groups.get((ip, proto))
        if group and number == group[1] + 1:
            group[1] = number
            continue
        if group:
            closed.append(_group(ip, proto, *group))
        groups[ip, proto] = [number, number]
    closed += [_group(ip, proto, *group) for (ip, proto), group in groups.items()]
    return ", ".join(closed + mapped)


def _group(ip: str, proto: str, first: int, last: int) -> str:
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{_joined(ip, numbers)}->{numbers}/{proto}" if ip else f"{numbers}/{proto}"


def _joined(ip: str, port: int | str) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
