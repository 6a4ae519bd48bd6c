"""A new daemon finds the rows and the processes of an earlier one in every state that they may be in."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from netloom.engine.tables import container_row, endpoint_row, network_row
from netloom.model.endpoint import EndpointConfig
from netloom.model.network import Status
from netloom.testing.engine_world import World, publish, static


async def crashed(world: World, *rows: Any) -> None:
    """The daemon is killed; the rows are what it had written last. Then a new one starts."""
    await world.settle()
    world.store.commit(rows, durable=True)
    await world.crash()
    await world.start()
    await world.settle()


async def test_who_lives_is_adopted(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    container = await world.container("web", "red", ports=publish("8080"), start=True)
    await crashed(world)
    assert world.engine.container("web").state.pid == container.state.pid
    world.end("web", 3)
    await world.settle()
    assert world.engine.container("web").state.exit_code == 3
    assert not world.dataplane.held


async def test_who_has_ended_meanwhile_is_dismantled(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    await world.container("web", "red", networks={"red": static("10.1.0.9")}, ports=publish("8080"), start=True)
    await world.settle()
    await world.crash()
    world.end("web", 9)
    await world.start()
    state = world.engine.container("web").state
    assert (state.status, state.exit_code) == ("exited", 9)
    assert not world.dataplane.held
    assert list(world.state()["addresses"][world.engine.network("red").id]) == ["10.1.0.9"]


async def test_who_vanished_without_a_trace_has_an_unknown_code(world: World) -> None:
    container = await world.container("web", start=True)
    await world.settle()
    await world.crash()
    world.end("web")
    del world.runtime.inits[container.id]
    await world.start()
    state = world.engine.container("web").state
    assert (state.status, state.exit_code) == ("exited", 255)
    assert "unknown" in state.error


@pytest.mark.parametrize("started", [True, False], ids=["ran", "never ran"])
async def test_one_run_with_rm_goes_when_it_has_ended(world: World, *, started: bool) -> None:
    await world.container("web", start=started, auto_remove=True)
    await world.settle()
    await world.crash()
    if started:
        world.end("web")
    await world.start()
    await world.settle()
    assert len(world.engine.containers()) == (0 if started else 1)


async def test_a_stranger_is_swept(world: World) -> None:
    container = await world.container("web", start=True)
    await crashed(world, ("containers", container.id, None), *((t, k, None) for t, k in _endpoints(world)))
    assert not world.runtime.inits
    assert not world.runtime.on_disk


async def test_a_removal_that_was_cut_short_is_finished(world: World) -> None:
    container = await world.container("web")
    await crashed(world, container_row(replace(container, state=replace(container.state, status="removing"))))
    assert not world.engine.containers()


@pytest.mark.parametrize("status", [Status.PENDING, Status.DELETING])
async def test_a_half_network_goes(world: World, status: Status) -> None:
    network = await world.network("red", "10.1.0.0/24")
    await crashed(world, network_row(replace(network, status=status)))
    assert "red" not in [n.name for n in world.engine.networks()]
    assert network.bridge not in str(world.kernel)
    await world.network("red", "10.1.0.0/24")


async def test_a_disconnect_that_was_cut_short_is_finished(world: World) -> None:
    """The gateway's endpoint was going: default route and ports are where they would have gone."""
    await world.network("red", "10.1.0.0/24")
    await world.network("blue", "10.2.0.0/24")
    await world.container("web", "red", networks={"blue": static(gw_priority=1)}, ports=publish("8080"), start=True)
    going = next(e for e in world.core.tables.endpoints_of(world.engine.container("web").id) if e.default4)
    await crashed(world, endpoint_row(replace(going, status=Status.DELETING)))
    assert list(world.engine.container("web").networks) == ["red"]
    left = next(iter(world.core.tables.endpoints_of(world.engine.container("web").id)))
    assert left.default4
    assert [p.host_port for p in left.ports] == [8080, 8080]
    await world.engine.connect("blue", "web", EndpointConfig())


async def test_the_last_way_out_was_going(world: World) -> None:
    await world.container("web", ports=publish("8080"), start=True)
    going = next(iter(world.core.tables.endpoints_of(world.engine.container("web").id)))
    await crashed(world, endpoint_row(replace(going, status=Status.DELETING)))
    assert not world.dataplane.held
    assert not world.engine.container("web").networks


async def test_a_connect_that_was_cut_short_is_undone(world: World) -> None:
    network = await world.network("blue", "10.2.0.0/24")
    container = await world.container("web", start=True)
    await world.engine.connect("blue", "web", EndpointConfig())
    coming = world.core.tables.endpoint(network.id, container.id)
    assert coming is not None
    await crashed(world, container_row(container), endpoint_row(replace(coming, status=Status.PENDING)))
    assert list(world.engine.container("web").networks) == ["bridge"]
    assert coming.host_name not in str(world.kernel)


async def test_numbers_are_never_used_twice(world: World) -> None:
    numbers = {n.number for n in world.engine.networks()}
    await world.restart()
    network = await world.network("red")
    assert network.number not in numbers


async def test_what_others_destroyed_meanwhile_stands_again(world: World) -> None:
    network = await world.network("red", "10.1.0.0/24")
    await world.container("web", "red", ports=publish("8080"), start=True)
    await world.settle()
    await world.crash()
    for what in world.kernel.objects:
        world.kernel._delete(what, wholly=True)
    assert network.bridge not in str(world.kernel)
    await world.start()


async def test_the_default_bridge_follows_its_options(world: World) -> None:
    before = world.engine.network("bridge")
    world.settings = replace(world.settings, bip="10.200.0.1/24")
    await world.restart()
    after = world.engine.network("bridge")
    assert [p.subnet for p in after.pools] == ["10.200.0.0/24"]
    assert after.id != before.id


async def test_the_default_bridge_stays_while_somebody_is_on_it(world: World) -> None:
    before = world.engine.network("bridge")
    await world.container("web", start=True)
    world.settings = replace(world.settings, bip="10.200.0.1/24")
    await world.restart()
    assert world.engine.network("bridge") == before


async def test_a_default_bridge_that_cannot_stand_is_told_of(world: World) -> None:
    await world.network("red", "10.200.0.0/24")
    world.settings = replace(world.settings, bip="10.200.0.1/24")
    await world.settle()
    await world.crash()
    with pytest.raises(Exception, match="Pool overlaps"):
        await world.start()
    await world.crash()
    world.settings = replace(world.settings, bip="")
    await world.start()


def _endpoints(world: World) -> list[tuple[str, str]]:
    return [("endpoints", key) for key in world.store.load("endpoints")]
