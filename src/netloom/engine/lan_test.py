"""Bridges of LANs, adopted ones, shims and devices, as the engine handles them: repaired, restored, kept apart."""

from __future__ import annotations

import pytest

from netloom.drivers.parents import host_addresses
from netloom.firewall.elements import text
from netloom.model.desired import Address, Bridge, Child, Element, HostLink, Port, Shim, Veth
from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Conflict, Failed, InvalidArgument
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


async def test_a_vlan_of_ours_as_a_port_is_known_to_stand(world: World) -> None:
    net = await world.network("lan", "10.4.0.0/24", options={"parent": "lan0.7"})
    before = world.engine.repairs()
    await facts_changed(world, *world.core.facts.interfaces)
    assert (ports(world), world.engine.repairs()) == ([("lan0.7", net.bridge)], before)
    world.kernel.lose(("port", "lan0.7"))
    world.engine.watching.changed(("lan0.7",), facts=False, ruleset=False, lost=False)
    await world.settle()
    assert (ports(world), world.engine.repairs()) == ([("lan0.7", net.bridge)], before + 1)


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


@pytest.mark.parametrize(
    ("driver", "options", "told"),
    [
        ("bridge", {"parent": "lan0"}, "the LAN carries"),
        ("bridge", ADOPTED, "somebody else's"),
        ("macvlan", {"parent": "lan0"}, "does not pass"),
    ],
)
async def test_policies_judge_no_lan_and_no_bridge_of_others(
    world: World, driver: str, options: dict[str, str], told: str
) -> None:
    document = {"name": "shop", "default": {"lan": "deny"}}
    await world.network("lan", "10.4.0.0/24", driver=driver, options=options)
    await world.container("web", "lan", start=True)
    before = world.state()
    with pytest.raises(InvalidArgument, match=told):
        await world.engine.apply_policy(document, dry_run=False)
    with pytest.raises(InvalidArgument, match=told):
        await world.engine.apply_policy(
            {"name": "shop", "deny": [{"to": {"network": "lan", "container": "web"}}]}, dry_run=False
        )
    assert world.state() == before
    await world.engine.remove("web", force=True, volumes=False, link=False)
    await world.engine.delete_network("lan")
    if driver == "bridge":
        with pytest.raises(InvalidArgument, match=told):
            await world.network("two", "10.5.0.0/24", options={**options, "netloom.policy.default": "deny"})
    # Nor does one come by a name of which a policy speaks.
    await world.network("lan", "10.4.0.0/24")
    await world.engine.apply_policy(document, dry_run=False)
    await world.engine.delete_network("lan")
    with pytest.raises(InvalidArgument, match=f"policy shop: .*{told}"):
        await world.network("lan", "10.4.0.0/24", driver=driver, options=options)
    world.check()


async def test_a_container_is_known_by_its_addresses_on_the_hosts_own_bridges_alone(world: World) -> None:
    await world.network("lan", "10.4.0.0/24", options={"parent": "lan0"})
    await world.network("own", "10.5.0.0/24", options=ADOPTED)
    await world.network("red", "10.6.0.0/24")
    await world.container("web", "red", start=True)
    for name in ("lan", "own"):
        await world.engine.connect(name, "web", EndpointConfig())
    entry = {"from": {"container": "web"}, "to": {"cidr": "192.0.2.0/24"}}
    await world.engine.apply_policy({"name": "shop", "deny": [entry]}, dry_run=False)
    known = [text(o).partition(" ")[0] for o in world.kernel.objects if isinstance(o, Element) and o.set == "from4"]
    assert sorted(known) == ["10.5.0.2", "10.6.0.2"]
    hooked = {b.name for b in world.kernel.objects if isinstance(b, Bridge) and b.hooked}
    assert hooked == {"netloom0", world.core.tables.network("red").bridge}
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


async def test_a_device_that_cannot_leave_is_refused(world: World) -> None:
    world.kernel.bound.add("lan1")
    before = world.state()
    with pytest.raises(InvalidArgument, match="lan1 cannot leave the host's network namespace: a wireless interface"):
        await world.network("wire", "10.4.0.0/24", driver="device", options={"parent": "lan1"})
    assert world.state() == before


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
