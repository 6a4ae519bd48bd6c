"""Readers of option values: text from the command line or a file's value in, a checked value out, or ValueError.

A ValueError's text completes the sentence `OPTION: VALUE …`.
"""

from __future__ import annotations

import ipaddress
import os.path
import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

TRUE, FALSE = {"1", "t", "true"}, {"0", "f", "false"}
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class Pool(Struct, frozen=True, order=True):
    """Subnets of prefix length `size` are cut from the CIDR `base`."""

    base: str
    size: int

    def __str__(self) -> str:
        return f"base={self.base},size={self.size}"


class NetworkOption(Struct, frozen=True, order=True):
    """An option that every new network of a driver gets."""

    driver: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.driver}={self.key}={self.value}"


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError("is not text")
    return value


def path(value: object) -> str:
    """A path, made absolute."""
    if not text(value):
        raise ValueError("is not a path")
    return os.path.abspath(text(value))


def number(value: object) -> int:
    """A whole number that is not negative."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("is not a whole number from 0 on")


def boolean(value: object) -> bool:
    """true or false, in the spellings that docker's flags know."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    raise ValueError("is neither true nor false")


def address(value: object) -> str:
    """An IPv4 or IPv6 address, in its canonical form."""
    try:
        return str(ipaddress.ip_address(text(value)))
    except ValueError:
        raise ValueError("is not an IP address") from None


def address_of(version: int) -> Callable[[object], str]:
    """A reader of addresses of one family."""

    def read(value: object) -> str:
        found = address(value)
        if ipaddress.ip_address(found).version != version:
            raise ValueError(f"is not an IPv{version} address")
        return found

    return read


def subnet_of(version: int) -> Callable[[object], str]:
    """A reader of CIDRs of one family; host bits are cleared, as Docker does."""

    def read(value: object) -> str:
        example = "172.30.1.0/24" if version == 4 else "fd00:1::/64"
        try:
            found = ipaddress.ip_network(text(value), strict=False)
        except ValueError:
            found = None
        if found is None or found.version != version or "/" not in text(value):
            raise ValueError(f"is not an IPv{version} subnet such as {example}")
        return str(found)

    return read


def bridge_address_of(version: int) -> Callable[[object], str]:
    """A reader of a bridge's own address with its prefix length: a host of its subnet."""

    def read(value: object) -> str:
        example = "172.30.0.1/16" if version == 4 else "fd00:1::1/64"
        try:
            found = ipaddress.ip_interface(text(value))
        except ValueError:
            found = None
        if found is None or found.version != version or "/" not in text(value):
            raise ValueError(f"is not an IPv{version} address with its prefix length, such as {example}")
        edges = {found.network.network_address} | ({found.network.broadcast_address} if version == 4 else set())
        if found.network.num_addresses > 2 and found.ip in edges:
            raise ValueError(f"is not the address of a host: give one such as {found.network.network_address + 1}")
        return str(found)

    return read


def domain(value: object) -> str:
    """A search domain; `.` means none at all."""
    found = text(value)
    if found != "." and not all(LABEL.fullmatch(label) for label in found.rstrip(".").split(".")):
        raise ValueError("is not a valid domain")
    return found


def choice(*allowed: str) -> Callable[[object], str]:
    """A reader of one of several words."""

    def read(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"is none of {', '.join(allowed)}")
        return text(value)

    return read


def pool(value: object) -> Pool:
    """`base=CIDR,size=LENGTH`, or a file's {base, size}."""
    fields: dict[str, Any]
    if isinstance(value, str):
        fields = dict(part.strip().partition("=")[::2] for part in value.split(","))
    elif isinstance(value, dict):
        fields = value
    else:
        fields = {}
    if set(fields) != {"base", "size"}:
        raise ValueError("is not of the form base=10.10.0.0/16,size=24")
    try:
        base = ipaddress.ip_network(text(fields["base"]), strict=False)
    except ValueError:
        raise ValueError("has a base that is not a subnet") from None
    size = number(fields["size"])
    if not base.prefixlen <= size <= base.max_prefixlen:
        raise ValueError(f"has a size that is not between {base.prefixlen} and {base.max_prefixlen}")
    return Pool(str(base), size)


def network_options(value: object) -> tuple[NetworkOption, ...]:
    """`driver=key=value`, or a file's {driver: {key: value}}."""
    if isinstance(value, str):
        parts = value.split("=", 2)
        if len(parts) == 3 and all(parts[:2]):
            return (NetworkOption(*parts),)
        raise ValueError("is not of the form driver=key=value, such as bridge=com.docker.network.driver.mtu=1400")
    if isinstance(value, dict) and all(isinstance(options, dict) for options in value.values()):
        return tuple(
            NetworkOption(driver, key, text(option))
            for driver, options in value.items()
            for key, option in options.items()
        )
    raise ValueError("is not an object of drivers and their options")


def host_and_port(value: object) -> tuple[str, int]:
    """`ADDRESS:PORT`; IPv6 in brackets."""
    host, colon, port = text(value).rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("is not of the form ADDRESS:PORT, such as 192.0.2.1:2376 or [2001:db8::1]:2376")
    return address(host.removeprefix("[").removesuffix("]")), int(port)


def each(read: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    """A reader of lists; one text is a list of one."""

    def read_all(value: object) -> tuple[Any, ...]:
        if isinstance(value, str | dict):
            return (read(value),)
        if not isinstance(value, Sequence):
            raise ValueError("is not a list")
        return tuple(read(item) for item in value)

    return read_all
