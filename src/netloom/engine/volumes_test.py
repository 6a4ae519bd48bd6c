"""Volumes in the engine: who uses them, what goes with whom, and what failures and deaths leave."""

from __future__ import annotations

from typing import Any

import pytest

from netloom.model.container import Container, ContainerConfig, ContainerRequest
from netloom.model.errors import Conflict, InvalidArgument, NotFound
from netloom.model.host_config import HostConfig
from netloom.model.mount import MountRequest
from netloom.model.volume import VolumeRequest
from netloom.testing.engine_world import World
from netloom.testing.failures import die_at_each, fail_each


async def made(world: World, name: str, volumes: dict[str, dict[str, Any]] | None = None, **host: Any) -> Container:
    request = ContainerRequest(
        name=name,
        config=ContainerConfig(image="host", cmd=("sleep", "1"), volumes=volumes),
        host_config=HostConfig(network_mode="none", **host),
    )
    key, _ = await world.engine.create_container(request)
    return world.engine.container(key)


def names(world: World) -> set[str]:
    return {volume.name for volume in world.engine.volumes.all()}


async def test_a_container_makes_its_volumes_and_keeps_them_from_being_removed(world: World) -> None:
    container = await made(world, "one", {"/b": {}}, binds=("data:/a:ro",))
    data, own = container.mounts
    assert (data.name, data.source, data.rw, data.owned) == ("data", "/nowhere/volumes/data/_data", False, False)
    assert own.owned
    assert len(own.name) == 64
    assert world.engine.volumes.get(own.name).anonymous
    with pytest.raises(Conflict) as caught:
        await world.engine.volumes.remove("data", force=True)
    assert caught.value.sentence == f"remove data: volume is in use - [{container.id}]"
    assert await world.engine.volumes.prune(["data", own.name]) == ([], 0)
    await world.engine.remove("one", force=False, volumes=False, link=False)
    assert names(world) == {"data", own.name}
    world.volumes.sizes["data"] = 5
    assert await world.engine.volumes.prune(["data", own.name]) == (["data", own.name], 5)


async def test_own_volumes_go_with_their_container_unless_others_use_them(world: World) -> None:
    first = await made(world, "first", {"/a": {}, "/b": {}})
    await made(world, "second", volumes_from=("first",))
    await world.engine.remove("first", force=False, volumes=True, link=False)
    assert names(world) == {point.name for point in first.mounts}
    await world.engine.remove("second", force=False, volumes=True, link=False)
    assert names(world) == {point.name for point in first.mounts}, "they were not its own"
    third = await made(world, "third", {"/a": {}}, binds=("kept:/k",))
    await world.engine.remove("third", force=False, volumes=True, link=False)
    assert third.mounts[1].name not in names(world)
    assert "kept" in names(world)


async def test_volumes_go_with_rm_at_its_end(world: World) -> None:
    container = await made(world, "one", {"/a": {}}, auto_remove=True)
    await world.engine.start("one")
    world.runtime.end(container.id)
    await world.settle()
    assert names(world) == set()


async def test_events(world: World) -> None:
    await made(world, "one", binds=("data:/a",))
    await world.engine.start("one")
    await world.engine.kill("one", "KILL")
    await world.engine.remove("one", force=True, volumes=True, link=False)
    await world.engine.volumes.remove("data", force=False)
    heard = [(e.type, e.action) async for e in world.engine.events(since=1, until=world.clock.time + 10**9)]
    heard = [event for event in heard if event not in (("network", "create"), ("container", "kill"))]
    assert heard == [
        ("volume", "create"),
        ("container", "create"),
        ("network", "connect"),
        ("volume", "mount"),
        ("container", "start"),
        ("network", "disconnect"),
        ("volume", "unmount"),
        ("container", "die"),
        ("container", "destroy"),
        ("volume", "destroy"),
    ]


async def test_a_missing_source_is_made_or_refused(world: World) -> None:
    await made(world, "made", binds=("/new:/a",))
    assert "/new" not in world.volumes.paths
    await world.engine.start("made")
    assert "/new" in world.volumes.paths
    request = MountRequest(type="bind", source="/lacks", target="/a")
    with pytest.raises(InvalidArgument, match="bind source path does not exist: /lacks"):
        await made(world, "refused", mounts=(request,))
    world.volumes.paths.add("/lacks")
    await made(world, "late", mounts=(request,))
    world.volumes.paths.discard("/lacks")
    with pytest.raises(InvalidArgument, match="bind source path does not exist: /lacks"):
        await world.engine.start("late")


async def test_one_that_is_there_is_what_was_asked_for(world: World) -> None:
    first = await world.engine.volumes.create(VolumeRequest(name="data", labels={"a": "b"}))
    assert await world.engine.volumes.create(VolumeRequest(name="data", labels={"c": "d"})) == first
    with pytest.raises(NotFound, match='plugin "x" not found'):
        await world.engine.volumes.create(VolumeRequest(name="data", driver="x"))
    with pytest.raises(NotFound, match="get nosuch: no such volume"):
        await world.engine.volumes.remove("nosuch", force=False)
    await world.engine.volumes.remove("nosuch", force=True)


async def _nothing(world: World) -> None:
    assert not names(world)


async def _create(world: World) -> None:
    await made(world, "one", {"/a": {}, "/b": {}}, binds=("data:/c",))


async def _created(world: World) -> None:
    await _create(world)


async def _remove(world: World) -> None:
    await world.engine.remove("one", force=False, volumes=True, link=False)


async def test_each_failure_of_a_create_leaves_what_was() -> None:
    tried = await fail_each(_nothing, _create, blind=_without_named)
    assert len([call for call in tried if call.startswith("volumes create")]) == 3


async def test_each_failure_of_a_removal_leaves_the_container() -> None:
    assert any(call.startswith("volumes remove") for call in await fail_each(_created, _remove, blind=_without_volumes))


async def test_each_death_leaves_no_volume_of_nobody() -> None:
    for prepare, act in ((_nothing, _create), (_created, _remove)):
        assert await die_at_each(prepare, act)


def _without_volumes(state: dict[str, Any]) -> dict[str, Any]:
    """One that cannot be removed stays."""
    return {**state, "volumes": []}


def _without_named(state: dict[str, Any]) -> dict[str, Any]:
    """A volume with a name outlives the failure of the container that it was made for, as with Docker."""
    return {**state, "volumes": [name for name in state["volumes"] if name != "data"]}
