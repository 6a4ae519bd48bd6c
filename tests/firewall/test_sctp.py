"""A published SCTP port, there and back: ports and addresses translated, checksums right."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sctp import INIT, INIT_ACK, PROTOCOL, packet, ports
from world import HOST4, OUTSIDE4, World, address

from netloom.firewall.elements import port_elements
from netloom.kernel.host import HostKernel
from netloom.model.desired import Element
from netloom.model.endpoint import PortBinding
from netloom.plan.diff import diff
from netloom.testing.hosts import Netns

pytestmark = [pytest.mark.root, pytest.mark.kernel]

CLIENT, PUBLISHED, SERVER = 40000, 3868, 3869


@contextmanager
def published(world: World) -> Iterator[None]:
    binding = PortBinding(proto="sctp", container_port=SERVER, host_ip="0.0.0.0", host_port=PUBLISHED)
    elements = port_elements([binding], address("web"), "")

    def change(wanted: list[Element], found: list[Element]) -> None:
        kernel = HostKernel()
        try:
            kernel.apply(diff(wanted, found), {})
        finally:
            kernel.close()

    world.host.call(change, elements, [])
    try:
        yield
    finally:
        world.host.call(change, [], elements)


@contextmanager
def raw(place: Netns) -> Iterator[socket.socket]:
    with place.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, PROTOCOL) as one:
        one.settimeout(2)
        yield one


def test_an_association_begins_through_a_published_port(world: World) -> None:
    with published(world), raw(world.host.outside) as client, raw(world.places["web"]) as server:
        client.sendto(packet(CLIENT, PUBLISHED, INIT, 0), (HOST4, 0))
        data, sender = server.recvfrom(2048)
        assert (ports(data), sender[0]) == ((CLIENT, SERVER), OUTSIDE4)
        server.sendto(packet(SERVER, CLIENT, INIT_ACK, 0x1234), (OUTSIDE4, 0))
        data, sender = client.recvfrom(2048)
        assert (ports(data), sender[0]) == ((PUBLISHED, CLIENT), HOST4)


@pytest.mark.parametrize("who", ["outside", "blue"])
def test_without_one_nothing_arrives(world: World, who: str) -> None:
    with raw(world.places[who]) as client, raw(world.places["web"]) as server, raw(world.host) as host:
        client.sendto(packet(CLIENT + 1, SERVER, INIT, 0), (address("web"), 0))
        client.sendto(packet(CLIENT + 1, PUBLISHED, INIT, 0), (HOST4, 0))
        assert ports(host.recv(2048)) == (CLIENT + 1, PUBLISHED)  # all that was sent before has arrived, or never will
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(2048)
