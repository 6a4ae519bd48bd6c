"""What a container's packets do, seen from inside, from its peers, from the host and from beyond."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns, eventually


class Box:
    """A running container and a way into its network namespace."""

    def __init__(self, daemon: Daemon, name: str, *options: str) -> None:
        self.name = name
        daemon.docker("run", "-d", "--name", name, *options, "host", "sleep", "600")
        self.told = daemon.inspect(name)
        self.inside = Netns.of(self.told["State"]["Pid"])

    def address(self, network: str) -> str:
        found: str = self.told["NetworkSettings"]["Networks"][network]["IPAddress"]
        return found


@pytest.fixture
def boxes(daemon: Daemon) -> Iterator[tuple[Box, Box]]:
    """Two containers on one network `pk-a`; the second has port 80 published as 8080."""
    daemon.docker("network", "create", "--subnet", "10.70.0.0/24", "pk-a")
    first = Box(daemon, "pk-one", "--network", "pk-a")
    second = Box(daemon, "pk-two", "--network", "pk-a", "-p", "8080:80")
    yield first, second
    for box in (first, second):
        box.inside.close()
    daemon.docker("rm", "-f", "pk-one", "pk-two")
    daemon.docker("network", "rm", "pk-a")
    assert check(daemon) == []


def test_host_process_outside_host_and_back(boxes: tuple[Box, Box], host: Host) -> None:
    one, two = boxes
    with host.serve("0.0.0.0", 9001):
        assert one.inside.ask("10.70.0.1", 9001).address == one.address("pk-a")
    with host.outside.serve("0.0.0.0", 9001):
        assert one.inside.ask(OUTSIDE4, 9001).address == host.address4  # masqueraded
    with two.inside.serve("0.0.0.0", 80):
        assert host.outside.ask(host.address4, 8080).address == OUTSIDE4
        assert host.ask(host.address4, 8080).address == host.address4
        assert host.ask("127.0.0.1", 8080).address == "10.70.0.1"
        assert one.inside.ask(host.address4, 8080).address == "10.70.0.1"  # hairpin
        assert two.inside.ask(host.address4, 8080).address == "10.70.0.1"  # to itself
        assert host.outside.misses(two.address("pk-a"), 80)


def test_the_first_forwarded_ipv6_packet_does_not_wait(daemon: Daemon, host: Host) -> None:
    """No address of the bridge is tentative once its first container has given it a carrier."""
    daemon.docker("network", "create", "--ipv6", "--subnet", "fd00:70::/64", "pk-six")
    daemon.docker("run", "-d", "--name", "pk-first", "--network", "pk-six", "-p", "8080:80", "host", "sleep", "600")
    told = json.loads(daemon.docker("network", "inspect", "pk-six"))[0]
    shown = json.loads(host.run("ip", "-j", "-6", "addr", "show", "dev", f"br-{told['Id'][:12]}"))
    addresses = shown[0]["addr_info"]
    assert {one["scope"] for one in addresses} == {"global", "link"}
    assert not [one for one in addresses if one.get("tentative")]
    daemon.docker("rm", "-f", "pk-first")
    daemon.docker("network", "rm", "pk-six")


def test_the_client_cannot_tell_what_its_peer_is(boxes: tuple[Box, Box], host: Host) -> None:
    one, two = boxes
    answers = []
    for place, address in ((two.inside, two.address("pk-a")), (host, "10.70.0.1"), (host.outside, OUTSIDE4)):
        for proto in ("tcp", "udp"):
            with place.serve("0.0.0.0", 9002, proto, "same"):  # type: ignore[arg-type]
                answers.append(one.inside.ask(address, 9002, proto).tag)  # type: ignore[arg-type]
    assert answers == ["same"] * 6


def test_each_has_a_stack_of_its_own(boxes: tuple[Box, Box]) -> None:
    one, two = boxes
    with one.inside.serve("0.0.0.0", 80, tag="one"), two.inside.serve("0.0.0.0", 80, tag="two"):
        assert one.inside.ask("127.0.0.1", 80).tag == "one"
        assert two.inside.ask("127.0.0.1", 80).tag == "two"
        assert one.inside.ask(two.address("pk-a"), 80).tag == "two"
    one.inside.sysctl("net/ipv4/ip_default_ttl", "33")
    assert two.inside.sysctl("net/ipv4/ip_default_ttl") == "64"
    one.inside.run("ip", "route", "add", "192.0.2.0/24", "via", "10.70.0.1")
    assert "192.0.2" not in two.inside.run("ip", "route")


def test_peers_are_neighbours_on_one_segment(boxes: tuple[Box, Box]) -> None:
    one, two = boxes
    pong = one.inside.run("ping", "-c1", "-W1", two.address("pk-a"))
    assert "ttl=64" in pong
    neighbours = json.loads(one.inside.run("ip", "-j", "neigh", "show", two.address("pk-a")))
    assert neighbours[0]["lladdr"] == two.told["NetworkSettings"]["Networks"]["pk-a"]["MacAddress"]
    two.inside.sysctl("net/ipv4/icmp_echo_ignore_broadcasts", "0")
    heard = one.inside.run("ping", "-b", "-c1", "-W1", "10.70.0.255", check=False)
    assert re.search(rf"from {two.address('pk-a')}", heard)


def test_networks_are_apart(boxes: tuple[Box, Box], daemon: Daemon) -> None:
    one, two = boxes
    daemon.docker("network", "create", "--subnet", "10.71.0.0/24", "pk-b")
    daemon.docker("network", "create", "--internal", "--subnet", "10.72.0.0/24", "pk-c")
    other = Box(daemon, "pk-other", "--network", "pk-b")
    inner = Box(daemon, "pk-inner", "--network", "pk-c")
    with other.inside.serve("0.0.0.0", 80), inner.inside.serve("0.0.0.0", 80), two.inside.serve("0.0.0.0", 80):
        for source, target in ((one, other), (other, two), (one, inner), (inner, two), (other, inner)):
            address = next(s["IPAddress"] for s in target.told["NetworkSettings"]["Networks"].values())
            assert source.inside.misses(address, 80), f"{source.name} reaches {target.name}"
            assert not source.inside.ping(address, timeout=0.3)
    assert other.inside.ping(OUTSIDE4)
    assert not inner.inside.ping(OUTSIDE4, timeout=0.3)
    for box in (other, inner):
        box.inside.close()
    daemon.docker("rm", "-f", "pk-other", "pk-inner")
    daemon.docker("network", "rm", "pk-b", "pk-c")


def test_killed_for_memory(daemon: Daemon) -> None:
    """The end by the OOM killer is an end like any other: address, name, port and interface are gone."""
    daemon.docker("network", "create", "pk-d")
    hog = "a=x; while :; do a=$a$a; done"
    daemon.docker(
        "run", "-d", "--name", "pk-hog", "--network", "pk-d", "-p", "8099:80", "-m", "16m", "host", "sh", "-c", hog
    )
    eventually(lambda: daemon.inspect("pk-hog")["State"]["Status"] == "exited", what="the end")
    state = daemon.inspect("pk-hog")["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (137, True)
    assert not daemon.network("pk-d")["Containers"]
    assert check(daemon) == []
    daemon.docker("rm", "pk-hog")
    daemon.docker("network", "rm", "pk-d")


def test_an_address_goes_to_others_last(daemon: Daemon) -> None:
    """The address freed longest ago is given first, so a name that was just resolved does not meet a stranger."""
    daemon.docker("network", "create", "--subnet", "10.73.0.0/24", "pk-e")
    given = []
    for _ in range(3):
        daemon.docker("run", "-d", "--name", "pk-turn", "--network", "pk-e", "host", "sleep", "600")
        given.append(daemon.inspect("pk-turn")["NetworkSettings"]["Networks"]["pk-e"]["IPAddress"])
        daemon.docker("rm", "-f", "pk-turn")
    assert given == ["10.73.0.2", "10.73.0.3", "10.73.0.4"]
    daemon.docker("network", "rm", "pk-e")


def test_a_host_port_in_use_is_refused_and_a_held_one_is_not_robbed(daemon: Daemon, host: Host) -> None:
    with host.serve("0.0.0.0", 8123):
        done = daemon.docker_run("run", "--name", "pk-port", "-p", "8123:80", "host", "true")
        assert done.returncode == 125
        assert "failed to bind host port for 0.0.0.0:8123" in done.stderr
        assert "address already in use" in done.stderr
    daemon.docker("rm", "pk-port")
    daemon.docker("run", "-d", "--name", "pk-port", "-p", "8123:80", "host", "sleep", "600")
    with pytest.raises(OSError, match="Address already in use"), host.serve("0.0.0.0", 8123):
        pass
    daemon.docker("rm", "-f", "pk-port")
    with host.serve("0.0.0.0", 8123):
        pass
