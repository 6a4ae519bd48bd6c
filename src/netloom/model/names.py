"""What the data plane is told: names of endpoints, resolvers of sandboxes, held ports, relayed ports."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from netloom.model.policy import NameRule


class NameEntry(Struct, frozen=True):
    """The names of one endpoint in one network. `ptr` is what a reverse look-up says (`web.red`)."""

    network: str
    network_name: str
    endpoint: str
    sandbox: str
    names: tuple[str, ...]
    ptr: str
    ipv4: str = ""
    ipv6: str = ""


class Upstream(Struct, frozen=True):
    """A server to forward to; asked from the host's namespace, or from the sandbox's (`--dns`)."""

    address: str
    from_sandbox: bool = False


class Resolver(Struct, frozen=True):
    """What 127.0.0.11 of one sandbox does with names that are not ours.

    `forward` is False when the sandbox has no gateway (internal networks only): such names get SERVFAIL.
    `links` are names that only this sandbox knows: alias to endpoint id. `records` are texts of `dns.records`.
    """

    networks: tuple[str, ...]  # ids of the user-defined networks it is on, in the order they are asked
    upstreams: tuple[Upstream, ...] = ()
    forward: bool = True
    links: tuple[tuple[str, str], ...] = ()  # (name, endpoint id)
    records: tuple[tuple[str, str], ...] = ()  # (network id, records)
    lent: bool = False  # interfaces of the host are inside: they go home before the sandbox ends
    names: tuple[NameRule, ...] = ()  # of whose addresses the firewall is told before the sandbox is
    senders: tuple[str, ...] = ()  # the sandbox's own addresses, where there are such names


class DnsCounts(Struct, frozen=True):
    """Queries of one sandbox since its resolver was opened; what no other field counts was answered as ours."""

    queries: int = 0
    cached: int = 0
    forwarded: int = 0
    failed: int = 0  # of those that are not ours: nobody outside answered, or may be asked
    malformed: int = 0


class DnsQuery(Struct, frozen=True):
    """One query and how it was answered. `source`: `container`, `cache`, the server's address, empty for nobody."""

    number: int  # rising within its network
    time: float  # seconds since the epoch
    sandbox: str
    name: str
    kind: int
    rcode: int
    source: str
    took: float  # seconds


class DnsSight(Struct, frozen=True):
    """What is to be seen of a network's names: counts by sandbox, and the queries of late if they are recorded.

    `recorded`: number of the last query that was recorded. What is missing below it was too much to keep.
    """

    counts: tuple[tuple[str, DnsCounts], ...] = ()
    queries: tuple[DnsQuery, ...] = ()
    recorded: int = 0


class HeldPort(Struct, frozen=True):
    """A published port, or many side by side, held by silent sockets in the host's namespace. `owner`: container id.

    `target` and `target_port` (the container's) only complete the sentence of a refusal. A port with a `sandbox` is
    released by itself when that sandbox ends.
    """

    owner: str
    proto: str
    ip: str
    port: int
    target: str = ""
    target_port: int = 0
    sandbox: str = ""
    width: int = 1  # how many, from these two numbers on

    def part(self, first: int, width: int) -> HeldPort:
        """Some of them, from the host's port `first` on."""
        return _part(self, first, width)


class Relay(Struct, frozen=True):
    """A port on an IPv6 host address, or many side by side, relayed to an endpoint. `owner`: container id."""

    owner: str
    proto: str
    ip: str  # "::" for any
    port: int
    target: str
    target_port: int
    sandbox: str = ""  # released by itself when that sandbox ends
    width: int = 1  # how many, from these two numbers on

    def part(self, first: int, width: int) -> Relay:
        """Some of them, from the host's port `first` on."""
        return _part(self, first, width)


class DataPlaneState(Struct, frozen=True):
    """Everything that a data-plane process holds; compared and synchronised at a daemon's start."""

    sandboxes: tuple[str, ...] = ()
    entries: tuple[NameEntry, ...] = ()
    held: tuple[HeldPort, ...] = ()
    relays: tuple[Relay, ...] = ()
    relay_port: int = 0  # TCP port to which relayed connections are redirected; 0: the host has no IPv6


P = TypeVar("P", HeldPort, Relay)


def _part(row: P, first: int, width: int) -> P:
    if (first, width) == (row.port, row.width):
        return row
    return msgspec.structs.replace(row, port=first, target_port=row.target_port + first - row.port, width=width)
