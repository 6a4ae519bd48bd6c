"""Ports that are published and withdrawn while a container stands: what its configuration says afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from netloom.firewall.ports import check_ports, split_port
from netloom.model.container import ContainerConfig
from netloom.model.endpoint import PortBinding
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.host_config import HostConfig, PortSpec
from netloom.model.port_keys import bindings_each, exposed_each

Ports = Mapping[str, Sequence[PortSpec]]  # by `80/tcp`


def added(config: ContainerConfig, host_config: HostConfig, ports: Ports) -> tuple[ContainerConfig, HostConfig]:
    """With these published as well, and exposed. Raises InvalidArgument."""
    bindings = bindings_each(host_config.port_bindings or {})
    for key, specs in ports.items():
        bindings[key] = (*(bindings.get(key) or ()), *(specs or (PortSpec(),)))
    exposed = {**exposed_each(config.exposed_ports or {}), **{port: {} for port in ports}}
    changed = msgspec.structs.replace(config, exposed_ports=exposed)
    wanted = msgspec.structs.replace(host_config, port_bindings=bindings)
    check_ports(changed, wanted)
    return changed, wanted


def removed(host_config: HostConfig, ports: Ports) -> HostConfig:
    """Without these: a port of the host narrows which of a port's bindings go; without one all do.

    Raises NotFound where nothing is published so, InvalidArgument for an address: a binding without one is on all.
    """
    bindings = bindings_each(host_config.port_bindings or {})
    for key, specs in ports.items():
        if any(spec.host_ip for spec in specs):
            raise InvalidArgument(f"{key}: an address cannot be withdrawn by itself", remedy="name the port alone")
        kept = tuple(one for one in bindings.get(key) or () if not _names(specs, one))
        if len(kept) == len(bindings.get(key) or ()):
            raise NotFound(f"port {key} is not published{_as(specs)}")
        bindings[key] = kept
        if not kept:
            del bindings[key]
    return msgspec.structs.replace(host_config, port_bindings=bindings)


def going(bound: Iterable[PortBinding], ports: Ports) -> tuple[PortBinding, ...]:
    """The bindings that `removed` takes away, of those that stand."""
    wanted = {
        split_port(key): {int(spec.host_port) for spec in specs if spec.host_port} for key, specs in ports.items()
    }
    return tuple(
        b
        for wide in bound
        for b in (wide.each() if wide.width == 1 or _touched(wide, wanted) else ())
        if (numbers := wanted.get((b.container_port, b.proto))) is not None and (not numbers or b.host_port in numbers)
    )


def _touched(wide: PortBinding, wanted: Collection[tuple[int, str]]) -> bool:
    return any(proto == wide.proto and 0 <= port - wide.container_port < wide.width for port, proto in wanted)


def _names(specs: Sequence[PortSpec], one: PortSpec) -> bool:
    """Is this binding one of them? A range, or any port, counts as the port that it may have become."""
    asked = [spec.host_port for spec in specs if spec.host_port]
    return not asked or any(_covers(one.host_port, number) for number in asked)


def _covers(host_port: str, number: str) -> bool:
    if not number.isdecimal():
        raise InvalidArgument(f'invalid port specification: "{number}"', remedy="name one port of the host")
    low, dash, high = host_port.partition("-")
    return not low or int(low) <= int(number) <= int(high if dash else low)


def _as(specs: Sequence[PortSpec]) -> str:
    numbers = ", ".join(spec.host_port for spec in specs if spec.host_port)
    return f" as {numbers}" if numbers else ""
