import pytest

from netloom.containers.resources import SWAP_WARNING
from netloom.containers.updating import Update
from netloom.model.container import ContainerConfig, ContainerRequest
from netloom.model.errors import Conflict, Failed, InvalidArgument
from netloom.model.host_config import HostConfig, RestartPolicy
from netloom.testing.engine_world import World

MEMORY = Update({"memory": 64 << 20})


async def test_a_running_one_is_changed_at_once_and_for_good(world: World) -> None:
    key = (await world.container("web", start=True, memory=128 << 20)).id
    await world.engine.update("web", MEMORY)
    assert world.runtime.updates == [(key, {"memory": {"limit": 64 << 20, "swap": 256 << 20}})]
    assert world.engine.container("web").host_config.memory == 64 << 20
    await world.restart()
    assert world.engine.container("web").host_config.memory == 64 << 20


async def test_a_stopped_one_is_only_written_down(world: World) -> None:
    await world.container("web")
    policy = RestartPolicy("on-failure", 3)
    await world.engine.update("web", Update({"cpu_shares": 5}, policy))
    assert world.runtime.updates == []
    assert world.engine.container("web").host_config.restart_policy == policy


async def test_what_the_kernel_refuses_is_not_kept(world: World) -> None:
    key = (await world.container("web", start=True)).id
    world.runtime.refuse_update = "failed to write 5 to cpu.shares"
    with pytest.raises(Failed, match=f"^Cannot update container {key}: failed to write 5 to cpu.shares"):
        await world.engine.update("web", Update({"cpu_shares": 5}))
    assert world.engine.container("web").host_config.cpu_shares == 0
    await world.restart()
    assert world.engine.container("web").host_config.cpu_shares == 0


async def test_what_is_wrong_is_told_before_anything_is_done(world: World) -> None:
    key = (await world.container("web", start=True)).id
    with pytest.raises(InvalidArgument, match=r"^Minimum memory limit allowed is 6MB"):
        await world.engine.update("web", Update({"memory": 1}))
    with pytest.raises(Conflict, match=f"^Cannot update container {key}: Memory limit should be smaller than"):
        await world.engine.update("web", MEMORY)


async def test_samples_are_shared_by_those_who_ask_at_once(world: World) -> None:
    await world.container("web", start=True)
    first = await world.engine.usage("web")
    assert (await world.engine.usage("web")).read == first.read
    world.clock.time += 1_000_000_000
    assert (await world.engine.usage("web")).read != first.read
    await world.engine.kill("web", "KILL")
    assert (await world.engine.usage("web")).read == 0


async def test_a_host_that_does_not_count_swap_limits_memory_alone(world: World) -> None:
    world.runtime.controllers = frozenset({"memory"})
    wanted = ContainerRequest(
        config=ContainerConfig(image="host"), host_config=HostConfig(memory=64 << 20, memory_swap=96 << 20)
    )
    key, warnings = await world.engine.create_container(wanted)
    assert warnings == [SWAP_WARNING]
    assert world.engine.container(key).host_config.memory_swap == -1
    await world.engine.update(key, Update({"memory": 128 << 20}))
    changed = world.engine.container(key).host_config
    assert (changed.memory, changed.memory_swap) == (128 << 20, -1)
    assert not world.engine.daemon_info()["SwapLimit"]
