from __future__ import annotations

import msgspec
import pytest

from netloom.model.desired import Address, Bridge, Child, Desired, Element, Neighbour, Route, Step, Sysctl, Veth
from netloom.plan.diff import absent, diff, untouched

BOX = "b" * 64
BRIDGE = Bridge("br-1", 1000001, "02:42:00:00:00:01", 1500, "netloom 1")
VETH = Veth("nl000000000002", 1000002, "02:42:00:00:00:02", 1500, "br-1", 1000001, BOX, "eth0", 2, "02:42:ac:12:00:02")
OBSERVED = msgspec.structs.replace(VETH, sandbox="", peer_name="", peer_mac="")  # the host's half
INSIDE = msgspec.structs.replace(VETH, name="", mac="", master="", master_index=0)  # the inner half
GATEWAY = Address("br-1", 1000001, "172.18.0.1/16")
ADDRESS = Address("eth0", 2, "172.18.0.2/16", BOX)
DEFAULT = Route("default", "172.18.0.1", "eth0", 2, BOX)
NEIGHBOUR = Neighbour("br-1", 1000001, "172.18.0.2", "02:42:ac:12:00:02")
PUBLISHED = Element("published4", b"\6\0\0\0\0\x50\0\0", value=b"\xac\x12\0\2\0\x50\0\0")
MEMBER = Element("bridges", b"br-1".ljust(16, b"\0"))
FORWARDING = Sysctl("net/ipv4/conf/br-1/forwarding", "1")
NETWORK: list[Desired] = [BRIDGE, GATEWAY, FORWARDING, MEMBER]
ENDPOINT: list[Desired] = [VETH, NEIGHBOUR, ADDRESS, DEFAULT, PUBLISHED]


def change(what: Desired, **fields: object) -> Desired:
    return msgspec.structs.replace(what, **fields)


def test_what_is_missing_is_added_in_the_drivers_order() -> None:
    assert diff([*NETWORK, *ENDPOINT], []) == [Step("add", what) for what in [*NETWORK, *ENDPOINT]]


def test_agreement_needs_nothing() -> None:
    assert diff([*NETWORK, *ENDPOINT], [*ENDPOINT, *NETWORK]) == []


def test_an_observed_pair_agrees_by_its_host_half() -> None:
    assert diff(ENDPOINT, [OBSERVED, INSIDE, NEIGHBOUR, ADDRESS, DEFAULT, PUBLISHED]) == []


@pytest.mark.parametrize("fields", [{"mtu": 1400}, {"master_index": 7}, {"hairpin": True}, {"up": False}])
def test_a_changed_host_half_is_set(fields: dict[str, object]) -> None:
    assert diff([VETH], [change(OBSERVED, **fields)]) == [Step("set", VETH)]


def test_what_a_container_did_to_its_own_interface_stays() -> None:
    inside = change(INSIDE, peer_name="renamed", peer_mac="02:00:00:00:00:09")
    theirs: list[Desired] = [
        Address("eth0", 2, "10.0.0.9/24", BOX),
        Route("10.9.0.0/16", "172.18.0.9", "eth0", 2, BOX),
    ]
    assert diff(ENDPOINT, [OBSERVED, inside, NEIGHBOUR, ADDRESS, DEFAULT, PUBLISHED, *theirs]) == []


def test_a_link_of_another_index_is_replaced_and_what_lay_on_it_put_back() -> None:
    old = change(OBSERVED, index=55)
    steps = diff(ENDPOINT, [old, change(INSIDE, index=55), NEIGHBOUR, ADDRESS, DEFAULT, PUBLISHED])
    assert steps == [Step("del", old), Step("add", VETH), Step("add", ADDRESS), Step("add", DEFAULT)]
    bridge = change(BRIDGE, index=55)
    assert diff([BRIDGE, GATEWAY], [bridge, change(GATEWAY, index=55)]) == [
        Step("del", bridge),
        Step("add", BRIDGE),
        Step("add", GATEWAY),
    ]


def test_a_narrower_interface_is_set_and_one_as_observed_left_alone() -> None:
    child = Child("macvlan", BOX, "eth0", 7, "up0", "bridge", mac="02:00:00:00:00:07")
    narrow = change(child, mtu=1400)
    assert diff([narrow], [child]) == [Step("set", narrow)]
    assert diff([narrow], [change(child, parent="", mode="", mtu=1500)]) == []
    assert diff([change(VETH, peer_mtu=1400)], [VETH]) == [Step("set", change(VETH, peer_mtu=1400))]
    assert diff([change(VETH, peer_mtu=1400)], [OBSERVED]) == []


def test_a_default_route_moves_without_a_gap() -> None:
    other = Route("default", "172.19.0.1", "eth1", 3, BOX)
    steps = diff([other], ENDPOINT)
    assert steps[0] == Step("set", other)
    assert {s.verb for s in steps[1:]} == {"del"}


def test_a_neighbour_entry_that_the_kernel_dropped_is_no_fault_and_a_wrong_one_is() -> None:
    there = [OBSERVED, INSIDE, ADDRESS, DEFAULT, PUBLISHED]
    assert diff(ENDPOINT, there) == []
    assert diff(ENDPOINT, [*there, change(NEIGHBOUR, mac="02:00:00:00:00:09")]) == [Step("set", NEIGHBOUR)]


def test_an_element_with_other_data_is_set() -> None:
    moved = Element("published4", PUBLISHED.key_data, value=b"\xac\x12\0\3\0\x50\0\0")
    assert diff([moved], [PUBLISHED]) == [Step("set", moved)]


def test_traffic_is_fenced_before_its_rules_go_and_what_goes_with_a_link_is_left_to_it() -> None:
    assert diff([], ENDPOINT) == [Step("del", VETH), Step("del", PUBLISHED), Step("del", NEIGHBOUR)]
    assert absent([*NETWORK, *ENDPOINT]) == [
        Step("del", VETH),
        Step("del", BRIDGE),
        Step("del", PUBLISHED),
        Step("del", MEMBER),
    ]


def test_what_is_ours_on_the_host_and_unwanted_goes() -> None:
    strayed = Address("br-1", 1000001, "10.9.9.9/24")
    assert diff(NETWORK, [*NETWORK, strayed, OBSERVED]) == [Step("del", OBSERVED), Step("del", strayed)]


def test_added_before_removed() -> None:
    moved = Address("br-1", 1000001, "172.20.0.1/16")
    assert diff([BRIDGE, moved], [BRIDGE, GATEWAY]) == [Step("add", moved), Step("del", GATEWAY)]


def test_settings_of_a_standing_interface_are_undone() -> None:
    assert diff([BRIDGE], [BRIDGE, FORWARDING]) == [Step("del", FORWARDING)]


@pytest.mark.parametrize("stands", [True, False])
def test_a_setting_inside_is_made_with_its_interface_and_then_the_containers(stands: bool) -> None:
    setting = Sysctl("net/ipv4/conf/eth0/arp_announce", "2", BOX)
    wanted = [VETH, setting]
    steps = diff(wanted, [VETH] if stands else [])
    assert steps == ([] if stands else [Step("add", VETH), Step("add", setting)])


def test_what_others_do_is_left_out_with_what_goes_by_it() -> None:
    everything = [*NETWORK, *ENDPOINT]
    assert untouched(everything, [Step("add", PUBLISHED), Step("del", GATEWAY)]) == [
        what for what in everything if what not in (PUBLISHED, GATEWAY)
    ]
    assert untouched(everything, [Step("del", VETH)]) == [
        what for what in everything if what not in (VETH, ADDRESS, DEFAULT)
    ]
    assert untouched(everything, [Step("set", BRIDGE)]) == everything[1:]
