"""One set of checks that every driver passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.drivers import ipvlan, macvlan
from netloom.drivers.bridge_options import KNOWN
from netloom.drivers.driver import Driver
from netloom.drivers.registry import BUILT_IN, driver
from netloom.model.desired import HostFacts, HostLink
from netloom.model.endpoint import Endpoint
from netloom.model.errors import InvalidArgument, NetloomError, NotFound, Unsupported
from netloom.model.network import IpamConfig, Network, NetworkRequest

UPLINK = HostFacts(interfaces=(HostLink("lo", 1), HostLink("up0", 2)))

every = pytest.mark.parametrize("one", BUILT_IN, ids=lambda d: d.name)


def network(one: Driver, options: dict[str, str]) -> Network:
    _, mtu, bridge = one.options(NetworkRequest(options=options), "a" * 64, 1500)
    pools = (IpamConfig(subnet="172.18.0.0/16", gateway="172.18.0.1"),)
    return Network(
        id="a" * 64,
        name="n",
        created=0,
        driver=one.name,
        number=1,
        mtu=mtu,
        bridge=bridge,
        pools=pools,
        options=options,
    )


def least(one: Driver) -> dict[str, str]:
    """The options without which there is no network."""
    return {"parent": "up0"} if one.name == "device" else {}


def endpoint() -> Endpoint:
    return Endpoint(
        id="e" * 64,
        network="a" * 64,
        container="c",
        sandbox="s",
        number=2,
        host_name="nl0",
        inner_name="eth0",
        inner_index=2,
        mac="02:00:00:00:00:01",
        ipv4="172.18.0.2/16",
    )


def test_the_registry() -> None:
    assert [d.name for d in BUILT_IN] == ["bridge", "host", "null", "macvlan", "ipvlan", "device"]
    assert driver("").name == "bridge"
    for name in ("overlay",):
        with pytest.raises(Unsupported, match=name):
            driver(name)
    with pytest.raises(NotFound) as error:
        driver("nosuch")
    assert error.value.sentence == 'plugin "nosuch" not found'


@every
def test_no_options_are_none_shown_and_the_hosts_mtu(one: Driver) -> None:
    options, mtu, _ = one.options(NetworkRequest(options=least(one)), "a" * 64, 1400)
    assert (options, mtu) == (least(one), 1400)


@every
def test_an_unknown_option_is_refused_by_name(one: Driver) -> None:
    with pytest.raises(InvalidArgument, match=r"com\.example\.x"):
        one.options(NetworkRequest(options={"com.example.x": "1"}), "a" * 64, 1500)


@every
def test_equal_input_gives_equal_objects_each_with_a_key_of_its_own(one: Driver) -> None:
    of = network(one, least(one))
    one.check(of, [])
    objects = one.network(of, UPLINK) + one.endpoint(of, endpoint(), UPLINK)
    assert objects == one.network(of, UPLINK) + one.endpoint(of, endpoint(), UPLINK)
    assert len({o.key for o in objects}) == len(objects)


@every
@given(
    st.dictionaries(
        st.sampled_from((*KNOWN, *macvlan.KNOWN, *ipvlan.KNOWN)) | st.text(),
        st.text() | st.sampled_from(["1", "true", "::1", "up0", "up0.7", "l3", "vepa"]),
        max_size=4,
    )
)
def test_whatever_the_options_are_only_our_own_errors(one: Driver, options: dict[str, str]) -> None:
    try:
        of = network(one, options)
        one.check(of, [], UPLINK)
    except NetloomError:
        return
    for facts in (UPLINK, HostFacts()):
        one.network(of, facts)
        one.endpoint(of, endpoint(), facts)
