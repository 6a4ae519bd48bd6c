import time
from functools import partial
from ipaddress import ip_network
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netloom.ipam.pools import DEFAULT_POOLS, Pool, ula_pool
from netloom.ipam.space import AddressSpace, settled
from netloom.model.desired import HostRoute
from netloom.model.errors import Exhausted, Failed, Forbidden, InvalidArgument, NetloomError, NotFound
from netloom.model.network import IpamConfig
from netloom.testing.counting import lines_run

ULA = ula_pool(bytes.fromhex("3bca743321"))
OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"


def space(*pools: Pool) -> AddressSpace:
    return AddressSpace(pools or (*DEFAULT_POOLS, ULA), describe=lambda owner: f"container {owner}")


def add(
    where: AddressSpace, name: str, *config: IpamConfig, ipv6: bool = False, routes: tuple[HostRoute, ...] = ()
) -> tuple[IpamConfig, ...]:
    return where.add_network(f"id-{name}", name, config, ipv4=True, ipv6=ipv6, host_routes=routes)


def test_chosen_subnets_follow_docker() -> None:
    here = space()
    add(here, "bridge")
    assert add(here, "a") == (IpamConfig(subnet="172.18.0.0/16", gateway="172.18.0.1"),)
    assert add(here, "b", ipv6=True) == (
        IpamConfig(subnet="172.19.0.0/16", gateway="172.19.0.1"),
        IpamConfig(subnet="fd3b:ca74:3321::/64", gateway="fd3b:ca74:3321::1"),
    )
    assert here.request("id-a", 4, None, "c1") == "172.18.0.2/16"
    assert here.request("id-a", 4, None, "c2") == "172.18.0.3/16"
    assert here.request("id-b", 6, None, "c2") == "fd3b:ca74:3321::2/64"


def test_requested_subnets_are_completed() -> None:
    here = space()
    assert add(here, "a", IpamConfig(subnet="10.72.0.0/24", ip_range="10.72.0.128/25")) == (
        IpamConfig(subnet="10.72.0.0/24", ip_range="10.72.0.128/25", gateway="10.72.0.128"),
    )
    assert here.request("id-a", 4, None, "c") == "10.72.0.129/24"
    full = IpamConfig(
        subnet="10.73.0.0/24", ip_range="10.73.0.0/25", gateway="10.73.0.200", aux={"b": "10.73.0.2", "a": "10.73.0.5"}
    )
    assert add(here, "b", full) == (full,)
    assert [here.request("id-b", 4, None, "c") for _ in range(2)] == ["10.73.0.1/24", "10.73.0.3/24"]
    assert add(here, "c", IpamConfig(subnet="FD00:75:0::/64"), ipv6=True)[1] == IpamConfig(
        subnet="fd00:75::/64", gateway="fd00:75::1"
    )
    assert add(here, "d", IpamConfig(subnet="10.56.0.1/32")) == (
        IpamConfig(subnet="10.56.0.1/32", gateway="10.56.0.1"),
    )


def test_a_family_that_is_off_takes_nothing() -> None:
    here = space()
    assert add(here, "a", IpamConfig(subnet="fd00:66::/64")) == (
        IpamConfig(subnet="172.17.0.0/16", gateway="172.17.0.1"),
    )
    assert add(here, "b", IpamConfig(subnet="fd00:66::/64"), ipv6=True)[1].subnet == "fd00:66::/64"
    with pytest.raises(Exhausted):
        here.request("id-a", 6, None, "c")


def test_overlap_names_the_network() -> None:
    here = space()
    add(here, "dup", IpamConfig(subnet="10.50.0.0/24"))
    with pytest.raises(Forbidden) as caught:
        add(here, "e1", IpamConfig(subnet="10.50.0.0/25"))
    assert caught.value.message == (
        f"{OVERLAP}: 10.50.0.0/25 overlaps 10.50.0.0/24 of network dup, choose another subnet"
    )
    add(here, "e1", IpamConfig(subnet="10.50.1.0/24"))


def test_overlap_within_one_request() -> None:
    here = space()
    with pytest.raises(Forbidden, match=r"10\.52\.0\.0/25 overlaps 10\.52\.0\.0/24 of the same request"):
        add(here, "e1d", IpamConfig(subnet="10.52.0.0/24"), IpamConfig(subnet="10.52.0.0/25"))
    add(here, "after", IpamConfig(subnet="10.52.0.0/24"))


def test_overlap_with_a_route_of_the_host() -> None:
    here = space()
    routes = (
        HostRoute(destination="0.0.0.0/0", link="up0"),
        HostRoute(destination="198.51.100.0/24", link="up0"),
        HostRoute(destination="172.16.0.0/14", link="vpn0"),
    )
    with pytest.raises(Forbidden) as caught:
        add(here, "e1c", IpamConfig(subnet="198.51.100.0/25"), routes=routes)
    assert caught.value.message == (
        f"{OVERLAP}: 198.51.100.0/25 overlaps the host's route to 198.51.100.0/24 by up0, choose another subnet"
    )
    assert add(here, "auto", routes=routes)[0].subnet == "172.20.0.0/16"


def test_exhausted_pools() -> None:
    here = space(*DEFAULT_POOLS[:-1])
    for n in range(31):
        add(here, f"n{n}")
    with pytest.raises(InvalidArgument, match=r"^all predefined address pools have been fully subnetted: remove "):
        add(here, "n31")
    here.drop_network("id-n7")
    assert add(here, "n31")[0].subnet == "172.24.0.0/16"


def test_a_thousand_networks_never_meet_and_the_last_costs_what_the_first_did() -> None:
    here = space()
    counts = []
    chosen = []
    for n in range(1000):
        counts.append(lines_run(partial(lambda name: chosen.extend(add(here, name, ipv6=True)), f"n{n}")))
    networks = sorted((ip_network(pool.subnet) for pool in chosen), key=lambda net: (net.version, net))
    assert len(networks) == 2000
    assert not any(low.version == high.version and low.overlaps(high) for low, high in pairwise(networks))
    assert max(counts[500:]) <= max(counts[:50])
    for n in range(0, 1000, 3):
        here.drop_network(f"id-n{n}")
    again = [add(here, f"m{n}")[0].subnet for n in range(334)]
    assert again == [pool.subnet for pool in chosen if ":" not in pool.subnet][::3]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("0.0.0.0/24",), ("172.17.0.0/24",)),
        (("::/96",), ("172.17.0.0/16", "fd3b:ca74:3321::/96")),
        (("0.0.0.0/28", "::/64"), ("172.17.0.0/28", "fd3b:ca74:3321::/64")),
        (("172.17.0.0/20", "0.0.0.0/20"), ("172.17.0.0/20", "172.17.16.0/20")),
        (("0.0.0.0/20", "172.17.0.0/20"), ("172.17.16.0/20", "172.17.0.0/20")),
        (("0.0.0.0/12",), ("10.192.0.0/12",)),
    ],
)
def test_a_subnet_may_be_asked_for_by_its_size(asked: tuple[str, ...], expected: tuple[str, ...]) -> None:
    here = space()
    config = [IpamConfig(subnet=subnet) for subnet in asked]
    pools = add(here, "a", *config, ipv6=any(":" in subnet for subnet in asked))
    assert tuple(pool.subnet for pool in pools) == expected
    shown = settled(config, pools)
    assert [entry.subnet for entry in shown] == [p.subnet for p in pools if p.subnet in {e.subnet for e in shown}]
    assert [bool(entry.gateway) for entry in shown] == [subnet.startswith(("0.0.0.0/", "::/")) for subnet in asked]


def test_clashes_are_found_for_each_subnet_that_a_route_meets() -> None:
    here = space()
    for n in range(4):
        add(here, f"n{n}", IpamConfig(subnet=f"10.0.{n}.0/24"), IpamConfig(subnet=f"fd00:{n}::/64"), ipv6=True)
    wide, one, six = (HostRoute(d, "tun0") for d in ("10.0.0.0/23", "10.0.3.77/32", "fd00:2::/48"))
    found = here.clashes([wide, HostRoute("10.1.0.0/16", "tun0"), HostRoute("default", "up0"), one, six])
    assert [(clash.network, clash.subnet, clash.other, clash.shared) for clash in found] == [
        ("id-n0", "10.0.0.0/24", wide, "10.0.0.0/24"),
        ("id-n1", "10.0.1.0/24", wide, "10.0.1.0/24"),
        ("id-n3", "10.0.3.0/24", one, "10.0.3.77/32"),
        ("id-n2", "fd00:2::/64", six, "fd00:2::/64"),
    ]


def test_a_size_that_no_pool_has_is_refused_naming_it() -> None:
    with pytest.raises(InvalidArgument, match=r"fully subnetted: no pool has room for a /9, ask for a smaller"):
        add(space(), "a", IpamConfig(subnet="0.0.0.0/9"))


def test_figures_of_a_network() -> None:
    here = space()
    config = IpamConfig(subnet="10.1.0.0/24", ip_range="10.1.0.8/29", aux={"in": "10.1.0.9", "out": "10.1.0.200"})
    add(here, "a", config, IpamConfig(subnet="fd00:1::/64"), ipv6=True)
    here.request("id-a", 4, None, "c")
    # the network's own address, broadcast, gateway, two auxiliary ones, an endpoint; and the anycast address, a gateway
    assert here.figures("id-a") == {"10.1.0.0/24": (6, 5), "fd00:1::/64": (2, 2**64 - 2)}
    assert here.figures("id-none") == {}
    assert here.holder("id-a", "10.1.0.8") == "the gateway"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            IpamConfig(subnet="10.60.1.0/24", gateway="10.60.1.0"),
            "failed to allocate gateway (10.60.1.0): Address already in use",
        ),
        (
            IpamConfig(subnet="10.60.2.0/24", gateway="10.60.2.255"),
            "failed to allocate gateway (10.60.2.255): Address already in use",
        ),
        (
            IpamConfig(subnet="10.64.1.0/24", gateway="10.64.1.1", aux={"a": "10.64.1.1"}),
            "failed to allocate secondary ip address (a:10.64.1.1): Address already in use",
        ),
        (
            IpamConfig(subnet="10.78.0.0/24", aux={"x": "10.78.0.1"}),
            "failed to allocate secondary ip address (x:10.78.0.1): Address already in use",
        ),
        (
            IpamConfig(subnet="10.79.0.0/24", aux={"x": "10.79.0.7", "z": "10.79.0.7"}),
            "failed to allocate secondary ip address (z:10.79.0.7): Address already in use",
        ),
        (IpamConfig(subnet="fd00:78::/128"), "failed to allocate gateway (): no available addresses on this pool"),
    ],
)
def test_gateways_that_cannot_be_had_leave_nothing_behind(config: IpamConfig, sentence: str) -> None:
    here = space()
    with pytest.raises(Failed) as caught:
        add(here, "x", config, ipv6=True)
    assert caught.value.sentence == sentence
    add(here, "y", IpamConfig(subnet=config.subnet.replace("/128", "/64")), ipv6=True)
    assert add(here, "z")[0].subnet in ("172.17.0.0/16", "172.18.0.0/16")


def test_invalid_config_takes_nothing() -> None:
    here = space()
    with pytest.raises(InvalidArgument, match="it should be"):
        add(here, "x", IpamConfig(subnet="10.0.0.9/24"))
    with pytest.raises(NotFound):
        here.request("id-x", 4, None, "c")


def test_static_addresses_name_their_holder() -> None:
    here = space()
    add(here, "n1", IpamConfig(subnet="10.50.0.0/24", aux={"nas": "10.50.0.9"}))
    assert here.request("id-n1", 4, "10.50.0.3", "web") == "10.50.0.3/24"
    assert here.request("id-n1", 4, "10.50.0.3", "web") == "10.50.0.3/24"
    assert here.holder("id-n1", "10.50.0.3/24") == "web"
    for address, whose in (
        ("10.50.0.3", "held by container web"),
        ("10.50.0.9", "auxiliary address nas"),
        ("10.50.0.1", "the gateway"),
        ("10.50.0.255", "the broadcast address"),
    ):
        with pytest.raises(Forbidden) as caught:
            here.request("id-n1", 4, address, "db")
        assert caught.value.sentence == "Address already in use"
        assert f"{address} is {whose}," in caught.value.remedy
    assert [here.request("id-n1", 4, None, "c") for _ in range(2)] == ["10.50.0.2/24", "10.50.0.4/24"]
    here.release("id-n1", "10.50.0.3/24")
    here.release("id-n1", "10.50.0.3")
    assert here.request("id-n1", 4, "10.50.0.3", "db") == "10.50.0.3/24"
    with pytest.raises(InvalidArgument, match=r"contain the IP address 10\.51\.0\.3$"):
        here.request("id-n1", 4, "10.51.0.3", "db")


def test_exhausted_subnet() -> None:
    here = space()
    add(here, "n3", IpamConfig(subnet="10.51.0.0/30"))
    here.request("id-n3", 4, None, "c")
    with pytest.raises(Exhausted) as caught:
        here.request("id-n3", 4, None, "c")
    assert caught.value.sentence == "no available IPv4 addresses on this network's address pools: n3 (id-n3)"
    assert caught.value.remedy


def test_several_subnets_of_a_family_are_used_one_after_the_other() -> None:
    here = space()
    add(here, "n", IpamConfig(subnet="10.1.0.0/30"), IpamConfig(subnet="10.2.0.0/30"))
    assert [here.request("id-n", 4, None, "c") for _ in range(2)] == ["10.1.0.2/30", "10.2.0.2/30"]
    here.release("id-n", "10.2.0.2/30")
    assert here.request("id-n", 4, "10.2.0.2", "c") == "10.2.0.2/30"


def test_reservations_are_cancelled() -> None:
    here = space()
    add(here, "n", IpamConfig(subnet="10.1.0.0/24"))
    here.reserve("id-n", 4, None, "a").cancel()
    with here.reserve("id-n", 4, None, "b") as held:
        assert held.address == "10.1.0.2/24"
    assert here.request("id-n", 4, None, "c") == "10.1.0.3/24"


def test_restoring_gives_the_same_space() -> None:
    old = space()
    kept = {
        name: add(old, name, *config, ipv6=True)
        for name, config in {"a": (), "b": (IpamConfig(subnet="10.9.0.0/24", aux={"x": "10.9.0.7"}),)}.items()
    }
    held = {name: old.request(f"id-{name}", 4, None, "c") for name in kept}
    new = space()
    for name, pools in kept.items():
        new.restore_network(f"id-{name}", name, pools)
        assert new.request(f"id-{name}", 4, held[name].partition("/")[0], "c") == held[name]
    assert add(new, "later") == add(old, "later")
    for name in kept:
        assert new.request(f"id-{name}", 4, None, "d") == old.request(f"id-{name}", 4, None, "d")
    with pytest.raises(Forbidden, match="of network b"):
        add(new, "again", IpamConfig(subnet="10.9.0.0/16"))


def test_dropping_is_idempotent_and_frees_the_subnets() -> None:
    here = space()
    add(here, "n", IpamConfig(subnet="10.1.0.0/24"), ipv6=True)
    here.drop_network("id-n")
    here.drop_network("id-n")
    here.release("id-n", "10.1.0.2/24")
    assert add(here, "m", IpamConfig(subnet="10.0.0.0/8"), ipv6=True)[1].subnet == "fd3b:ca74:3321::/64"


def test_thousand_networks_with_addresses_quickly() -> None:
    here = space(Pool("10.0.0.0/8", 24))
    begun = time.process_time()
    for n in range(1000):
        add(here, str(n))
        for container in range(10):
            here.request(f"id-{n}", 4, None, str(container))
    for n in range(0, 1000, 2):
        here.drop_network(f"id-{n}")
    assert add(here, "again")[0].subnet == "10.0.0.0/24"
    assert time.process_time() - begun < 3


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 255), st.integers(20, 30), st.booleans()),
        max_size=25,
    )
)
def test_subnets_of_networks_never_overlap(steps: list[tuple[int, bool, int, int, bool]]) -> None:
    here = space(Pool("10.0.0.0/20", 24))
    standing: dict[str, list[str]] = {}
    for n, drop, block, size, explicit in steps:
        name = str(n)
        if drop or name in standing:
            here.drop_network(f"id-{name}")
            standing.pop(name, None)
            continue
        subnet = str(ip_network((int(ip_network("10.0.0.0/16").network_address) + (block << 4), size), strict=False))
        others = [ip_network(other) for subnets in standing.values() for other in subnets]
        try:
            pools = add(here, name, *([IpamConfig(subnet=subnet)] if explicit else []))
        except NetloomError:
            assert not explicit or any(ip_network(subnet).overlaps(other) for other in others)
            continue
        for pool in pools:
            assert not any(ip_network(pool.subnet).overlaps(other) for other in others)
        standing[name] = [pool.subnet for pool in pools]
