"""A second uplink, `eth1`, without an address of the host: the LAN of a namespace `beyond`, whose router is .1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

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


def master_of(host: Host, name: str) -> str:
    """The bridge of which an interface is a port."""
    (found,) = json.loads(host.run("ip", "-j", "link", "show", name))
    return str(found.get("master", ""))
