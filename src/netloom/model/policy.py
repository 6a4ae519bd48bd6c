"""A policy: what a user says of who may reach whom."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Peer(Struct, frozen=True, omit_defaults=True):
    """One side of an entry; nothing of it is everybody.

    `container`, `labels` (`KEY` or `KEY=VALUE`, all of them) and `network` together choose endpoints; each of the
    others stands alone. `owner` is a container's id: of the container whose own label the entry is.
    """

    container: str = ""
    labels: tuple[str, ...] = ()
    network: str = ""  # its name
    owner: str = ""
    cidr: str = ""  # addresses outside of netloom's networks
    name: str = ""  # a DNS name, or `*.` and one: addresses by which it was answered to the sender
    host: bool = False  # the host itself

    @property
    def endpoints(self) -> bool:
        """Does it choose endpoints?"""
        return bool(self.container or self.labels or self.network or self.owner)

    @property
    def anybody(self) -> bool:
        """Does it choose nothing in particular?"""
        return not (self.endpoints or self.cidr or self.name or self.host)

    def __str__(self) -> str:
        parts = [f"container {self.container}"] if self.container else []
        parts += [f"label {label}" for label in self.labels]
        parts += [f"network {self.network}"] if self.network else []
        parts += [f"container {self.owner[:12]}"] if self.owner else []
        parts += [text for text in (self.cidr, self.name) if text]
        return " ".join([*parts, *(["the host"] if self.host else [])]) or "anybody"


class PortRange(Struct, frozen=True):
    """Ports of a protocol; `icmp` is that of either family."""

    proto: Literal["tcp", "udp", "sctp", "icmp"]
    first: int = 0
    last: int = 65535

    def __str__(self) -> str:
        if (self.first, self.last) == (0, 65535):
            return self.proto
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{ports}/{self.proto}"


class Entry(Struct, frozen=True):
    """Connections from `source` to `target` on these ports (none: on every port and protocol) pass or do not."""

    name: str
    allow: bool
    source: Peer = Peer()
    target: Peer = Peer()
    ports: tuple[PortRange, ...] = ()

    def __str__(self) -> str:
        ports = f" on {', '.join(map(str, self.ports))}" if self.ports else ""
        return f"{'allow' if self.allow else 'deny'} {self.source} to {self.target}{ports}"


class Policy(Struct, frozen=True):
    """Entries under one name. `closed` names networks where nothing passes that no policy allows.

    `dry_run`: what it would deny is counted, and passes.
    """

    name: str
    created: int = 0  # ns since the epoch
    entries: tuple[Entry, ...] = ()
    closed: tuple[str, ...] = ()
    dry_run: bool = False


class Denial(Struct, frozen=True):
    """The beginning of a connection that was denied, or that a dry run would have denied."""

    time_nano: int
    dry_run: bool
    proto: str
    source: str  # address
    source_port: int
    source_name: str  # container and network, or empty
    target: str
    target_port: int
    target_name: str
    entry: str = ""  # POLICY/ENTRY that said so; empty: the network is closed


class NameRule(Struct, frozen=True):
    """What the addresses of a name that a container has looked up become elements of. `ports`: (protocol, port)."""

    pattern: str
    allow: bool
    ports: tuple[tuple[str, int], ...] = ()
