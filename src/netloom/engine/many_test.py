"""Many networks, one after another and at once, as the engine makes them."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from itertools import pairwise

import pytest

from netloom.model.desired import Address, Bridge, HostRoute
from netloom.model.errors import Forbidden, NetloomError
from netloom.testing.engine_world import World

ROUTES = (HostRoute("172.20.0.0/14", "up0"), HostRoute("10.192.3.0/30", "up0"))


def subnets(world: World) -> list[str]:
    return [pool.subnet for network in world.engine.networks() for pool in network.pools]


def disjoint(texts: list[str]) -> bool:
    found = sorted((ip_network(text) for text in texts), key=lambda net: (net.version, net))
    return not any(low.version == high.version and low.overlaps(high) for low, high in pairwise(found))


async def test_a_thousand_networks_meet_neither_each_other_nor_the_host(world: World) -> None:
    world.core.facts = world.kernel.know(claimed=ROUTES)
    for n in range(1000):
        await world.network(f"n{n}", ipv6=n % 10 == 0)
    assert len(subnets(world)) == 1000 + 100 + 1
    assert disjoint([*subnets(world), *(route.destination for route in ROUTES)])
    bridges = [o for o in world.kernel.objects if isinstance(o, Bridge)]
    assert len({bridge.name for bridge in bridges}) == len({bridge.index for bridge in bridges}) == 1001
    assert len({o.address for o in world.kernel.objects if isinstance(o, Address)}) == 1101


async def test_the_host_is_looked_at_only_when_somebody_changed_it(world: World) -> None:
    changed = False
    world.core.stale = lambda: changed
    looked = world.wire.passed.count("kernel facts")
    await world.network("a")
    await world.network("b", "10.1.0.0/24")
    assert world.wire.passed.count("kernel facts") == looked
    world.kernel.know(claimed=(HostRoute("10.2.0.0/16", "tun0"), HostRoute("172.19.0.0/16", "tun0")))
    changed = True
    with pytest.raises(Forbidden, match=r"overlaps the host's route to 10\.2\.0\.0/16 by tun0"):
        await world.network("c", "10.2.1.0/24")
    assert (await world.network("d")).pools[0].subnet == "172.20.0.0/16"


async def test_two_hundred_creates_at_once_give_two_hundred_subnets(world: World) -> None:
    before = len(subnets(world))
    await asyncio.gather(*(world.network(f"n{n}") for n in range(200)))
    assert len(set(subnets(world))) == before + 200
    assert disjoint(subnets(world))


async def test_of_two_hundred_who_want_the_same_subnet_one_gets_it(world: World) -> None:
    made = await asyncio.gather(*(world.network(f"n{n}", "10.1.0.0/24") for n in range(200)), return_exceptions=True)
    refused = [one for one in made if isinstance(one, BaseException)]
    assert len(refused) == 199
    assert all(isinstance(error, NetloomError) and "Pool overlaps" in str(error) for error in refused)
