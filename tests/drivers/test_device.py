"""Interfaces of the host lent to a container: whole, to one at a time, and home again however it ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from lans import LAN, LAN6, ROUTER4, ROUTER6, SLEEP, lan
from machines import inside, network

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns, eventually

pytestmark = pytest.mark.kernel

ON = ("-o", "parent=eth1")
MAC = "02:aa:bb:cc:dd:01"


@pytest.fixture
def beyond(host: Host) -> Iterator[Netns]:
    with lan(host) as beyond:
        host.run("ip", "link", "set", "eth1", "address", MAC, "mtu", "1400", "alias", "the lab's")
        host.run("ip", "link", "set", "eth1", "up")
        yield beyond


def there(host: Host) -> dict[str, Any]:
    """What the host has by that name."""
    found = json.loads(host.run("ip", "-j", "link", "show", "eth1", check=False) or "[]")
    return found[0] if found else {}


def is_home(host: Host) -> bool:
    """With all that it was."""
    one = there(host)
    return bool(one) and (one["address"], one["mtu"], one["ifalias"], "UP" in one["flags"], one["group"]) == (
        MAC,
        1400,
        "the lab's",
        True,
        "default",
    )


def test_it_is_in_the_container_and_comes_home(daemon: Daemon, host: Host, beyond: Netns) -> None:
    with network(daemon, "dv-one", *ON, *LAN, *LAN6, driver="device"):
        assert is_home(host)
        daemon.docker("run", "-d", "--name", "dv-web", "--network", "dv-one", *SLEEP)
        assert there(host) == {}
        told = daemon.inspect("dv-web")["NetworkSettings"]["Networks"]["dv-one"]
        assert (told["MacAddress"], told["Gateway"], told["IPv6Gateway"]) == (MAC, ROUTER4, ROUTER6)
        with inside(daemon, "dv-web") as web:
            (link,) = [one for one in json.loads(web.run("ip", "-j", "addr")) if one["ifname"] != "lo"]
            assert (link["ifname"], link["address"], link["mtu"]) == ("eth0", MAC, 1400)
            assert web.ping(ROUTER4)
            assert web.ping(ROUTER6)
            assert beyond.ping(told["IPAddress"])
        assert "nameserver 127.0.0.11" in daemon.docker("exec", "dv-web", "cat", "/etc/resolv.conf")
        assert check(daemon) == []
        said = daemon.docker("run", "--rm", "--network", "dv-one", "host", "true", check=False)
        assert "parent interface eth1 of network dv-one is in container dv-web" in said
        daemon.docker("stop", "-t", "0", "dv-web")
        assert is_home(host)
        daemon.docker("start", "dv-web")
        daemon.docker("network", "disconnect", "dv-one", "dv-web")
        assert is_home(host)
        asked = ("--mac-address", "02:aa:bb:cc:dd:02")
        daemon.docker("run", "-d", "--name", "dv-db", "--network", "dv-one", *asked, *SLEEP)
        daemon.docker("rm", "-f", "dv-web")
        assert "02:aa:bb:cc:dd:02" in daemon.docker("exec", "dv-db", "cat", "/sys/class/net/eth0/address")
    assert is_home(host)
    assert check(daemon) == []


def test_the_container_is_killed(daemon: Daemon, host: Host, beyond: Netns) -> None:
    with network(daemon, "dv-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "-d", "--name", "dv-web", "--network", "dv-one", *SLEEP)
        os.kill(daemon.inspect("dv-web")["State"]["Pid"], signal.SIGKILL)
        eventually(lambda: is_home(host), what="the interface to come home")


def test_the_container_is_killed_while_there_is_no_daemon(daemon: Daemon, host: Host, beyond: Netns) -> None:
    with network(daemon, "dv-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "-d", "--name", "dv-web", "--network", "dv-one", *SLEEP)
        pid = daemon.inspect("dv-web")["State"]["Pid"]
        daemon.kill()
        assert there(host) == {}
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: is_home(host), what="the interface to come home")
        daemon.start()
        daemon.docker("start", "dv-web")
        assert there(host) == {}
        daemon.kill()
        daemon.start()
        with inside(daemon, "dv-web") as web:
            assert web.ping(ROUTER4)
        assert check(daemon) == []


@pytest.mark.parametrize("own", ["off", "on"])
def test_it_hears_what_it_heard(daemon: Daemon, host: Host, beyond: Netns, own: str) -> None:
    """Promiscuity is the host's again, whatever the container has made of it."""
    host.run("ip", "link", "set", "eth1", "promisc", own)
    with network(daemon, "dv-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "-d", "--name", "dv-web", "--network", "dv-one", *SLEEP)
        with inside(daemon, "dv-web") as web:
            web.run("ip", "link", "set", "eth0", "promisc", "off" if own == "on" else "on", "allmulticast", "on")
        daemon.docker("rm", "-f", "dv-web")
    assert is_home(host)
    assert {"PROMISC", "ALLMULTI"} & set(there(host)["flags"]) == ({"PROMISC"} if own == "on" else set())


def test_the_index_that_it_came_home_with_is_nobody_elses(daemon: Daemon, host: Host, beyond: Netns) -> None:
    """The kernel lets it keep the one that it had in the container; a later daemon counts beyond it."""
    with network(daemon, "dv-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "--rm", "--network", "dv-one", "host", "true")
        daemon.kill()
        daemon.start()
        for name in ("dv-web", "dv-db"):
            daemon.docker("run", "-d", "--name", name, *SLEEP)
        daemon.docker("rm", "-f", "dv-web", "dv-db")
        assert check(daemon) == []


def test_its_name_is_taken_meanwhile(daemon: Daemon, host: Host, beyond: Netns) -> None:
    with network(daemon, "dv-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "-d", "--name", "dv-web", "--network", "dv-one", *SLEEP)
        host.run("ip", "link", "add", "eth1", "type", "bridge")
        daemon.docker("rm", "-f", "dv-web")
        by_mac = [one["ifname"] for one in json.loads(host.run("ip", "-j", "link")) if one["address"] == MAC]
        assert len(by_mac) == 1
        host.run("ip", "link", "del", "eth1")
        daemon.kill()
        daemon.start()
        assert is_home(host)


def test_a_failed_start_gives_it_back(daemon: Daemon, host: Host, beyond: Netns) -> None:
    with network(daemon, "dv-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "--rm", "--network", "dv-one", "host", "/no/such/program", check=False)
        eventually(lambda: is_home(host), what="the interface to come home")
        assert check(daemon) == []


def test_what_cannot_be_is_refused(daemon: Daemon, host: Host, beyond: Netns) -> None:
    for flags, told in (
        ((), "a device network needs option parent"),
        (("-o", "parent=lo"), "loopback interface is not a valid device parent link"),
        (("-o", "parent=nope0"), "parent interface nope0 was not found on the host"),
        (("-o", "parent=eth0"), "parent interface eth0 has addresses, which are lost"),
    ):
        assert told in daemon.docker("network", "create", "-d", "device", *flags, "dv-no", check=False)
    with network(daemon, "dv-one", *ON, *LAN, driver="device"):
        for driver in ("device", "macvlan", "bridge"):
            said = daemon.docker("network", "create", "-d", driver, *ON, "dv-no", check=False)
            assert "is already using parent interface eth1" in said
