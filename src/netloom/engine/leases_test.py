"""Leases as the engine handles them, on a LAN in memory where waiting takes no time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import msgspec
import pytest

from netloom.dhcp import message as m
from netloom.dhcp.frame import ArpSeen, Datagram
from netloom.dhcp.message import Message, parse
from netloom.dhcp.terms_test import packed, reply
from netloom.firewall.elements import text
from netloom.model.desired import Address, Child, Element, HostLink, Route
from netloom.model.errors import Failed, InvalidArgument, Unavailable
from netloom.model.network import IpamConfig
from netloom.testing.engine_world import World, static

ME = bytes.fromhex("020000000099")
ON = {"parent": "up0"}


class Server:
    """Gives what `address` says, for `seconds`; `kind` makes something else of a request than a grant."""

    def __init__(self, world: World) -> None:
        self.address: Callable[[Message], str] = lambda heard: "10.4.0.9"
        self.seconds, self.kind = 3600, m.ACK
        self.heard: list[Message] = []
        self.taken: set[str] = set()  # addresses that a neighbour has
        self.silent = False
        self.more: dict[str, bytes] = {"ROUTER": packed("10.4.0.1")}
        world.dhcp.answer = self.answer

    def answer(self, frame: bytes) -> Iterator[Datagram | ArpSeen]:
        if frame[12:14] == b"\x08\x06":
            target = frame[38:42]
            if str(IPv4Address(target)) in self.taken:
                yield ArpSeen(ME, target, bytes(4))
            return
        heard = parse(frame[42:])
        self.heard.append(heard)
        if self.silent or heard.kind not in (m.DISCOVER, m.REQUEST):
            return
        kind = m.OFFER if heard.kind == m.DISCOVER else self.kind
        options = {"KIND": bytes((kind,)), "LEASE_TIME": struct.pack("!I", self.seconds), **self.more}
        plain = reply(self.address(heard), SERVER=packed("10.4.0.1"), **options)
        told = msgspec.structs.replace(plain, xid=heard.xid, mac=heard.mac)
        yield Datagram(ME, packed("10.4.0.1"), b"\xff" * 4, told.encode())

    def kinds(self) -> list[int]:
        return [message.kind for message in self.heard]


@pytest.fixture
async def server(world: World) -> Server:
    server = Server(world)
    world.core.facts = world.kernel.know(interfaces=(HostLink("lo", 1), HostLink("up0", 2), HostLink("up1", 3)))
    await world.network("lan", driver="macvlan", options=ON, ipam_driver="dhcp")
    return server


def held(world: World) -> list[str]:
    return [o.address for o in world.kernel.objects if isinstance(o, Address) and o.sandbox]


def routes(world: World) -> set[tuple[str, str]]:
    return {(o.destination, o.via) for o in world.kernel.objects if isinstance(o, Route) and o.sandbox}


def lease_events(world: World) -> list[tuple[str, str]]:
    told = [e for e in world.core.bus._backlog if e.action == "lease"]
    return [(e.attributes["state"], e.attributes["address"]) for e in told]


async def test_from_start_to_stop(world: World, server: Server) -> None:
    await world.container("web", "lan", start=True)
    assert (held(world), routes(world)) == (["10.4.0.9/24"], {("default", "10.4.0.1")})
    assert server.kinds() == [m.DISCOVER, m.REQUEST]
    await world.settle()
    assert world.kernel.lives == {"10.4.0.9/24": 3600}
    world.check()
    await world.engine.kill("web", "KILL")
    await world.settle()
    ((link, frame),) = world.kernel.frames
    told = parse(frame[42:])
    assert (link, told.kind, told.client) == ("up0", m.RELEASE, packed("10.4.0.9"))
    await world.engine.start("web")
    assert server.heard[-2].options[m.REQUESTED] == packed("10.4.0.9")
    assert server.heard[-2].options[m.CLIENT_ID] == told.options[m.CLIENT_ID]
    assert world.dhcp.open_ports == 0


async def test_what_came_with_the_lease_is_taken_over(world: World, server: Server) -> None:
    server.more |= {"MTU": struct.pack("!H", 1400), "NAME_SERVER": packed("10.4.0.2")}
    server.more |= {"STATIC_ROUTES": packed("192.0.2.7", "10.4.0.3")}
    container = await world.container("web", "lan", start=True)
    assert ("192.0.2.7/32", "10.4.0.3") in routes(world)
    assert [o.mtu for o in world.kernel.objects if isinstance(o, Child)] == [1400]
    assert "ExtServers: [10.4.0.2]" in world.files.read(container.id, "resolv.conf")
    (resolver,) = world.dataplane.resolvers.values()
    assert [(u.address, u.from_sandbox) for u in resolver.upstreams] == [("10.4.0.2", True)]
    other = await world.container("two", "lan", dns=("10.4.0.77",))
    server.address = lambda heard: "10.4.0.10"
    await world.engine.start("two")
    assert "ExtServers: [10.4.0.77]" in world.files.read(other.id, "resolv.conf")


async def test_it_is_renewed_in_time(world: World, server: Server) -> None:
    await world.container("web", "lan", start=True)
    await world.advance(1801)
    assert server.kinds() == [m.DISCOVER, m.REQUEST, m.REQUEST]
    assert server.heard[-1].client == packed("10.4.0.9")
    await world.advance(7200)
    assert held(world) == ["10.4.0.9/24"]
    assert len(server.heard) == 7
    assert lease_events(world) == []
    world.check()


async def test_a_new_router_is_followed(world: World, server: Server) -> None:
    await world.container("web", "lan", start=True)
    server.more = {"ROUTER": packed("10.4.0.2")}
    await world.advance(1801)
    assert routes(world) == {("default", "10.4.0.2")}
    world.check()


async def test_a_refusal_takes_it_away_and_a_new_one_is_found(world: World, server: Server) -> None:
    container = await world.container("web", "lan", start=True)
    server.kind, server.address = m.NAK, lambda heard: "10.4.0.20"
    await world.advance(1801)
    assert held(world) == []
    assert "10.4.0.9" not in world.files.read(container.id, "hosts")
    (entry,) = world.dataplane.entries.values()
    assert entry.ipv4 == ""
    world.check()
    server.kind = m.ACK
    await world.advance(40)
    assert held(world) == ["10.4.0.20/24"]
    assert "10.4.0.20" in world.files.read(container.id, "hosts")
    (entry,) = world.dataplane.entries.values()
    assert entry.ipv4 == "10.4.0.20"
    assert lease_events(world) == [("lost", "10.4.0.9"), ("changed", "10.4.0.20")]
    world.check()


async def test_silence_is_borne_until_the_end(world: World, server: Server) -> None:
    await world.container("web", "lan", start=True)
    server.silent = True
    await world.advance(3590)
    assert held(world) == ["10.4.0.9/24"]
    await world.advance(20)
    assert held(world) == []
    server.silent = False
    await world.advance(40)
    assert held(world) == ["10.4.0.9/24"]
    world.check()


async def test_nonsense_does_not_cost_a_lease(world: World, server: Server) -> None:
    await world.container("web", "lan", start=True)
    server.address = lambda heard: "10.4.0.66"
    await world.advance(1900)
    assert held(world) == ["10.4.0.9/24"]
    server.address = lambda heard: "10.4.0.9"
    await world.advance(100)
    assert lease_events(world) == []


async def test_the_next_daemon_asks_whether_it_is_ours(world: World, server: Server) -> None:
    await world.container("web", "lan", start=True)
    await world.restart()
    await world.settle()
    last = server.heard[-1]
    assert (last.kind, last.client, last.options[m.REQUESTED]) == (m.REQUEST, bytes(4), packed("10.4.0.9"))
    assert held(world) == ["10.4.0.9/24"]
    world.check()
    server.silent = True
    await world.stop()
    world.clock.time += 4_000_000_000_000
    world.kernel.expire("10.4.0.9/24")
    await world.start()
    await world.settle()
    assert held(world) == []
    server.silent = False
    await world.advance(40)
    assert held(world) == ["10.4.0.9/24"]
    world.check()


async def test_a_silent_server_fails_the_start_and_leaves_nothing(world: World, server: Server) -> None:
    server.silent = True
    before = world.state()
    await world.container("web", "lan")
    with pytest.raises(Unavailable, match="no address by DHCP for container web on network lan"):
        await world.engine.start("web")
    await world.engine.remove("web", force=True, volumes=False, link=False)
    assert world.state() == before
    assert world.dhcp.open_ports == 0
    world.check()


async def test_two_networks_of_which_one_fails(world: World, server: Server) -> None:
    await world.network(
        "dry", driver="macvlan", options={"parent": "up1"}, ipam_driver="dhcp", ipam_options={"server": "9.9.9.9"}
    )
    await world.container("web", "lan", networks={"lan": static(), "dry": static()})
    with pytest.raises(Failed, match="listens to"):
        await world.engine.start("web")
    await world.settle()
    assert [parse(frame[42:]).kind for _, frame in world.kernel.frames] == [m.RELEASE]
    world.check()


async def test_connect_fails_and_all_is_as_before(world: World, server: Server) -> None:
    await world.network("own", "10.9.0.0/24")
    await world.container("web", "own", start=True)
    before = world.state()
    server.silent = True
    with pytest.raises(Unavailable):
        await world.engine.connect("lan", "web", static())
    assert world.state() == before
    server.silent = False
    await world.engine.connect("lan", "web", static())
    assert "10.4.0.9/24" in held(world)
    world.check()
    await world.engine.disconnect("lan", "web", force=False)
    await world.settle()
    assert world.state() == before
    assert len(world.kernel.frames) == 1


async def test_what_somebody_has(world: World, server: Server) -> None:
    await world.container("web", "lan", start=True)
    await world.container("two", "lan")
    with pytest.raises(Failed, match="which container web has already"):
        await world.engine.start("two")
    server.address, server.taken = lambda heard: "10.4.0.10", {"10.4.0.10"}
    with pytest.raises(Failed, match="which 02:00:00:00:00:99 on its LAN uses already"):
        await world.engine.start("two")
    assert m.DECLINE in server.kinds()
    server.taken = set()
    await world.engine.start("two")
    world.check()


async def test_policies_know_the_address_that_is_held_now(world: World, server: Server) -> None:
    def known() -> list[str]:
        return [text(o).partition(" ")[0] for o in world.kernel.objects if isinstance(o, Element) and o.set == "from4"]

    world.core.facts = world.kernel.know(interfaces=(HostLink("lo", 1), HostLink("br0", 5, kind="bridge")))
    options = {"com.docker.network.bridge.name": "br0"}
    await world.network("own", options=options, ipam_driver="dhcp")
    name = {"from": {"container": "web"}, "to": {"name": "a.test"}}
    await world.engine.apply_policy({"name": "shop", "allow": [name]}, dry_run=False)
    await world.container("web", "own", start=True)
    assert known() == ["10.4.0.9"]
    server.kind, server.address = m.NAK, lambda heard: "10.4.0.10"
    await world.advance(1801)
    assert known() == []
    server.kind = m.ACK
    await world.advance(40)
    assert known() == ["10.4.0.10"]
    (resolver,) = world.dataplane.resolvers.values()
    assert resolver.senders == ("10.4.0.10",)
    world.check()


async def test_an_address_that_is_asked_for(world: World, server: Server) -> None:
    await world.container("web", "lan", networks={"lan": static("10.4.0.30")})
    with pytest.raises(Failed, match="was asked for"):
        await world.engine.start("web")
    assert server.heard[0].options[m.REQUESTED] == packed("10.4.0.30")
    server.address = lambda heard: "10.4.0.30"
    await world.engine.start("web")
    assert held(world) == ["10.4.0.30/24"]


async def test_a_gateway_of_the_users(world: World, server: Server) -> None:
    config = (IpamConfig(subnet="10.4.0.0/24", gateway="10.4.0.254"),)
    await world.network("gate", driver="macvlan", options={"parent": "up1"}, ipam_driver="dhcp", ipam_config=config)
    await world.container("web", "gate", start=True)
    assert routes(world) == {("default", "10.4.0.254")}


async def test_a_network_that_cannot_be(world: World) -> None:
    before = world.state()
    with pytest.raises(InvalidArgument, match="no broadcast"):
        await world.network("x", driver="ipvlan", options={**ON, "ipvlan_mode": "l3"}, ipam_driver="dhcp")
    assert world.state() == before
