import pytest

from netloom.model.desired import Route, Sysctl
from netloom.model.errors import Forbidden, InvalidArgument, KernelError, NotFound
from netloom.model.network import IpamConfig
from netloom.testing.engine_world import World, static


async def test_a_failed_network_gives_its_subnet_and_name_back(world: World) -> None:
    before = str(world.kernel)
    world.kernel.fail("add address 10.1.0.1/24")
    with pytest.raises(KernelError):
        await world.network("red", "10.1.0.0/24")
    assert str(world.kernel) == before
    await world.network("red", "10.1.0.0/24")


async def test_a_subnet_of_another_network_or_of_the_host_is_refused(world: World) -> None:
    await world.network("red", "10.1.0.0/16")
    with pytest.raises(Forbidden, match=r"Pool overlaps.*of network red"):
        await world.network("blue", "10.1.5.0/24")
    with pytest.raises(Forbidden, match=r"overlaps the host's route to 203.0.113.0/24 by up0"):
        await world.network("blue", "203.0.113.0/25")


async def test_a_network_in_use_stays(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    await world.container("web", "red", start=True)
    with pytest.raises(Forbidden, match=r'network red has active endpoints \(name:"web" id:"'):
        await world.engine.delete_network("red")
    await world.engine.stop("web", timeout=0)
    await world.engine.delete_network("red")


async def test_predefined_networks_stay(world: World) -> None:
    for name in ("bridge", "host", "none"):
        with pytest.raises(Forbidden, match="pre-defined network and cannot be removed"):
            await world.engine.delete_network(name)
        with pytest.raises(Forbidden, match="not permitted on predefined"):
            await world.network(name)


async def test_prune_takes_what_nobody_uses_and_goes_on_where_one_fails(world: World) -> None:
    for number, name in enumerate(("red", "blue", "green"), 1):
        await world.network(name, f"10.{number}.0.0/24")
    await world.container("web", "red", start=True)
    world.kernel.fail(f"del link {world.engine.network('blue').bridge}")
    everything = [n.id for n in world.engine.networks()]
    assert await world.engine.prune_networks(everything) == ["green"]
    assert {n.name for n in world.engine.networks()} == {"bridge", "host", "none", "red", "blue"}


async def test_a_configuration_network_has_no_bridge_and_stays_while_it_is_used(world: World) -> None:
    config = await world.network("settings", "10.5.0.0/24", config_only=True, options={"foo": "bar"})
    assert (config.driver, config.options, config.bridge, config.pools) == ("null", {"foo": "bar"}, "", ())
    with pytest.raises(Forbidden, match="cannot create endpoint on configuration-only network"):
        await world.container("web", "settings", start=True)
    await world.engine.remove("web", force=True, volumes=False, link=False)
    with pytest.raises(NotFound, match='configuration network "nothing" does not exist'):
        await world.network("red", config_from="nothing")


async def test_what_a_configuration_holds_is_checked_and_shown_as_written(world: World) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid subnet 10\.5\.0\.9/24: it should be 10\.5\.0\.0/24"):
        await world.network("settings", "10.5.0.9/24", config_only=True)
    config = await world.network("settings", "0.0.0.0/26", config_only=True)
    assert [entry.subnet for entry in config.requested] == ["0.0.0.0/26"]
    red = await world.network("red", config_from="settings")
    blue = await world.network("blue", config_from="settings")
    assert [entry.subnet for entry in (*red.requested, *blue.requested)] == ["172.18.0.0/26", "172.18.0.64/26"]


async def test_the_null_ipam_driver_is_refused_as_docker_does(world: World) -> None:
    for fields, sentence in (
        ({}, "ipv4 pool is empty"),
        ({"ipv4": False, "ipv6": True}, "ipv6 pool is empty"),
        ({"subnet": "10.1.0.0/24"}, "null ipam driver does not handle specific address pool requests"),
        ({"ipv4": False}, "IPv4 or IPv6 must be enabled"),
    ):
        with pytest.raises(InvalidArgument, match=f"^{sentence}"):
            await world.network("red", ipam_driver="null", **fields)


async def test_a_router_that_the_user_named_is_the_way_out(world: World) -> None:
    aux = {"DefaultGatewayIPv4": "10.1.0.254", "nas": "10.1.0.9"}
    await world.network("red", ipam_config=(IpamConfig(subnet="10.1.0.0/24", aux=aux),))
    await world.container("web", "red", start=True)
    (endpoint,) = world.engine.container_endpoints(world.engine.container("web").id).values()
    assert (endpoint.ipv4, endpoint.gateway4) == ("10.1.0.2/24", "10.1.0.254")
    (route,) = [o for o in world.kernel.objects if isinstance(o, Route) and o.destination == "default"]
    assert route.via == "10.1.0.254"
    with pytest.raises(Forbidden, match=r"10\.1\.0\.254 is auxiliary address DefaultGatewayIPv4"):
        await world.container("db", "red", networks={"red": static("10.1.0.254")}, start=True)


async def test_a_network_takes_its_settings_from_a_configuration(world: World) -> None:
    await world.network("settings", "10.5.0.0/24", config_only=True)
    network = await world.network("red", config_from="settings")
    assert [p.subnet for p in network.pools] == ["10.5.0.0/24"]
    with pytest.raises(Forbidden, match='configuration network "settings" is in use'):
        await world.engine.delete_network("settings")
    await world.engine.delete_network("red")
    await world.engine.delete_network("settings")


async def test_forwarding_goes_with_the_last_network_that_needs_it(world: World) -> None:
    def switch() -> list[str]:
        return [o.value for o in world.kernel.objects if isinstance(o, Sysctl) and o.path.endswith("all/forwarding")]

    await world.network("red", ipv6=True)
    assert switch() == ["1"]
    await world.engine.delete_network("red")
    assert switch() == ["0"]


async def test_a_chosen_gateway_is_nobodys_address(world: World) -> None:
    await world.network("red", "10.1.0.0/24")
    with pytest.raises(Forbidden, match=r"10\.1\.0\.1 is the gateway"):
        await world.container("web", "red", networks={"red": static("10.1.0.1")}, start=True)
