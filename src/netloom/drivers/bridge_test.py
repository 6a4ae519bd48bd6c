"""The bridge driver: desired objects as goldens, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from netloom.drivers.bridge import INDEX_BASE, BridgeDriver
from netloom.drivers.driver import Driver
from netloom.firewall.elements import text
from netloom.model.desired import Bridge, Desired, Element, HostFacts, HostLink, Route, Veth
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.errors import Failed, Forbidden, InvalidArgument
from netloom.model.network import IpamConfig, Network, NetworkRequest
from netloom.testing.golden import check_golden

TESTDATA = Path(__file__).parent / "testdata"
FACTS = HostFacts()
DRIVER: Driver = BridgeDriver()

POOL4 = IpamConfig(subnet="172.18.0.0/16", gateway="172.18.0.1")
POOL6 = IpamConfig(subnet="fd00:18::/64", gateway="fd00:18::1")


def network(**changes: Any) -> Network:
    given: dict[str, Any] = {
        "id": "0123456789abcdef" * 4,
        "name": "app",
        "created": 0,
        "driver": "bridge",
        "number": 7,
        "pools": (POOL4,),
        "bridge": "br-0123456789ab",
    }
    return Network(**(given | changes))


def endpoint(**changes: Any) -> Endpoint:
    given: dict[str, Any] = {
        "id": "fedcba9876543210" * 4,
        "network": "0123456789abcdef" * 4,
        "container": "c" * 64,
        "sandbox": "5" * 64,
        "number": 9,
        "host_name": "nlfedcba987654",
        "inner_name": "eth0",
        "inner_index": 2,
        "mac": "aa:72:5e:ab:4b:78",
        "ipv4": "172.18.0.2/16",
        "gateway4": "172.18.0.1",
        "default4": True,
    }
    return Endpoint(**(given | changes))


def port(host_ip: str, host_port: int = 8080, proto: str = "tcp") -> PortBinding:
    return PortBinding(proto=proto, container_port=80, host_ip=host_ip, host_port=host_port)


def table(objects: list[Desired]) -> str:
    """One line for each object: kind, then its fields that are not empty."""
    lines = []
    for o in objects:
        if isinstance(o, Element):
            lines.append(f"element {o.set} {text(o)}")
            continue
        fields = ((f, getattr(o, f)) for f in o.__struct_fields__)
        words = [f"{f}={'5…' if f == 'sandbox' else v}" for f, v in fields if v not in ("", False)]
        lines.append(f"{type(o).__name__.lower()} {' '.join(words)}")
    return "\n".join(lines) + "\n"


DUAL = network(ipv6=True, pools=(POOL4, POOL6))
INTERNAL = network(internal=True)
ROUTED = network(ipv6=True, pools=(POOL4, POOL6), options={"com.docker.network.bridge.gateway_mode_ipv4": "routed"})
TRUSTING = network(options={"com.docker.network.bridge.trusted_host_interfaces": "eth0:eth1"})

ISOLATED = network(
    internal=True,
    ipv6=True,
    pools=(POOL4, POOL6),
    options={f"com.docker.network.bridge.gateway_mode_ipv{family}": "isolated" for family in (4, 6)},
)

NETWORKS = {
    "plain": network(mtu=1400),
    "dual": DUAL,
    "internal": INTERNAL,
    "unmasqueraded": network(options={"com.docker.network.bridge.enable_ip_masquerade": "0"}),
    "inhibited": network(options={"com.docker.network.bridge.inhibit_ipv4": "true"}),
    "apart": network(options={"com.docker.network.bridge.enable_icc": "false"}),
    "routed": ROUTED,
    "trusting": TRUSTING,
    "named": network(options={"com.docker.network.host_ipv4": "192.0.2.1"}),
    "isolated": network(internal=True, options={"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}),
    "isolated-dual": ISOLATED,
    "ipv6-only": network(ipv4=False, ipv6=True, pools=(POOL6,)),
}
ENDPOINTS = {
    "plain": (network(), endpoint()),
    "dual": (DUAL, endpoint(ipv6="fd00:18::2/64", gateway6="fd00:18::1", default6=True)),
    "published": (
        DUAL,
        endpoint(ipv6="fd00:18::2/64", ports=(port("0.0.0.0"), port("::"), port("127.0.0.1", 53, "udp"))),
    ),
    "published-ipv4-only": (network(), endpoint(ports=(port("10.0.0.1"), port("::")))),
    "routed": (ROUTED, endpoint(ipv6="fd00:18::2/64", ports=(port("0.0.0.0", 0), port("::")))),
    "trusting": (TRUSTING, endpoint(ports=(port("0.0.0.0"), port("::")))),
    "unguarded": (network(options={"netloom.guard": "false"}), endpoint()),
    "lenient": (network(options={"netloom.guard.ethertypes": "88cc"}), endpoint(further=("10.0.0.9",))),
    "routing": (DUAL, endpoint(ipv6="fd00:18::2/64", routing=True)),
    "apart": (network(options={"com.docker.network.bridge.enable_icc": "false"}), endpoint()),
    "second-of-its-container": (network(), endpoint(inner_name="eth1", inner_index=3, default4=False)),
    "internal": (INTERNAL, endpoint(ports=(port("0.0.0.0"),))),
    "isolated-dual": (ISOLATED, endpoint(ipv6="fd00:18::2/64")),
    "sysctls": (
        network(),
        endpoint(sysctls=(("net.ipv4.conf.eth0.log_martians", "1"),), link_local=("169.254.7.7",)),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str) -> None:
    check_golden(TESTDATA / f"network-{name}.txt", table(DRIVER.network(NETWORKS[name], FACTS)))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoint(name: str) -> None:
    check_golden(TESTDATA / f"endpoint-{name}.txt", table(DRIVER.endpoint(*ENDPOINTS[name], FACTS)))


def test_equal_input_gives_equal_output_and_keys_are_unique() -> None:
    for of, one in ENDPOINTS.values():
        objects = DRIVER.network(of, FACTS) + DRIVER.endpoint(of, one, FACTS)
        assert objects == DRIVER.network(of, FACTS) + DRIVER.endpoint(of, one, FACTS)
        assert len({o.key for o in objects}) == len(objects)


def test_an_endpoint_costs_the_same_whatever_else_there_is() -> None:
    of = network()
    first = DRIVER.endpoint(of, endpoint(ports=(port("0.0.0.0"),)), FACTS)
    later = DRIVER.endpoint(of, endpoint(number=900, ipv4="172.18.3.9/16", ports=(port("0.0.0.0", 9),)), FACTS)
    assert [type(o) for o in first] == [type(o) for o in later]


def test_no_default_route_out_of_an_internal_network() -> None:
    assert not [o for o in DRIVER.endpoint(INTERNAL, endpoint(), FACTS) if isinstance(o, Route)]


def test_macs_are_unicast_and_ours_and_survive() -> None:
    bridge = next(o for o in DRIVER.network(network(), FACTS) if isinstance(o, Bridge))
    veth = next(o for o in DRIVER.endpoint(network(), endpoint(), FACTS) if isinstance(o, Veth))
    for mac in (bridge.mac, veth.mac):
        assert int(mac[:2], 16) & 3 == 2
    assert bridge.index == INDEX_BASE + 7
    assert veth.index == INDEX_BASE + 9


def test_an_endpoint_without_sandbox_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no sandbox"):
        DRIVER.endpoint(network(), endpoint(sandbox=""), FACTS)


def test_a_configuration_makes_nothing() -> None:
    assert DRIVER.network(network(config_only=True, bridge=""), FACTS) == []


def test_options_are_shown_as_written() -> None:
    written = {"com.docker.network.bridge.enable_icc": "1", "com.docker.network.driver.mtu": "+1400"}
    assert DRIVER.options(NetworkRequest(options=written), "ab" * 32, 1500) == (written, 1400, "br-abababababab")
    assert DRIVER.options(NetworkRequest(), "ab" * 32, 9000) == ({}, 9000, "br-abababababab")
    zero = {"com.docker.network.driver.mtu": "0", "com.docker.network.bridge.name": "mine"}
    assert DRIVER.options(NetworkRequest(options=zero), "ab" * 32, 1500) == (zero, 1500, "mine")


def test_only_the_predefined_network_is_the_default_bridge() -> None:
    options = {"com.docker.network.bridge.default_bridge": "true"}
    assert DRIVER.options(NetworkRequest(name="bridge", options=options), "ab" * 32, 1500)[0] == options
    with pytest.raises(InvalidArgument):
        DRIVER.options(NetworkRequest(name="mine", options=options), "ab" * 32, 1500)


def test_two_subnets_of_one_family() -> None:
    second = IpamConfig(subnet="10.54.0.0/24", gateway="10.54.0.1")
    with pytest.raises(Forbidden) as error:
        DRIVER.check(network(pools=(POOL4, second)), [])
    assert error.value.sentence == "bridge driver doesn't support multiple subnets"
    DRIVER.check(DUAL, [])


def test_no_router_for_an_internal_network() -> None:
    driver = BridgeDriver()
    pools = (IpamConfig(subnet="fd00:1::/64", gateway="fd00:1::1", aux={"DefaultGatewayIPv6": "fd00:1::9"}),)
    driver.check(network(pools=pools), [])
    with pytest.raises(InvalidArgument, match="no gateway can be set on an internal bridge network"):
        driver.check(network(pools=pools, internal=True), [])


def test_a_bridge_name_that_another_network_has() -> None:
    other = msgspec.structs.replace(network(), id="e" * 64, bridge="docker0")
    mine = msgspec.structs.replace(network(), id="b" * 64, bridge="docker0")
    with pytest.raises(Forbidden) as error:
        DRIVER.check(mine, [network(), other])
    assert error.value.sentence == (
        f"cannot create network {'b' * 64} (docker0): conflicts with network {'e' * 64} (docker0):"
        " networks have same bridge name"
    )


def test_an_interface_that_stands_is_not_taken_over() -> None:
    with pytest.raises(Failed, match=r"^existing interface up0 is not a bridge"):
        DRIVER.check(network(bridge="up0"), [], HostFacts(interfaces=(HostLink("up0", 2),)))
    DRIVER.check(network(bridge="up0"), [])
