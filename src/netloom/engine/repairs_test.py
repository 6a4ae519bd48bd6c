"""What was put back is told by network, and counted."""

from netloom.model.desired import Bridge, Element, Veth
from netloom.model.event import Event
from netloom.plan.diff import absent, diff
from netloom.testing.engine_world import World, publish


async def told(world: World) -> list[Event]:
    await world.settle()
    events = world.engine.events(since=1, until=world.clock.now() + 10**9)
    return [event async for event in events if event.action == "repair"]


async def test_a_deleted_bridge_is_told_with_its_network(world: World) -> None:
    network = await world.network("red", "10.1.0.0/24")
    await world.container("web", "red", ports=publish("8080"), start=True)
    await world.network("blue", "10.2.0.0/24")
    before = world.engine.repairs()
    links = [o for o in world.kernel.objects if isinstance(o, (Bridge, Veth)) and o.name != "netloom0"]
    for link in links:
        if link.name == network.bridge or isinstance(link, Veth):
            await world.kernel.delete(link.index)
    world.engine.watching.changed([network.bridge], facts=False, ruleset=False, lost=False)
    (event,) = await told(world)
    assert (event.type, event.id, event.attributes["name"]) == ("network", network.id, "red")
    assert f"add link {network.bridge}" in event.attributes["steps"]
    assert int(event.attributes["objects"]) == world.engine.repairs() - before > 2


async def test_a_flushed_ruleset_is_told_for_each_network_and_shortened(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    for name in ("one", "two", "three"):
        await world.container(name, "red", start=True)
    world.kernel.apply(absent([o for o in world.kernel.objects if isinstance(o, Element)]), {})
    world.engine.watching.changed([], facts=False, ruleset=True, lost=False)
    events = {event.attributes.get("name", event.type): event for event in await told(world)}
    assert {"red", "bridge"} <= set(events)
    assert events["red"].attributes["steps"].endswith(f"and {int(events['red'].attributes['objects']) - 8} more")


async def test_what_is_nobodys_is_told_of_the_daemon(world: World) -> None:
    stray = Element("bridges", b"br-stray".ljust(16, b"\0"))
    world.kernel.apply(diff([stray], []), {})
    world.engine.watching.changed([], facts=False, ruleset=True, lost=False)
    (event,) = await told(world)
    assert (event.type, event.id) == ("daemon", "")
    assert event.attributes["steps"].startswith("del element")


async def test_nothing_to_repair_is_not_told(world: World) -> None:
    await world.container("web", start=True)
    world.engine.watching.changed([], facts=False, ruleset=True, lost=False)
    assert await told(world) == []
    assert world.engine.repairs() == 0
