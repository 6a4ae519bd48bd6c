import asyncio

import pytest

from netloom.engine import stopping
from netloom.model.errors import Conflict, Failed, NotFound
from netloom.testing.engine_world import World


async def remove(world: World, ref: str, *, force: bool = False) -> None:
    await world.engine.remove(ref, force=force, volumes=False, link=False)


async def test_a_running_container_is_removed_by_force_only(world: World) -> None:
    await world.container("web", start=True)
    with pytest.raises(Conflict, match='cannot remove container "web": container is running: stop the container'):
        await remove(world, "web")
    await remove(world, "web", force=True)
    assert not world.engine.containers()
    assert not world.runtime.on_disk


async def test_of_two_removals_one_is_told_that_the_other_goes_on(world: World) -> None:
    await world.container("web", start=True)
    results = await asyncio.gather(*(remove(world, "web", force=True) for _ in range(2)), return_exceptions=True)
    told = [str(r) for r in results if r is not None]
    assert told == ["removal of container web is already in progress"]


async def test_a_removal_during_the_end_of_a_container_that_goes_by_itself(world: World) -> None:
    await world.container("web", start=True, auto_remove=True)
    world.end("web")
    await asyncio.gather(remove(world, "web", force=True), return_exceptions=True)
    await world.settle()
    assert not world.engine.containers()


async def test_a_container_that_is_started_again_meanwhile_is_killed_again(world: World) -> None:
    await world.container("web", start=True)
    again = asyncio.ensure_future(world.engine.restart("web", timeout=5))
    await asyncio.sleep(0)
    await remove(world, "web", force=True)
    await asyncio.gather(again, return_exceptions=True)
    assert not world.engine.containers()


async def test_a_container_that_cannot_be_killed_is_told_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "KILL_PATIENCE", 0.01)
    container = await world.container("web", start=True)
    world.runtime.immortal.add(container.id)
    with pytest.raises(Failed, match='cannot remove container "web": could not kill container: tried to kill'):
        await remove(world, "web", force=True)
    with pytest.raises(Failed, match="cannot stop container: web: tried to kill container, but did not receive"):
        await world.engine.stop("web", timeout=0)
    world.runtime.immortal.clear()
    monkeypatch.undo()  # a busy machine needs longer than that
    await remove(world, "web", force=True)  # the failed attempt is no longer in progress


async def test_what_was_gone_before_our_turn_is_not_found(world: World) -> None:
    container = await world.container("web")
    async with world.core.lanes.hold(container.id):
        later = asyncio.ensure_future(world.engine.start("web"))
        await asyncio.sleep(0)
        world.engine._execs.forget(container.id)
        await world.engine._removal.take(container)
    with pytest.raises(NotFound, match="No such container: web"):
        await later


async def test_who_waits_for_the_start_of_a_removed_container_sees_the_end(world: World) -> None:
    await world.container("web")
    attachment = await world.engine.attach("web")
    reading = asyncio.ensure_future(attachment.read())
    await remove(world, "web")
    assert await asyncio.wait_for(reading, 30) is None


async def test_one_run_with_rm_outlives_a_restart(world: World) -> None:
    await world.container("web", start=True, auto_remove=True)
    await world.engine.restart("web", timeout=5)
    assert world.engine.container("web").state.running
    await world.engine.stop("web", timeout=5)
    await world.settle()
    assert not world.engine.containers()


async def test_a_stubborn_container_is_killed_after_the_timeout(world: World) -> None:
    container = await world.container("web", start=True)
    world.runtime.stubborn.add(container.id)
    await world.engine.stop("web", timeout=0)
    assert [signal for _, signal in world.runtime.signals] == [15, 9]
    assert world.engine.container("web").state.exit_code == 137


async def test_who_has_gone_waits_no_longer(world: World) -> None:
    container = await world.container("web", start=True)
    waiting = asyncio.ensure_future(world.engine.wait("web", "next-exit"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.sleep(0)
    assert container.id not in world.engine._waits._exit


async def test_prune_takes_what_does_not_run(world: World) -> None:
    keys = [(await world.container(name, restart="always")).id for name in ("runs", "waits", "fresh", "kept")]
    for name in ("runs", "waits"):
        await world.engine.start(name)
    world.end("waits", 1)
    await world.settle()
    pruned, reclaimed = await world.engine.prune_containers([*keys[:3], "unknown"])
    assert (pruned, reclaimed) == ([keys[2]], 0)
    assert {c.name for c in world.engine.containers()} == {"runs", "waits", "kept"}
    await world.engine.stop("waits", timeout=None)
    assert await world.engine.prune_containers(keys[1:2]) == ([keys[1]], 7)
    assert world.core.bus._backlog[-1].attributes == {"reclaimed": "7"}
    await world.engine.remove("runs", force=True, volumes=False, link=False)
