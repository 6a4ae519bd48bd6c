"""A second uplink, `eth1`, without an address of the host: the LAN of a namespace `beyond`, whose router is .1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns

ROUTER_MAC = "02:00:00:00:02:01"  # the same again when the link is made anew: nobody remembers another
ROUTER4, ROUTER6 = "192.0.2.1", "2001:db8:2::1"
LAN = ("--subnet", "192.0.2.0/24", "--gateway", ROUTER4)
LAN6 = ("--ipv6", "--subnet", "2001:db8:2::/64", "--gateway", ROUTER6)
SLEEP = ("host", "sleep", "600")


@contextmanager
def lan(host: Host, name: str = "eth1") -> Iterator[Netns]:
    """The LAN on an interface of the host, which is made for it and goes afterwards."""
    with Netns() as beyond:
        beyond.sysctl("net/ipv6/conf/default/accept_dad", "0")
        link(host, beyond, name)
        host.own_links |= {name}
        script = f"addr add {ROUTER4}/24 dev router\naddr add {ROUTER6}/64 dev router nodad\nlink set router up\n"
        beyond.run("ip", "-batch", "-", stdin=script)
        try:
            yield beyond
        finally:
            host.run("ip", "link", "del", name, check=False)
            host.own_links -= {name}


def link(host: Host, beyond: Netns, name: str = "eth1") -> None:
    """The interface itself, down; its other end is `router`, beyond."""
    peer = ("peer", "name", "router", "address", ROUTER_MAC, "netns", beyond.netns_path)
    host.run("ip", "link", "add", name, "type", "veth", *peer)


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


def master_of(host: Host, name: str) -> str:
    """The bridge of which an interface is a port."""
    (found,) = json.loads(host.run("ip", "-j", "link", "show", name))
    return str(found.get("master", ""))
