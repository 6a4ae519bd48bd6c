"""kill -9 between an endpoint's start and its announcement: the next daemon tells the neighbours that nobody told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import pytest
from capture import ARP, Capture
from lans import LAN, LAN6, SLEEP, lan
from machines import inside, mac_seen, network

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns, eventually
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

STALE = "02:00:00:00:00:99"  # who had the addresses before, as the neighbours believe
ADVERTISE = "com.docker.network.advertise_addr"
ADDRESS4, ADDRESS6 = "192.0.2.9", "2001:db8:2::9"


class Place(NamedTuple):
    """A kind of network, and where its neighbours are: on the LAN, or in a container beside it."""

    driver: str
    flags: tuple[str, ...] = ()
    on_lan: bool = True


ON = ("-o", "parent=eth1")
PLACES = {
    "bridge": Place("bridge", on_lan=False),
    "bridge-parent": Place("bridge", ON),
    "macvlan": Place("macvlan", ON),
    "ipvlan": Place("ipvlan", ON),
    "vlan": Place("macvlan", ("-o", "parent=eth1.7")),
}


@pytest.mark.parametrize("kind", PLACES)
def test_what_a_killed_daemon_did_not_announce(daemon: Daemon, host: Host, kind: str) -> None:
    if PLACES[kind].driver != "bridge":
        need(kind)
    place = PLACES[kind]
    with up(host) as beyond, network(daemon, "an-net", *place.flags, *LAN, *LAN6, driver=place.driver):
        daemon.docker("create", "--name", "an-one", "--network", "an-net", "--ip", ADDRESS4, "--ip6", ADDRESS6, *SLEEP)
        with neighbour(daemon, beyond, place) as (there, link):
            started_and_killed(daemon)
            for address in (ADDRESS4, ADDRESS6):
                there.run("ip", "neigh", "replace", address, "lladdr", STALE, "dev", link, "nud", "reachable")
            daemon.start()
            with inside(daemon, "an-one") as box:
                mac = json.loads(box.run("ip", "-j", "link", "show", "eth0"))[0]["address"]
            for address in (ADDRESS4, ADDRESS6):
                seen = partial(mac_seen, there, address)
                eventually(lambda seen=seen: seen() == mac, what=f"{address} to be known as {mac}")  # type: ignore[misc]
                assert there.ping(address)
            assert check(daemon) == []


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_as_often_as_the_network_says(daemon: Daemon, host: Host, driver: str) -> None:
    """On the wire: what began before has had its time when the last one has said all of its own."""
    need(driver)
    said = {"an-never": 0, "an-once": 1, "an-thrice": 3}
    with ExitStack() as stack:
        wire = stack.enter_context(Capture(stack.enter_context(up(host)), "router"))
        for number, (name, times) in enumerate(said.items()):
            options = (f"{ADVERTISE}_nmsgs={times}", f"{ADVERTISE}_ms=100")
            flags = [word for option in options for word in ("-o", option)]
            subnet = ("--subnet", f"10.86.{number}.0/24")
            stack.enter_context(network(daemon, name, *ON, *flags, *subnet, driver=driver))
            daemon.docker("run", "-d", "--name", name, "--network", name, "--ip", f"10.86.{number}.9", *SLEEP)

        def heard(number: int) -> int:
            return sum((f.ethertype, f.sender) == (ARP, f"10.86.{number}.9") for f in wire.frames.copy())

        eventually(lambda: heard(2) == 3, what="three announcements")
        assert [heard(number) for number in range(3)] == [0, 1, 3]


@contextmanager
def up(host: Host) -> Iterator[Netns]:
    """The LAN on an interface that is up."""
    with lan(host) as beyond:
        host.run("ip", "link", "set", "eth1", "up")
        yield beyond


@contextmanager
def neighbour(daemon: Daemon, beyond: Netns, place: Place) -> Iterator[tuple[Netns, str]]:
    """Somebody on the same link, and the name of his interface to it."""
    if not place.on_lan:
        daemon.docker("run", "-d", "--name", "an-two", "--network", "an-net", *SLEEP)
        with inside(daemon, "an-two") as box:
            yield box, "eth0"
    elif place.flags[-1].endswith(".7"):
        beyond.run("ip", "link", "add", "link", "router", "name", "router.7", "type", "vlan", "id", "7")
        script = "addr flush dev router\naddr add 192.0.2.1/24 dev router.7\naddr add 2001:db8:2::1/64 dev router.7\n"
        beyond.run("ip", "-batch", "-", stdin=script + "link set router.7 up\n")
        yield beyond, "router.7"
    else:
        yield beyond, "router"


def started_and_killed(daemon: Daemon) -> None:
    """The program runs; the daemon does not come to tell of it."""
    daemon.kill()
    daemon.environment["NETLOOM_STOP_AT"] = "started:1"
    daemon.start()
    del daemon.environment["NETLOOM_STOP_AT"]
    assert daemon.docker_run("start", "an-one").returncode != 0
