from netloom.model.desired import Bridge, Veth
from netloom.testing.engine_world import World, publish


async def test_a_bridge_that_somebody_deleted_stands_again(world: World) -> None:
    network = await world.network("red", "10.1.0.0/24")
    await world.container("web", "red", ports=publish("8080"), start=True)
    links = [o for o in world.kernel.objects if isinstance(o, (Bridge, Veth)) and o.name != "netloom0"]
    for link in links:
        await world.kernel.delete(link.index)
    assert network.bridge not in str(world.kernel)
    world.engine.watching.changed([network.bridge], facts=False, ruleset=False, lost=False)
    await world.settle()
    world.check()


async def test_links_of_others_are_nobodys_business(world: World) -> None:
    observed = world.wire.passed.count("kernel observe")
    world.engine.watching.changed(["eth7"], facts=False, ruleset=False, lost=False)
    await world.settle()
    assert world.wire.passed.count("kernel observe") == observed


async def test_a_comparison_that_fails_is_repeated(world: World) -> None:
    world.wire.arm(1)
    world.core.doubted()
    await world.settle()
    assert world.wire.tripped
    assert not world.complaints


async def test_what_goes_on_failing_is_given_up_and_told_of(world: World) -> None:
    world.wire.arm(1, "seam")
    world.core.doubted()
    await world.settle()
    assert len(world.complaints) == 1
    world.wire.heal()
    world.core.doubted()  # the next notice is followed again
    await world.settle()
    assert len(world.complaints) == 1


async def test_a_data_plane_that_was_started_anew_is_told_everything(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    await world.container("web", "red", ports=publish("8080"), start=True)
    for forgotten in (world.dataplane.entries, world.dataplane.resolvers, world.dataplane.held, world.dataplane.relays):
        forgotten.clear()
    await world.engine.reconciler.data_plane()
    world.check()
    assert world.dataplane.held


async def test_a_row_that_the_store_has_lost_is_written_again(world: World) -> None:
    container = await world.container("web")
    world.store.commit([("containers", container.id, None), ("endpoints", "stray", b"{}")], durable=True)
    world.core.doubted()
    await world.settle()
    world.check()


async def test_remains_of_a_container_are_swept(world: World) -> None:
    await world.container("web", start=True)
    container = world.engine.container("web")
    world.core.unswept.add(container.id)
    world.core.doubted()
    await world.settle()
    assert container.id in world.runtime.inits  # it runs: these are no remains
