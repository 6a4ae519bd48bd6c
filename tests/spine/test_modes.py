"""Networks that differ in what their firewall lets through, by the docker CLI; what it shows is as Docker shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns

BRIDGE = "com.docker.network.bridge."


@pytest.fixture
def made(daemon: Daemon) -> Iterator[list[str]]:
    """Networks of this test; they and their containers go with it, and leave nothing."""
    networks: list[str] = []
    yield networks
    for network in networks:
        for entry in daemon.network(network)["Containers"].values():
            daemon.docker("rm", "-f", entry["Name"])
        daemon.docker("network", "rm", network)
    assert check(daemon) == []


def network(daemon: Daemon, made: list[str], name: str, *flags: str) -> None:
    daemon.docker("network", "create", *flags, name)
    made.append(name)


def run(daemon: Daemon, name: str, *flags: str) -> None:
    daemon.docker("run", "-d", "--name", name, *flags, "host", "sleep", "600")


def test_routed_ports_are_the_containers(daemon: Daemon, host: Host, made: list[str]) -> None:
    network(daemon, made, "md-r", "--subnet", "10.91.1.0/24", "-o", f"{BRIDGE}gateway_mode_ipv4=routed")
    run(daemon, "md-web", "--network", "md-r", "-p", "18090:80", "-p", "127.0.0.1:18091:80")
    shown = daemon.inspect("md-web")["NetworkSettings"]["Ports"]
    assert shown == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}, {"HostIp": "::", "HostPort": "18090"}]}
    (listed,) = (c for c in daemon.json("GET", "/containers/json") if c["Names"] == ["/md-web"])
    assert {"IP": "0.0.0.0", "PrivatePort": 80, "Type": "tcp"} in listed["Ports"]
    assert daemon.docker("port", "md-web") == "80/tcp -> 0.0.0.0:\n80/tcp -> [::]:18090"
    address = daemon.inspect("md-web")["NetworkSettings"]["Networks"]["md-r"]["IPAddress"]
    host.outside.run("ip", "route", "replace", "10.91.1.0/24", "via", host.address4)
    with Netns.of(daemon.inspect("md-web")["State"]["Pid"]) as inside, inside.serve("0.0.0.0", 80, tag="web"):
        assert host.outside.ask(address, 80).tag == "web"
        assert host.outside.misses(host.address4, 18090)
    host.outside.run("ip", "route", "del", "10.91.1.0/24")
    assert check(daemon) == []


def test_a_port_of_a_routed_network_may_be_somebody_elses_on_the_host(
    daemon: Daemon, host: Host, made: list[str]
) -> None:
    network(daemon, made, "md-r", "-o", f"{BRIDGE}gateway_mode_ipv4=routed")
    run(daemon, "md-one", "--network", "md-r", "-p", "0.0.0.0:18095:80")
    run(daemon, "md-two", "--network", "md-r", "-p", "0.0.0.0:18095:80")
    with host.serve("0.0.0.0", 18095, tag="host"):
        assert host.outside.ask(host.address4, 18095).tag == "host"


def test_neighbours_kept_apart(daemon: Daemon, made: list[str]) -> None:
    network(daemon, made, "md-n", "-o", f"{BRIDGE}enable_icc=false")
    run(daemon, "md-one", "--network", "md-n", "-p", "18096:80")
    run(daemon, "md-two", "--network", "md-n")
    assert check(daemon) == []
    settings = daemon.inspect("md-one")["NetworkSettings"]["Networks"]["md-n"]
    with (
        Netns.of(daemon.inspect("md-one")["State"]["Pid"]) as one,
        Netns.of(daemon.inspect("md-two")["State"]["Pid"]) as two,
        one.serve("0.0.0.0", 80, tag="one"),
    ):
        assert two.misses(settings["IPAddress"], 80)
        assert two.ask(settings["Gateway"], 18096).tag == "one"
        assert settings["IPAddress"] not in two.run("ip", "neigh", "show", "nud", "reachable")


def test_inspect_tells_the_guard(daemon: Daemon, made: list[str]) -> None:
    network(daemon, made, "md-g")
    network(daemon, made, "md-off", "-o", "netloom.guard=false")
    run(daemon, "md-plain", "--network", "md-g")
    run(daemon, "md-admin", "--network", "md-g", "--cap-add", "NET_ADMIN")
    run(daemon, "md-less", "--network", "md-g", "--cap-add", "ALL", "--cap-drop", "NET_ADMIN")
    run(daemon, "md-priv", "--network", "md-g", "--privileged")
    run(daemon, "md-off", "--network", "md-off")
    shown = {
        entry["Name"]: entry["Guard"]
        for name in ("md-g", "md-off")
        for entry in daemon.json("GET", f"/networks/{name}?netloom=1")["Containers"].values()
    }
    assert shown == {"md-plain": "own", "md-admin": "any", "md-less": "own", "md-priv": "any", "md-off": "off"}
    assert check(daemon) == []


def test_further_addresses_of_an_endpoint(daemon: Daemon, made: list[str]) -> None:
    network(daemon, made, "md-g", "--subnet", "10.91.3.0/24")
    run(daemon, "md-one", "--network", "name=md-g,driver-opt=netloom.endpoint.addresses=10.91.3.77")
    run(daemon, "md-two", "--network", "md-g")
    refused = daemon.docker_run("run", "--rm", "--network", "name=md-g,driver-opt=netloom.endpoint.addresses=x", "host")
    assert "invalid netloom.endpoint.addresses value: x" in refused.stderr
    for name, answers in (("md-one", True), ("md-two", False)):
        with Netns.of(daemon.inspect(name)["State"]["Pid"]) as inside:
            inside.run("ip", "addr", "add", "10.91.3.77/24", "dev", "eth0")
            assert daemon.host.ping("10.91.3.77", timeout=10 if answers else 0.3) is answers
            inside.run("ip", "addr", "del", "10.91.3.77/24", "dev", "eth0")
            daemon.host.run("ip", "neigh", "flush", "to", "10.91.3.77")
