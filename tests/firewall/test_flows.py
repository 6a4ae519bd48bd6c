"""Connections that outlive the port by which they came: they do not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from world import HOST4, HOST6, World, address

from netloom.firewall.elements import port_elements
from netloom.kernel.host import HostKernel
from netloom.model.desired import Element
from netloom.model.endpoint import PortBinding
from netloom.plan.diff import diff

pytestmark = [pytest.mark.root, pytest.mark.kernel]

HOST = {4: HOST4, 6: HOST6}


def leading(name: str, family: int, proto: str, host_port: int) -> list[Element]:
    """Elements that publish port 80 of a container."""
    ip = "0.0.0.0" if family == 4 else "::"
    port = PortBinding(proto=proto, container_port=80, host_ip=ip, host_port=host_port)
    found = port_elements([port], address(name), address(name, 6))
    return [e for e in found if e.set.startswith("published")]


def change(world: World, wanted: list[Element], found: list[Element]) -> None:
    def apply() -> None:
        kernel = HostKernel()
        try:
            kernel.apply(diff(wanted, found), {})
        finally:
            kernel.close()

    world.host.call(apply)


@contextmanager
def client(world: World, family: int, port: int) -> Iterator[socket.socket]:
    """A UDP client that goes on using its own port."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    with world.host.outside.call(socket.socket, kind, socket.SOCK_DGRAM) as sender:
        sender.connect((HOST[family], port))
        sender.settimeout(0.3)
        yield sender


def answered_by(sender: socket.socket) -> str:
    """The tag of who answers; empty for nobody."""
    try:
        sender.send(b"who are you")
        return sender.recv(2048).decode().split()[2]
    except (TimeoutError, ConnectionRefusedError):
        return ""


@pytest.mark.parametrize("family", [4, 6])
def test_a_client_of_udp_follows_a_port_that_moves(world: World, family: int) -> None:
    first, second = leading("web", family, "udp", 5300), leading("blue", family, "udp", 5300)
    change(world, first, [])
    with client(world, family, 5300) as sender:
        assert answered_by(sender) == "web"
        change(world, second, first)
        assert answered_by(sender) == "blue"
        change(world, [], second)
        assert answered_by(sender) == ""


@pytest.mark.parametrize("family", [4, 6])
def test_a_client_of_udp_finds_a_port_that_comes_later(world: World, family: int) -> None:
    with client(world, family, 5301) as sender:
        assert answered_by(sender) == ""
        port = leading("web", family, "udp", 5301)
        change(world, port, [])
        assert answered_by(sender) == "web"
        change(world, [], port)


def test_a_connection_ends_with_its_port_and_others_go_on(world: World) -> None:
    def listening() -> socket.socket:
        server = socket.create_server((address("web"), 82))
        server.settimeout(2)
        return server

    def port(number: int) -> list[Element]:
        binding = PortBinding(proto="tcp", container_port=82, host_ip="0.0.0.0", host_port=number)
        return port_elements([binding], address("web"), "")

    kept, goes = port(8201), leading("web", 4, "tcp", 8202)
    change(world, [*kept, *goes], [])
    with (
        world.places["web"].call(listening) as server,
        world.host.outside.call(socket.create_connection, (HOST4, 8201), 2.0) as one,
        server.accept()[0] as its_end,
    ):
        change(world, kept, [*kept, *goes])
        one.sendall(b"go on")
        assert its_end.recv(64) == b"go on"
        change(world, [], kept)
        one.sendall(b"lost")
        its_end.settimeout(0.3)
        with pytest.raises(TimeoutError):
            its_end.recv(64)
