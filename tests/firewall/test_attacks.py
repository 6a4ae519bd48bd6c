"""What a container or a neighbour of the host may try, and what must come of it: nothing."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from world import HOST4, HOST6, OUTSIDE4, World, address

from netloom.testing.hosts import Netns

pytestmark = pytest.mark.root


@contextmanager
def loopback_by_wire(place: Netns, gateway: str) -> Iterator[None]:
    """Inside, 127.0.0.1 is somebody else's: packets to it leave by the wire."""
    place.sysctl("net/ipv4/conf/all/route_localnet", "1")
    place.run("ip", "route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local")
    place.run("ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
    place.run("ip", "route", "add", "127.0.0.1", "via", gateway)
    try:
        yield
    finally:
        place.run("ip", "route", "del", "127.0.0.1", "via", gateway)
        place.run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
        place.run("ip", "addr", "add", "127.0.0.1/8", "dev", "lo")


def test_a_container_does_not_reach_the_hosts_loopback(world: World) -> None:
    peer = world.places["peer"]
    with world.host.call(_receiver, socket.IPPROTO_UDP, "127.0.0.1") as listener:
        with loopback_by_wire(peer, address("gw:red")):
            peer.call(_send, "127.0.0.1", 7100, b"from a container", address("peer"))
        world.host.call(_send, "127.0.0.1", 7100, b"from the host")
        assert listener.recv(2048) == b"from the host"


@pytest.mark.parametrize(("attacker", "gateway"), [("peer", address("gw:red")), ("outside", HOST4)])
@pytest.mark.parametrize("port", [8080, 8082])
def test_ports_on_loopback_are_the_hosts_alone(world: World, attacker: str, gateway: str, port: int) -> None:
    world.host.sysctl("net/ipv4/conf/eth0/route_localnet", "1")  # as other programs do
    place = world.places[attacker]
    source = address("peer") if attacker == "peer" else OUTSIDE4
    with world.places["web"].call(_receiver, 0, address("web")) as listener:
        with loopback_by_wire(place, gateway):
            place.call(_send, "127.0.0.1", port, b"stranger", source)
        world.host.call(_send, "127.0.0.1", port, b"the host")
        assert listener.recv(2048)[-8:] == b"the host"


def test_a_container_cannot_speak_as_the_hosts_loopback(world: World) -> None:
    gateway = address("gw:red")
    world.host.sysctl("net/ipv4/conf/br-red/accept_local", "1")  # else the kernel is stricter than we need to be
    with world.host.call(_receiver, socket.IPPROTO_UDP, gateway) as listener:
        world.places["peer"].call(_send_as, "127.0.0.1", gateway, b"forged")
        world.places["peer"].call(_send_as, address("peer"), gateway, b"honest")
        assert _payload(listener) == b"honest"


@pytest.mark.parametrize("family", [4, 6])
def test_networks_are_isolated_on_udp_lite(world: World, family: int) -> None:
    """The one protocol that conntrack knows and the matrix does not try."""
    protocol = 136
    blue = address("blue", family)
    with world.places["blue"].call(_receiver, protocol, blue) as listener:
        world.places["web"].call(_send_raw, protocol, blue, b"from red")
        world.places["outside"].call(_send_raw, protocol, blue, b"from outside")
        world.host.call(_send_raw, protocol, blue, b"from the host")
        assert listener.recv(2048)[-13:] == b"from the host"
    with world.places["peer"].call(_receiver, protocol, address("peer", family)) as listener:
        world.places["web"].call(_send_raw, protocol, address("peer", family), b"a neighbour")
        assert listener.recv(2048)[-11:] == b"a neighbour"


def test_switches_are_on_where_they_are_needed_and_nowhere_else(world: World) -> None:
    def of(setting: str) -> dict[str, str]:
        links = ("br-red", "br-blue", "br-plain", "br-vault", "eth0", "eth1", "all")
        return {link: world.host.sysctl(f"net/ipv4/conf/{link}/{setting}") for link in links}

    on = {"br-red": "1", "br-blue": "1", "br-plain": "1", "br-vault": "0", "eth0": "1", "eth1": "1", "all": "0"}
    assert of("forwarding") == on
    loopback = {"br-red": "1", "br-blue": "0", "br-plain": "1", "br-vault": "0", "eth1": "0", "all": "0"}
    assert of("route_localnet") | loopback == of("route_localnet")


@pytest.mark.parametrize("who", ["outside", "blue", "vault2"])
def test_an_internal_network_is_closed_even_where_a_port_points_into_it(world: World, who: str) -> None:
    to = address("gw:vault") if who == "vault2" else HOST4
    port = f"udp . 6999 : {address('vault')} . 80"
    world.host.run("nft", "add", "element", "inet", "netloom", "published4", f"{{ {port} }}")
    try:
        with world.places["vault"].call(_receiver, 0, address("vault")) as listener:
            world.places[who].call(_send, to, 6999, b"stranger")
            world.host.call(_send, address("vault"), 80, b"the host")
            assert listener.recv(2048)[-8:] == b"the host"
    finally:
        world.host.run("nft", "delete", "element", "inet", "netloom", "published4", "{ udp . 6999 }")


def test_what_conntrack_refuses_does_not_leave_untranslated(world: World) -> None:
    with world.host.outside.call(_receiver, socket.IPPROTO_TCP, OUTSIDE4) as listener:
        world.places["web"].call(_send_segment, address("web"), OUTSIDE4, 0x06)  # SYN and RST at once
        world.host.call(_send_segment, HOST4, OUTSIDE4, 0x10)
        segment = listener.recv(2048)
        assert socket.inet_ntoa(segment[12:16]) == HOST4


@pytest.mark.parametrize(
    ("who", "to"),
    [("outside", HOST6), ("blue", HOST6), ("vault", address("gw:vault", 6)), ("host", HOST6), ("host", "::1")],
)
def test_the_relays_own_port_is_closed(world: World, who: str, to: str) -> None:
    with pytest.raises(TimeoutError):
        world.places[who].call(socket.create_connection, (to, world.relay.port), 0.2)


def _receiver(protocol: int, ip: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    if protocol == socket.IPPROTO_UDP:
        listener = socket.socket(family, socket.SOCK_DGRAM)
        listener.bind((ip, 7100))
    elif not protocol:  # every UDP datagram, beside the program that it is for
        listener = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    else:
        listener = socket.socket(family, socket.SOCK_RAW, protocol)
    listener.settimeout(20)
    return listener


def _payload(listener: socket.socket) -> bytes:
    return listener.recv(2048)


def _send(to: str, port: int, data: bytes, source: str = "") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        if source:
            sender.bind((source, 0))
        sender.sendto(data, (to, port))


def _send_raw(protocol: int, to: str, data: bytes) -> None:
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, protocol) as sender:
        # Room for the header of a transport protocol that conntrack knows, then what is looked at.
        sender.sendto(struct.pack("!HHII", 1000, 1000, 0, 0) + data, (to, 0))


def _send_segment(source: str, to: str, flags: int) -> None:
    """A TCP segment with these flags and a correct checksum."""

    def packed(checksum: int) -> bytes:
        return struct.pack("!HHIIBBHHH", 7103, 7104, 1, 0, 0x50, flags, 1024, checksum, 0)

    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!BBH", 0, socket.IPPROTO_TCP, 20)
    total = sum(struct.unpack("!16H", pseudo + packed(0)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as sender:
        sender.sendto(packed(~total & 0xFFFF), (to, 0))


def _send_as(source: str, to: str, data: bytes) -> None:
    udp = struct.pack("!HHHH", 7101, 7100, 8 + len(data), 0) + data
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(to)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(header + udp, (to, 0))
