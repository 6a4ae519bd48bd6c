"""Ports that are published and withdrawn while a container stands: what its configuration says afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_address

import msgspec

from netloom.firewall.ports import check_ports, split_port
from netloom.model.container import ContainerConfig
from netloom.model.endpoint import PortBinding
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.host_config import HostConfig, PortSpec
from netloom.model.port_keys import bindings_each, exposed_each

Ports = Mapping[str, Sequence[PortSpec]]  # by `80/tcp`
_SHOWN = "`docker port` shows what is"


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


def removed(host_config: HostConfig, ports: Ports, bound: Collection[PortBinding] = ()) -> HostConfig:
    """Without these: a port of the host narrows which of a port's bindings go; without one all do.

    `bound` are those that stand: by them a range, or any port, is the number that it has become.
    Raises NotFound where nothing is published so, InvalidArgument for an address: a binding without one is on all.
    """
    bindings = bindings_each(host_config.port_bindings or {})
    standing = _standing(bound, ports)
    for key, specs in ports.items():
        if any(spec.host_ip for spec in specs):
            raise InvalidArgument(f"{key}: an address cannot be withdrawn by itself", remedy="name the port alone")
        kept = bindings.get(key) or ()
        numbers = [_number(spec.host_port) for spec in specs if spec.host_port]
        there = [b for b in standing.get(split_port(key), ()) if b.host_port]
        for number in numbers:
            less = _without(kept, number, [b for b in there if b.host_port == number] if there else None)
            if less == kept:
                raise NotFound(f"port {key} is not published as {number}", remedy=_SHOWN)
            kept = less
        if not bindings.get(key):
            raise NotFound(f"port {key} is not published", remedy=_SHOWN)
        bindings[key] = kept if numbers else ()
        if not bindings[key]:
            del bindings[key]
    return msgspec.structs.replace(host_config, port_bindings=bindings)


def going(bound: Collection[PortBinding], ports: Ports, rest: HostConfig) -> tuple[PortBinding, ...]:
    """The bindings that `removed` takes away, of those that stand; `rest` is what it leaves.

    What a routed network opens has no number, and goes with the last binding of its port.
    """
    kept = {split_port(key) for key in bindings_each(rest.port_bindings or {})}
    wanted = {split_port(key): {int(s.host_port) for s in specs if s.host_port} for key, specs in ports.items()}
    return tuple(
        b
        for port, standing in _standing(bound, ports).items()
        for b in standing
        if not wanted[port] or (b.host_port in wanted[port] if b.host_port else port not in kept)
    )


def _standing(bound: Iterable[PortBinding], ports: Ports) -> dict[tuple[int, str], list[PortBinding]]:
    """Of what stands, each port by itself, those of these ports."""
    wanted = {split_port(key) for key in ports}
    found: dict[tuple[int, str], list[PortBinding]] = {}
    for wide in bound:
        if wide.width == 1 or _touched(wide, wanted):
            for one in wide.each():
                if (port := (one.container_port, one.proto)) in wanted:
                    found.setdefault(port, []).append(one)
    return found


def _touched(wide: PortBinding, wanted: Collection[tuple[int, str]]) -> bool:
    return any(proto == wide.proto and 0 <= port - wide.container_port < wide.width for port, proto in wanted)


def _without(
    specs: tuple[PortSpec, ...], number: int, standing: Collection[PortBinding] | None
) -> tuple[PortSpec, ...]:
    """Those that say the number go; where none does, the one that has become it (None: nothing stands)."""
    left = tuple(one for one in specs if one.host_port != str(number))
    if left != specs or standing == []:
        return left
    maybe = [place for place, one in enumerate(specs) if _covers(one.host_port, number) and _meets(one, standing)]
    if not maybe:
        return specs
    # The narrowest: of an address, of a range.
    gone = min(maybe, key=lambda place: (not specs[place].host_ip, not specs[place].host_port))
    return specs[:gone] + specs[gone + 1 :]


def _covers(host_port: str, number: int) -> bool:
    low, dash, high = host_port.partition("-")
    return not low or int(low) <= number <= int(high if dash else low)


def _meets(spec: PortSpec, standing: Collection[PortBinding] | None) -> bool:
    """Is it of an address on which one of these stands? Without one it is of all."""
    return not (spec.host_ip and standing) or any(ip_address(spec.host_ip) == ip_address(b.host_ip) for b in standing)


def _number(host_port: str) -> int:
    if not host_port.isdecimal():
        raise InvalidArgument(f'invalid port specification: "{host_port}"', remedy="name one port of the host")
    return int(host_port)
