from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.ipam.intervals import Intervals
from netloom.ipam.pools import DEFAULT_POOLS, Pool, PoolList, parse_pool, ula_pool
from netloom.model.errors import InvalidArgument


def choose_all(pools: PoolList, version: int = 4) -> list[str]:
    busy, chosen = Intervals(), []
    while (subnet := pools.choose(version, (busy,))) is not None:
        busy.add(int(subnet.network_address), int(subnet.broadcast_address))
        chosen.append(str(subnet))
    return chosen


def test_default_pools_are_dockers_in_dockers_order_and_thousands_more() -> None:
    dockers = [f"172.{n}.0.0/16" for n in range(17, 32)] + [f"192.168.{n}.0/20" for n in range(0, 256, 16)]
    chosen = choose_all(PoolList(DEFAULT_POOLS))
    assert chosen[:31] == dockers
    assert chosen[31:] == [f"10.{n >> 8}.{n & 255}.0/24" for n in range(192 << 8, 256 << 8)]


def test_a_higher_rank_comes_later_whatever_its_addresses() -> None:
    pools = PoolList([Pool("10.0.0.0/25", 25, rank=2), Pool("10.9.0.0/25", 25), Pool("10.5.0.0/25", 25, rank=1)])
    assert choose_all(pools) == ["10.9.0.0/25", "10.5.0.0/25", "10.0.0.0/25"]


@pytest.mark.parametrize(
    ("size", "expected"),
    [(24, "10.8.0.0/24"), (16, "10.9.0.0/16"), (15, "10.10.0.0/15"), (32, "10.8.0.0/32"), (14, None), (33, None)],
)
def test_a_size_on_demand_comes_from_a_pool_that_is_large_enough(size: int, expected: str | None) -> None:
    pools = PoolList([Pool("10.8.0.0/23", 23), Pool("10.9.0.0/16", 20), Pool("10.10.0.0/15", 24)])
    chosen = pools.choose(4, (), size)
    assert (str(chosen) if chosen else None) == expected


def test_what_is_freed_is_chosen_again_lowest_first() -> None:
    busy = Intervals()
    busy.add(int(ip_network("172.16.0.0/12").network_address), int(ip_network("172.16.0.0/12").broadcast_address))
    pools = PoolList(DEFAULT_POOLS)
    assert str(pools.choose(4, (busy,))) == "192.168.0.0/20"
    for gone in ("172.30.0.0/16", "172.19.0.0/16"):
        busy.remove(int(ip_network(gone).network_address), int(ip_network(gone).broadcast_address))
    assert str(pools.choose(4, (busy,))) == "172.19.0.0/16"


def test_a_busy_address_costs_its_whole_subnet_and_no_more() -> None:
    busy, routes = Intervals(), Intervals()
    busy.add(int(ip_network("10.0.1.7/32").network_address), int(ip_network("10.0.1.7/32").network_address))
    routes.add(int(ip_network("10.0.0.0/32").network_address), int(ip_network("10.0.0.0/32").network_address))
    assert str(PoolList([Pool("10.0.0.0/8", 24)]).choose(4, (busy, routes))) == "10.0.2.0/24"


@given(
    taken=st.sets(st.integers(0, 63), max_size=64),
    size=st.integers(26, 30),
    data=st.data(),
)
def test_choice_is_the_lowest_free_one(taken: set[int], size: int, data: st.DataObject) -> None:
    """Against a plain search through every address of a /26."""
    base = int(ip_network("10.0.0.0/26").network_address)
    busy = (Intervals(), Intervals())
    for address in taken:
        data.draw(st.sampled_from(busy)).add(base + address, base + address)
    step = 1 << (32 - size)
    free = [first for first in range(0, 64, step) if taken.isdisjoint(range(first, first + step))]
    chosen = PoolList([Pool("10.0.0.0/26", size)]).choose(4, busy)
    assert chosen == (ip_network((base + free[0], size)) if free else None)


def test_overlapping_pools_count_once_and_order_does_not_matter() -> None:
    pools = PoolList([Pool("10.1.0.0/24", 25), Pool("10.0.0.0/23", 24), Pool("10.0.1.0/24", 25), Pool("fd00::/62", 63)])
    assert choose_all(pools) == ["10.0.0.0/24", "10.0.1.0/24", "10.1.0.0/25", "10.1.0.128/25"]
    assert choose_all(pools, 6) == ["fd00::/63", "fd00:0:0:2::/63"]


def test_thousands_of_subnets() -> None:
    chosen = choose_all(PoolList([Pool("10.0.0.0/12", 24)]))
    assert len(chosen) == len(set(chosen)) == 4096
    assert chosen[-1] == "10.15.255.0/24"


def test_ula_pool_comes_from_the_seed_alone() -> None:
    assert ula_pool(bytes.fromhex("3bca743321")) == Pool("fd3b:ca74:3321::/48", 64)
    pools = PoolList([ula_pool(bytes.fromhex("3bca743321ffff"))])
    busy = Intervals()
    for expected in ("fd3b:ca74:3321::/64", "fd3b:ca74:3321:1::/64"):
        subnet = pools.choose(6, (busy,))
        assert str(subnet) == expected
        assert subnet is not None
        busy.add(int(subnet.network_address), int(subnet.broadcast_address))
    with pytest.raises(ValueError, match="5 bytes"):
        ula_pool(b"1234")


def test_parse_pool() -> None:
    assert parse_pool("base=10.10.0.0/16,size=24") == Pool("10.10.0.0/16", 24)
    assert parse_pool("size=64, base=fd00::/48") == Pool("fd00::/48", 64)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "invalid field '' must be a key=value pair"),
        ("base=10.0.0.0/8", "invalid size value"),
        ("base=10.0.0.0/8,size=x", "invalid size value: x"),
        ("base=10.0.0.0/8,size=24,mask=1", "invalid field 'mask=1'"),
        ("base=10.0.0.1/8,size=24", "invalid base pool '10.0.0.1/8'"),
        ("base=10.0.0.0,size=24", "invalid base pool '10.0.0.0'"),
        ("base=banana,size=24", "invalid base pool 'banana'"),
        ("base=10.0.0.0/24,size=16", "the size /16 is not between /24 and /32"),
        ("base=10.0.0.0/24,size=33", "the size /33 is not between /24 and /32"),
    ],
)
def test_bad_pools_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        parse_pool(text)
