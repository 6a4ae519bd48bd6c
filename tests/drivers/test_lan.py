"""Bridges with an interface of the host as a port: containers are machines of its LAN, and of no other network."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from lans import LAN, LAN6, ROUTER4, ROUTER6, SLEEP, lan, link, master_of
from machines import address_of, inside, mac_seen, network

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns, eventually
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

ON = ("-o", "parent=eth1")
MAC = "02:11:22:33:44:55"


@pytest.fixture
def beyond(host: Host) -> Iterator[Netns]:
    with lan(host) as beyond:
        yield beyond


def links(host: Host) -> list[str]:
    return [one["ifname"] for one in json.loads(host.run("ip", "-j", "link"))]


@pytest.mark.parametrize("hooks", [True, False], ids=["hooks", "no-hooks"])
def test_a_container_is_a_machine_of_the_lan(daemon: Daemon, host: Host, beyond: Netns, hooks: bool) -> None:
    host.bridge_netfilter(hooks)
    with network(daemon, "la-one", *ON, *LAN, *LAN6, "--ip-range", "192.0.2.64/27"):
        asked = ("--mac-address", MAC, "--ip6", "2001:db8:2::77")
        daemon.docker("run", "-d", "--name", "la-web", "--network", "la-one", *asked, *SLEEP)
        daemon.docker("run", "-d", "--name", "la-db", "--network", "la-one", *SLEEP)
        told = daemon.inspect("la-web")["NetworkSettings"]["Networks"]["la-one"]
        assert (told["IPAddress"], told["Gateway"], told["IPv6Gateway"]) == ("192.0.2.64", ROUTER4, ROUTER6)
        with inside(daemon, "la-web") as box, box.serve("0.0.0.0", 80), box.serve("::", 80):
            assert box.ping(ROUTER4)
            assert box.ping(ROUTER6)
            assert beyond.ask("192.0.2.64", 80).address == ROUTER4
            assert beyond.ask("2001:db8:2::77", 80).address == ROUTER6
            assert mac_seen(beyond, "192.0.2.64") == mac_seen(beyond, "2001:db8:2::77") == MAC
            assert box.ping(address_of(daemon, "la-db", "la-one"))
            with beyond.serve("0.0.0.0", 81):
                assert box.ask(ROUTER4, 81).address == "192.0.2.64"  # its own: nobody translates
        assert daemon.docker("exec", "la-web", "getent", "ahostsv4", "la-db").startswith("192.0.2.65")
        bridge = daemon.json("GET", "/networks/la-one?netloom=1")["Bridge"]
        assert (bridge["LAN"], bridge["Adopted"], bridge["Addresses"]) == (True, False, [])
        assert not host.ping("192.0.2.64", timeout=0.3)  # the host is no machine of this LAN
        assert check(daemon) == []
    assert master_of(host, "eth1") == ""
    assert check(daemon) == []


def test_the_host_is_on_the_lan_where_it_is_asked_to(daemon: Daemon, host: Host, beyond: Netns) -> None:
    """`--gateway` is its address beside a router that has a name of its own."""
    flags = ("--subnet", "192.0.2.0/24", "--gateway", "192.0.2.9", "--aux-address", f"DefaultGatewayIPv4={ROUTER4}")
    with network(daemon, "la-one", *ON, *flags), network(daemon, "la-red"):
        daemon.docker("run", "-d", "--name", "la-web", "--network", "la-one", *SLEEP)
        daemon.docker("run", "-d", "--name", "la-app", "--network", "la-red", "-p", "8090:80", *SLEEP)
        address = address_of(daemon, "la-web", "la-one")
        with inside(daemon, "la-web") as web, inside(daemon, "la-app") as app, app.serve("0.0.0.0", 80):
            assert host.ping(address)
            assert web.ping("192.0.2.9")
            assert beyond.ping("192.0.2.9")
            assert web.run("ip", "route", "show", "default").split()[2] == ROUTER4
            assert beyond.ask("192.0.2.9", 8090).address == ROUTER4
            assert web.ask("192.0.2.9", 8090).address == address
            beyond.run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.9")
            assert not beyond.ping(OUTSIDE4, timeout=0.3)  # the host is no router
            assert check(daemon) == []


@pytest.mark.parametrize("hooks", [True, False], ids=["hooks", "no-hooks"])
def test_networks_stay_apart(daemon: Daemon, host: Host, beyond: Netns, hooks: bool) -> None:
    """By the host's routes, by routes that a container makes itself, and between two LANs."""
    host.bridge_netfilter(hooks)
    host.sysctl("net/ipv4/ip_forward", "1")
    hosted = ("--subnet", "192.0.2.0/24", "--gateway", "192.0.2.9", "--aux-address", f"DefaultGatewayIPv4={ROUTER4}")
    with network(daemon, "la-one", *ON, *hosted), network(daemon, "la-red"):
        daemon.docker("run", "-d", "--name", "la-web", "--network", "la-one", "--cap-add", "NET_ADMIN", *SLEEP)
        daemon.docker("run", "-d", "--name", "la-app", "--network", "la-red", *SLEEP)
        web_at, app_at = address_of(daemon, "la-web", "la-one"), address_of(daemon, "la-app", "la-red")
        with inside(daemon, "la-web") as web, inside(daemon, "la-app") as app:
            assert not app.ping(web_at, timeout=0.3)
            web.run("ip", "route", "add", f"{app_at}/32", "via", "192.0.2.9")
            assert not web.ping(app_at, timeout=0.3)
            beyond.run("ip", "route", "add", f"{app_at}/32", "via", "192.0.2.9")
            assert not beyond.ping(app_at, timeout=0.3)
            assert beyond.ping(web_at)
            assert app.ping(OUTSIDE4)
        host.outside.run("ip", "route", "add", f"{web_at}/32", "via", host.address4)
        assert not host.outside.ping(web_at, timeout=0.3)
        host.outside.run("ip", "route", "del", f"{web_at}/32")
    host.sysctl("net/ipv4/ip_forward", "0")


def test_the_guard_is_for_containers_and_not_for_the_lan(daemon: Daemon, beyond: Netns) -> None:
    with network(daemon, "la-one", *ON, *LAN):
        daemon.docker("run", "-d", "--name", "la-web", "--network", "la-one", *SLEEP)
        beyond.run("ip", "addr", "add", "192.0.2.200/24", "dev", "router")
        with inside(daemon, "la-web") as web:
            assert web.ping("192.0.2.200")  # a machine of the LAN may have what addresses it likes
            web.run("ip", "addr", "add", "192.0.2.201/24", "dev", "eth0")
            bound = ("ping", "-c", "1", "-W", "0.3", "-I", "192.0.2.201", ROUTER4)
            assert "0 received" in web.run(*bound, check=False)


def test_neighbours_apart_and_the_lan_reached(daemon: Daemon, host: Host, beyond: Netns) -> None:
    host.bridge_netfilter(True)
    with network(daemon, "la-one", *ON, *LAN, "-o", "com.docker.network.bridge.enable_icc=false"):
        for name in ("la-web", "la-db"):
            daemon.docker("run", "-d", "--name", name, "--network", "la-one", *SLEEP)
        with inside(daemon, "la-web") as web:
            assert web.ping(ROUTER4)
            assert not web.ping(address_of(daemon, "la-db", "la-one"), timeout=0.3)
        assert beyond.ping(address_of(daemon, "la-db", "la-one"))


def test_nothing_is_published(daemon: Daemon, beyond: Netns) -> None:
    with network(daemon, "la-one", *ON, *LAN):
        daemon.docker("run", "-d", "--name", "la-web", "--network", "la-one", "-p", "8091:80", *SLEEP)
        assert daemon.docker("port", "la-web") == ""
        assert check(daemon) == []


def test_the_parent_goes_and_comes(daemon: Daemon, host: Host, beyond: Netns) -> None:
    with network(daemon, "la-one", *ON, *LAN):
        bridge = daemon.json("GET", "/networks/la-one?netloom=1")["Bridge"]["Name"]
        for name in ("la-web", "la-db"):
            daemon.docker("run", "-d", "--name", name, "--network", "la-one", *SLEEP)
        with inside(daemon, "la-web") as web:
            assert web.ping(ROUTER4)
            host.run("ip", "link", "set", "eth1", "nomaster")
            eventually(lambda: master_of(host, "eth1") == bridge, what="the port to be put back")
            host.run("ip", "link", "del", "eth1")
            assert web.ping(address_of(daemon, "la-db", "la-one"))  # among themselves they go on
            daemon.kill()
            daemon.start()
            link(host, beyond)
            beyond.run("ip", "addr", "add", f"{ROUTER4}/24", "dev", "router")
            beyond.run("ip", "link", "set", "router", "up")
            eventually(lambda: web.ping(ROUTER4, timeout=0.2), what="the LAN to be back")
            assert check(daemon) == []
            host.run("ip", "link", "add", "br-else", "type", "bridge")
            host.run("ip", "link", "set", "eth1", "master", "br-else")
            daemon.kill()
            daemon.start()
            assert master_of(host, "eth1") == "br-else"  # what somebody uses is not taken from him
            host.run("ip", "link", "del", "br-else")
            eventually(lambda: master_of(host, "eth1") == bridge, what="the port to be put back")


def test_what_cannot_be_is_refused_and_leaves_nothing(daemon: Daemon, host: Host, beyond: Netns) -> None:
    before = links(host)
    internal = (*ON, "--internal")
    for flags, told in (
        (("-o", "parent=eth0"), "parent interface eth0 has addresses, which stop working"),
        (("-o", "parent=lo"), "loopback interface is not a valid bridge parent link"),
        (("-o", "parent=nope0"), "invalid subinterface vlan name nope0"),
        ((*ON, "-o", "com.docker.network.bridge.gateway_mode_ipv4=routed"), "gateway_mode_ipv4 means nothing"),
        ((*ON, "-o", "com.docker.network.bridge.enable_ip_masquerade=true"), "enable_ip_masquerade means nothing"),
        (internal, "cannot be internal"),
    ):
        assert told in daemon.docker("network", "create", *flags, *LAN, "la-no", check=False)
    host.run("ip", "link", "add", "br-else", "type", "bridge")
    host.run("ip", "link", "set", "eth1", "master", "br-else")
    said = daemon.docker("network", "create", *ON, *LAN, "la-no", check=False)
    assert "parent interface eth1 is a port of br-else already" in said
    host.run("ip", "link", "del", "br-else")
    with network(daemon, "la-one", *ON, *LAN):
        for driver in ("bridge", "macvlan"):
            said = daemon.docker("network", "create", "-d", driver, *ON, "la-no", check=False)
            assert "is already using parent interface eth1" in said
    with network(daemon, "la-mac", *ON, *LAN, driver="macvlan"):
        said = daemon.docker("network", "create", *ON, "la-no", check=False)
        assert "macvlan network la-mac" in said
        assert "is already using parent interface eth1" in said
    assert daemon.docker("network", "ls", "-q", "--filter", "name=la-no") == ""
    assert links(host) == before


def test_a_vlan_is_made_and_goes(daemon: Daemon, host: Host, beyond: Netns) -> None:
    need("vlan")
    script = "link add link router name router.7 type vlan id 7\naddr add 10.97.0.1/24 dev router.7\n"
    beyond.run("ip", "-batch", "-", stdin=script + "link set router.7 up\n")
    host.run("ip", "link", "set", "eth1", "up")
    with network(daemon, "la-tag", "-o", "parent=eth1.7", "--subnet", "10.97.0.0/24", "--gateway", "10.97.0.1"):
        daemon.docker("run", "-d", "--name", "la-web", "--network", "la-tag", *SLEEP)
        with inside(daemon, "la-web") as web:
            assert web.ping("10.97.0.1")
            assert "add port eth1.7" not in daemon.log.read_text()  # it stood; nothing was put back
            host.run("ip", "link", "set", "eth1.7", "nomaster")
            eventually(lambda: master_of(host, "eth1.7"), what="the VLAN to be a port again")
            host.run("ip", "link", "del", "eth1.7")
            eventually(lambda: web.ping("10.97.0.1", timeout=0.2), what="the VLAN to be made again")
        assert check(daemon) == []
    assert "eth1.7" not in host.run("ip", "link")
