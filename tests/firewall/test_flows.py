"""Connections that outlive the port by which they came: they do not."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from world import HOST4, HOST6, World, address

from netloom.firewall.elements import port_elements
from netloom.kernel import flows
from netloom.kernel.host import HostKernel
from netloom.model.desired import Desired, Element, Neighbour
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


def change(world: World, wanted: Sequence[Desired], found: Sequence[Desired]) -> None:
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
        yield sender


def answered_by(sender: socket.socket) -> str:
    """The tag of who answers."""
    return answer(sender, 20).decode().split()[2]


def assert_nobody_answers(sender: socket.socket) -> None:
    with pytest.raises((TimeoutError, ConnectionRefusedError)):
        answer(sender, 0.3)


def answer(sender: socket.socket, timeout: float) -> bytes:
    sender.settimeout(timeout)
    sender.send(b"who are you")
    return sender.recv(2048)


def assert_cut(sender: socket.socket, receiver: socket.socket) -> None:
    """What is sent does not come."""
    sender.sendall(b"lost")
    receiver.settimeout(0.3)
    with pytest.raises(TimeoutError):
        receiver.recv(64)


@pytest.fixture(params=["by filter", "by hand"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few ports, for which the kernel looks, and many, for which we do."""
    if request.param == "by hand":
        monkeypatch.setattr(flows, "_MOST", 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("family", [4, 6])
def test_a_client_of_udp_follows_a_port_that_moves(world: World, family: int) -> None:
    first, second = leading("web", family, "udp", 5300), leading("blue", family, "udp", 5300)
    change(world, first, [])
    with client(world, family, 5300) as sender:
        assert answered_by(sender) == "web"
        change(world, second, first)
        assert answered_by(sender) == "blue"
        change(world, [], second)
        assert_nobody_answers(sender)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("family", [4, 6])
def test_a_client_of_udp_finds_a_port_that_comes_later(world: World, family: int) -> None:
    with client(world, family, 5301) as sender:
        assert_nobody_answers(sender)
        port = leading("web", family, "udp", 5301)
        change(world, port, [])
        assert answered_by(sender) == "web"
        change(world, [], port)


@pytest.mark.usefixtures("way")
def test_a_connection_ends_with_its_port_and_others_go_on(world: World) -> None:
    def listening() -> socket.socket:
        server = socket.create_server((address("web"), 82))
        server.settimeout(20)
        return server

    def port(number: int) -> list[Element]:
        binding = PortBinding(proto="tcp", container_port=82, host_ip="0.0.0.0", host_port=number)
        return port_elements([binding], address("web"), "")

    kept, goes = port(8201), [*leading("web", 4, "tcp", 8202), *leading("web", 4, "udp", 8203)]
    change(world, [*kept, *goes], [])
    with (
        world.places["web"].call(listening) as server,
        world.host.outside.call(socket.create_connection, (HOST4, 8201), 20.0) as one,
        server.accept()[0] as its_end,
    ):
        change(world, kept, [*kept, *goes])
        # Who answers first shows it: what a client sends would begin the connection anew.
        its_end.sendall(b"go on")
        assert one.recv(64) == b"go on"
        change(world, [], kept)
        assert_cut(one, its_end)


@pytest.mark.parametrize("family", [4, 6])
def test_a_range_from_which_one_port_is_taken(world: World, family: int) -> None:
    """One element becomes two in one transaction; of the connections only those of that port end."""

    def ports(*without: int) -> list[Element]:
        ip = "0.0.0.0" if family == 4 else "::"
        bindings = [PortBinding("tcp", p, ip, p) for p in range(8300, 8400) if p not in without]
        found = port_elements(bindings, address("web"), address("web", 6))
        return [e for e in found if e.set.startswith("published")]

    def listening(port: int) -> socket.socket:
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        server = socket.create_server((address("web", family), port), family=kind)
        server.settimeout(20)
        return server

    def connected(port: int, timeout: float = 20) -> socket.socket:
        return world.host.outside.call(socket.create_connection, (HOST[family], port), timeout)

    whole, parts = ports(), ports(8340)
    assert (len(whole), len(parts)) == (1, 2)
    change(world, whole, [])
    with (
        world.places["web"].call(listening, 8340) as goes,
        world.places["web"].call(listening, 8350) as stays,
        connected(8340) as one,
        goes.accept()[0] as its_end,
        connected(8350) as other,
        stays.accept()[0] as other_end,
    ):
        change(world, parts, whole)
        other.sendall(b"go on")
        assert other_end.recv(64) == b"go on"
        assert_cut(one, its_end)
        with pytest.raises(OSError):
            connected(8340, timeout=0.4)
        change(world, whole, parts)
        connected(8340).close()
        change(world, [], whole)
        assert_cut(other, other_end)


@pytest.mark.parametrize("family", [4, 6])
def test_a_range_moves_and_its_clients_of_udp_follow(world: World, family: int) -> None:
    """In the containers port 80 answers; a range that leads there is one whose first number is 80."""

    def ports(name: str) -> list[Element]:
        ip = "0.0.0.0" if family == 4 else "::"
        bindings = [PortBinding("udp", p, ip, p) for p in range(80, 180)]
        found = port_elements(bindings, address(name), address(name, 6))
        return [e for e in found if e.set.startswith("published")]

    with client(world, family, 80) as sender:
        assert_nobody_answers(sender)
        change(world, ports("web"), [])
        assert answered_by(sender) == "web"
        change(world, ports("blue"), ports("web"))
        assert answered_by(sender) == "blue"
        change(world, [], ports("blue"))
        assert_nobody_answers(sender)


def test_the_connections_of_a_container_that_goes_are_found_by_its_address(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it published: the table of all connections is not read, and another container's go on."""

    def ports(name: str, first: int) -> list[Desired]:
        found = port_elements([PortBinding("tcp", first, "0.0.0.0", first, 100)], address(name), "")
        return [*found, Neighbour(link="lo", index=1, address=address(name), mac="02:00:00:00:00:01")]

    def listening(name: str, port: int) -> socket.socket:
        server = world.places[name].call(socket.create_server, (address(name), port))
        server.settimeout(20)
        return server

    def connected(port: int) -> socket.socket:
        return world.host.outside.call(socket.create_connection, (HOST4, port), 20.0)

    goes, stays = ports("web", 8500), ports("blue", 8600)
    change(world, [*goes[:-1], *stays[:-1]], [])
    monkeypatch.setattr(flows, "_by_hand", lambda *_: pytest.fail("the whole table is read"))
    with (
        listening("web", 8540) as one_server,
        listening("blue", 8640) as other_server,
        connected(8540) as one,
        one_server.accept()[0] as its_end,
        connected(8640) as other,
        other_server.accept()[0] as other_end,
    ):
        change(world, [], goes)
        assert_cut(one, its_end)
        other.sendall(b"go on")
        assert other_end.recv(64) == b"go on"
        change(world, [], stays)
        assert_cut(other, other_end)
