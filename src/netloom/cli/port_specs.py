"""`-p [ip:][hostPort[-end]]:containerPort[-end][/proto]` and `--expose`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from netloom.cli.errors import NOT_RUN, CliError
from netloom.cli.flag_checks import is_address

Bindings: TypeAlias = dict[str, list[dict[str, str]]]

_PROTOCOLS = ("tcp", "udp", "sctp")


def published(specs: Iterable[str]) -> Bindings:
    """`PortBindings`, ranges taken apart; raises CliError in docker's words."""
    bindings: Bindings = {}
    for spec in specs:
        for port, binding in _expanded(spec):
            bindings.setdefault(port, []).append(binding)
    return bindings


def exposed(specs: Iterable[str]) -> list[str]:
    """Ports of `--expose`, ranges taken apart."""
    ports = []
    for spec in specs:
        if ":" in spec:
            raise CliError(f"invalid port format for --expose: {spec}", NOT_RUN)
        numbers, proto = _protocol(spec)
        first, last = _range(numbers, f"invalid range format for --expose: {spec}")
        ports += [f"{number}/{proto}" for number in range(first, last + 1)]
    return ports


def _expanded(spec: str) -> Iterable[tuple[str, dict[str, str]]]:
    address, proto = _protocol(spec)
    ip, host, container = _parts(address)
    if not container:
        raise CliError(f"no port specified: {spec}<empty>", NOT_RUN)
    first, last = _range(container, f"invalid containerPort: {container}")
    host_first, host_last = _range(host, f"invalid hostPort: {host}") if host else (0, 0)
    if host and host_last - host_first != last - first:
        # one port of the container may take any port of a range of the host's
        if first != last:
            raise CliError(f"invalid ranges specified for container and host Ports: {container} and {host}", NOT_RUN)
        yield f"{first}/{proto}", {"HostIp": ip, "HostPort": host}
        return
    for offset in range(last - first + 1):
        yield f"{first + offset}/{proto}", {"HostIp": ip, "HostPort": str(host_first + offset) if host else ""}


def _parts(address: str) -> tuple[str, str, str]:
    """IP, host's ports, container's ports."""
    rest, _, container = address.rpartition(":")
    ip, _, host = rest.rpartition(":")
    if ip.startswith("[") and ip.endswith("]"):
        ip = ip[1:-1]
        if not is_address(ip):
            raise CliError(f"invalid IP address: {ip}", NOT_RUN)
        return ip, host, container
    if ip and (":" in ip or not is_address(ip)):
        raise CliError(f"invalid IP address: {ip}", NOT_RUN)
    return ip, host, container


def _protocol(spec: str) -> tuple[str, str]:
    numbers, slash, proto = spec.partition("/")
    proto = proto.lower() if slash else "tcp"
    if proto not in _PROTOCOLS:
        raise CliError(f"invalid proto: {proto}", NOT_RUN)
    return numbers, proto


def _range(text: str, fault: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    ends = (first, last if dash else first)
    if not all(end.isascii() and end.isdecimal() and int(end) <= 65535 for end in ends) or int(ends[0]) > int(ends[1]):
        raise CliError(fault, NOT_RUN)
    return int(ends[0]), int(ends[1])
