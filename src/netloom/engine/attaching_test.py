import asyncio

import pytest

from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Conflict, Exhausted, Forbidden, InvalidArgument, NetloomError, NotFound
from netloom.testing.engine_world import World, static


@pytest.fixture
async def networks(world: World) -> None:
    await world.network("red", "10.1.0.0/29")
    await world.network("blue", "10.2.0.0/24")


def default_route(world: World) -> list[str]:
    return [line for line in str(world.kernel).splitlines() if line.startswith("route") and "default" in line]


def addresses(world: World, network: str) -> dict[str, str]:
    """Held addresses, and the names of those who hold them."""
    held = world.state()["addresses"][world.engine.network(network).id]
    return {address: world.engine.container(key).name for address, key in held.items()}


@pytest.mark.usefixtures("networks")
async def test_a_stopped_container_keeps_its_chosen_address(world: World) -> None:
    await world.container("web", "red", networks={"red": static("10.1.0.2")})
    for number in range(4):
        await world.container(f"c{number}", "red", start=True)
    with pytest.raises(Exhausted, match="no available IPv4 addresses"):
        await world.container("late", "red", start=True)
    with pytest.raises(Forbidden, match="Address already in use"):
        await world.container("thief", "red", networks={"red": static("10.1.0.2")}, start=True)
    await world.engine.start("web")
    await world.engine.stop("web", timeout=0)
    assert addresses(world, "red")["10.1.0.2"] == "web"


@pytest.mark.usefixtures("networks")
async def test_a_chosen_address_is_free_after_disconnect_and_after_removal(world: World) -> None:
    await world.container("web", "red", networks={"red": static("10.1.0.2")})
    await world.engine.connect("blue", "web", static("10.2.0.9"))
    assert addresses(world, "blue") == {"10.2.0.9": "web"}
    await world.engine.disconnect("red", "web", force=False)
    assert not addresses(world, "red")
    await world.engine.remove("web", force=False, volumes=False, link=False)
    assert not addresses(world, "blue")


@pytest.mark.usefixtures("networks")
async def test_another_wish_takes_the_place_of_the_former(world: World) -> None:
    await world.container("web", "red")
    await world.engine.connect("blue", "web", static("10.2.0.9"))
    await world.engine.connect("blue", "web", static("10.2.0.10"))
    assert addresses(world, "blue") == {"10.2.0.10": "web"}


@pytest.mark.usefixtures("networks")
async def test_a_network_that_came_again_with_another_subnet_hurts_nobody(world: World) -> None:
    await world.container("web", "red", networks={"red": static("10.1.0.2")})
    await world.engine.delete_network("red")
    await world.network("red", "10.9.0.0/24")
    await world.restart()
    with pytest.raises(InvalidArgument, match="no configured subnet"):
        await world.engine.start("web")
    await world.engine.remove("web", force=False, volumes=False, link=False)


@pytest.mark.usefixtures("networks")
async def test_a_malformed_mac_takes_no_address(world: World) -> None:
    await world.container("web", "red", start=True)
    with pytest.raises(NetloomError):
        await world.engine.connect("blue", "web", EndpointConfig(mac="no"))
    assert not addresses(world, "blue")


@pytest.mark.usefixtures("networks")
async def test_the_default_route_goes_by_priority(world: World) -> None:
    await world.container("web", "red", start=True)
    assert "via 10.1.0.1" in default_route(world)[0]
    await world.engine.connect("blue", "web", static(gw_priority=1))
    assert "via 10.2.0.1" in default_route(world)[0]
    await world.engine.disconnect("blue", "web", force=False)
    assert "via 10.1.0.1" in default_route(world)[0]
    await world.engine.disconnect("red", "web", force=False)
    assert not default_route(world)


@pytest.mark.usefixtures("networks")
async def test_a_network_goes_or_is_joined_never_both(world: World) -> None:
    for turn in range(6):
        await world.container(f"c{turn}", "blue", start=True)
        operations = [world.engine.connect("red", f"c{turn}", EndpointConfig()), world.engine.delete_network("red")]
        results = await asyncio.gather(*(operations if turn % 2 else reversed(operations)), return_exceptions=True)
        assert sum(r is not None for r in results) == 1, results
        assert not [r for r in results if r is not None and not isinstance(r, (Forbidden, NotFound))]
        await world.settle()
        world.check()
        if "red" not in [n.name for n in world.engine.networks()]:
            await world.network("red", "10.1.0.0/29")


@pytest.mark.usefixtures("networks")
async def test_a_network_does_not_go_while_a_container_starts_on_it(world: World) -> None:
    await world.container("web", "red")
    starting = asyncio.ensure_future(world.engine.start("web"))
    refused = 0
    while not starting.done():
        try:
            await world.engine.delete_network("red")
        except Forbidden as error:
            refused += 'has active endpoints (name:"web"' in str(error)
        except NotFound:
            break
        await asyncio.sleep(0)
    await asyncio.gather(starting, return_exceptions=True)
    assert refused or starting.exception() is not None


@pytest.mark.usefixtures("networks")
async def test_a_container_that_has_just_ended_is_not_joined(world: World) -> None:
    container = await world.container("web", "red", start=True)
    joining = asyncio.ensure_future(world.engine.connect("blue", "web", EndpointConfig()))
    await asyncio.sleep(0)
    world.runtime.end(container.id)
    result = (await asyncio.gather(joining, return_exceptions=True))[0]
    assert result is None or isinstance(result, (NetloomError,))
    await world.settle()
    assert world.engine.container("web").state.status == "exited"
    assert not addresses(world, "blue")


async def test_what_is_being_removed_is_not_connected(world: World) -> None:
    await world.network("blue", "10.2.0.0/24")
    await world.container("web", start=True)
    with pytest.raises(Forbidden, match="already exists in network bridge"):
        await world.engine.connect("bridge", "web", EndpointConfig())
    with pytest.raises(NotFound, match="network green not found"):
        await world.engine.connect("green", "web", EndpointConfig())


async def test_two_renames_to_one_name(world: World) -> None:
    for name in ("web", "db"):
        await world.container(name)
    results = await asyncio.gather(
        world.engine.rename("web", "shop"), world.engine.rename("db", "shop"), return_exceptions=True
    )
    assert [type(r) for r in results] == [type(None), Conflict]
    assert {c.name for c in world.engine.containers()} == {"shop", "db"}


async def test_two_containers_of_one_name(world: World) -> None:
    results = await asyncio.gather(world.container("web"), world.container("web"), return_exceptions=True)
    assert [type(r) is Conflict for r in results] == [False, True]


async def test_two_networks_of_one_name(world: World) -> None:
    results = await asyncio.gather(world.network("red"), world.network("red"), return_exceptions=True)
    assert [type(r) is Conflict for r in results] == [False, True]
    assert len([n for n in world.engine.networks() if n.name == "red"]) == 1


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("length", [64, 12])
async def test_a_container_names_its_network_by_id(world: World, length: int) -> None:
    ref = world.engine.network("red").id[:length]
    created = await world.container("web", ref, networks={ref: static("10.1.0.2"), "blue": static("10.2.0.2")})
    assert created.host_config.network_mode == ref
    assert sorted(created.networks) == ["blue", "red"]
    assert addresses(world, "red") == {"10.1.0.2": "web"}
    await world.engine.start("web")
    lines = str(world.kernel).splitlines()
    for interface, address in (("eth0", "10.1.0.2"), ("eth1", "10.2.0.2")):
        assert any(interface in line and address in line for line in lines)
    await world.engine.disconnect("red", "web", force=False)
    await world.engine.stop("web", timeout=0)
    await world.engine.start("web")
    assert sorted(world.engine.container("web").networks) == ["blue"]
