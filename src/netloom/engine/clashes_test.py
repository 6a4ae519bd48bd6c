from netloom.model.desired import HostRoute
from netloom.model.event import Event
from netloom.testing.engine_world import World

VPN = HostRoute("10.1.0.0/16", "tun0")
LAN = HostRoute("192.0.2.0/24", "up0")


async def told(world: World) -> list[Event]:
    """Events of clashes so far, after what the host has now was looked at."""
    await world.settle()
    events = world.engine.events(since=1, until=world.clock.now() + 10**9)
    return [event async for event in events if event.action == "clash"]


async def changed(world: World, *claimed: HostRoute) -> list[Event]:
    world.kernel.know(claimed=claimed)
    world.engine.watching.changed([], facts=True, ruleset=False, lost=False)
    return await told(world)


async def test_each_clash_is_told_once_and_again_when_it_comes_again(world: World) -> None:
    network = await world.network("red", "10.1.5.0/24")
    await world.network("blue", "10.2.0.0/24")
    assert await changed(world, LAN) == []
    (event,) = await changed(world, LAN, VPN)
    assert (event.type, event.id) == ("network", network.id)
    assert event.attributes == {
        "name": "red",
        "type": "bridge",
        "subnet": "10.1.5.0/24",
        "other": "the host's route to 10.1.0.0/16 by tun0",
        "remedy": "remove network red and create it again, without a subnet (a free one is chosen) or with another "
        "one; or give the other side other addresses",
    }
    assert len(await changed(world, VPN, HostRoute("10.9.0.0/16", "tun0"))) == 1
    assert len(await changed(world, LAN)) == 1
    assert len(await changed(world, VPN)) == 2


async def test_the_doctor_looks_at_the_host_as_it_is(world: World) -> None:
    await world.network("red", "10.1.5.0/24")
    assert await world.engine.findings() == []
    world.kernel.know(claimed=(VPN, HostRoute("10.1.5.9/32", "virbr0", "10.1.5.9/32")))
    wide, narrow = await world.engine.findings()
    assert wide.between == ("network red (10.1.5.0/24)", "the host's route to 10.1.0.0/16 by tun0")
    assert wide.effect == "of those who have an address of 10.1.5.0/24 the host reaches only the ones of one side"
    assert narrow.between[1] == "the address 10.1.5.9/32 of the host's interface virbr0"
    assert " 10.1.5.9/32 " in narrow.effect
    await world.engine.delete_network("red")
    assert await world.engine.findings() == []


async def test_a_clash_with_the_default_network_names_the_daemons_option(world: World) -> None:
    world.kernel.know(claimed=(HostRoute("172.16.0.0/12", "tun0"),))
    (found,) = await world.engine.findings()
    assert found.between[0] == "network bridge (172.17.0.0/16)"
    assert "--bip" in found.remedy


async def test_a_start_tells_of_what_came_while_nobody_watched(world: World) -> None:
    await world.network("red", "10.1.5.0/24")
    await world.stop()
    world.kernel.know(claimed=(VPN,))
    await world.start()
    assert [event.attributes["name"] for event in await told(world)] == ["red"]
