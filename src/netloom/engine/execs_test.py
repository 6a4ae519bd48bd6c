import asyncio

import pytest

from netloom.engine.execs import REMEMBERED
from netloom.model.container import ExecConfig
from netloom.model.errors import Conflict, Failed, InvalidArgument, NotFound
from netloom.testing.engine_world import World

TRUE = ExecConfig(cmd=("true",))


async def test_an_exec_tells_its_code(world: World) -> None:
    await world.container("web", start=True)
    made = await world.engine.create_exec("web", TRUE)
    await world.engine.start_exec(made.id, tty=False, size=None)
    assert world.engine.exec(made.id).running
    world.runtime.end_exec(made.id, 4)
    await world.settle()
    ended = world.engine.exec(made.id)
    assert (ended.running, ended.exit_code) == (False, 4)
    with pytest.raises(Conflict, match="has already run"):
        await world.engine.start_exec(made.id, tty=False, size=None)


async def test_an_exec_is_forgotten_with_its_container(world: World) -> None:
    await world.container("web", start=True)
    made = await world.engine.create_exec("web", TRUE)
    await world.engine.remove("web", force=True, volumes=False, link=False)
    with pytest.raises(NotFound, match="No such exec instance"):
        world.engine.exec(made.id)


async def test_an_exec_is_forgotten_some_time_after_its_end(world: World) -> None:
    await world.container("web", start=True)
    made = await world.engine.create_exec("web", TRUE)
    await world.engine.start_exec(made.id, tty=False, size=None)
    world.runtime.end_exec(made.id)
    await world.settle()
    world.clock.time += REMEMBERED
    await world.engine.create_exec("web", TRUE)
    assert world.engine.exec(made.id)
    world.clock.time += 1
    await world.engine.create_exec("web", TRUE)
    with pytest.raises(NotFound):
        world.engine.exec(made.id)


async def test_an_exec_needs_a_command_and_a_running_container(world: World) -> None:
    await world.container("web")
    with pytest.raises(Conflict, match="is not running"):
        await world.engine.create_exec("web", TRUE)
    await world.engine.start("web")
    with pytest.raises(InvalidArgument, match="no exec command specified"):
        await world.engine.create_exec("web", ExecConfig())


async def test_an_exec_that_cannot_start_has_died(world: World) -> None:
    await world.container("web", start=True)
    made = await world.engine.create_exec("web", TRUE)
    world.wire.arm(1)
    with pytest.raises(Failed, match="crun failed"):
        await world.engine.start_exec(made.id, tty=False, size=None)
    died = world.engine.exec(made.id)
    assert (died.running, died.exit_code) == (False, 128)


async def test_a_resize_waits_for_the_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.container("web", start=True)
    made = await world.engine.create_exec("web", TRUE)
    resize = asyncio.ensure_future(world.engine.resize_exec(made.id, 29, 91))
    await asyncio.sleep(0)
    assert not resize.done()
    await world.engine.start_exec(made.id, tty=True, size=None)
    await resize
    world.runtime.end_exec(made.id)

    monkeypatch.setattr("netloom.engine.execs.PATIENCE", 0)
    other = await world.engine.create_exec("web", TRUE)
    with pytest.raises(Failed, match="timeout waiting for exec session ready"):
        await world.engine.resize_exec(other.id, 29, 91)
