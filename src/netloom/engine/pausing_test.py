import pytest

from netloom.model.container import ExecConfig
from netloom.model.errors import Conflict, Failed
from netloom.testing.engine_world import World

TRUE = ExecConfig(cmd=("true",))


async def test_pause_and_unpause(world: World) -> None:
    key = (await world.container("web", start=True)).id
    await world.engine.pause("web")
    assert world.engine.container("web").state.status == "paused"
    assert world.runtime.frozen == {key}
    with pytest.raises(Conflict, match=f"^Container {key} is already paused"):
        await world.engine.pause("web")
    await world.engine.unpause("web")
    assert world.engine.container("web").state.status == "running"
    assert not world.runtime.frozen
    with pytest.raises(Failed, match=f"^Container {key} is not paused"):
        await world.engine.unpause("web")


async def test_one_that_does_not_run(world: World) -> None:
    key = (await world.container("web")).id
    with pytest.raises(Conflict, match=f"^container {key} is not running"):
        await world.engine.pause("web")
    with pytest.raises(Failed, match="is not paused"):
        await world.engine.unpause("web")


async def test_what_a_paused_one_refuses(world: World) -> None:
    key = (await world.container("web", start=True)).id
    made = await world.engine.create_exec("web", TRUE)
    await world.engine.pause("web")
    with pytest.raises(Conflict, match="cannot start a paused container, try unpause instead"):
        await world.engine.start("web")
    with pytest.raises(Conflict, match="Container web is paused, unpause the container before exec"):
        await world.engine.create_exec("web", TRUE)
    with pytest.raises(Conflict, match="unpause the container before exec"):
        await world.engine.start_exec(made.id, tty=False, size=None)
    with pytest.raises(Conflict, match=f"container {key} is paused, unpause the container before attach"):
        await world.engine.attach("web")
    with pytest.raises(Conflict, match='cannot remove container "web": container is paused and must be unpaused first'):
        await world.engine.remove("web", force=False, volumes=False, link=False)


async def test_its_processes_are_told_all_the_same(world: World) -> None:
    await world.container("web", start=True)
    await world.engine.pause("web")
    assert await world.engine.top("web", "") == (["PID", "CMD"], [])


async def test_a_signal_lets_it_go_on(world: World) -> None:
    await world.container("web", start=True)
    await world.engine.pause("web")
    await world.engine.kill("web", "USR1")
    assert world.engine.container("web").state.status == "running"
    await world.engine.pause("web")
    await world.engine.stop("web", timeout=5)
    assert world.engine.container("web").state.status == "exited"


@pytest.mark.parametrize("how", ["kill", "remove"])
async def test_one_that_is_killed(world: World, how: str) -> None:
    key = (await world.container("web", start=True)).id
    await world.engine.pause("web")
    if how == "kill":
        await world.engine.kill("web", "KILL")
        assert world.engine.container("web").state.exit_code == 137
    else:
        await world.engine.remove("web", force=True, volumes=False, link=False)
    assert key not in world.runtime.frozen


async def test_a_new_daemon_finds_it_as_the_kernel_has_it(world: World) -> None:
    key = (await world.container("web", start=True)).id
    await world.engine.pause("web")
    await world.restart()
    assert world.engine.container("web").state.status == "paused"
    await world.runtime.thaw(key)  # the former daemon was killed between the two steps of unpause
    await world.restart()
    assert world.engine.container("web").state.status == "running"
    world.runtime.frozen.add(key)
    await world.restart()
    assert world.engine.container("web").state.status == "paused"
    await world.engine.unpause("web")


async def test_a_pause_that_cannot_be_written_down_is_undone(world: World) -> None:
    key = (await world.container("web", start=True)).id
    world.wire.arm(2)  # the kernel's part, then the store's
    with pytest.raises(Failed):
        await world.engine.pause("web")
    assert world.engine.container("web").state.status == "running"
    assert key not in world.runtime.frozen
