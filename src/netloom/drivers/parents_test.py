"""Macvlan and ipvlan: desired objects, what is refused in Docker's words, and who may stand beside whom."""

from __future__ import annotations

from typing import Any

import pytest

from netloom.drivers import parents, registry
from netloom.drivers.driver import Driver
from netloom.drivers.ipvlan import IpvlanDriver
from netloom.drivers.macvlan import MacvlanDriver
from netloom.model.desired import Address, Child, HostFacts, HostLink, Parent, Route
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, Failed, InvalidArgument, NetloomError
from netloom.model.lease import Lease, Terms
from netloom.model.network import IpamConfig, Network, NetworkRequest
from netloom.plan.steps import listing

FACTS = HostFacts(interfaces=(HostLink("lo", 1), HostLink("eth0", 2), HostLink("eth1", 3)))
MACVLAN, IPVLAN = MacvlanDriver(), IpvlanDriver()
DRIVERS: dict[str, Driver] = {d.name: d for d in (MACVLAN, IPVLAN)}


def network(driver: str = "macvlan", number: int = 1, **changes: Any) -> Network:
    given: dict[str, Any] = {
        "id": f"{number:x}" * 64,
        "name": f"net{number}",
        "created": 0,
        "driver": driver,
        "number": number,
        "pools": (IpamConfig(subnet="192.0.2.0/24", gateway="192.0.2.1"),),
        "options": {"parent": "eth0"},
    }
    return Network(**(given | changes))


def endpoint(**changes: Any) -> Endpoint:
    given: dict[str, Any] = {
        "id": "e" * 64,
        "network": "1" * 64,
        "container": "c" * 64,
        "sandbox": "5" * 64,
        "number": 9,
        "host_name": "",
        "inner_name": "eth0",
        "inner_index": 2,
        "mac": "aa:72:5e:ab:4b:78",
        "ipv4": "192.0.2.2/24",
        "gateway4": "192.0.2.1",
        "default4": True,
    }
    return Endpoint(**(given | changes))


def test_macvlan() -> None:
    of = network(ipv6=True, options={"parent": "eth0", "macvlan_mode": "vepa"})
    assert MACVLAN.network(of, FACTS) == []
    told = endpoint(ipv6="2001:db8::2/64", gateway6="2001:db8::1", default6=True, link_local=("169.254.9.9",))
    assert listing(MACVLAN.endpoint(of, told, FACTS)) == (
        "address  169.254.9.9/16  dev eth0 in 555555555555\n"
        "address  192.0.2.2/24    dev eth0 in 555555555555\n"
        "address  2001:db8::2/64  dev eth0 in 555555555555\n"
        "link     eth0            dev eth0 in 555555555555  macvlan vepa index 2 mac aa:72:5e:ab:4b:78 ipv6\n"
        "route    default         dev eth0 in 555555555555  via 192.0.2.1\n"
        "route    default6        dev eth0 in 555555555555  via 2001:db8::1\n"
    )


def test_ipvlan_has_its_parents_mac_and_in_l3_a_route_by_device() -> None:
    of = network("ipvlan", options={"parent": "eth0", "ipvlan_mode": "l3", "ipvlan_flag": "private"})
    told = endpoint(mac="", gateway4="", on_link=True)
    assert IPVLAN.endpoint(of, told, FACTS) == [
        Child("ipvlan", "5" * 64, "eth0", 2, parent="eth0", mode="l3", flag="private"),
        Address("eth0", 2, "192.0.2.2/24", "5" * 64),
        Route("default", "", "eth0", 2, "5" * 64),
    ]


@pytest.mark.parametrize(("parent", "mtu"), [("eth0", 1400), ("eth1", 1300), ("eth1.7", 1300), ("gone", 1400)])
def test_the_mtu_of_a_lease_is_no_more_than_the_parents(parent: str, mtu: int) -> None:
    terms = Terms(address="192.0.2.9/24", server="192.0.2.1", seconds=60, t1=30, t2=50, mtu=1400)
    leased = endpoint(lease=Lease(terms=terms, began=0, mac="", server_mac=""))
    facts = HostFacts(interfaces=(HostLink("eth0", 2), HostLink("eth1", 3, mtu=1300)))
    assert parents.leased_mtu(network(options={"parent": parent}), leased, facts) == mtu
    assert parents.leased_mtu(network(), endpoint(), facts) == 0


def test_internal_has_no_way_out() -> None:
    for driver in DRIVERS.values():
        of = network(driver.name, internal=True)
        assert not any(isinstance(o, Route) for o in driver.endpoint(of, endpoint(on_link=True), FACTS))
        assert driver.internal(NetworkRequest(options={}))
        assert driver.internal(NetworkRequest(options={"parent": ""}))
        assert not driver.internal(NetworkRequest(options={"parent": "eth0"}))
        assert driver.internal(NetworkRequest(options={"parent": "eth0"}, internal=True))


def test_without_parent_a_dummy_of_its_own() -> None:
    of = network(options={})
    (dummy,) = MACVLAN.network(of, FACTS)
    assert isinstance(dummy, Parent)
    assert (dummy.name, dummy.base, dummy.alias) == ("dm-111111111111", "", f"netloom {'1' * 64}")
    assert MACVLAN.needs(of, FACTS) == ["macvlan", "dummy"]
    child = MACVLAN.endpoint(of, endpoint(), FACTS)[0]
    assert isinstance(child, Child)
    assert child.parent == dummy.name


def test_a_vlan_is_made_once_for_all_and_not_where_there_is_one() -> None:
    one, other = network(options={"parent": "eth0.10"}), network("ipvlan", 2, options={"parent": "eth0.10"})
    (vlan,) = MACVLAN.network(one, FACTS)
    assert isinstance(vlan, Parent)
    assert (vlan.name, vlan.base, vlan.vlan) == ("eth0.10", "eth0", 10)
    assert [vlan] == IPVLAN.network(other, FACTS)
    assert IPVLAN.needs(other, FACTS) == ["ipvlan", "vlan"]
    foreign = HostFacts(interfaces=(*FACTS.interfaces, HostLink("eth0.10", 4, kind="vlan")))
    assert MACVLAN.network(one, foreign) == []
    assert MACVLAN.needs(one, foreign) == ["macvlan"]
    assert [link.index for link in parents.below(one, foreign)] == [2, 4]


def test_a_parent_that_has_gone_carries_nothing_and_takes_nobody() -> None:
    of, bare = network(), HostFacts()
    assert MACVLAN.endpoint(of, endpoint(), bare) == []
    with pytest.raises(Failed, match="parent interface eth0 of network net1 is not there"):
        MACVLAN.admit(of, "web", "", (), bare)
    named = network(options={"parent": "eth0.lan"})  # it was somebody's interface of that name
    assert MACVLAN.network(named, FACTS) == []


@pytest.mark.parametrize(
    ("parent", "sentence"),
    [
        ("nope0", "invalid subinterface vlan name nope0, example formatting is eth0.10"),
        ("a.b.c", "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received a.b.c"),
        ("eth0.x", "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"),
        ("eth0.", "unable to parse a valid vlan id from:  (ex. eth0.10 for vlan 10)"),
        ("eth0.0", "vlan id must be between 1-4094, received: 0"),
        ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
        ("nope.10", "-o parent interface was not found on the host: nope"),
    ],
)
@pytest.mark.parametrize("driver", DRIVERS)
def test_parents_that_cannot_be(driver: str, parent: str, sentence: str) -> None:
    with pytest.raises(Failed) as error:
        DRIVERS[driver].check(network(driver, options={"parent": parent}), [], FACTS)
    assert error.value.sentence == sentence


@pytest.mark.parametrize(
    ("driver", "options", "kind", "sentence"),
    [
        ("macvlan", {"macvlan_mode": "odd"}, Failed,
         "requested macvlan mode 'odd' is not valid, 'bridge' mode is the macvlan driver default"),
        ("ipvlan", {"ipvlan_mode": "l9"}, Failed,
         "requested ipvlan mode 'l9' is not valid, 'l2' mode is the ipvlan driver default"),
        ("ipvlan", {"ipvlan_flag": "odd"}, Failed,
         "requested ipvlan flag 'odd' is not valid, 'bridge' is the ipvlan driver default"),
        ("macvlan", {"parent": "lo"}, Failed, "loopback interface is not a valid macvlan parent link"),
        ("ipvlan", {"parent": "lo"}, Failed, "loopback interface is not a valid ipvlan parent link"),
        ("ipvlan", {"com.docker.network.advertise_addr_nmsgs": "4"}, Failed,
         "com.docker.network.advertise_addr_nmsgs must be in the range 0 to 3"),
        ("macvlan", {"ipvlan_mode": "l2"}, InvalidArgument, "unknown option ipvlan_mode for network driver macvlan"),
        ("ipvlan", {"macvlan_mode": "vepa"}, InvalidArgument, "unknown option macvlan_mode for network driver ipvlan"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(driver: str, options: dict[str, str], kind: type[NetloomError], sentence: str) -> None:
    with pytest.raises(NetloomError) as error:
        DRIVERS[driver].options(NetworkRequest(options=options), "1" * 64, 1500)
    assert type(error.value) is kind
    assert error.value.sentence == sentence


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan", "device"])
@pytest.mark.parametrize("key", ["driver.mtu", "container_iface_prefix", "bridge.name", "bridge.enable_icc"])
def test_what_docker_takes_and_does_not_carry_out_is_refused(driver: str, key: str) -> None:
    """Docker 28.5 takes each of them for macvlan, and none changes what a container gets.

    Asked on a parent whose MTU is 1420, with `driver.mtu=1300` among them: the interface was `eth0` of MTU 1420 each
    time, and there was no bridge. Of ipvlan that was not asked; `device` is not Docker's.
    """
    request = NetworkRequest(options={"parent": "eth1", f"com.docker.network.{key}": "1300"})
    with pytest.raises(InvalidArgument, match=f"unknown option com.docker.network.{key} for network driver {driver}"):
        registry.driver(driver).options(request, "1" * 64, 1500)


def test_an_empty_mode_is_the_default() -> None:
    options, mtu, bridge = MACVLAN.options(NetworkRequest(options={"macvlan_mode": ""}), "1" * 64, 1400)
    assert (options, mtu, bridge) == ({"macvlan_mode": ""}, 1400, "")


def test_passthru_has_its_parent_alone() -> None:
    alone = network(number=2, options={"parent": "eth0", "macvlan_mode": "passthru"})
    with pytest.raises(Failed) as error:
        MACVLAN.check(alone, [network()], FACTS)
    told = f"cannot use mode passthru, macvlan network {'1' * 64} is already using parent interface eth0"
    assert error.value.sentence == told
    with pytest.raises(Failed) as error:
        MACVLAN.check(network(), [alone], FACTS)
    told = f"macvlan network {'2' * 64} is already using parent interface eth0 in mode passthru"
    assert error.value.sentence == told
    MACVLAN.check(network(options={"parent": "eth1"}), [alone], FACTS)
    MACVLAN.admit(alone, "web", "", (), FACTS)
    with pytest.raises(Failed, match="failed to create the macvlan port: invalid argument: in mode passthru"):
        MACVLAN.admit(alone, "web", "", (endpoint(),), FACTS)
    MACVLAN.admit(network(), "web", "", (endpoint(),), FACTS)


def test_one_kind_on_a_parent() -> None:
    with pytest.raises(Conflict, match=r"macvlan network net1 \(1{64}\) is already using parent interface eth0"):
        IPVLAN.check(network("ipvlan", 2), [network()], FACTS)
    with pytest.raises(Conflict, match="ipvlan network net2"):
        MACVLAN.check(network(), [network("ipvlan", 2)], FACTS)
    MACVLAN.check(network(), [network("ipvlan", 2, options={"parent": "eth0.7"}), network(number=3)], FACTS)


@pytest.mark.parametrize("differing", [{"ipvlan_mode": "l3"}, {"ipvlan_flag": "vepa"}])
def test_one_mode_and_flag_on_a_parent(differing: dict[str, str]) -> None:
    other = network("ipvlan", 2, options={"parent": "eth0", **differing})
    with pytest.raises(Conflict) as error:
        IPVLAN.check(network("ipvlan"), [other], FACTS)
    assert error.value.sentence.startswith(f"ipvlan network net2 ({'2' * 64}) is already using parent interface eth0")
    mode, flag = differing.get("ipvlan_mode", "l2"), differing.get("ipvlan_flag", "bridge")
    assert error.value.sentence.endswith(f"in mode {mode} with flag {flag}")
    IPVLAN.check(network("ipvlan"), [network("ipvlan", 2, options={"parent": "eth0", "ipvlan_mode": "l2"})], FACTS)


def test_ipvlan_takes_no_mac() -> None:
    with pytest.raises(
        Failed,
        match="endpoint web on network net1: ipvlan interfaces do not support custom mac address",
    ):
        IPVLAN.admit(network("ipvlan"), "web", "02:00:00:00:00:01", (), FACTS)
    MACVLAN.admit(network(), "web", "02:00:00:00:00:01", (), FACTS)
