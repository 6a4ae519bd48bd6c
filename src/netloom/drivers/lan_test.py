"""Whose the gateway's address is decides what a bridge is: pure, on facts of a host."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from netloom.drivers import lan
from netloom.drivers.bridge import BridgeDriver, bridge_addresses
from netloom.model.desired import Address, Bridge, HostFacts, HostLink, Parent, Port, Sysctl, Veth
from netloom.model.endpoint import Endpoint
from netloom.model.errors import Conflict, Failed, InvalidArgument
from netloom.model.network import IpamConfig, Network, NetworkRequest

DRIVER = BridgeDriver()
NAME = "com.docker.network.bridge.name"
BR0 = HostLink("br0", 9, kind="bridge", mtu=1400, addresses=("192.0.2.5/24", "10.0.0.1/8"))
FACTS = HostFacts(
    interfaces=(
        HostLink("lo", 1, addresses=("127.0.0.1/8",)),
        HostLink("eth0", 2, addresses=("198.51.100.2/24",)),
        HostLink("eth1", 3, mtu=9000),
        HostLink("eth2", 4, master="br0"),
        BR0,
    ),
    uplinks=("eth0",),
)
ROUTER = "DefaultGatewayIPv4"


def network(bridge: str = "br-111111111111", gateway: str = "192.0.2.1", **changes: Any) -> Network:
    given: dict[str, Any] = {
        "id": "1" * 64,
        "name": "net1",
        "created": 0,
        "driver": "bridge",
        "number": 1,
        "bridge": bridge,
        "pools": (IpamConfig(subnet="192.0.2.0/24", gateway=gateway),),
    }
    return Network(**(given | changes))


def on_parent(parent: str = "eth1", **changes: Any) -> Network:
    options = {"parent": parent, **changes.pop("options", {})}
    return lan.placed(network(options=options, **changes), FACTS)


def endpoint() -> Endpoint:
    return Endpoint(
        id="e" * 64,
        network="1" * 64,
        container="c" * 64,
        sandbox="5" * 64,
        number=2,
        host_name="nl0",
        inner_name="eth0",
        inner_index=2,
        mac="02:00:00:00:00:01",
        ipv4="192.0.2.64/24",
        gateway4="192.0.2.1",
        default4=True,
    )


def test_an_ordinary_bridge_stays_what_it_was() -> None:
    assert lan.placed(network(), FACTS) == network()


def test_a_parent_is_a_port_and_the_bridge_has_no_address() -> None:
    of = on_parent()
    assert (of.lan, of.adopted, of.mtu) == (True, False, 9000)
    objects = DRIVER.network(of, FACTS)
    assert [o for o in objects if isinstance(o, (Address, Sysctl))] == []
    assert [o for o in objects if isinstance(o, Port)] == [Port("eth1", "br-111111111111", 1_000_001)]
    (bridge,) = (o for o in objects if isinstance(o, Bridge))
    assert not bridge.ipv6


def test_the_host_has_the_gateway_where_a_router_stands_beside_it() -> None:
    pools = (IpamConfig(subnet="192.0.2.0/24", gateway="192.0.2.9", aux={ROUTER: "192.0.2.1"}),)
    assert bridge_addresses(on_parent(pools=pools)) == ["192.0.2.9/24"]
    inhibited = {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert bridge_addresses(on_parent(pools=pools, options=inhibited)) == []


def test_a_vlan_is_made_for_the_port() -> None:
    objects = DRIVER.network(on_parent("eth1.10"), FACTS)
    assert [(o.name, o.base, o.vlan) for o in objects if isinstance(o, Parent)] == [("eth1.10", "eth1", 10)]
    assert [o.link for o in objects if isinstance(o, Port)] == ["eth1.10"]
    assert DRIVER.needs(on_parent("eth1.10"), FACTS) == ["vlan"]


def test_a_port_of_somebody_elses_bridge_is_not_taken_from_there() -> None:
    assert not [o for o in DRIVER.network(on_parent("eth2"), FACTS) if isinstance(o, Port)]


@pytest.mark.parametrize(
    ("gateway", "options", "is_lan", "given"),
    [
        ("192.0.2.5", {}, False, ()),  # the host has it
        ("192.0.2.1", {}, True, ()),  # a machine of the LAN has it
        ("192.0.2.5", {"com.docker.network.bridge.inhibit_ipv4": "true"}, False, ()),
    ],
)
def test_an_adopted_bridge(gateway: str, options: dict[str, str], is_lan: bool, given: tuple[str, ...]) -> None:
    of = lan.placed(network("br0", gateway, options=options), FACTS)
    assert (of.adopted, of.lan, of.given, of.mtu) == (True, is_lan, given, 1400)


def test_a_gateway_that_nobody_has_is_added() -> None:
    pools = (IpamConfig(subnet="172.20.0.0/16", gateway="172.20.0.1"),)
    of = lan.placed(network("br0", pools=pools), FACTS)
    assert (of.lan, of.given) == (False, ("172.20.0.1/16",))
    addresses = [o for o in DRIVER.network(of, FACTS) if isinstance(o, Address)]
    assert addresses == [Address("br0", 9, "172.20.0.1/16")]
    assert not [o for o in DRIVER.network(of, FACTS) if isinstance(o, Bridge)]
    inhibited = {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert lan.placed(network("br0", pools=pools, options=inhibited), FACTS).lan


def test_the_hosts_own_way_out_is_a_lan() -> None:
    facts = msgspec.structs.replace(FACTS, uplinks=("br0",))
    assert lan.placed(network("br0", "192.0.2.5"), facts).lan


def test_a_bridge_that_has_gone_leaves_ports_of_nothing() -> None:
    of = lan.placed(network("br0", "192.0.2.5"), FACTS)
    (veth,) = (o for o in DRIVER.endpoint(of, endpoint(), HostFacts()) if isinstance(o, Veth))
    assert (veth.master, veth.master_index) == ("", 0)
    with pytest.raises(Failed, match="bridge br0 of network net1 is not there"):
        DRIVER.admit(of, "web", "", (), HostFacts())


def test_what_a_bridge_says_completes_the_request() -> None:
    asked = NetworkRequest(driver="bridge", ipv4=True, ipv6=False, options={NAME: "br0"})
    assert lan.completed(asked, FACTS).ipam_config == (IpamConfig(subnet="192.0.2.0/24", gateway="192.0.2.5"),)
    named = msgspec.structs.replace(asked, ipam_config=(IpamConfig(subnet="10.0.0.0/8"),))
    assert lan.completed(named, FACTS).ipam_config == (IpamConfig(subnet="10.0.0.0/8", gateway="10.0.0.1"),)
    told = msgspec.structs.replace(asked, ipam_config=(IpamConfig(subnet="10.0.0.0/8", gateway="10.9.9.9"),))
    assert lan.completed(told, FACTS) == told
    wrong = msgspec.structs.replace(asked, ipam_config=(IpamConfig(subnet="nonsense"),))
    assert lan.completed(wrong, FACTS) == wrong
    other = msgspec.structs.replace(asked, options={NAME: "eth0"})
    assert lan.completed(other, FACTS) == other


@pytest.mark.parametrize(
    ("parent", "error", "told"),
    [
        ("eth0", Conflict, "has addresses, which stop working"),
        ("eth2", Conflict, "is a port of br0 already"),
        ("br0", InvalidArgument, "is a bridge"),
        ("nope", Failed, "invalid subinterface vlan name nope"),
    ],
)
def test_who_can_be_no_port(parent: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        DRIVER.check(on_parent(parent), [], FACTS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bridge.gateway_mode_ipv4", "routed"),
        ("bridge.gateway_mode_ipv6", "nat"),
        ("bridge.host_binding_ipv4", "192.0.2.7"),
        ("bridge.trusted_host_interfaces", "eth0"),
        ("bridge.enable_ip_masquerade", "true"),
        ("host_ipv4", "192.0.2.7"),
        ("host_ipv6", "2001:db8::7"),
    ],
)
def test_options_of_a_router_mean_nothing_on_a_lan(key: str, value: str) -> None:
    with pytest.raises(InvalidArgument, match=f"option com.docker.network.{key} means nothing on network net1"):
        DRIVER.check(on_parent(options={f"com.docker.network.{key}": value}), [], FACTS)


def test_a_lan_may_be_told_not_to_be_masqueraded_and_how_wide_it_is() -> None:
    DRIVER.check(on_parent(options={"com.docker.network.bridge.enable_ip_masquerade": "false"}), [], FACTS)
    narrow = on_parent(mtu=1400, options={"com.docker.network.driver.mtu": "1400"})
    assert (narrow.mtu, on_parent(mtu=1400).mtu) == (1400, 9000)


def test_what_cannot_be_on_a_lan() -> None:
    with pytest.raises(InvalidArgument, match="cannot be internal"):
        DRIVER.check(on_parent(internal=True), [], FACTS)
    with pytest.raises(InvalidArgument, match="bridge br0 is there already"):
        DRIVER.check(on_parent(bridge="br0"), [], FACTS)


def test_a_parent_has_one_network() -> None:
    other = on_parent(id="2" * 64, name="net2", bridge="br-2")
    with pytest.raises(Conflict, match=r"bridge network net2 .* is already using parent interface eth1"):
        DRIVER.check(on_parent(), [other], FACTS)
