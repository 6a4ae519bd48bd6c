"""Somebody changes what is ours behind our back: it is put back, without a command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

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


def repairs(daemon: Daemon, since: int) -> list[dict[str, Any]]:
    """Events of repairs after a moment (ns)."""
    now = time.time_ns()
    told = daemon.docker(
        *("events", "--since", _seconds(since), "--until", _seconds(now), "--filter", "event=repair"),
        *("--format", "{{json .}}"),
    )
    return [json.loads(line) for line in told.splitlines()]


def _seconds(moment: int) -> str:
    return f"{moment // 10**9}.{moment % 10**9:09}"


DEBIANS = "/etc/nftables.conf"  # what `systemctl restart nftables` loads: a flush, and three chains that accept
ATTACKS = {
    "nftables started anew": f"-f {DEBIANS}",
    "the ruleset flushed": "flush ruleset",
    "a table deleted": "delete table bridge netloom",
    "an element deleted": "delete element inet netloom published4 { tcp . 8085 }",
    "an element changed": "delete element inet netloom published4 { tcp . 8085 };"
    "add element inet netloom published4 { tcp . 8085 : 192.0.2.66 . 80 }",
    "a stranger let in": "add element inet netloom masqueraded { stranger0 . ipv4 }",
    "a chain emptied": "flush chain inet netloom to_container",
    "a rule in front": "insert rule inet netloom forward accept",
    "a policy": "add chain bridge netloom between_ports { policy drop ; }",
    "the guard emptied": "flush set bridge netloom guarded",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_done_to_the_ruleset_is_undone_and_told(attack: str, bridge: str, daemon: Daemon, host: Host) -> None:
    before = time.time_ns()
    host.run("nft", *ATTACKS[attack].split())
    (first, *_) = eventually(lambda: repairs(daemon, before), what="the event")
    assert first["timeNano"] > before
    assert check(daemon) == []
    assert sum(int(e["Actor"]["Attributes"]["objects"]) for e in repairs(daemon, before)) >= 1


def wait_until_seen(bridge: str, daemon: Daemon, host: Host) -> None:
    """What happens to a link in the very moment in which it is made is not seen; that moment is over then."""
    (config,) = daemon.network("rp-a")["IPAM"]["Config"]
    gateway = f"{config['Gateway']}/{config['Subnet'].partition('/')[2]}"
    host.run("ip", "addr", "del", gateway, "dev", bridge)
    eventually(lambda: gateway in host.run("ip", "addr", "show", bridge), what="the gateway")


def test_a_deleted_bridge(bridge: str, daemon: Daemon, host: Host) -> None:
    host.run("ip", "link", "del", bridge)
    eventually(lambda: not check(daemon), what="bridge, addresses and ports")
    with Netns.of(daemon.inspect("rp-one")["State"]["Pid"]) as inside:
        eventually(lambda: inside.ping("198.51.100.1", timeout=0.3), what="the way out")


def test_a_deleted_veth(bridge: str, daemon: Daemon, host: Host) -> None:
    endpoint = daemon.json("GET", "/networks/rp-a?netloom=1")["Containers"].popitem()[1]
    host.run("ip", "link", "del", endpoint["HostInterface"])
    eventually(lambda: not check(daemon), what="the pair, with all that was inside")
    with Netns.of(daemon.inspect("rp-one")["State"]["Pid"]) as inside:
        eventually(lambda: inside.ping("198.51.100.1", timeout=0.3), what="the way out")


@pytest.mark.parametrize("what", ["bridge", "veth"])
def test_a_name_that_was_changed(what: str, bridge: str, daemon: Daemon, host: Host) -> None:
    """The guard and the rules know ports and bridges by their names: nobody gets round them by another one."""
    endpoint = daemon.json("GET", "/networks/rp-a?netloom=1")["Containers"].popitem()[1]
    wait_until_seen(bridge, daemon, host)
    before = time.time_ns()
    host.run("ip", "link", "set", bridge if what == "bridge" else endpoint["HostInterface"], "name", "theirs")
    eventually(lambda: repairs(daemon, before), what="the event")
    eventually(lambda: not check(daemon), what="the name")
    assert "theirs" not in host.run("ip", "-o", "link")


def test_a_bridge_whose_mark_was_taken(bridge: str, daemon: Daemon, host: Host) -> None:
    """Who has lost it is known all the same."""
    wait_until_seen(bridge, daemon, host)
    host.run("ip", "link", "set", bridge, "alias", "theirs")
    eventually(lambda: "alias netloom" in host.run("ip", "link", "show", bridge), what="the mark")


def test_an_ipv6_gateway_that_was_taken(daemon: Daemon, host: Host) -> None:
    daemon.docker("network", "create", "--ipv6", "--subnet", "fd00:51::/64", "rp-six")
    bridge = f"br-{daemon.network('rp-six')['Id'][:12]}"
    host.run("ip", "addr", "del", "fd00:51::1/64", "dev", bridge)
    eventually(lambda: "fd00:51::1/64" in host.run("ip", "addr", "show", bridge), what="the gateway's address")
    daemon.docker("network", "rm", "rp-six")
    assert check(daemon) == []


def test_a_subnet_that_the_host_has_taken_since(daemon: Daemon, host: Host) -> None:
    host.run("ip", "route", "add", "10.201.0.0/16", "via", "198.51.100.1")

    def refused() -> bool:
        done = daemon.docker_run("network", "create", "--subnet", "10.201.5.0/24", "rp-vpn")
        return done.returncode == 1 and "overlaps the host's route to 10.201.0.0/16" in done.stderr

    eventually(refused, what="the notice of the new route")
    host.run("ip", "route", "del", "10.201.0.0/16")
