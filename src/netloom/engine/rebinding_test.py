"""Ports of a running container whose gateway changes between networks that translate and networks that route."""

from __future__ import annotations

import pytest

from netloom.model.errors import Failed
from netloom.testing.engine_world import World, publish, static

MODE = "com.docker.network.bridge.gateway_mode_ipv"
HIGH = static(gw_priority=1)


async def networks(world: World, *families: int) -> None:
    """`red` translates, `blue` routes these families."""
    await world.network("red", "10.1.0.0/24")
    await world.network("blue", "10.2.0.0/24", options={f"{MODE}{family}": "routed" for family in families})


def ports(world: World, name: str = "web") -> dict[str, int]:
    """By host address."""
    endpoints = world.engine.container_endpoints(world.engine.container(name).id).values()
    return {p.host_ip: p.host_port for e in endpoints for p in e.ports}


async def test_of_a_routed_network_the_host_s_ports_are_let_go_of_and_taken_again(world: World) -> None:
    await networks(world, 4, 6)
    await world.container("web", "red", ports=publish("8080"), start=True)
    assert set(world.dataplane.held) == {("tcp", "0.0.0.0", 8080), ("tcp", "::", 8080)}
    await world.engine.connect("blue", "web", HIGH)
    assert ports(world) == {"0.0.0.0": 0, "::": 0}
    assert not world.dataplane.held
    assert not world.dataplane.relays
    await world.container("db", "red", ports=publish("8080"), start=True)
    await world.engine.remove("db", force=True, volumes=False, link=False)
    await world.engine.disconnect("blue", "web", force=False)
    assert ports(world) == {"0.0.0.0": 8080, "::": 8080}
    assert world.dataplane.relays["tcp", "::", 8080].target == "10.1.0.2"


async def test_the_other_family_stays_as_it_is(world: World) -> None:
    await networks(world, 6)
    await world.container("web", "red", ports=publish(""), start=True)
    before = ports(world)
    await world.engine.connect("blue", "web", HIGH)
    assert ports(world) == {"0.0.0.0": before["0.0.0.0"], "::": 0}
    assert set(world.dataplane.held) == {("tcp", "0.0.0.0", before["0.0.0.0"])}
    await world.engine.disconnect("blue", "web", force=False)
    assert ports(world) == before, "one number for both"


async def test_a_connect_that_finds_a_port_taken_fails_whole(world: World) -> None:
    await networks(world, 4, 6)
    await world.container("web", "blue", ports=publish("8080"), start=True)
    await world.container("db", "red", ports=publish("8080"), start=True)
    with pytest.raises(
        Failed,
        match=r"^driver failed programming external connectivity on endpoint web \(.*\): "
        r"Bind for 0\.0\.0\.0:8080 failed: port is already allocated",
    ):
        await world.engine.connect("red", "web", HIGH)
    assert list(world.engine.container("web").networks) == ["blue"]
    assert ports(world) == {"0.0.0.0": 0, "::": 0}


async def test_a_disconnect_succeeds_though_a_port_is_taken(world: World) -> None:
    await networks(world, 4, 6)
    await world.container("web", "red", ports=publish("8080"), start=True)
    await world.engine.connect("blue", "web", HIGH)
    await world.container("db", "red", ports=publish("8080"), start=True)
    await world.engine.disconnect("blue", "web", force=False)
    assert ports(world) == {}
    assert ports(world, "db") == {"0.0.0.0": 8080, "::": 8080}
    await world.engine.remove("db", force=True, volumes=False, link=False)
    await world.engine.connect("blue", "web", static())
    assert ports(world) != {}


async def test_a_network_is_left_by_who_has_no_ports_while_they_are_taken(world: World) -> None:
    """As with Docker, however often; the port is had again as soon as it is free."""
    await networks(world, 4, 6)
    await world.network("green", "10.3.0.0/24")
    await world.network("grey", "10.4.0.0/24")
    await world.container("web", "red", ports=publish("8080"), start=True)
    for name, config in (("blue", HIGH), ("green", static()), ("grey", static())):
        await world.engine.connect(name, "web", config)
    await world.container("db", "red", ports=publish("8080"), start=True)
    for name in ("blue", "green"):
        await world.engine.disconnect(name, "web", force=False)
        assert name not in world.engine.container("web").networks
        assert ports(world) == {}
    world.check()
    await world.engine.remove("db", force=True, volumes=False, link=False)
    await world.engine.disconnect("red", "web", force=False)
    assert ports(world) == {"0.0.0.0": 8080, "::": 8080}
    world.check()


async def test_many_side_by_side(world: World) -> None:
    await networks(world, 4, 6)
    many = {f"{port}/tcp": publish(str(port))["80/tcp"] for port in range(9000, 9100)}
    await world.container("web", "red", ports=many, start=True)
    await world.engine.connect("blue", "web", HIGH)
    assert ports(world) == {"0.0.0.0": 0, "::": 0}
    await world.engine.disconnect("blue", "web", force=False)
    assert ports(world) == {"0.0.0.0": 9000, "::": 9000}
