"""Ipvlan and VLANs on a real uplink, where the kernel has them: MACs and tags on the wire, modes, who routes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from machines import mac_seen, network

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

SLEEP = ("host", "sleep", "600")


def ping(daemon: Daemon, container: str, target: str, *, wait: str = "2") -> bool:
    return daemon.docker_run("exec", container, "ping", "-c", "1", "-W", wait, target).returncode == 0


@pytest.fixture
def tagged(host: Host) -> Iterator[str]:
    """A router outside that has an address in VLAN 7 and nowhere else."""
    need("vlan")
    script = "link add link wan name wan.7 type vlan id 7\naddr add 10.97.0.1/24 dev wan.7\nlink set wan.7 up\n"
    host.outside.run("ip", "-batch", "-", stdin=script)
    yield "10.97.0.1"
    host.outside.run("ip", "link", "del", "wan.7")


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_the_tag_is_on_the_wire(daemon: Daemon, host: Host, tagged: str, driver: str) -> None:
    need(driver)
    subnet = ("--subnet", "10.97.0.0/24", "--gateway", tagged)
    with network(daemon, "iv-tag", "-o", "parent=eth0.7", *subnet, driver=driver):
        daemon.docker("run", "-d", "--name", "iv-one", "--network", "iv-tag", *SLEEP)
        assert ping(daemon, "iv-one", tagged)
        assert check(daemon) == []
    assert "eth0.7" not in host.run("ip", "link")
    with network(daemon, "iv-plain", "-o", "parent=eth0", *subnet, driver=driver):
        daemon.docker("run", "-d", "--name", "iv-one", "--network", "iv-plain", *SLEEP)
        assert not ping(daemon, "iv-one", tagged, wait="1")


def test_a_vlan_of_somebody_else_stays(daemon: Daemon, host: Host, tagged: str) -> None:
    host.run("ip", "link", "add", "link", "eth0", "name", "eth0.7", "up", "type", "vlan", "id", "7")
    with network(daemon, "iv-tag", "-o", "parent=eth0.7", "--subnet", "10.97.0.0/24", driver="macvlan"):
        daemon.docker("run", "-d", "--name", "iv-one", "--network", "iv-tag", "--ip", "10.97.0.9", *SLEEP)
        assert ping(daemon, "iv-one", tagged)
    host.run("ip", "link", "del", "eth0.7")


def test_the_last_network_takes_the_vlan_along(daemon: Daemon, host: Host) -> None:
    need("vlan")
    with network(daemon, "iv-a", "-o", "parent=eth0.7", "--subnet", "10.98.1.0/24", driver="macvlan"):
        with network(daemon, "iv-b", "-o", "parent=eth0.7", "--subnet", "10.98.2.0/24", driver="macvlan"):
            daemon.kill()
            daemon.start()
        assert "eth0.7" in host.run("ip", "link")
        host.run("ip", "link", "del", "eth0.7")
        daemon.kill()
        daemon.start()
        assert check(daemon) == []
    assert "eth0.7" not in host.run("ip", "link")


def test_l2_is_on_the_lan_with_the_parents_mac(daemon: Daemon, host: Host) -> None:
    need("ipvlan")
    subnet = ("--subnet", "198.51.100.0/24", "--gateway", OUTSIDE4, "--ip-range", "198.51.100.64/27")
    with network(daemon, "iv-l2", "-o", "parent=eth0", *subnet, driver="ipvlan"):
        daemon.docker("run", "-d", "--name", "iv-one", "--network", "iv-l2", *SLEEP)
        assert ping(daemon, "iv-one", OUTSIDE4)
        assert host.outside.ping("198.51.100.64")
        (parent,) = json.loads(host.run("ip", "-j", "link", "show", "eth0"))
        assert mac_seen(host.outside, "198.51.100.64") == parent["address"]
        other = ("-d", "ipvlan", "-o", "parent=eth0", "-o", "ipvlan_mode=l3")
        told = daemon.docker("network", "create", *other, "iv-no", check=False)
        assert "ipvlan network iv-l2" in told
        assert "in mode l2 with flag bridge" in told
        told = daemon.docker("run", "--rm", "--network", "iv-l2", "-p", "80:80", *SLEEP, check=False)
        assert "conflicting options: port publishing and the ipvlan network iv-l2" in told


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_l3_routes_between_its_subnets(daemon: Daemon, host: Host, mode: str) -> None:
    need("ipvlan")
    subnets = ("--subnet", "10.98.1.0/24", "--subnet", "10.98.2.0/24")
    host.outside.run("ip", "route", "add", "10.98.0.0/16", "via", host.address4)
    with network(daemon, "iv-l3", "-o", "parent=eth0", "-o", f"ipvlan_mode={mode}", *subnets, driver="ipvlan"):
        daemon.docker("run", "-d", "--name", "iv-one", "--network", "iv-l3", "--ip", "10.98.1.9", *SLEEP)
        daemon.docker("run", "-d", "--name", "iv-two", "--network", "iv-l3", "--ip", "10.98.2.9", *SLEEP)
        assert daemon.docker("exec", "iv-one", "ip", "route", "show", "default") == "default dev eth0 scope link"
        assert ping(daemon, "iv-one", "iv-two")
        assert ping(daemon, "iv-one", OUTSIDE4)
        assert host.outside.ping("10.98.2.9")
        assert check(daemon) == []
    host.outside.run("ip", "route", "del", "10.98.0.0/16")


def test_flags(daemon: Daemon) -> None:
    need("ipvlan")
    for flag, together in (("bridge", True), ("private", False)):
        options = ("-o", "parent=eth0", "-o", f"ipvlan_flag={flag}", "--subnet", "10.98.3.0/24")
        with network(daemon, f"iv-{flag}", *options, driver="ipvlan"):
            for name in ("iv-one", "iv-two"):
                daemon.docker("run", "-d", "--name", name, "--network", f"iv-{flag}", *SLEEP)
            assert ping(daemon, "iv-one", "iv-two", wait="1") == together, flag
