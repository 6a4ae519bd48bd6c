"""One container on several networks: its way out and its published ports follow, whatever comes and goes."""

from __future__ import annotations

import json

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns


def gateway(inside: Netns) -> str:
    """The default route's gateway, empty when there is none."""
    routes = json.loads(inside.run("ip", "-j", "-4", "route", "show", "default") or "[]")
    return str(routes[0]["gateway"]) if routes else ""


def test_way_out_and_ports_follow(daemon: Daemon, host: Host) -> None:
    for number in (1, 2):
        daemon.docker("network", "create", "--subnet", f"10.74.{number}.0/24", f"sn-{number}")
    daemon.docker("network", "create", "--internal", "--subnet", "10.74.3.0/24", "sn-in")
    daemon.docker("run", "-d", "--name", "sn-box", "--network", "sn-1", "-p", "8086:80", "host", "sleep", "600")
    with Netns.of(daemon.inspect("sn-box")["State"]["Pid"]) as inside, inside.serve("0.0.0.0", 80):

        def stands(via: str) -> None:
            assert gateway(inside) == via
            at = (host.address4, 8086)
            assert host.outside.reaches(*at) if via else host.outside.misses(*at)
            assert bool(daemon.docker("port", "sn-box")) == bool(via)
            assert check(daemon) == []

        stands("10.74.1.1")
        daemon.docker("network", "connect", "sn-2", "sn-box")
        stands("10.74.1.1")  # equal priorities: the first by name
        daemon.docker("network", "disconnect", "sn-2", "sn-box")
        daemon.docker("network", "connect", "--gw-priority", "5", "sn-2", "sn-box")
        stands("10.74.2.1")
        daemon.docker("network", "disconnect", "sn-1", "sn-box")
        stands("10.74.2.1")
        daemon.docker("network", "connect", "sn-in", "sn-box")
        daemon.docker("network", "disconnect", "sn-2", "sn-box")
        stands("")
        daemon.docker("network", "connect", "sn-1", "sn-box")
        stands("10.74.1.1")
    daemon.docker("rm", "-f", "sn-box")
    daemon.docker("network", "rm", "sn-1", "sn-2", "sn-in")


def test_interfaces_are_called_as_asked(daemon: Daemon) -> None:
    daemon.docker("network", "create", "-o", "com.docker.network.container_iface_prefix=lan", "sn-4")
    options = "name=sn-4,mac-address=02:11:22:33:44:55"
    named = f"{options},driver-opt=com.docker.network.endpoint.ifname=uplink0"
    for network, name in ((options, "lan0"), (named, "uplink0")):
        out = daemon.docker("run", "--rm", "--network", network, "host", "ip", "-j", "link", "show", name)
        assert json.loads(out)[0]["address"] == "02:11:22:33:44:55"
    daemon.docker("network", "rm", "sn-4")
