"""What of a host's settings is in the way."""

from __future__ import annotations

import msgspec
import pytest

from netloom.firewall.obstacles import rp_filter, strict_filters, switched_off
from netloom.model.desired import HostFacts, Sysctl

TWO = HostFacts(uplinks=("eth0", "wg0"))


def with_values(facts: HostFacts, **values: str) -> HostFacts:
    return msgspec.structs.replace(facts, sysctls=tuple((rp_filter(link), value) for link, value in values.items()))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"all": "0", "eth0": "0", "wg0": "0"}, []),
        ({"all": "1", "eth0": "0", "wg0": "2"}, ["eth0"]),
        ({"all": "2", "eth0": "1", "wg0": "1"}, []),
        ({"all": "0", "eth0": "1", "wg0": "1"}, ["eth0", "wg0"]),
        ({}, []),
    ],
)
def test_the_larger_value_holds(values: dict[str, str], found: list[str]) -> None:
    findings = strict_filters(with_values(TWO, **values))
    assert [one.between[1].split(",")[0] for one in findings] == found
    assert all("rp_filter=2" in one.remedy for one in findings)


def test_with_one_uplink_strictness_harms_nobody() -> None:
    assert strict_filters(with_values(HostFacts(uplinks=("eth0",)), all="1", eth0="1")) == []


def test_forwarding_that_somebody_switched_off() -> None:
    path = "net/ipv4/conf/eth0/forwarding"
    wanted = [Sysctl(path, "1"), Sysctl("net/ipv6/conf/eth0/accept_ra", "2")]
    (found,) = switched_off(wanted, HostFacts(sysctls=((path, "0"), ("net/ipv6/conf/eth0/accept_ra", "1"))))
    assert "sysctl -w net.ipv4.conf.eth0.forwarding=1" in found.remedy
    assert switched_off(wanted, HostFacts(sysctls=((path, "1"),))) == []
    assert switched_off(wanted, HostFacts()) == []
