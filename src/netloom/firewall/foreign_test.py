"""Other firewalls, from listings of their chains."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netloom.firewall.foreign import drops


def listing(*chains: dict[str, Any]) -> str:
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *({"chain": c} for c in chains)]})


def chain(name: str, family: str = "ip", table: str = "filter", **hook: Any) -> dict[str, Any]:
    return {"family": family, "table": table, "name": name, "handle": 1, **hook}


def forward(policy: str, **at: Any) -> dict[str, Any]:
    return chain(at.pop("name", "FORWARD"), type="filter", hook="forward", prio=0, policy=policy, **at)


def test_an_accepting_policy_is_nobodys_business() -> None:
    assert drops(listing(forward("accept"), chain("DOCKER-USER"))) == []
    assert drops(listing(forward("drop", table="netloom", family="inet"))) == []
    assert drops(listing(chain("INPUT", type="filter", hook="input", prio=0, policy="drop"))) == []


@pytest.mark.parametrize(
    ("family", "program", "place", "owner"),
    [
        ("ip", "iptables", "DOCKER-USER", "Docker"),
        ("ip6", "ip6tables", "DOCKER-USER", "Docker"),
        ("ip", "iptables", "ufw-user-forward", "ufw"),
        ("ip6", "ip6tables", "ufw6-user-forward", "ufw"),
    ],
)
def test_known_owners_keep_a_place(place: str, owner: str, family: str, program: str) -> None:
    (found,) = drops(listing(forward("drop", family=family), chain(place, family)))
    assert (found.owner, found.chain) == (owner, f"{family} filter FORWARD")
    assert found.add[:4] == (program, "-w", "-I", place)
    assert found.add[4:] == found.check[4:] == found.remove[4:]
    assert "0x40000000/0x40000000" in found.add


def test_the_place_must_be_of_the_same_table() -> None:
    (found,) = drops(listing(forward("drop", family="ip6"), chain("DOCKER-USER", "ip")))
    assert (found.owner, found.add) == ("", ())


def test_an_unknown_owner_is_told_by_name() -> None:
    (found,) = drops(listing(forward("drop", family="inet", table="corp", name="fw")))
    assert found.owner == ""
    assert "inet corp fw" in found.remedy
    assert found.add == found.remove == found.check == ()


def test_firewalld_rejects_behind_an_accepting_policy() -> None:
    (found,) = drops(listing(forward("accept", family="inet", table="firewalld", name="filter_FORWARD")))
    assert found.owner == "firewalld"
    assert "firewall-cmd" in found.remedy


def test_something_else_than_a_listing() -> None:
    with pytest.raises(ValueError):
        drops("Error: No such file")
