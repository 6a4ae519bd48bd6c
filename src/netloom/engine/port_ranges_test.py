"""Many ports side by side: one value everywhere, and everything that is asked of single ports holds."""

from __future__ import annotations

import msgspec
import pytest

from netloom.engine.tables import container_row, endpoint_row
from netloom.model.container import Container
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.errors import Failed
from netloom.model.host_config import PortSpec
from netloom.model.port_keys import bindings_each, exposed_each
from netloom.testing.engine_world import World, publish

Ports = dict[str, tuple[PortSpec, ...]]


def ports(first: int, width: int = 100, *, ip: str = "", proto: str = "tcp") -> Ports:
    return {f"{n}/{proto}": (PortSpec(ip, str(n)),) for n in range(first, first + width)}


def bound(world: World, name: str) -> list[PortBinding]:
    return [b for e in world.core.tables.endpoints_of(world.engine.container(name).id) for b in e.ports]


async def test_they_are_one_binding_of_each_family(world: World) -> None:
    web = await world.container("web", ports=ports(8000), start=True)
    assert bound(world, "web") == [
        PortBinding("tcp", 8000, "0.0.0.0", 8000, 100),
        PortBinding("tcp", 8000, "::", 8000, 100),
    ]
    assert len(world.dataplane.held) == 200
    assert bindings_each(web.host_config.port_bindings or {}) == ports(8000)
    world.check()
    await world.restart()
    world.check()


async def test_one_in_the_midst_is_somebody_elses(world: World) -> None:
    await world.container("web", ports=publish("127.0.0.1:8050"), start=True)
    with pytest.raises(Failed, match=r"Bind for 127\.0\.0\.1:8050 failed: port is already allocated"):
        await world.container("all", ports=ports(8000), start=True)
    await world.container("v6", ports=ports(8000, ip="::"), start=True)
    await world.container("udp", ports=ports(8000, proto="udp"), start=True)
    with pytest.raises(Failed, match=r"Bind for \[::\]:8099 failed: port is already allocated"):
        await world.container("last", ports=publish("[::1]:8099"), start=True)
    with pytest.raises(Failed, match=r"Bind for \[::\]:8060 failed: port is already allocated"):
        await world.container("more", ports=ports(8060, ip="::1"), start=True)
    await world.container("next", ports=publish("[::1]:8100"), start=True)
    world.check()


async def test_one_on_which_the_host_listens(world: World) -> None:
    world.dataplane.taken.add(("tcp", 8070))
    with pytest.raises(Failed, match=r"0\.0\.0\.0:8070:172\.17\.0\.2:8070/tcp: address already in use"):
        await world.container("web", ports=ports(8000), start=True)
    await world.container("db", ports=ports(8000, 70), start=True)
    world.check()


async def test_one_is_taken_out_and_comes_back(world: World) -> None:
    await world.container("web", ports=ports(8000), start=True)
    await world.engine.change_ports("web", {}, {"8040/tcp": ()})
    assert [(b.host_port, b.width) for b in bound(world, "web") if b.host_ip == "::"] == [(8000, 40), (8041, 59)]
    world.check()
    await world.container("db", ports=publish("8040"), start=True)
    await world.engine.remove("db", force=True, volumes=False, link=False)
    await world.restart()
    world.check()
    await world.engine.change_ports("web", ports(8040, 1), ports(8000, 2))
    world.check()
    assert sum(b.width for b in bound(world, "web")) == 2 * 98
    await world.engine.stop("web", timeout=None)
    await world.engine.start("web")
    assert [(b.host_port, b.width) for b in bound(world, "web") if b.host_ip == "::"] == [(8002, 98)]
    world.check()


async def test_others_come_beside_them_or_nothing_does(world: World) -> None:
    await world.container("web", ports=ports(8000), start=True)
    await world.container("db", ports=publish("9050"), start=True)
    with pytest.raises(Failed, match="9050 failed: port is already allocated"):
        await world.engine.change_ports("web", ports(9000), {})
    world.check()
    await world.engine.change_ports("web", ports(9000, 50), ports(8000))
    assert [(b.host_port, b.width) for b in bound(world, "web") if b.host_ip == "::"] == [(9000, 50)]
    world.check()


async def test_all_exposed_ones_get_each_its_own(world: World) -> None:
    web = await world.container("web", ports={f"{n}/tcp": () for n in range(8000, 8100)}, publish_all_ports=True)
    assert len(exposed_each(web.config.exposed_ports or {})) == 100
    await world.engine.start("web")
    assert len({b.host_port for b in bound(world, "web")}) == 100
    world.check()


async def test_rows_of_an_earlier_netloom(world: World) -> None:
    """Every port by itself, as it wrote them: read, shown, and all that is asked of them holds."""
    web = await world.container("web", ports=ports(8000), start=True)
    await world.stop()
    (endpoint,) = (msgspec.json.decode(body, type=Endpoint) for body in world.store.load("endpoints").values())
    each = sorted((one for wide in endpoint.ports for one in wide.each()), key=lambda one: one.host_port)
    (row,) = (msgspec.json.decode(body, type=Container) for body in world.store.load("containers").values())
    config = msgspec.structs.replace(row.config, exposed_ports={key: {} for key in ports(8000)})
    host_config = msgspec.structs.replace(row.host_config, port_bindings=ports(8000))
    rows = [
        endpoint_row(msgspec.structs.replace(endpoint, ports=tuple(each))),
        container_row(msgspec.structs.replace(row, config=config, host_config=host_config)),
    ]
    assert b"width" not in rows[0][2]  # type: ignore[operator]
    world.store.commit(rows, durable=True)
    await world.start()
    world.check()
    assert world.engine.container("web").host_config == web.host_config
    await world.engine.change_ports("web", {}, {"8040/tcp": ()})
    world.check()
    await world.engine.stop("web", timeout=None)
    await world.engine.start("web")
    assert [(b.host_port, b.width) for b in bound(world, "web") if b.host_ip == "::"] == [(8000, 40), (8041, 59)]
    world.check()
