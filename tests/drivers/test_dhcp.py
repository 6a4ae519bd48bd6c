"""Addresses by DHCP: a real dnsmasq on the LAN, containers beside it, and what becomes of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from machines import address_of

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.dhcp_servers import Dnsmasq
from netloom.testing.hosts import OUTSIDE4, Host, eventually
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

SLEEP = ("host", "sleep", "600")
FIRST, LAST = "198.51.100.100", "198.51.100.150"
KINDS = {
    "macvlan": "parent=eth0",
    "ipvlan": "parent=eth0",
    "bridge": "com.docker.network.bridge.name=dh-br",  # a port of it is put into the LAN by a person
    "bridge-parent": "parent=dh-port",
}


@pytest.fixture
def server(host: Host, tmp_path: Path) -> Iterator[Dnsmasq]:
    told = {"router": OUTSIDE4, "dns-server": OUTSIDE4, "mtu": "1400"}
    options = [f"--dhcp-option=option:{name},{value}" for name, value in told.items()]
    server = Dnsmasq(host.outside, tmp_path, "wan", FIRST, LAST, *options, "--dhcp-option=option:T1,3")
    yield server
    server.stop()


@contextmanager
def lan(daemon: Daemon, kind: str, *flags: str) -> Iterator[str]:
    """A network on the LAN with addresses of its server, and whatever containers are on it; its name."""
    name, driver, host = f"dh-{kind}", kind.partition("-")[0], daemon.host
    if driver == "bridge":
        host.run("ip", "link", "add", "dh-port", "type", "veth", "peer", "dh-wan", "netns", host.outside.netns_path)
        host.outside.run("ip", "link", "set", "dh-wan", "master", "wan", "up")
    daemon.docker("network", "create", "-d", driver, "--ipam-driver", "dhcp", "-o", KINDS[kind], *flags, name)
    if kind == "bridge":
        host.run("ip", "link", "set", "dh-port", "master", "dh-br", "up")
    try:
        yield name
    finally:
        for container in ("dh-one", "dh-two"):
            daemon.docker_run("rm", "-f", container)
        daemon.docker("network", "rm", name)
        if driver == "bridge":
            host.run("ip", "link", "del", "dh-port")


def own_faults(daemon: Daemon) -> list[str]:
    """What the checker finds, but for the port that a person has put into the bridge."""
    return [fault for fault in check(daemon) if "dh-port" not in fault]


@pytest.mark.parametrize("kind", KINDS)
def test_from_attach_to_detach(daemon: Daemon, host: Host, server: Dnsmasq, kind: str) -> None:
    if not kind.startswith("bridge"):
        need(kind)
    with lan(daemon, kind) as network:
        daemon.docker("run", "-d", "--name", "dh-one", "--hostname", "pancake", "--network", network, *SLEEP)
        ((_, mac, address, hostname, client),) = server.leases()
        assert ip_address(FIRST) <= ip_address(address) <= ip_address(LAST)
        assert hostname == "pancake"
        settings = daemon.inspect("dh-one")["NetworkSettings"]["Networks"][network]
        assert (settings["IPAddress"], settings["IPPrefixLen"], settings["Gateway"]) == (address, 24, OUTSIDE4)
        assert settings["MacAddress"] in (mac, "")  # ipvlan: the parent's
        assert f"default via {OUTSIDE4} dev eth0" in daemon.docker("exec", "dh-one", "ip", "route")
        assert " mtu 1400 " in daemon.docker("exec", "dh-one", "ip", "link", "show", "eth0")
        assert daemon.docker("exec", "dh-one", "getent", "ahostsv4", "dh-one").startswith(address)
        assert f"{address}\tpancake" in daemon.docker("exec", "dh-one", "cat", "/etc/hosts")
        assert f"ExtServers: [{OUTSIDE4}]" in daemon.docker("exec", "dh-one", "cat", "/etc/resolv.conf")
        daemon.docker("exec", "dh-one", "ping", "-c", "1", "-W", "2", OUTSIDE4)
        assert own_faults(daemon) == []
        daemon.docker("restart", "-t", "0", "dh-one")
        (again,) = server.leases()
        assert (again[2], again[4]) == (address, client)  # another MAC, the same client
        assert address_of(daemon, "dh-one", network) == address
        daemon.docker("stop", "-t", "0", "dh-one")
        eventually(lambda: server.leases() == [], what="the lease to be given back")
        daemon.docker("start", "dh-one")
        assert address_of(daemon, "dh-one", network) == address
        assert own_faults(daemon) == []
    eventually(lambda: server.leases() == [], what="the lease to be given back")
    assert own_faults(daemon) == []


def test_connect_and_disconnect_while_it_runs(daemon: Daemon, server: Dnsmasq) -> None:
    with lan(daemon, "macvlan") as network:
        daemon.docker("network", "create", "dh-own")
        daemon.docker("run", "-d", "--name", "dh-one", "--network", "dh-own", *SLEEP)
        daemon.docker("run", "-d", "--name", "dh-two", "--network", network, *SLEEP)
        daemon.docker("network", "connect", "--gw-priority", "5", "--alias", "db", network, "dh-one")
        address = address_of(daemon, "dh-one", network)
        assert {lease[2] for lease in server.leases()} == {address, address_of(daemon, "dh-two", network)}
        assert daemon.docker("exec", "dh-two", "getent", "ahostsv4", "db").startswith(address)
        assert f"default via {OUTSIDE4}" in daemon.docker("exec", "dh-one", "ip", "route")
        assert check(daemon) == []
        daemon.docker("network", "disconnect", network, "dh-one")
        eventually(lambda: len(server.leases()) == 1, what="the lease to be given back")
        assert daemon.docker_run("exec", "dh-two", "getent", "hosts", "db").returncode != 0
        assert check(daemon) == []
        daemon.docker("rm", "-f", "dh-one")
        daemon.docker("network", "rm", "dh-own")


def test_it_is_renewed(daemon: Daemon, server: Dnsmasq) -> None:
    with lan(daemon, "macvlan") as network:
        daemon.docker("run", "-d", "--name", "dh-one", "--network", network, *SLEEP)
        asked, searched = server.heard("DHCPREQUEST"), server.heard("DHCPDISCOVER")
        (before,) = server.leases()
        eventually(lambda: server.heard("DHCPREQUEST") > asked, what="the renewal")
        eventually(lambda: server.leases()[0][0] > before[0], what="its effect")
        assert server.leases()[0][2:] == before[2:]
        assert server.heard("DHCPDISCOVER") == searched


def test_the_daemon_dies_and_the_next_one_takes_the_lease_up(daemon: Daemon, host: Host, server: Dnsmasq) -> None:
    with lan(daemon, "macvlan") as network:
        daemon.docker("run", "-d", "--name", "dh-one", "--network", network, *SLEEP)
        address, searched = address_of(daemon, "dh-one", network), server.heard("DHCPDISCOVER")
        daemon.kill()
        asked = server.heard("DHCPREQUEST")
        assert host.outside.ping(address)
        daemon.start()
        eventually(lambda: server.heard("DHCPREQUEST") > asked, what="the question whether it is ours")
        assert address_of(daemon, "dh-one", network) == address
        assert (server.heard("DHCPDISCOVER"), server.heard("DHCPRELEASE")) == (searched, 0)
        assert host.outside.ping(address)
        asked = server.heard("DHCPREQUEST")
        eventually(lambda: server.heard("DHCPREQUEST") > asked, what="renewals to go on")
        daemon.stop()
        daemon.start()
        assert check(daemon) == []
    eventually(lambda: server.leases() == [], what="the lease to be given back")


def test_an_address_of_ones_own(daemon: Daemon, server: Dnsmasq) -> None:
    with lan(daemon, "macvlan") as network:
        asked = ("--network", network, "--ip", "198.51.100.120")
        daemon.docker("run", "-d", "--name", "dh-one", *asked, *SLEEP)
        assert address_of(daemon, "dh-one", network) == "198.51.100.120"
        told = daemon.docker("run", "--name", "dh-two", *asked, *SLEEP, check=False)
        assert "where 198.51.100.120 was asked for (--ip)" in told
        assert check(daemon) == []
        daemon.docker("rm", "-f", "dh-two")


def test_the_server_dies(daemon: Daemon, host: Host, server: Dnsmasq) -> None:
    with lan(daemon, "macvlan", "--ipam-opt", "timeout=1") as network:
        daemon.docker("run", "-d", "--name", "dh-one", "--network", network, *SLEEP)
        address = address_of(daemon, "dh-one", network)
        server.stop()
        told = daemon.docker("run", "--name", "dh-two", "--network", network, *SLEEP, check=False)
        assert "failed to set up container networking: no address by DHCP for container dh-two on network" in told
        assert "no server answered on eth0 within 1 s: see that a DHCP server is on that LAN" in told
        assert daemon.inspect("dh-two")["State"]["Status"] == "created"
        status, body = daemon.api("POST", "/containers/dh-two/start")
        assert (status, "no server answered" in json.loads(body)["message"]) == (503, True)
        assert host.outside.ping(address)  # who has a lease has it
        assert check(daemon) == []
        daemon.docker("rm", "-f", "dh-two")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--ipam-opt", "tiemout=3"), "unknown option of the IPAM driver dhcp: tiemout"),
        (("--ipv6",), "the IPAM driver dhcp gives IPv4 addresses alone: leave out --ipv6"),
        (("--ipv4=false",), "the IPAM driver dhcp needs IPv4"),
        (("--subnet", "198.51.100.0/24", "--aux-address", "nas=198.51.100.9"), "no auxiliary addresses"),
    ],
)
def test_what_is_refused(daemon: Daemon, flags: tuple[str, ...], why: str) -> None:
    create = ("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--ipam-driver", "dhcp")
    assert why in daemon.docker(*create, *flags, "dh-no", check=False)
    assert daemon.docker("network", "ls", "-q", "--filter", "name=dh-no") == ""
