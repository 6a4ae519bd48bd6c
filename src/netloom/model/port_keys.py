"""Ports by their key (`80/tcp`), as a request has them, and many side by side under one key (`8000+1000/tcp`).

A container's row is written several times in its life; with ten thousand ports by themselves it has a megabyte.
Nobody can ask for such a key: a port is a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import msgspec

from netloom.model.container import Container
from netloom.model.host_config import PortSpec

MANY = 32  # fewer remain by themselves
_RUN = re.compile(r"(\d+)\+(\d+)/([a-z]+)", re.ASCII)
_PORT = re.compile(r"(0|[1-9]\d*)/([a-z]+)", re.ASCII)  # as docker writes it

T = TypeVar("T")
Specs = tuple[PortSpec, ...] | None


def run(key: str) -> tuple[int, int, str] | None:
    """First port, how many, and protocol of a key that stands for many; None for every other."""
    found = _RUN.fullmatch(key)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def exposed_each(ports: Mapping[str, T]) -> dict[str, T]:
    """Every exposed port by itself."""
    return {one: value for key, value in ports.items() for one in _each(key)}


def bindings_each(ports: Mapping[str, Specs]) -> dict[str, Specs]:
    """Every published port by itself; the host's ports, where they are named, rise with it."""
    return {
        one: _risen(specs, offset) if offset else specs
        for key, specs in ports.items()
        for offset, one in enumerate(_each(key))
    }


def gathered(container: Container) -> Container:
    """The same container with many ports side by side under one key. Again is the same."""
    exposed, bindings = container.config.exposed_ports, container.host_config.port_bindings
    if len(exposed or ()) < MANY and len(bindings or ()) < MANY:
        return container
    config, host_config = container.config, container.host_config
    if exposed:
        exposed = _gathered(exposed, lambda first, _, value: value == first)
        config = msgspec.structs.replace(config, exposed_ports=exposed)
    if bindings:
        host_config = msgspec.structs.replace(host_config, port_bindings=_gathered(bindings, _follows))
    return msgspec.structs.replace(container, config=config, host_config=host_config)


def _each(key: str) -> Iterator[str]:
    many = run(key)
    if many is None:
        yield key
        return
    first, width, proto = many
    for port in range(first, first + width):
        yield f"{port}/{proto}"


def _gathered(ports: Mapping[str, T], goes_on: Callable[[T, int, T], bool]) -> dict[str, T]:
    """`goes_on` tells whether a value, so many ports after a first one, is what follows from the first one's."""
    by_proto: dict[str, list[int]] = {}
    kept: dict[str, T] = {}
    for key, value in ports.items():
        if (one := _PORT.fullmatch(key)) is not None:
            by_proto.setdefault(one[2], []).append(int(one[1]))
        elif run(key) is not None:
            kept[key] = value
        else:
            return dict(ports)  # written in another way: it may name a port for the second time
    for proto, numbers in by_proto.items():
        numbers.sort()
        start = 0
        for end in range(1, len(numbers) + 1):
            first, offset = ports[f"{numbers[start]}/{proto}"], end - start
            if (
                end < len(numbers)
                and numbers[end] == numbers[start] + offset
                and goes_on(first, offset, ports[f"{numbers[end]}/{proto}"])
            ):
                continue
            if offset >= MANY:
                kept[f"{numbers[start]}+{offset}/{proto}"] = first
            else:
                kept.update((key, ports[key]) for n in numbers[start:end] if (key := f"{n}/{proto}"))
            start = end
    return kept


def _follows(first: Specs, offset: int, specs: Specs) -> bool:
    if not first or not specs:
        return first == specs
    return len(first) == len(specs) and all(
        one.host_ip == other.host_ip and _rises(one.host_port, offset, other.host_port)
        for one, other in zip(first, specs, strict=True)
    )


def _rises(first: str, offset: int, other: str) -> bool:
    if not first:
        return not other
    return first.isascii() and first.isdecimal() and first[0] != "0" and other == str(int(first) + offset)


def _risen(specs: Specs, offset: int) -> Specs:
    return specs and tuple(
        PortSpec(one.host_ip, str(int(one.host_port) + offset) if one.host_port else "") for one in specs
    )
