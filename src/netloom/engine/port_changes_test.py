"""Ports of a container that stands: published and withdrawn, remembered, and held on the host."""

import pytest

from netloom.model.errors import Conflict, Failed, InvalidArgument, NotFound
from netloom.model.host_config import PortSpec
from netloom.testing.engine_world import World, publish

Ports = dict[str, tuple[PortSpec, ...]]


def ports(number: str, inner: str = "80/tcp") -> Ports:
    return {inner: (PortSpec("", number),)}


def shown(world: World, key: str) -> set[tuple[int, int]]:
    return {(b.host_port, b.container_port) for e in world.core.tables.endpoints_of(key) for b in e.ports}


async def test_a_running_one_has_them_at_once_and_for_good(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    key = (await world.container("web", "red", start=True)).id
    await world.engine.change_ports("web", ports("8080"), {})
    await world.engine.change_ports("web", {"81/tcp": (PortSpec("", "8081"),)}, {})
    assert shown(world, key) == {(8080, 80), (8081, 81)}
    world.check()
    await world.restart()
    world.check()
    assert shown(world, key) == {(8080, 80), (8081, 81)}
    await world.engine.change_ports("web", {}, {"80/tcp": ()})
    assert shown(world, key) == {(8081, 81)}
    world.check()
    await world.engine.stop("web", timeout=None)
    await world.engine.start("web")
    assert shown(world, key) == {(8081, 81)}
    world.check()


async def test_those_that_stay_are_held_all_the_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = (await world.container("web", ports=publish("8080", "8081"), start=True)).id

    async def nobody(ports: object) -> None:
        raise AssertionError("a port that stays was let go and held anew")

    monkeypatch.setattr(world.dataplane, "hold", nobody)
    await world.engine.change_ports("web", {}, ports("8080"))
    assert shown(world, key) == {(8081, 80)}
    world.check()


async def test_one_moves_in_one_change(world: World) -> None:
    key = (await world.container("web", ports=publish("8080"), start=True)).id
    await world.engine.change_ports("web", ports("9090"), ports("8080"))
    assert {outer for outer, _ in shown(world, key)} == {9090}
    other = (await world.container("other", ports=publish("8080"), start=True)).id
    assert shown(world, other)
    world.check()


async def test_a_stopped_one_has_them_when_it_starts(world: World) -> None:
    key = (await world.container("web")).id
    await world.engine.change_ports("web", ports("8080"), {})
    assert shown(world, key) == set()
    await world.engine.start("web")
    assert shown(world, key) == {(8080, 80)}
    world.check()


async def test_what_is_refused_changes_nothing(world: World) -> None:
    await world.container("first", ports=publish("8080"), start=True)
    key = (await world.container("web", ports=publish("7000"), start=True)).id
    before, container = shown(world, key), world.engine.container("web")
    refusals: list[tuple[Ports, Ports, type[Exception]]] = [
        (ports("8080"), {}, Failed),
        (ports("8080"), {"80/tcp": ()}, Failed),
        (ports("x"), {}, InvalidArgument),
        ({}, {"99/tcp": ()}, NotFound),
    ]
    for add, remove, kind in refusals:
        with pytest.raises(kind):
            await world.engine.change_ports("web", add, remove)
        assert shown(world, key) == before
        assert world.engine.container("web") == container
        world.check()


async def test_what_the_kernel_refuses_is_not_kept(world: World) -> None:
    key = (await world.container("web", ports=publish("7000"), start=True)).id
    before = shown(world, key)
    world.kernel.fail("add element netloom published4")
    with pytest.raises(Exception, match="asked for by a test"):
        await world.engine.change_ports("web", ports("8080"), {})
    await world.settle()
    assert shown(world, key) == before
    world.check()
    await world.engine.change_ports("web", ports("8080"), {})
    world.check()


async def test_the_hosts_network_publishes_nothing(world: World) -> None:
    await world.container("web", "host", start=True)
    with pytest.raises(Conflict, match="publishes no ports"):
        await world.engine.change_ports("web", ports("8080"), {})


async def test_a_port_of_the_host_s_choosing_is_told_from_one_by_number(world: World) -> None:
    key = (await world.container("web", ports=publish("", "8080"), start=True)).id
    (chosen,) = {number for number, _ in shown(world, key)} - {8080}
    await world.engine.change_ports("web", {}, ports("8080"))
    assert shown(world, key) == {(chosen, 80)}
    with pytest.raises(NotFound, match="not published as 8080"):
        await world.engine.change_ports("web", {}, ports("8080"))
    assert world.engine.container("web").host_config.port_bindings == {"80/tcp": (PortSpec(),)}
    await world.engine.change_ports("web", {}, ports(str(chosen)))
    assert shown(world, key) == set()
    assert not world.engine.container("web").host_config.port_bindings
    world.check()


async def test_of_a_routed_network_the_opening_goes_with_its_number(world: World) -> None:
    options = {f"com.docker.network.bridge.gateway_mode_ipv{family}": "routed" for family in (4, 6)}
    await world.network("blue", "10.2.0.0/24", options=options)
    key = (await world.container("web", "blue", ports=publish("8080"), start=True)).id
    assert shown(world, key) == {(0, 80)}
    await world.engine.change_ports("web", {}, ports("8080"))
    assert shown(world, key) == set()
    world.check()
