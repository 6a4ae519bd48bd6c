import pytest

from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Failed
from netloom.testing.engine_world import World, publish, static


def holder(world: World, name: str) -> str:
    """The network whose endpoint has the ports."""
    endpoints = world.engine.container_endpoints(world.engine.container(name).id).values()
    return next((world.engine.network(e.network).name for e in endpoints if e.ports), "")


async def two_networks(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    await world.network("blue", "10.2.0.0/24")


async def test_an_address_that_the_host_does_not_have_is_refused(world: World) -> None:
    with pytest.raises(
        Failed,
        match=r"failed to bind host port for 10\.9\.9\.9:8080:172\.17\.0\.2:80/tcp: cannot assign requested address",
    ):
        await world.container("web", ports=publish("10.9.9.9:8080"), start=True)
    assert world.engine.container("web").state.status == "created"
    assert "hold" not in world.dataplane.calls


async def test_an_address_that_came_just_now_is_looked_up(world: World) -> None:
    world.core.facts = type(world.core.facts)()
    await world.container("web", ports=publish("203.0.113.5:8080"), start=True)
    assert ("tcp", "203.0.113.5", 8080) in world.dataplane.held


async def test_a_port_of_another_container_is_refused(world: World) -> None:
    await world.container("web", ports=publish("8080"), start=True)
    with pytest.raises(Failed, match=r"Bind for 0\.0\.0\.0:8080 failed: port is already allocated"):
        await world.container("db", ports=publish("8080"), start=True)
    await world.engine.remove("web", force=True, volumes=False, link=False)
    await world.engine.start("db")


async def test_a_port_on_which_the_host_listens_is_refused(world: World) -> None:
    world.dataplane.taken.add(("tcp", 8080))
    with pytest.raises(Failed, match="address already in use"):
        await world.container("web", ports=publish("8080"), start=True)


async def test_another_random_port_is_tried_where_the_host_listens(world: World) -> None:
    await world.container("web", ports=publish(""), start=True)
    port = next(port for _, _, port in world.dataplane.held)
    await world.engine.remove("web", force=True, volumes=False, link=False)
    again = World()
    await again.start()
    again.dataplane.taken.add(("tcp", port))
    await again.container("web", ports=publish(""), start=True)
    await again.settle()
    again.check()
    assert {p for _, _, p in again.dataplane.held} not in (set(), {port})
    await again.stop()


async def test_ports_follow_the_gateway(world: World) -> None:
    await two_networks(world)
    await world.container("web", "red", ports=publish("8080"), start=True)
    assert holder(world, "web") == "red"
    await world.engine.connect("blue", "web", static(gw_priority=1))
    assert holder(world, "web") == "blue"
    assert world.dataplane.relays["tcp", "::", 8080].target == "10.2.0.2"
    await world.engine.disconnect("blue", "web", force=False)
    assert holder(world, "web") == "red"
    assert world.dataplane.relays["tcp", "::", 8080].target == "10.1.0.2"


async def test_ports_are_free_while_there_is_no_way_out(world: World) -> None:
    await two_networks(world)
    await world.container("web", "red", ports=publish("8080"), start=True)
    await world.engine.disconnect("red", "web", force=False)
    await world.container("db", "blue", ports=publish("8080"), start=True)
    with pytest.raises(Failed, match="port is already allocated"):
        await world.engine.connect("red", "web", EndpointConfig())
    await world.engine.remove("db", force=True, volumes=False, link=False)
    await world.engine.connect("red", "web", EndpointConfig())
    assert holder(world, "web") == "red"


async def test_an_internal_network_publishes_nothing_until_a_way_out_comes(world: World) -> None:
    await world.network("in", "10.3.0.0/24", internal=True)
    await world.network("blue", "10.2.0.0/24")
    await world.container("web", "in", ports=publish("8080"), start=True)
    assert not world.dataplane.held
    await world.engine.connect("blue", "web", EndpointConfig())
    assert holder(world, "web") == "blue"


async def test_loopback_stays_routed_for_others_when_ports_move_away(world: World) -> None:
    await two_networks(world)
    await world.container("web", "red", ports=publish("8080"), start=True)
    await world.container("db", "red", ports=publish("9090"), start=True)
    await world.engine.connect("blue", "web", static(gw_priority=1))  # `check` finds route_localnet of red in place


async def test_ports_of_all_protocols_are_taken_at_once(world: World) -> None:
    """SCTP ports are not held by the data plane: only our own table knows of them."""
    await world.container("web", ports=publish("8080", port="80/sctp"), start=True)
    with pytest.raises(Failed, match="port is already allocated"):
        await world.container("db", ports=publish("8080", port="80/sctp"), start=True)
    await world.engine.remove("web", force=True, volumes=False, link=False)
