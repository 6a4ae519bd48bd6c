"""Published and exposed ports, as inspect and as list show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netloom.model.container import Container
from netloom.model.endpoint import Endpoint
from netloom.model.port_keys import exposed_each


def ports_json(container: Container, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """`NetworkSettings.Ports`: bindings by port, null for a port that is only exposed; empty unless it runs."""
    # internal networks know of no ports, nor do those without an interface on the host
    endpoints = [e for e in endpoints if (e.gateway4 or e.gateway6) and e.host_name]
    if not container.state.running or not endpoints or container.host_config.network_mode in ("host", "none"):
        return {}
    ports: dict[str, Any] = {}
    for port in exposed_each(container.config.exposed_ports or {}):
        number, _, proto = port.partition("/")
        ports[f"{number}/{proto or 'tcp'}"] = None
    bindings = {binding for endpoint in endpoints for binding in endpoint.ports}
    # Of one port of the container those with a lower port of the host come first.
    for b in sorted(bindings, key=lambda b: (b.host_port - b.container_port, ":" in b.host_ip, b.host_ip)):
        for offset in range(b.width):
            port = f"{b.container_port + offset}/{b.proto}"
            shown = {"HostIp": b.host_ip, "HostPort": str(b.host_port + offset) if b.host_port else ""}
            if (known := ports.get(port)) is None:
                ports[port] = [shown]
            else:
                known.append(shown)
    return dict(sorted(ports.items()))


def ports_list(container: Container, endpoints: Iterable[Endpoint]) -> list[dict[str, Any]]:
    """`Ports` of a container in a list, by number; one entry for each binding, one for a port only exposed."""
    shown: list[dict[str, Any]] = []
    for port, bindings in ports_json(container, endpoints).items():
        number, _, proto = port.partition("/")
        private = int(number) if number.isdecimal() else 0
        for binding in bindings or ():
            entry = {"IP": binding["HostIp"], "PrivatePort": private}
            if binding["HostPort"]:  # a routed network's ports are none of the host
                entry["PublicPort"] = int(binding["HostPort"])
            entry["Type"] = proto
            shown.append(entry)
        if not bindings:
            shown.append({"PrivatePort": private, "Type": proto})
    return sorted(shown, key=lambda entry: (entry["PrivatePort"], entry["Type"], entry.get("PublicPort", 0)))
