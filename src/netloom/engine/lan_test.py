"""Bridges of LANs, adopted ones, shims and devices, as the engine handles them: repaired, restored, kept apart."""

from __future__ import annotations

import pytest

from netloom.drivers.parents import host_addresses
from netloom.model.desired import Address, Child, HostLink, Port, Shim, Veth
from netloom.model.errors import Conflict, Failed
from netloom.testing.engine_world import World

ADOPTED = {"com.docker.network.bridge.name": "br0"}


def ports(world: World) -> list[tuple[str, str]]:
    return [(o.link, o.master) for o in world.kernel.objects if isinstance(o, Port)]


async def facts_changed(world: World, *interfaces: HostLink) -> None:
    world.kernel.know(interfaces=interfaces)
    world.engine.watching.changed((), facts=True, ruleset=False, lost=False)
    await world.settle()


async def test_a_port_that_goes_and_comes(world: World) -> None:
    net = await world.network("lan", "10.4.0.0/24", options={"parent": "lan0"})
    await world.container("web", "lan", start=True)
    before = world.core.facts.interfaces
    assert ports(world) == [("lan0", net.bridge)]
    world.kernel.lose(("port", "lan0"))
    await facts_changed(world, *(one for one in before if one.name != "lan0"))
    assert ports(world) == []
    await world.container("late", "lan", start=True)  # among themselves they go on
    await facts_changed(world, *(one for one in before if one.name != "lan0"), HostLink("lan0", 77))
    assert ports(world) == [("lan0", net.bridge)]
    await world.restart()
    await world.settle()
    world.check()


async def test_an_adopted_bridge_that_goes_and_comes(world: World) -> None:
    await world.network("own", "10.4.0.0/24", options=ADOPTED)
    await world.container("web", "own", start=True)
    before = world.core.facts.interfaces
    added = ("address", "", "br0", "10.4.0.1/24")
    assert added in [o.key for o in world.kernel.objects]
    world.kernel.lose(added)
    await facts_changed(world, *(one for one in before if one.name != "br0"))
    with pytest.raises(Failed, match="bridge br0 of network own is not there"):
        await world.container("late", "own", start=True)
    await facts_changed(world, *(one for one in before if one.name != "br0"), HostLink("br0", 78, kind="bridge"))
    (veth,) = (o for o in world.kernel.objects if isinstance(o, Veth))
    assert (veth.master, veth.master_index) == ("br0", 78)
    assert [o.index for o in world.kernel.objects if isinstance(o, Address) and o.key == added] == [78]
    await world.engine.restart("web", timeout=1)
    await world.restart()
    await world.settle()
    world.check()


async def test_the_hosts_address_beside_its_containers(world: World) -> None:
    net = await world.network("lan", "10.4.0.0/24", driver="macvlan", options={"parent": "up0", "host_access": "1"})
    assert host_addresses(net) == ["10.4.0.2"]
    await world.container("web", "lan", start=True)
    assert [o.parent for o in world.kernel.objects if isinstance(o, Shim)] == ["up0"]
    await world.restart()
    await world.settle()
    await world.container("db", "lan", start=True)
    (second,) = world.core.tables.endpoints_of(world.engine.container("db").id)
    assert second.ipv4 == "10.4.0.4/24"
    world.check()


async def test_a_device_has_one_holder(world: World) -> None:
    await world.network("wire", "10.4.0.0/24", driver="device", options={"parent": "lan1"})
    await world.container("web", "wire", start=True)
    (child,) = (o for o in world.kernel.objects if isinstance(o, Child))
    assert (child.parent, child.mac) == ("lan1", "02:00:00:00:01:04")
    with pytest.raises(Conflict, match="parent interface lan1 of network wire is in container web"):
        await world.container("db", "wire", start=True)
    await world.restart()
    await world.settle()
    await world.engine.kill("web", "KILL")
    await world.settle()
    await world.engine.start("db")
    world.check()
