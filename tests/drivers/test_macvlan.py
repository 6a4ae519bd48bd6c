"""Macvlan on a real uplink: who is seen on the LAN, who reaches whom in which mode, and what comes and goes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import machines
import pytest
from machines import inside, mac_seen

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, eventually

pytestmark = pytest.mark.kernel

LAN = ("--subnet", "198.51.100.0/24", "--gateway", OUTSIDE4)
LAN6 = ("--ipv6", "--subnet", "2001:db8:ff::/64", "--gateway", OUTSIDE6)
SLEEP = ("host", "sleep", "600")


def network(daemon: Daemon, name: str, *flags: str, parent: str = "eth0") -> AbstractContextManager[None]:
    return machines.network(daemon, name, "-o", f"parent={parent}", *flags, driver="macvlan")


def test_a_container_is_a_machine_on_the_lan(daemon: Daemon, host: Host) -> None:
    flags = (*LAN, *LAN6, "--ip-range", "198.51.100.64/27")
    with network(daemon, "mv-lan", *flags):
        asked = ("--mac-address", "02:11:22:33:44:55", "--ip6", "2001:db8:ff::77")
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-lan", *asked, *SLEEP)
        settings = daemon.inspect("mv-one")["NetworkSettings"]["Networks"]["mv-lan"]
        assert (settings["IPAddress"], settings["Gateway"]) == ("198.51.100.64", OUTSIDE4)
        assert (settings["GlobalIPv6Address"], settings["MacAddress"]) == ("2001:db8:ff::77", "02:11:22:33:44:55")
        with inside(daemon, "mv-one") as box, box.serve("0.0.0.0", 80), box.serve("::", 80):
            assert box.ping(OUTSIDE4)
            assert box.ping(OUTSIDE6)
            assert host.outside.ask("198.51.100.64", 80).address == OUTSIDE4
            assert host.outside.ask("2001:db8:ff::77", 80).address == OUTSIDE6
            assert mac_seen(host.outside, "198.51.100.64") == "02:11:22:33:44:55"
            assert mac_seen(host.outside, "2001:db8:ff::77") == "02:11:22:33:44:55"
            assert not host.ping("198.51.100.64", timeout=0.3)  # the kernel keeps parent and children apart
        assert daemon.docker("exec", "mv-one", "getent", "ahostsv4", "mv-one").startswith("198.51.100.64")
        assert "nameserver 127.0.0.11" in daemon.docker("exec", "mv-one", "cat", "/etc/resolv.conf")
        assert "198.51.100.64\t" in daemon.docker("exec", "mv-one", "cat", "/etc/hosts")
        assert check(daemon) == []
    assert check(daemon) == []


def test_the_host_and_its_containers_reach_each_other(daemon: Daemon, host: Host) -> None:
    flags = (*LAN, *LAN6, "--ip-range", "198.51.100.64/27", "-o", "host_access=true")
    with network(daemon, "mv-lan", *flags):
        daemon.docker("network", "create", "mv-red")
        told = daemon.json("GET", "/networks/mv-lan?netloom=1")["HostAccess"]
        assert told["Addresses"][0] == "198.51.100.64"
        for name in ("mv-one", "mv-two"):
            daemon.docker("run", "-d", "--name", name, "--network", "mv-lan", *SLEEP)
        daemon.docker("run", "-d", "--name", "mv-app", "--network", "mv-red", "-p", "8093:80", *SLEEP)
        settings = daemon.inspect("mv-one")["NetworkSettings"]["Networks"]["mv-lan"]
        four, six = settings["IPAddress"], settings["GlobalIPv6Address"]
        assert four == "198.51.100.65"
        with inside(daemon, "mv-one") as box, inside(daemon, "mv-app") as app, app.serve("0.0.0.0", 80):
            assert host.ping(four)
            assert host.ping(six)
            for address in told["Addresses"]:
                assert box.ping(address)
            assert box.ping(OUTSIDE4)
            assert box.ask("198.51.100.64", 8093).address == four  # the host's published ports
            assert not app.ping(four, timeout=0.3)  # the host does not lead there
            assert not host.outside.ping(address_of(daemon, "mv-app"), timeout=0.3)
            assert check(daemon) == []
            host.run("ip", "route", "del", f"{four}/32")
            host.run("ip", "link", "del", told["Interface"])
            eventually(lambda: host.ping(four, timeout=0.2), what="the host's interface to be back")
            daemon.kill()
            daemon.start()
            assert host.ping(four)
            assert check(daemon) == []
        said = daemon.docker("run", "--rm", "--network", "mv-lan", "--ip", "198.51.100.64", *SLEEP, check=False)
        assert "198.51.100.64 is" in said
        daemon.docker("network", "disconnect", "mv-lan", "mv-two")
        assert check(daemon) == []
        daemon.docker("rm", "-f", "mv-app", "mv-two")
        daemon.docker("network", "rm", "mv-red")
    assert check(daemon) == []
    for mode in ("private", "vepa", "passthru"):
        flags = ("-d", "macvlan", "-o", "parent=eth0", "-o", f"macvlan_mode={mode}", "-o", "host_access=true")
        assert "host_access needs a mode" in daemon.docker("network", "create", *flags, "mv-no", check=False)


def address_of(daemon: Daemon, container: str) -> str:
    """On its one network."""
    (settings,) = daemon.inspect(container)["NetworkSettings"]["Networks"].values()
    return str(settings["IPAddress"])


def test_modes(daemon: Daemon) -> None:
    for mode, together in (("bridge", True), ("private", False), ("vepa", False)):
        with network(daemon, f"mv-{mode}", "-o", f"macvlan_mode={mode}", *LAN):
            for name in ("mv-one", "mv-two"):
                daemon.docker("run", "-d", "--name", name, "--network", f"mv-{mode}", *SLEEP)
            address = daemon.inspect("mv-two")["NetworkSettings"]["Networks"][f"mv-{mode}"]["IPAddress"]
            with inside(daemon, "mv-one") as box:
                assert box.ping(OUTSIDE4), mode
                assert box.ping(address, timeout=10 if together else 0.3) == together, mode
    with network(daemon, "mv-whole", "-o", "macvlan_mode=passthru", "--subnet", "10.87.0.0/24"):
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-whole", *SLEEP)
        told = daemon.docker("run", "-d", "--rm", "--network", "mv-whole", *SLEEP, check=False)
        assert "failed to create the macvlan port: invalid argument" in told
        daemon.docker("restart", "-t", "0", "mv-one")
        assert check(daemon) == []


def test_names_and_networks_of_one_parent(daemon: Daemon) -> None:
    with network(daemon, "mv-a", *LAN), network(daemon, "mv-b", "--subnet", "10.88.0.0/24"):
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-a", "--network-alias", "db", *SLEEP)
        daemon.docker("run", "-d", "--name", "mv-two", "--network", "mv-a", "--network", "mv-b", *SLEEP)
        daemon.docker("run", "-d", "--name", "mv-three", "--network", "mv-b", *SLEEP)
        assert "198.51.100" in daemon.docker("exec", "mv-two", "getent", "hosts", "db")
        daemon.docker("exec", "mv-two", "ping", "-c", "1", "-W", "1", "mv-three")
        assert daemon.docker("exec", "mv-one", "getent", "hosts", "mv-three", check=False) == ""
        assert check(daemon) == []


def test_without_addresses_of_netlooms(daemon: Daemon, host: Host) -> None:
    """Neither IPv4 nor IPv6: an interface on the LAN, whose addresses the container gives itself."""
    flags = ("-o", "parent=eth0", "--ipv4=false")
    with network(daemon, "mv-l2", *flags):
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-l2", "--cap-add", "NET_ADMIN", *SLEEP)
        told = daemon.inspect("mv-one")["NetworkSettings"]["Networks"]["mv-l2"]
        assert (told["IPAddress"], told["GlobalIPv6Address"], told["Gateway"]) == ("", "", "")
        with inside(daemon, "mv-one") as box:
            assert box.run("ip", "-br", "addr", "show", "eth0").split()[2:] == []
            assert box.sysctl("net/ipv6/conf/eth0/disable_ipv6") == "1"
            box.run("ip", "addr", "add", "198.51.100.77/24", "dev", "eth0")
            assert box.ping(OUTSIDE4)
            daemon.kill()
            daemon.start()
            assert box.ping(OUTSIDE4)
            box.run("ip", "addr", "del", "198.51.100.77/24", "dev", "eth0")
            assert check(daemon) == []


def test_connect_and_disconnect_while_it_runs(daemon: Daemon, host: Host) -> None:
    with network(daemon, "mv-lan", *LAN):
        daemon.docker("network", "create", "mv-br")
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-br", "-p", "8088:80", *SLEEP)
        with inside(daemon, "mv-one") as box, box.serve("0.0.0.0", 80):
            assert host.outside.reaches(host.address4, 8088)
            daemon.docker("network", "connect", "--gw-priority", "5", "mv-lan", "mv-one")
            address = daemon.inspect("mv-one")["NetworkSettings"]["Networks"]["mv-lan"]["IPAddress"]
            eventually(lambda: host.outside.reaches(address, 80), what="the LAN to hear of the address")
            assert daemon.docker("port", "mv-one") == ""  # the way out is the LAN now, where nothing is published
            assert check(daemon) == []
            daemon.docker("network", "disconnect", "mv-lan", "mv-one")
            assert host.outside.reaches(host.address4, 8088)
            assert host.outside.misses(address, 80)
            assert check(daemon) == []
        daemon.docker("rm", "-f", "mv-one")
        daemon.docker("network", "rm", "mv-br")


def test_published_ports_are_ignored_as_docker_does(daemon: Daemon) -> None:
    with network(daemon, "mv-lan", *LAN):
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-lan", "-p", "8089:80", *SLEEP)
        assert daemon.inspect("mv-one")["NetworkSettings"]["Ports"] == {}
        assert check(daemon) == []


def test_the_daemon_dies_and_the_container_too(daemon: Daemon, host: Host) -> None:
    with network(daemon, "mv-lan", *LAN):
        asked = ("--mac-address", "02:11:22:33:44:66", "--ip", "198.51.100.90")
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-lan", *asked, *SLEEP)
        with inside(daemon, "mv-one") as box, box.serve("0.0.0.0", 80):
            daemon.kill()
            assert host.outside.reaches("198.51.100.90", 80)
            daemon.start()
            assert host.outside.reaches("198.51.100.90", 80)
            assert check(daemon) == []
        for _ in range(3):  # the same MAC at once again
            daemon.docker("restart", "-t", "0", "mv-one")
            assert host.outside.ping("198.51.100.90")
        assert check(daemon) == []


def test_the_hosts_own_address_is_nobody_elses(daemon: Daemon, host: Host) -> None:
    with network(daemon, "mv-lan", *LAN):
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-lan", *SLEEP)
        assert daemon.inspect("mv-one")["NetworkSettings"]["Networks"]["mv-lan"]["IPAddress"] == "198.51.100.3"
        asked = ("--network", "mv-lan", "--ip", host.address4)
        told = daemon.docker("run", "--rm", *asked, *SLEEP, check=False)
        assert f"Address already in use: {host.address4} is an address of the host itself" in told


def test_the_lan_is_told_of_an_address_that_moves(daemon: Daemon, host: Host) -> None:
    with network(daemon, "mv-lan", *LAN):
        for mac in ("02:11:22:33:55:01", "02:11:22:33:55:02"):
            asked = ("--ip", "198.51.100.91", "--mac-address", mac)
            daemon.docker("run", "-d", "--rm", "--name", "mv-one", "--network", "mv-lan", *asked, *SLEEP)
            assert eventually(lambda: host.outside.ping("198.51.100.91", timeout=0.2))
            assert mac_seen(host.outside, "198.51.100.91") == mac
            daemon.docker("rm", "-f", "mv-one")


def test_one_mac_once(daemon: Daemon) -> None:
    with network(daemon, "mv-lan", *LAN):
        mac = ("--mac-address", "02:11:22:33:44:77")
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-lan", *mac, *SLEEP)
        told = daemon.docker("run", "--rm", "--name", "mv-two", "--network", "mv-lan", *mac, *SLEEP, check=False)
        assert "address already in use: another interface on eth0 has the MAC address 02:11:22:33:44:77" in told
        assert check(daemon) == []


def test_the_parent_goes_and_comes_back(daemon: Daemon, host: Host) -> None:
    def parent() -> None:
        host.run("ip", "link", "add", "lan1", "up", "type", "veth", "peer", "name", "lan2")
        host.run("ip", "link", "set", "lan2", "up")

    parent()
    with network(daemon, "mv-own", "--subnet", "10.89.0.0/24", parent="lan1"):
        for name in ("mv-one", "mv-two"):
            daemon.docker("run", "-d", "--name", name, "--network", "mv-own", *SLEEP)
        with inside(daemon, "mv-one") as box:
            assert box.ping("10.89.0.3")
            host.run("ip", "link", "del", "lan1")
            told = eventually(lambda: daemon.docker("run", "--rm", "--network", "mv-own", "host", "true", check=False))
            assert "parent interface lan1 of network mv-own is not there" in told
            daemon.kill()
            daemon.start()  # without it too
            parent()
            eventually(lambda: box.ping("10.89.0.3", timeout=0.2), what="the interfaces to come back")
        daemon.docker("rm", "-f", "mv-one", "mv-two")
    host.run("ip", "link", "del", "lan1")
    assert check(daemon) == []


def test_an_interface_of_somebody_else_stays(daemon: Daemon, host: Host) -> None:
    """A macvlan that a person has moved into the container is no business of ours."""
    with network(daemon, "mv-lan", *LAN):
        daemon.docker("run", "-d", "--name", "mv-one", "--network", "mv-lan", *SLEEP)
        pid = str(daemon.inspect("mv-one")["State"]["Pid"])
        host.run("ip", "link", "add", "link", "eth0", "mine", "netns", pid, "type", "macvlan", "mode", "bridge")
        daemon.kill()
        daemon.start()
        with inside(daemon, "mv-one") as box:
            assert "mine" in box.run("ip", "link")


def test_what_cannot_be_is_refused_and_leaves_nothing(daemon: Daemon, host: Host) -> None:
    before = host.run("ip", "-j", "link")
    for parent, told in (
        ("lo", "loopback interface is not a valid macvlan parent link"),
        ("nope0", "invalid subinterface vlan name nope0, example formatting is eth0.10"),
        ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
    ):
        said = daemon.docker("network", "create", "-d", "macvlan", "-o", f"parent={parent}", "mv-no", check=False)
        assert told in said
    assert daemon.docker("network", "ls", "-q", "--filter", "name=mv-no") == ""
    assert host.run("ip", "-j", "link") == before
