from __future__ import annotations

from netloom.testing.engine_world import World


async def test_what_the_host_can_limit_is_told(world: World) -> None:
    world.runtime.cgroup_version, world.runtime.controllers = 2, frozenset({"cpu", "pids"})
    info = world.engine.daemon_info()
    assert (info["CgroupVersion"], info["MemoryLimit"], info["CPUShares"], info["PidsLimit"]) == (
        "2",
        False,
        True,
        True,
    )


async def test_the_kernel_can_be_kept_from_killing_under_version_1_alone(world: World) -> None:
    world.runtime.controllers = frozenset({"memory"})
    for version, able in ((1, True), (2, False)):
        world.runtime.cgroup_version = version
        assert world.engine.daemon_info()["OomKillDisable"] is able


async def test_listeners_of_events_are_counted(world: World) -> None:
    events = world.engine.events(since=0, until=0)
    assert world.engine.daemon_info()["NEventsListener"] == 1
    await events.aclose()  # type: ignore[attr-defined]
    assert world.engine.daemon_info()["NEventsListener"] == 0
