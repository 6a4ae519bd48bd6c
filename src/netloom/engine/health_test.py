"""Health checks in a whole engine, time moved by hand."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from netloom.model.health import Health, HealthConfig
from netloom.testing.engine_world import World

S = 1_000_000_000
CHECK = HealthConfig(test=("CMD-SHELL", "check"), interval=S, timeout=2 * S, retries=2)


def health(world: World, name: str = "web") -> Health:
    found = world.engine.container(name).state.health
    assert found is not None
    return found


def events(world: World) -> list[str]:
    return [e.action for e in world.core.bus._backlog if "health" in e.action or "exec" in e.action]


async def test_probes_come_and_tell(world: World) -> None:
    await world.container("web", health=CHECK, start=True)
    assert health(world) == Health()
    world.runtime.exec_ends = (1, b"no\n")
    await world.advance(1)
    assert world.runtime.commands == [("/bin/sh", "-c", "check")]
    assert [(r.exit_code, r.output) for r in health(world).log] == [(1, "no\n")]
    assert health(world).status == "starting"
    await world.advance(1)
    assert health(world).status == "unhealthy"
    world.runtime.exec_ends = (0, b"")
    await world.advance(1)
    assert (health(world).status, health(world).failing_streak) == ("healthy", 0)
    probe = ["exec_create: /bin/sh -c check", "exec_start: /bin/sh -c check", "exec_die"]
    assert events(world) == [
        *probe,
        *probe,
        "health_status: unhealthy",
        *probe,
        "health_status: healthy",
    ]
    assert not world.engine._execs._execs, "a probe is forgotten when it has told"
    await world.engine.stop("web", timeout=None)
    assert health(world).status == "unhealthy"
    assert not world.clock.alarms


async def test_a_probe_that_hangs_is_killed(world: World) -> None:
    await world.container("web", health=CHECK, start=True)
    await world.settle()
    world.clock.step(world.clock.time + S)
    while not world.runtime.execs or len(world.clock.alarms) < 1:
        await asyncio.sleep(0)
    await world.engine.rename("web", "other")  # its lane is free
    world.clock.step(world.clock.time + 2 * S)
    await world.settle()
    (result,) = health(world, "other").log
    assert (result.exit_code, result.output) == (-1, "Health check exceeded timeout (2s)")
    assert result.end - result.start == 2 * S
    assert not world.runtime.execs


async def test_nobody_asks_one_that_is_frozen(world: World) -> None:
    container = await world.container("web", health=CHECK, start=True)
    world.runtime.exec_ends = (0, b"")
    await world.advance(1)
    now = world.core.tables.containers[container.id]
    world.core.tables.put_container(replace(now, state=replace(now.state, status="paused")))
    await world.advance(5)
    assert len(world.runtime.commands) == 1
    assert health(world).status == "unhealthy"
    world.core.tables.put_container(now)
    await world.advance(1)
    assert len(world.runtime.commands) == 2
    assert health(world).status == "healthy"


async def test_the_next_daemon_goes_on(world: World) -> None:
    await world.container("web", health=CHECK, start=True)
    world.runtime.exec_ends = (0, b"fine")
    await world.advance(1)
    await world.settle()
    await world.crash()
    await world.start()
    assert health(world).status == "healthy"
    world.runtime.exec_ends = (1, b"")
    await world.advance(2)
    assert health(world).status == "unhealthy"


async def test_a_restart_begins_anew_and_a_removal_forgets(world: World) -> None:
    container = await world.container("web", health=CHECK, start=True)
    world.runtime.exec_ends = (0, b"fine")
    await world.advance(1)
    await world.engine.restart("web", timeout=None)
    assert (health(world).status, len(health(world).log)) == ("starting", 1)
    await world.engine.remove("web", force=True, volumes=False, link=False)
    await world.settle()
    assert not world.store.load("health")
    assert not world.clock.alarms
    assert container.id not in world.engine._checks._health


async def test_who_has_none_shows_none(world: World) -> None:
    await world.container("web", health=HealthConfig(test=("NONE",)), start=True)
    await world.advance(60)
    assert world.engine.container("web").state.health is None
    assert not world.runtime.commands
