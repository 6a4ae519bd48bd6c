"""What leaves by the parent and comes back: whose MAC, and which containers meet where, in each mode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from capture import ARP, IPV4, Capture

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, Host, Netns
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

LAN = ("-o", "parent=eth0", "--subnet", "198.51.100.0/24", "--gateway", OUTSIDE4)
ONE, TWO = "198.51.100.81", "198.51.100.82"


@contextmanager
def two(daemon: Daemon, driver: str, *options: str) -> Iterator[tuple[Netns, Netns]]:
    """Two containers on a network; their namespaces."""
    daemon.docker("network", "create", "-d", driver, *LAN, *options, "fr-lan")
    try:
        for name, address in (("fr-one", ONE), ("fr-two", TWO)):
            daemon.docker("run", "-d", "--name", name, "--network", "fr-lan", "--ip", address, "host", "sleep", "600")
        pids = [daemon.inspect(name)["State"]["Pid"] for name in ("fr-one", "fr-two")]
        with Netns.of(pids[0]) as one, Netns.of(pids[1]) as other:
            yield one, other
    finally:
        daemon.docker_run("rm", "-f", "fr-one", "fr-two")
        daemon.docker("network", "rm", "fr-lan")


@contextmanager
def reflecting(host: Host) -> Iterator[None]:
    """The switch outside sends frames back by the port that they came from (IEEE 802.1Qbg)."""
    host.outside.run("bridge", "link", "set", "dev", "host2", "hairpin", "on")
    try:
        yield
    finally:
        host.outside.run("bridge", "link", "set", "dev", "host2", "hairpin", "off")


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_whose_mac_is_on_the_wire(daemon: Daemon, host: Host, driver: str) -> None:
    need(driver)
    (parent,) = json.loads(host.run("ip", "-j", "link", "show", "eth0"))
    with two(daemon, driver) as (one, _), Capture(host, "eth0") as wire:
        (own,) = json.loads(one.run("ip", "-j", "link", "show", "eth0"))
        assert (own["address"] == parent["address"]) == (driver == "ipvlan")
        assert one.ping(OUTSIDE4)
        for kind in (ARP, IPV4):
            sent = wire.wait(lambda f, kind=kind: f.outgoing and f.ethertype == kind and f.sender == ONE, "its frame")
            assert (sent.source, sent.vlan) == (own["address"], 0)
        back = wire.wait(lambda f: not f.outgoing and f.ethertype == IPV4 and f.sender == OUTSIDE4, "the answer")
        assert back.target == own["address"]


@pytest.mark.parametrize(
    ("driver", "option", "together", "reflected"),
    [
        ("macvlan", "macvlan_mode=bridge", True, True),
        ("macvlan", "macvlan_mode=private", False, False),
        ("macvlan", "macvlan_mode=vepa", False, True),
        ("ipvlan", "ipvlan_flag=bridge", True, True),
        ("ipvlan", "ipvlan_flag=private", False, False),
        ("ipvlan", "ipvlan_flag=vepa", False, None),  # ARP of one MAC to itself is not for a switch to answer
    ],
)
def test_who_meets_where(
    daemon: Daemon, host: Host, driver: str, option: str, together: bool, reflected: bool | None
) -> None:
    need(driver)
    with two(daemon, driver, "-o", option) as (one, other), Capture(host, "eth0") as wire:
        assert one.ping(OUTSIDE4)
        assert other.ping(OUTSIDE4)
        assert one.ping(TWO, timeout=10 if together else 0.3) == together
        met_outside = [f for f in wire.frames if f.outgoing and f.ethertype == IPV4 and f.sender == ONE]
        assert all(f.target != _mac(other) or driver == "ipvlan" for f in met_outside)
        if reflected is not None:
            with reflecting(host):
                assert one.ping(TWO, timeout=10 if reflected else 0.3) == reflected
        if option.endswith("vepa") and reflected:
            sent = wire.wait(lambda f: f.outgoing and f.target == _mac(other) and f.sender == ONE, "what went out")
            assert sent.source == _mac(one)
            wire.wait(lambda f: not f.outgoing and f.target == _mac(other) and f.sender == ONE, "what came back")


def _mac(box: Netns) -> str:
    (link,) = json.loads(box.run("ip", "-j", "link", "show", "eth0"))
    return str(link["address"])
