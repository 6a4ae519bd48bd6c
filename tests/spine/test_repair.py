"""Somebody changes what is ours behind our back: it is put back, without a command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns, eventually


@pytest.fixture
def bridge(daemon: Daemon) -> Iterator[str]:
    """A network with a container on it; the name of its bridge."""
    daemon.docker("network", "create", "rp-a")
    daemon.docker("run", "-d", "--name", "rp-one", "--network", "rp-a", "-p", "8085:80", "host", "sleep", "600")
    yield f"br-{daemon.network('rp-a')['Id'][:12]}"
    daemon.docker("rm", "-f", "rp-one")
    daemon.docker("network", "rm", "rp-a")
    assert check(daemon) == []


def test_a_flushed_ruleset(bridge: str, daemon: Daemon, host: Host) -> None:
    host.run("nft", "flush", "ruleset")
    eventually(lambda: host.run("nft", "list", "tables").strip(), timeout=3, what="our table")
    eventually(lambda: not check(daemon), timeout=3, what="its elements")


def test_a_deleted_element(bridge: str, daemon: Daemon, host: Host) -> None:
    host.run("nft", "delete", "element", "inet", "netloom", "published4", "{ tcp . 8085 }")
    eventually(lambda: not check(daemon), timeout=3, what="the element")


def test_a_deleted_bridge(bridge: str, daemon: Daemon, host: Host) -> None:
    host.run("ip", "link", "del", bridge)
    eventually(lambda: not check(daemon), timeout=3, what="bridge, addresses and ports")
    with Netns.of(daemon.inspect("rp-one")["State"]["Pid"]) as inside:
        eventually(lambda: inside.ping("198.51.100.1"), what="the way out")


def test_a_deleted_veth(bridge: str, daemon: Daemon, host: Host) -> None:
    endpoint = daemon.json("GET", "/networks/rp-a?netloom=1")["Containers"].popitem()[1]
    host.run("ip", "link", "del", endpoint["HostInterface"])
    eventually(lambda: not check(daemon), timeout=3, what="the pair, with all that was inside")
    with Netns.of(daemon.inspect("rp-one")["State"]["Pid"]) as inside:
        eventually(lambda: inside.ping("198.51.100.1"), what="the way out")


def test_a_subnet_that_the_host_has_taken_since(daemon: Daemon, host: Host) -> None:
    host.run("ip", "route", "add", "10.201.0.0/16", "via", "198.51.100.1")

    def refused() -> bool:
        done = daemon.docker_run("network", "create", "--subnet", "10.201.5.0/24", "rp-vpn")
        return done.returncode == 1 and "overlaps the host's route to 10.201.0.0/16" in done.stderr

    eventually(refused, what="the notice of the new route")
    host.run("ip", "route", "del", "10.201.0.0/16")
