"""Beside firewalls of others: what passes them carries our mark, and what is theirs stays theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from world import HOST4, LAN4, LAN_HOST4, OUTSIDE4, World, address

from netloom.firewall.foreign import LOOK, Drop, drops
from netloom.firewall.forward import OURS
from netloom.testing.hosts import Netns

pytestmark = pytest.mark.root

# As a Docker leaves it (iptables-nft): policy drop, its own bridge closed, a chain kept for others.
DOCKER = """
table ip filter {
    chain DOCKER-USER { }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        jump DOCKER-USER
        oifname "docker0" ct state established,related accept
        iifname != "docker0" oifname "docker0" drop
        iifname "docker0" accept
    }
}
"""
MARK_RULE = f"add rule ip filter DOCKER-USER meta mark & {OURS:#x} == {OURS:#x} accept"


@pytest.fixture
def docker(world: World) -> Iterator[Netns]:
    """A container of a Docker on the same host, at 172.17.0.2."""
    with Netns() as theirs:
        world.host.run("ip", "link", "add", "docker0", "type", "bridge")
        world.host.run("ip", "addr", "add", "172.17.0.1/16", "dev", "docker0")
        world.host.run("ip", "link", "set", "docker0", "up")
        world.host.run("ip", "link", "add", "vd", "type", "veth", "peer", "name", "eth0", "netns", theirs.netns_path)
        world.host.run("ip", "link", "set", "vd", "master", "docker0", "up")
        world.host.sysctl("net/ipv4/conf/docker0/forwarding", "1")
        theirs.run("ip", "addr", "add", "172.17.0.2/16", "dev", "eth0")
        theirs.run("ip", "link", "set", "eth0", "up")
        theirs.run("ip", "route", "add", "default", "via", "172.17.0.1")
        world.host.run("nft", "-f", "-", stdin=DOCKER)
        yield theirs
        world.host.run("nft", "delete", "table", "ip", "filter")
        world.host.run("ip", "link", "del", "vd")  # not with its namespace, which goes when the kernel likes
        world.host.run("ip", "link", "del", "docker0")


def test_one_marked_rule_passes_a_foreign_drop(world: World, docker: Netns) -> None:
    web, outside, blue = world.places["web"], world.host.outside, world.places["blue"]
    assert web.misses(OUTSIDE4, 80)
    assert outside.misses(HOST4, 8080)
    world.host.run("nft", MARK_RULE)
    assert web.ask(OUTSIDE4, 80).address == HOST4
    assert web.ask(LAN4, 80).address == LAN_HOST4
    assert outside.ask(HOST4, 8080).address == OUTSIDE4
    assert blue.ask(HOST4, 8080).address == address("blue")
    assert world.places["peer"].ask(address("web"), 80).address == address("peer")
    assert blue.misses(address("web"), 80)


def test_the_owners_isolation_holds_for_our_containers(world: World, docker: Netns) -> None:
    world.host.run("nft", MARK_RULE)
    with docker.serve("0.0.0.0", 80):
        assert world.host.ask("172.17.0.2", 80).address == "172.17.0.1"
        assert world.places["web"].misses("172.17.0.2", 80)
    assert docker.misses(address("web"), 80)


def test_an_uplink_that_is_a_bridge_is_passed_like_any_other(world: World, docker: Netns) -> None:
    world.host.run("nft", MARK_RULE)
    world.host.run("nft", "flush chain ip filter FORWARD; add rule ip filter FORWARD jump DOCKER-USER")
    world.host.run("nft", "add", "element", "inet", "netloom", "uplinks", '{ "docker0" }')
    try:
        with docker.serve("0.0.0.0", 80):
            assert world.places["web"].ask("172.17.0.2", 80).address == "172.17.0.1"
        assert docker.ask("172.17.0.1", 8080).address == "172.17.0.2"
    finally:
        world.host.run("nft", "delete", "element", "inet", "netloom", "uplinks", '{ "docker0" }')


def test_the_owner_is_found_in_a_real_listing(world: World, docker: Netns) -> None:
    found = drops(world.host.run(*LOOK))
    assert [(d.owner, d.chain) for d in found] == [("Docker", "ip filter FORWARD")]
    assert isinstance(found[0], Drop)
    assert found[0].add[:4] == ("iptables", "-w", "-I", "DOCKER-USER")
