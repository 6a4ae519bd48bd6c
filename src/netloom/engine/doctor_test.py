"""The doctor's questions to the kernel."""

from __future__ import annotations

from netloom.testing.engine_world import World


async def test_a_kernel_that_cannot_forget_connections(world: World) -> None:
    assert await world.engine.findings() == []
    world.kernel.forgets = False
    (found,) = await world.engine.findings()
    assert (found.kind, found.between[1]) == ("missing module", "the running kernel, which has no nf_conntrack_netlink")
    assert "modprobe nf_conntrack_netlink" in found.remedy


async def test_a_module_that_a_network_needs_and_the_next_kernel_lacks(world: World) -> None:
    await world.network("lan", "192.0.2.0/24", driver="macvlan", options={"parent": "up0"})
    assert await world.engine.findings() == []
    world.kernel.missing.add("macvlan")
    (found,) = await world.engine.findings()
    assert found.between == ("network lan", "the running kernel, which has no macvlan")
