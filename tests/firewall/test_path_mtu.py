"""Segments fit the way that their packets take, where it is narrower than the containers' own links."""

from __future__ import annotations

import socket

import pytest
from world import LAN4, LAN6, World, address

pytestmark = pytest.mark.root

PATH = 1300  # bytes; the containers' links carry 1500
SIZES = {4: PATH - 40, 6: PATH - 60}  # less the headers of IP and TCP


def segment(world: World, client: str, server: str, listens: str, asks: str) -> tuple[int, int]:
    """What the server and the client of one connection take for the other's largest segment."""

    def listening() -> socket.socket:
        made = socket.create_server((listens, 81), family=socket.AF_INET6 if ":" in listens else socket.AF_INET)
        made.settimeout(20)
        return made

    with (
        world.places[server].call(listening) as server_socket,
        world.places[client].call(socket.create_connection, (asks, 81), 5.0) as mine,
        server_socket.accept()[0] as theirs,
    ):
        size = (socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        return theirs.getsockopt(*size), mine.getsockopt(*size)


@pytest.mark.parametrize("family", [4, 6])
def test_both_sides_are_told_of_the_narrow_way(world: World, family: int) -> None:
    lan = (LAN4, LAN6)[family == 6]
    world.host.run("ip", "link", "set", "eth1", "mtu", str(PATH))
    timestamps = 12  # an option of every segment, which TCP_MAXSEG leaves out
    try:
        for seen in segment(world, "web", "lan", lan, lan):
            assert seen <= SIZES[family]
            assert seen >= SIZES[family] - timestamps
        # And from outside to a container that is reached by its own address.
        way = address("naked", family)
        for seen in segment(world, "lan", "naked", way, way):
            assert SIZES[family] - timestamps <= seen <= SIZES[family]
    finally:
        world.host.run("ip", "link", "set", "eth1", "mtu", "1500")
    assert min(segment(world, "web", "lan", lan, lan)) > SIZES[family]


def test_within_a_network_nothing_is_clamped(world: World) -> None:
    assert min(segment(world, "web", "peer", address("peer"), address("peer"))) > SIZES[4]
