"""What a program sees of a `--link` on the default bridge in its environment, as Docker has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_PROTOS = ("tcp", "sctp", "udp")
_OWN = ("HOME", "PATH")  # of the other container's own root


def link_environment(
    container: str, alias: str, address: str, exposed: Iterable[str], env: Iterable[str]
) -> Iterator[str]:
    """Of a link called `alias` in the container of this name: the other's address, exposed ports and environment."""
    prefix = alias.upper().replace("-", "_")
    ports = sorted(map(_port, exposed), key=lambda port: (_PROTOS.index(port[1]), port[0]))
    if ports:
        number, proto = ports[0]
        yield f"{prefix}_PORT={proto}://{address}:{number}"
    for number, proto in ports:
        name = f"{prefix}_PORT_{number}_{proto.upper()}"
        yield f"{name}={proto}://{address}:{number}"
        yield f"{name}_ADDR={address}"
        yield f"{name}_PORT={number}"
        yield f"{name}_PROTO={proto}"
    for (first, proto), last in _ranges(ports):
        name = f"{prefix}_PORT_{first}_{proto.upper()}"
        yield f"{name}_START={proto}://{address}:{first}"
        yield f"{name}_PORT_START={first}"
        yield f"{name}_END={proto}://{address}:{last}"
        yield f"{name}_PORT_END={last}"
    yield f"{prefix}_NAME=/{container}/{alias}"
    for entry in env:
        key, equals, value = entry.partition("=")
        if equals and key not in _OWN:
            yield f"{prefix}_ENV_{key}={value}"


def _port(text: str) -> tuple[int, str]:
    number, _, proto = text.partition("/")
    return int(number), proto or "tcp"


def _ranges(ports: list[tuple[int, str]]) -> Iterator[tuple[tuple[int, str], int]]:
    """Runs of two or more ports that follow one another: the first, and the last number."""
    start = 0
    for end in range(1, len(ports) + 1):
        number, proto = ports[end - 1]
        if end < len(ports) and ports[end] == (number + 1, proto):
            continue
        if end - start > 1:
            yield ports[start], number
        start = end
