"""Bridges that somebody else made: used, never changed beyond what was added, never deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from lans import ROUTER4, SLEEP, lan, master_of
from machines import address_of, inside, network

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns, eventually

pytestmark = pytest.mark.kernel

ON = ("-o", "com.docker.network.bridge.name=br0")


@pytest.fixture
def bridge(host: Host) -> Iterator[Host]:
    """br0, without an address."""
    host.run("ip", "link", "add", "br0", "up", "type", "bridge")
    host.own_links |= {"br0"}
    yield host
    host.run("ip", "link", "del", "br0", check=False)
    host.own_links -= {"br0"}


@pytest.fixture
def piece(bridge: Host) -> Iterator[Netns]:
    """br0 as a piece of a LAN: eth1 is its port, the host is .5."""
    with lan(bridge) as beyond:
        bridge.run("ip", "link", "set", "eth1", "master", "br0", "up")
        bridge.run("ip", "addr", "add", "192.0.2.5/24", "dev", "br0")
        yield beyond


def mac(host: Host) -> str:
    (found,) = json.loads(host.run("ip", "-j", "link", "show", "br0"))
    return str(found["address"])


def addresses(host: Host) -> list[str]:
    (found,) = json.loads(host.run("ip", "-j", "-4", "addr", "show", "br0"))
    return [f"{a['local']}/{a['prefixlen']}" for a in found["addr_info"]]


def test_an_island_gets_the_gateway_and_gives_it_back(daemon: Daemon, bridge: Host) -> None:
    bridge.run("ip", "addr", "add", "10.33.0.1/24", "dev", "br0")
    with network(daemon, "ad-one", *ON, "--subnet", "10.34.0.0/24"):
        assert addresses(bridge) == ["10.33.0.1/24", "10.34.0.1/24"]
        daemon.docker("run", "-d", "--name", "ad-web", "--network", "ad-one", "-p", "8092:80", *SLEEP)
        with inside(daemon, "ad-web") as web, web.serve("0.0.0.0", 80):
            assert web.ping(OUTSIDE4)
            assert bridge.outside.reaches(bridge.address4, 8092)
            assert check(daemon) == []
            bridge.run("ip", "addr", "del", "10.34.0.1/24", "dev", "br0")
            eventually(lambda: "10.34.0.1/24" in addresses(bridge), what="the gateway to be put back")
            daemon.kill()
            bridge.run("ip", "addr", "add", "10.35.0.1/24", "dev", "br0")
            daemon.start()
            assert sorted(addresses(bridge)) == ["10.33.0.1/24", "10.34.0.1/24", "10.35.0.1/24"]
            assert web.ping(OUTSIDE4)
    assert addresses(bridge) == ["10.33.0.1/24", "10.35.0.1/24"]
    assert check(daemon) == []


def test_an_address_that_is_there_is_the_gateway(daemon: Daemon, bridge: Host) -> None:
    """No subnet is named: it is the bridge's."""
    bridge.run("ip", "addr", "add", "10.33.0.7/24", "dev", "br0")
    with network(daemon, "ad-one", *ON):
        assert daemon.network("ad-one")["IPAM"]["Config"] == [{"Subnet": "10.33.0.0/24", "Gateway": "10.33.0.7"}]
        daemon.docker("run", "-d", "--name", "ad-web", "--network", "ad-one", *SLEEP)
        with inside(daemon, "ad-web") as web:
            assert web.run("ip", "route", "show", "default").split()[2] == "10.33.0.7"
            assert web.ping(OUTSIDE4)
        assert check(daemon) == []
    assert addresses(bridge) == ["10.33.0.7/24"]


def test_a_piece_of_a_lan(daemon: Daemon, host: Host, piece: Netns) -> None:
    """The gateway is another machine's: it is not taken, and the host's address stays."""
    flags = ("--subnet", "192.0.2.0/24", "--gateway", ROUTER4, "--ip-range", "192.0.2.64/27")
    with network(daemon, "ad-one", *ON, *flags), network(daemon, "ad-red"):
        daemon.docker("run", "-d", "--name", "ad-web", "--network", "ad-one", *SLEEP)
        daemon.docker("run", "-d", "--name", "ad-app", "--network", "ad-red", *SLEEP)
        web_at = address_of(daemon, "ad-web", "ad-one")
        with inside(daemon, "ad-web") as web, inside(daemon, "ad-app") as app, web.serve("0.0.0.0", 80):
            assert web.ping(ROUTER4)
            assert web.ping("192.0.2.5")
            assert host.ping(web_at)
            assert piece.ask(web_at, 80).address == ROUTER4
            assert app.ping(ROUTER4)
            assert not app.ping(web_at, timeout=0.3)
            assert addresses(host) == ["192.0.2.5/24"]
            assert check(daemon) == []
        said = daemon.docker("run", "--rm", "--network", "ad-one", "--ip", "192.0.2.5", *SLEEP, check=False)
        assert "192.0.2.5 is an address of the host itself" in said
    assert addresses(host) == ["192.0.2.5/24"]
    assert master_of(host, "eth1") == "br0"


def test_its_mac_stays_whoever_comes_and_goes(daemon: Daemon, host: Host, piece: Netns) -> None:
    """A bridge takes the lowest MAC of its ports: whoever knows it would lose it, as ports of ours come and go."""
    host.run("ip", "link", "set", "eth1", "address", "ee:00:00:00:00:01")
    assert mac(host) == "ee:00:00:00:00:01"
    flags = ("--subnet", "192.0.2.0/24", "--gateway", ROUTER4, "--ip-range", "192.0.2.64/27")
    with network(daemon, "ad-one", *ON, *flags):
        for name in ("ad-web", "ad-db"):
            daemon.docker("run", "-d", "--name", name, "--network", "ad-one", *SLEEP)
            assert mac(host) == "ee:00:00:00:00:01"
    assert mac(host) == "ee:00:00:00:00:01"


def test_the_uplink_itself(daemon: Daemon, host: Host, piece: Netns) -> None:
    """Other networks go on reaching the world by it."""
    host.run("ip", "route", "add", "default", "via", ROUTER4, "dev", "br0", "metric", "5")
    host.run("ip", "route", "add", "203.0.113.0/24", "via", ROUTER4, "dev", "br0")
    piece.run("ip", "addr", "add", "203.0.113.9/32", "dev", "lo")
    flags = ("--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.64/27")
    with network(daemon, "ad-one", *ON, *flags), network(daemon, "ad-red"):
        assert daemon.json("GET", "/networks/ad-one?netloom=1")["Bridge"]["LAN"]
        daemon.docker("run", "-d", "--name", "ad-web", "--network", "ad-one", *SLEEP)
        daemon.docker("run", "-d", "--name", "ad-app", "--network", "ad-red", *SLEEP)
        with inside(daemon, "ad-web") as web, inside(daemon, "ad-app") as app:
            assert web.ping(ROUTER4)
            assert app.ping("203.0.113.9")
            assert not app.ping(address_of(daemon, "ad-web", "ad-one"), timeout=0.3)


def test_it_vanishes_and_comes_back(daemon: Daemon, bridge: Host) -> None:
    with network(daemon, "ad-one", *ON, "--subnet", "10.34.0.0/24"):
        for name in ("ad-web", "ad-db"):
            daemon.docker("run", "-d", "--name", name, "--network", "ad-one", *SLEEP)
        other = address_of(daemon, "ad-db", "ad-one")
        with inside(daemon, "ad-web") as web:
            bridge.run("ip", "link", "del", "br0")
            told = eventually(lambda: daemon.docker("run", "--rm", "--network", "ad-one", "host", "true", check=False))
            assert "bridge br0 of network ad-one is not there" in told
            daemon.kill()
            daemon.start()
            bridge.run("ip", "link", "add", "br0", "up", "type", "bridge")
            eventually(lambda: web.ping(other, timeout=0.2), what="the ports to be back")
            assert web.ping(OUTSIDE4)
            assert check(daemon) == []
        bridge.run("ip", "link", "del", "br0")
    assert check(daemon) == []


def test_what_is_no_bridge_is_refused(daemon: Daemon, host: Host) -> None:
    said = daemon.docker("network", "create", "-o", "com.docker.network.bridge.name=eth0", "ad-no", check=False)
    assert "existing interface eth0 is not a bridge" in said


def test_two_networks_do_not_share_it(daemon: Daemon, bridge: Host) -> None:
    with network(daemon, "ad-one", *ON, "--subnet", "10.34.0.0/24"):
        said = daemon.docker("network", "create", *ON, "--subnet", "10.35.0.0/24", "ad-no", check=False)
        assert "networks have same bridge name" in said
    assert "br0" in bridge.run("ip", "link")
