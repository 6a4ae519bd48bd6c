"""The texts of a container's /etc/hosts and /etc/hostname, as Docker writes them. For resolv.conf see `resolvconf`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from netloom.containers.resolvconf import DnsOverrides, ResolvConf, merged_overrides, resolv_conf
from netloom.model.errors import InvalidArgument, NetloomError, Unavailable

__all__ = [
    "DnsOverrides",
    "ResolvConf",
    "add_lines",
    "drop_lines",
    "extra_hosts",
    "host_mode_hosts",
    "hostname_text",
    "hosts_text",
    "merged_overrides",
    "own_lines",
    "resolv_conf",
    "split_extra_host",
]

HOST_GATEWAY = "host-gateway"

_COMMON = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)


def hostname_text(hostname: str) -> str:
    """/etc/hostname."""
    return f"{hostname}\n"


def hosts_text(lines: Iterable[str] = ()) -> str:
    """/etc/hosts: the common part, then the given lines (extra hosts, links, own addresses: in this order)."""
    return "".join(f"{line}\n" for line in (*_COMMON, *lines))


def host_mode_hosts(host: str, extra: Sequence[str]) -> str:
    """/etc/hosts on the host network: the host's own text, unless lines were asked for."""
    return hosts_text(extra) if extra else host


def own_lines(hostname: str, domainname: str, addresses: Iterable[str]) -> list[str]:
    """One line for each own address (a prefix length is cut off): the full name, then its first label."""
    name = f"{hostname}.{domainname}" if domainname else hostname
    first, dot, _ = name.partition(".")
    names = f"{name} {first}" if dot else name
    return [f"{address.partition('/')[0]}\t{names}" for address in addresses if address]


def split_extra_host(entry: str) -> tuple[str, str]:
    """Name and address of one `--add-host`. Raises InvalidArgument with Docker's sentence."""
    name, colon, address = entry.partition(":")
    if not colon or not name:
        raise InvalidArgument(f'bad format for add-host: "{entry}"')
    if address != HOST_GATEWAY:
        try:
            ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
        except ValueError:
            raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
    return name, address


def extra_hosts(entries: Iterable[str], gateways: Sequence[str]) -> list[str]:
    """Lines for `--add-host` entries. `gateways` are the host's addresses that `host-gateway` stands for."""
    lines = []
    for name, address in map(split_extra_host, entries):
        if address != HOST_GATEWAY:
            lines.append(f"{address.removeprefix('[').removesuffix(']')}\t{name}")
            continue
        if not gateways:
            raise _no_gateway()
        lines += [f"{gateway}\t{name}" for gateway in gateways]
    return lines


def _no_gateway() -> NetloomError:
    return Unavailable(
        "unable to derive the IP value for host-gateway",
        remedy="enable IPv4 on the default bridge, or give an address instead",
    )


def add_lines(text: str, lines: Iterable[str]) -> str:
    """The file with lines appended; those that are there already are not repeated."""
    present = set(text.splitlines())
    if text and not text.endswith("\n"):
        text += "\n"
    return text + "".join(f"{line}\n" for line in lines if line not in present)


def drop_lines(text: str, lines: Iterable[str]) -> str:
    """The file without those lines; all that others wrote into it stays."""
    gone = set(lines)
    return "".join(line for line in text.splitlines(keepends=True) if line.rstrip("\n") not in gone)
