"""Restart policies in a whole engine, time moved by hand."""

from __future__ import annotations

import asyncio

import pytest

from netloom.containers.updating import Update
from netloom.model.container import Container, ExecConfig
from netloom.model.errors import Conflict, NotModified
from netloom.model.host_config import RestartPolicy
from netloom.testing.engine_world import World, publish


async def ended(world: World, name: str = "web", code: int = 1) -> Container:
    """Its program ends; what has become of it."""
    world.end(name, code)
    await world.settle()
    return world.engine.container(name)


def happened(world: World, since: int = 0) -> list[str]:
    """Names of the events so far."""
    return [f"{e.type} {e.action}" for e in world.core.bus._backlog if e.time_nano > since]


async def test_it_waits_and_starts_again(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    await world.container("web", "red", ports=publish("8080"), restart="always", start=True)
    waiting = await ended(world, code=3)
    state = waiting.state
    assert (state.status, state.exit_code, state.pid, waiting.restart_count) == ("restarting", 3, 0, 1)
    assert world.clock.alarms == [100_000_000]
    world.check()
    await world.advance(0.099)
    assert world.engine.container("web").state.restarting
    await world.advance(0.001)
    again = world.engine.container("web")
    assert (again.state.status, again.state.exit_code, again.restart_count) == ("running", 0, 1)
    assert happened(world)[-5:] == [
        "container start",
        "network disconnect",
        "container die",
        "network connect",
        "container start",
    ]


async def test_the_wait_doubles_and_begins_anew_after_ten_seconds(world: World) -> None:
    await world.container("web", restart="always", start=True)
    for delay in (0.1, 0.2, 0.4):
        await ended(world)
        assert world.clock.alarms == [round(delay * 1e9)]
        await world.advance(delay)
    await world.advance(10)
    await ended(world)
    assert world.clock.alarms == [100_000_000]
    assert world.engine.container("web").restart_count == 4
    await world.engine.stop("web", timeout=None)


async def test_on_failure_gives_up_after_so_many(world: World) -> None:
    await world.container("web", restart="on-failure:2", start=True)
    for _ in range(2):
        assert (await ended(world)).state.restarting
        await world.advance(1)
    last = await ended(world, code=7)
    assert (last.state.status, last.state.exit_code, last.restart_count) == ("exited", 7, 2)
    assert not world.clock.alarms
    await world.engine.start("web")
    assert world.engine.container("web").restart_count == 0
    assert (await ended(world, code=0)).state.status == "exited"


@pytest.mark.parametrize("how", ["stop", "kill", "remove", "restart"])
async def test_somebody_ends_the_wait(world: World, how: str) -> None:
    await world.container("web", restart="always", start=True)
    await ended(world, code=3)
    waits = asyncio.ensure_future(world.engine.wait("web", "not-running"))
    await asyncio.sleep(0)
    before = world.core.bus._last
    if how == "stop":
        await world.engine.stop("web", timeout=None)
    elif how == "kill":
        await world.engine.kill("web", "HUP")
    elif how == "restart":
        await world.engine.restart("web", timeout=None)
    else:
        with pytest.raises(Conflict, match="container is restarting: stop the container before removing or force"):
            await world.engine.remove("web", force=False, volumes=False, link=False)
        await world.engine.remove("web", force=True, volumes=False, link=False)
    assert await waits == (3, "")
    assert (
        happened(world, before)
        == {
            "stop": ["container stop"],
            "kill": [],
            "remove": ["container destroy"],
            "restart": ["container stop", "network connect", "container start", "container restart"],
        }[how]
    )
    assert not world.clock.alarms
    await world.advance(60)
    if how in ("stop", "kill"):
        left = world.engine.container("web")
        assert (left.state.status, left.state.exit_code, left.restart_count) == ("exited", 3, 1)
        await world.engine.remove("web", force=False, volumes=False, link=False)
    elif how == "restart":
        assert world.engine.container("web").restart_count == 0


async def test_what_cannot_be_done_with_one_that_waits(world: World) -> None:
    container = await world.container("web", restart="always", start=True)
    await ended(world)
    with pytest.raises(NotModified):
        await world.engine.start("web")
    with pytest.raises(Conflict, match=f"Container {container.id} is restarting, wait until the container is running"):
        await world.engine.create_exec("web", ExecConfig(cmd=("true",)))
    with pytest.raises(Conflict, match="container web is restarting, wait until the container is running"):
        await world.engine.attach("web")
    with pytest.raises(Conflict, match="is restarting"):
        await world.engine.top("web", "")
    await world.engine.rename("web", "other")
    await world.advance(0.1)
    assert world.engine.container("other").state.running


async def test_one_that_was_stopped_by_hand_stays(world: World) -> None:
    await world.container("web", restart="unless-stopped", start=True)
    await world.engine.stop("web", timeout=None)
    await world.settle()
    assert world.engine.container("web").state.status == "exited"
    await world.restart()
    await world.settle()
    assert world.engine.container("web").state.status == "exited"


async def test_a_stop_is_remembered_though_the_daemon_dies_over_it(world: World) -> None:
    await world.container("web", restart="unless-stopped", start=True)
    world.runtime.stubborn.add(world.engine.container("web").id)
    stopping = asyncio.ensure_future(world.engine.stop("web", timeout=-1))
    while not world.runtime.signals:
        await asyncio.sleep(0)
    await world.crash()
    assert stopping.done()
    world.runtime.end(next(iter(world.runtime.inits)), 0)
    await world.start()
    await world.settle()
    assert world.engine.container("web").state.status == "exited"
    assert not world.clock.alarms


async def test_always_starts_with_the_daemon(world: World) -> None:
    await world.container("web", restart="always", start=True)
    await world.container("guest", "container:web", restart="always")
    await world.container("never", restart="always")
    await world.engine.start("guest")
    await world.engine.stop("guest", timeout=None)
    await world.engine.stop("web", timeout=None)
    await world.restart()
    await world.settle()
    assert world.engine.container("web").state.running
    assert world.engine.container("guest").state.running
    assert world.engine.container("never").state.status == "created"


async def test_a_wait_goes_on_in_the_next_daemon(world: World) -> None:
    await world.container("web", restart="always", start=True)
    for _ in range(3):
        await ended(world)
        await world.advance(0.4)
    await ended(world)
    await world.crash()
    world.clock.time += 300_000_000
    await world.start()
    await world.settle()
    assert world.clock.alarms == [500_000_000]
    await world.advance(0.5)
    container = world.engine.container("web")
    assert container.state.running
    assert container.restart_count == 4


async def test_who_ended_without_a_daemon_is_started_again(world: World) -> None:
    await world.container("web", restart="on-failure:1", start=True)
    await world.container("done", restart="on-failure", start=True)
    await world.settle()
    await world.crash()
    world.runtime.end(world.core.tables.container("web").id, 9)
    world.runtime.end(world.core.tables.container("done").id, 0)
    await world.start()
    await world.settle()
    state = world.engine.container("web").state
    assert (state.status, state.exit_code) == ("restarting", 9)
    assert world.engine.container("done").state.status == "exited"
    await world.advance(0.1)
    assert world.engine.container("web").state.running


async def test_a_start_that_fails_ends_it(world: World) -> None:
    await world.container("web", restart="always", start=True)
    await ended(world, code=4)
    world.wire.arm(1, "call")
    await world.advance(0.1)
    world.wire.heal()
    await world.settle()
    container = world.engine.container("web")
    assert (container.state.status, container.restart_count) == ("exited", 1)
    assert container.state.error
    assert not world.clock.alarms


async def test_another_policy(world: World) -> None:
    await world.container("web", restart="always", start=True)
    await ended(world)
    await world.engine.update("web", Update({}, RestartPolicy("no")))
    await world.advance(0.1)
    assert world.engine.container("web").state.running  # what waited is started; the next end counts
    assert (await ended(world)).state.status == "exited"


async def test_a_wait_hears_of_every_end(world: World) -> None:
    await world.container("web", restart="always", start=True)
    first = asyncio.ensure_future(world.engine.wait("web", "next-exit"))
    await asyncio.sleep(0)
    world.end("web", 5)
    assert await first == (5, "")
    await world.settle()
    assert world.engine.container("web").state.restarting
    second = asyncio.ensure_future(world.engine.wait("web", "not-running"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()  # one that waits counts as running
    world.clock.step(world.clock.time + 100_000_000)
    while not world.engine.container("web").state.running:
        await asyncio.sleep(0)
    world.end("web", 6)
    assert await second == (6, "")
    gone = asyncio.ensure_future(world.engine.wait("web", "removed"))
    await asyncio.sleep(0)
    await world.engine.remove("web", force=True, volumes=False, link=False)
    assert await gone == (6, "")


async def test_a_stop_that_comes_with_the_end(world: World) -> None:
    """Its program ends while the stop waits for its turn: the stop does not wait for another end."""
    container = await world.container("web", restart="always", start=True)
    async with world.core.lanes.hold(container.id):
        stopping = asyncio.ensure_future(world.engine.stop("web", timeout=None))
        await asyncio.sleep(0)
        world.end("web", 1)
    await asyncio.wait_for(stopping, 30)
    await world.settle()
    assert world.engine.container("web").state.status == "exited"
