"""What policies put into the maps for the relay, and where its ports lead."""

from __future__ import annotations

import pytest

from netloom.firewall.elements import text
from netloom.firewall.relayed import target_number
from netloom.model.endpoint import PortBinding
from netloom.policy.relayed import Relayed, closed_elements, relayed_elements

PORTS = (
    PortBinding("tcp", 80, "::", 8080),
    PortBinding("tcp", 80, "0.0.0.0", 8080),
    PortBinding("udp", 53, "fd01::1", 5353),
    PortBinding("tcp", 9000, "::", 9000, 50),
    PortBinding("tcp", 443, "::", 0),
    PortBinding("sctp", 90, "::", 8090),
)


def words(elements: object) -> list[str]:
    return [f"{e.set} {text(e)}" for e in elements]  # type: ignore[attr-defined]


def test_an_endpoint_and_its_own_ports() -> None:
    assert words(relayed_elements(0x10002, "172.18.0.2", "", PORTS)) == [
        "relayed_to ac12:2 : 0x00010002",
        "relayed_inner tcp . 8080 : 80",
        "relayed_inner_at fd01::1 . udp . 5353 : 53",
    ]
    assert words(relayed_elements(0, "172.18.0.2", "", PORTS[:1]))[0] == "relayed_to ac12:2 : 0x00000000"
    assert relayed_elements(16, "172.18.0.2", "", PORTS[4:]) == []


def test_closed_ones() -> None:
    assert words(closed_elements("172.18.0.2", "", PORTS, closed=True, trial=True)) == [
        "relayed_closed ac12:2",
        "relayed_trial_closed ac12:2",
    ]
    assert closed_elements("172.18.0.2", "", PORTS, closed=False, trial=False) == []
    assert closed_elements("172.18.0.2", "", PORTS[4:], closed=True, trial=False) == []


def test_a_container_without_ipv4_has_a_number_that_no_ipv4_address_is() -> None:
    assert target_number("", "fd00::2") != target_number("", "fd00::3")
    assert target_number("", "fd00::2") >= target_number("224.0.0.0", "")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("tcp", "fd01::1", 8080), ("172.18.0.2", 80)),
        (("tcp", "fd01::1", 9049), ("172.18.0.2", 9049)),
        (("tcp", "fd01::1", 9050), None),
        (("udp", "fd01::1", 5353), ("172.18.0.2", 53)),
        (("udp", "fd01::2", 5353), None),
        (("udp", "fd01::1", 8080), None),
        (("sctp", "fd01::1", 8090), None),
    ],
)
def test_where_ports_lead(asked: tuple[str, str, int], found: tuple[str, int] | None) -> None:
    relayed = Relayed()
    relayed.add("172.18.0.2", PORTS)
    assert relayed.behind(*asked) == found
