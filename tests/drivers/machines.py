"""Containers as machines of a network: made, looked into, and seen by their neighbours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Netns


@contextmanager
def network(daemon: Daemon, name: str, *flags: str, driver: str = "bridge") -> Iterator[None]:
    """A network, and whatever containers are on it."""
    daemon.docker("network", "create", "-d", driver, *flags, name)
    try:
        yield
    finally:
        for container in daemon.docker("ps", "-aq", "--filter", f"network={name}").split():
            daemon.docker("rm", "-f", container)
        daemon.docker("network", "rm", name)


@contextmanager
def inside(daemon: Daemon, container: str) -> Iterator[Netns]:
    """The container's namespace."""
    with Netns.of(daemon.inspect(container)["State"]["Pid"]) as found:
        yield found


def address_of(daemon: Daemon, container: str, network: str) -> str:
    """The IPv4 address of a container."""
    told: str = daemon.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"]
    return told


def mac_seen(machine: Netns, address: str) -> str:
    """The MAC under which a machine knows an address."""
    neighbours = json.loads(machine.run("ip", "-j", "neigh", "show", address) or "[]")
    return str(neighbours[0].get("lladdr", "")) if neighbours else ""
