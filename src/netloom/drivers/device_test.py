"""Device networks: one interface, one container, and what cannot be lent."""

from __future__ import annotations

import pytest

from netloom.drivers.device import DeviceDriver, lends
from netloom.drivers.lan_test import FACTS, endpoint, network
from netloom.model.desired import Child, HostFacts
from netloom.model.errors import Conflict, Failed, InvalidArgument
from netloom.model.network import Network, NetworkRequest

DRIVER = DeviceDriver()


def of(parent: str = "eth1", **changes: object) -> Network:
    return network("", driver="device", options={"parent": parent}, **changes)


def test_all_stands_inside_wherever_the_interface_is_now() -> None:
    assert lends(of())
    assert DRIVER.network(of(), FACTS) == []
    objects = DRIVER.endpoint(of(), endpoint(), FACTS)
    assert objects == DRIVER.endpoint(of(), endpoint(), HostFacts())
    (child,) = (o for o in objects if isinstance(o, Child))
    assert (child.kind, child.parent, child.mac) == ("device", "eth1", "02:00:00:00:00:01")
    assert {getattr(o, "sandbox", "") for o in objects} == {"5" * 64}


def test_the_parent_must_be_named() -> None:
    with pytest.raises(InvalidArgument, match="needs option parent"):
        DRIVER.options(NetworkRequest(), "1" * 64, 1500)


@pytest.mark.parametrize("key", ["macvlan_mode", "host_access", "com.docker.network.advertise_addr_ms"])
def test_the_parent_is_the_only_option(key: str) -> None:
    with pytest.raises(InvalidArgument, match=f"unknown option {key} for network driver device"):
        DRIVER.options(NetworkRequest(options={"parent": "eth1", key: "300"}), "1" * 64, 1500)


@pytest.mark.parametrize(
    ("parent", "told"),
    [
        ("eth0", "has addresses, which are lost"),
        ("eth2", "is a port of br0"),
        ("br0", "is a bridge, which has ports"),
        ("eth9", "was not found on the host"),
    ],
)
def test_what_cannot_be_lent(parent: str, told: str) -> None:
    with pytest.raises((Conflict, InvalidArgument), match=told):
        DRIVER.check(of(parent), [], FACTS)


def test_one_at_a_time() -> None:
    DRIVER.admit(of(), "web", "", (), FACTS)
    with pytest.raises(Conflict, match="parent interface eth1 of network net1 is in container cccccccccccc"):
        DRIVER.admit(of(), "db", "", (endpoint(),), FACTS)
    with pytest.raises(Failed, match="parent interface eth1 of network net1 is not there"):
        DRIVER.admit(of(), "web", "", (), HostFacts())
    with pytest.raises(Conflict, match="is already using parent interface eth1"):
        DRIVER.check(of(), [of(id="2" * 64, name="net2")], FACTS)
