"""Networks on an interface of the host, as the engine handles them: what is refused, shared, published, repaired."""

from __future__ import annotations

import pytest

from netloom.model.container import ContainerConfig, ContainerRequest
from netloom.model.desired import Child, HostLink, LinkKind, Parent
from netloom.model.endpoint import EndpointConfig
from netloom.model.errors import Conflict, Failed, Forbidden, InvalidArgument
from netloom.model.host_config import HostConfig
from netloom.model.network import IpamConfig, NetworkRequest
from netloom.testing.engine_world import World, publish, static

ON = {"parent": "up0"}
ON_VLAN = {"parent": "up0.7"}


def children(world: World) -> list[Child]:
    return [o for o in world.kernel.objects if isinstance(o, Child)]


def parents(world: World) -> list[str]:
    return [o.name for o in world.kernel.objects if isinstance(o, Parent)]


@pytest.mark.parametrize(
    ("driver", "options", "missing", "sentence", "module"),
    [
        ("macvlan", ON, "macvlan", "failed to create the macvlan port: operation not supported", "macvlan"),
        ("ipvlan", ON, "ipvlan", "failed to create the ipvlan port: operation not supported", "ipvlan"),
        ("macvlan", ON_VLAN, "vlan", "failed to create up0.7 vlan link: operation not supported", "8021q"),
        ("ipvlan", {}, "dummy", "operation not supported", "dummy"),
    ],
)
async def test_a_kernel_that_lacks_a_kind(
    world: World, driver: str, options: dict[str, str], missing: LinkKind, sentence: str, module: str
) -> None:
    world.kernel.missing = {missing}
    before = world.state()
    with pytest.raises(Failed) as error:
        await world.network("lan", "10.4.0.0/24", driver=driver, options=options)
    assert error.value.sentence == sentence
    assert f"this kernel has no module {module}" in error.value.remedy
    assert world.state() == before
    world.check()


@pytest.mark.parametrize("ipam", ["default", "null"])
@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
async def test_a_network_of_neither_family_is_an_interface_without_addresses(
    world: World, driver: str, ipam: str
) -> None:
    network = await world.network("lan", driver=driver, options=ON, ipv4=False, ipam_driver=ipam)
    assert (network.pools, network.ipv4, network.ipv6) == ((), False, False)
    container = await world.container("web", "lan", start=True)
    (child,) = children(world)
    (endpoint,) = world.engine.container_endpoints(container.id).values()
    assert (child.name, child.parent, child.ipv6, endpoint.ipv4, endpoint.ipv6) == ("eth0", "up0", False, "", "")
    assert bool(endpoint.mac) == (driver == "macvlan")
    world.check()
    with pytest.raises(InvalidArgument, match="user specified IP address is supported only"):
        await world.container("db", "lan", networks={"lan": static("10.4.0.9")})
    await world.network("shown", "10.4.0.0/24", driver=driver, options=ON, ipv4=False)
    with pytest.raises(InvalidArgument, match="user specified IP address is supported only"):
        await world.container("db", "shown", networks={"shown": static("10.4.0.9")})
    with pytest.raises(InvalidArgument, match=r"^host_access needs an address"):
        await world.network("two", driver=driver, options={**ON, "host_access": "true"}, ipv4=False)


async def test_a_vlan_goes_with_the_last_network(world: World) -> None:
    await world.network("one", "10.4.0.0/24", driver="macvlan", options=ON_VLAN)
    await world.network("two", "10.5.0.0/24", driver="macvlan", options=ON_VLAN)
    await world.container("web", "two", start=True)
    await world.engine.delete_network("one")
    assert parents(world) == ["up0.7"]
    assert len(children(world)) == 1
    await world.engine.kill("web", "KILL")
    await world.settle()
    await world.engine.delete_network("two")
    assert parents(world) == []
    world.check()


async def test_a_half_network_leaves_the_vlan_of_another(world: World) -> None:
    await world.network("one", "10.4.0.0/24", driver="macvlan", options=ON_VLAN)
    world.wire.arm(3, "all")
    with pytest.raises(Exception, match=r"."):
        await world.network("two", "10.5.0.0/24", driver="macvlan", options=ON_VLAN)
    await world.crash()
    world.wire.heal()
    await world.start()
    await world.settle()
    assert parents(world) == ["up0.7"]
    world.check()


async def test_a_parent_that_goes_and_comes(world: World) -> None:
    await world.network("lan", "10.4.0.0/24", driver="macvlan", options=ON)
    await world.container("web", "lan", start=True)
    watching = world.engine.watching
    facts = world.core.facts
    world.kernel.parent_gone("up0")
    world.kernel.know(interfaces=facts.interfaces[:1])
    watching.changed((), facts=True, ruleset=False, lost=False)
    await world.settle()
    assert not children(world)
    with pytest.raises(Failed, match="parent interface up0 of network lan is not there"):
        await world.container("late", "lan", start=True)
    world.kernel.know(interfaces=(facts.interfaces[0], HostLink("up0", 77)))
    watching.changed((), facts=True, ruleset=False, lost=False)
    await world.settle()
    assert len(children(world)) == 1
    world.check()


async def test_what_is_published_where(world: World) -> None:
    await world.network("lan", "10.4.0.0/24", driver="macvlan", options=ON)
    await world.network("routed", "10.5.0.0/24", driver="ipvlan", options={"parent": "up0.7", "ipvlan_mode": "l3"})
    await world.network("red", "10.1.0.0/24")

    async def create(*networks: str) -> list[str]:
        host_config = HostConfig(network_mode=networks[0], port_bindings=publish("8080"))
        config = ContainerConfig(image="host", exposed_ports={"80/tcp": {}})
        wishes = {name: EndpointConfig() for name in networks}
        request = ContainerRequest(name="box", config=config, host_config=host_config, networks=wishes)
        key, warnings = await world.engine.create_container(request)
        await world.engine.remove(key, force=False, volumes=False, link=False)
        return warnings

    assert "Published ports are discarded on the macvlan network lan" in (await create("lan"))[0]
    assert await create("lan", "red") == []
    with pytest.raises(InvalidArgument, match="port publishing and the ipvlan network routed"):
        await create("routed")
    await world.container("web", "lan", ports=publish("8080"), start=True)
    assert not world.dataplane.held
    await world.engine.connect("red", "web", static(gw_priority=1))
    assert len(world.dataplane.held) == 2
    await world.engine.connect("routed", "web", static(gw_priority=2))
    assert not world.dataplane.held
    world.check()
    await world.engine.disconnect("routed", "web", force=False)
    assert len(world.dataplane.held) == 2
    world.check()


async def test_addresses_on_the_lan(world: World) -> None:
    subnet = {"driver": "macvlan", "options": ON}
    network = await world.network("lan", "203.0.113.0/24", **subnet)  # the host's own
    await world.container("web", "lan", networks={"lan": static("203.0.113.4")}, start=True)
    await world.container("db", "lan", start=True)
    await world.container("cache", "lan", start=True)
    held = {e.ipv4 for e in world.core.tables.endpoints_on(network.id)}
    assert held == {"203.0.113.4/24", "203.0.113.2/24", "203.0.113.3/24"}
    await world.container("next", "lan", start=True)
    assert "203.0.113.6/24" in {e.ipv4 for e in world.core.tables.endpoints_on(network.id)}  # .5 is the host
    await world.restart()
    with pytest.raises(Forbidden, match="an address of the host itself"):
        await world.container("thief", "lan", networks={"lan": static("203.0.113.5")}, start=True)
    with pytest.raises(Forbidden, match="overlaps"):
        await world.network("red", "203.0.113.0/24")


async def test_the_gateway_is_that_of_the_addresss_subnet(world: World) -> None:
    two = (IpamConfig(subnet="10.4.0.0/24"), IpamConfig(subnet="10.5.0.0/24", gateway="10.5.0.254"))
    await world.engine.create_network(NetworkRequest(name="lan", driver="macvlan", options=ON, ipam_config=two))
    container = await world.container("web", "lan", networks={"lan": static("10.5.0.9")}, start=True)
    (endpoint,) = world.core.tables.endpoints_of(container.id)
    assert (endpoint.ipv4, endpoint.gateway4) == ("10.5.0.9/24", "10.5.0.254")


async def test_kinds_do_not_mix(world: World) -> None:
    await world.network("lan", "10.4.0.0/24", driver="macvlan", options=ON)
    with pytest.raises(Conflict, match="macvlan network lan"):
        await world.network("routed", "10.5.0.0/24", driver="ipvlan", options=ON)
    world.check()


async def test_the_lan_is_told_of_new_addresses(world: World) -> None:
    await world.network("lan", "10.4.0.0/24", driver="macvlan", options=ON)
    await world.network("routed", "10.5.0.0/24", driver="ipvlan", options={"parent": "up0.7", "ipvlan_mode": "l3"})
    await world.container("web", "lan", networks={"lan": static(mac="02:00:00:00:00:07")}, start=True)
    await world.container("db", "routed", start=True)
    await world.settle()
    assert world.kernel.announced == [("up0", "02:00:00:00:00:07", ("10.4.0.2",))]
