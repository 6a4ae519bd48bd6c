"""Options of networks and endpoints: Docker 28.5's sentences, and what netloom refuses besides."""

from __future__ import annotations

import pytest

from netloom.drivers.bridge_options import KNOWN, BridgeOptions
from netloom.drivers.endpoint_options import endpoint_faults, endpoint_options, further_addresses
from netloom.drivers.options import enabled
from netloom.firewall.elements import Way
from netloom.model.errors import Failed, InvalidArgument, NetloomError
from netloom.model.network import NetworkRequest

P = "com.docker.network."


def bool_fault(key: str, value: str) -> str:
    return f'failed to parse {key} value: {value} (strconv.ParseBool: parsing "{value}": invalid syntax)'


@pytest.mark.parametrize(
    ("key", "value", "kind", "sentence"),
    [
        ("driver.mtu", "big", InvalidArgument, 'value: big (strconv.Atoi: parsing "big": invalid syntax)'),
        ("driver.mtu", "", InvalidArgument, 'value:  (strconv.Atoi: parsing "": invalid syntax)'),
        ("driver.mtu", "1_400", InvalidArgument, 'value: 1_400 (strconv.Atoi: parsing "1_400": invalid syntax)'),
        (
            "driver.mtu",
            "9" * 20,
            InvalidArgument,
            f'value: {"9" * 20} (strconv.Atoi: parsing "{"9" * 20}": value out of range)',
        ),
        ("driver.mtu", "-1", InvalidArgument, "invalid MTU number: -1"),
        ("driver.mtu", "10", Failed, "invalid argument"),
        ("driver.mtu", "65536", Failed, "invalid argument"),
        ("bridge.enable_icc", "perhaps", InvalidArgument, bool_fault(f"{P}bridge.enable_icc", "perhaps")),
        ("bridge.enable_ip_masquerade", "", InvalidArgument, bool_fault(f"{P}bridge.enable_ip_masquerade", "")),
        ("bridge.inhibit_ipv4", "yes", InvalidArgument, bool_fault(f"{P}bridge.inhibit_ipv4", "yes")),
        ("bridge.gateway_mode_ipv4", "odd", InvalidArgument, "value: odd (unknown gateway mode odd)"),
        ("bridge.gateway_mode_ipv6", "", InvalidArgument, "value:  (unknown gateway mode )"),
        (
            "bridge.gateway_mode_ipv4",
            "isolated",
            Failed,
            "gateway mode 'isolated' can only be used for an internal network",
        ),
        ("bridge.host_binding_ipv4", "x", InvalidArgument, "value: x (nil ip)"),
        ("host_ipv4", "x", InvalidArgument, "value: x (nil ip)"),
        ("bridge.name", "a" * 16, Failed, "numerical result out of range"),
        ("bridge.name", "a b", InvalidArgument, "invalid argument"),
        ("bridge.name", "a/b", InvalidArgument, "invalid argument"),
        ("bridge.name", ".", InvalidArgument, "invalid argument"),
        ("advertise_addr_nmsgs", "4", Failed, f"{P}advertise_addr_nmsgs must be in the range 0 to 3"),
        ("advertise_addr_nmsgs", "x", Failed, f'value for option {P}advertise_addr_nmsgs "x" must be an integer'),
        ("advertise_addr_ms", "50", Failed, f"{P}advertise_addr_ms must be in the range 100 to 2000"),
        (
            "advertise_addr_ms",
            "100ms",
            Failed,
            f'value for option {P}advertise_addr_ms "100ms" must be integer milliseconds',
        ),
        # not Docker's: it takes these and does something else, or nothing
        ("bridge.nosuch", "1", InvalidArgument, f"unknown option {P}bridge.nosuch for network driver bridge"),
        ("container_iface_prefix", "waytoolongprefix1", InvalidArgument, f"invalid {P}container_iface_prefix value"),
        ("container_iface_prefix", "a/b", InvalidArgument, f"invalid {P}container_iface_prefix value"),
        ("host_ipv4", "fd00::1", InvalidArgument, f"failed to parse {P}host_ipv4 value: fd00::1"),
        ("host_ipv6", "192.0.2.1", InvalidArgument, f"failed to parse {P}host_ipv6 value: 192.0.2.1"),
        ("bridge.trusted_host_interfaces", "eth0:a/b", InvalidArgument, "invalid argument"),
    ],
)
def test_refused(key: str, value: str, kind: type[NetloomError], sentence: str) -> None:
    with pytest.raises(NetloomError) as error:
        BridgeOptions.parse({P + key: value})
    assert type(error.value) is kind
    assert sentence in error.value.sentence


def test_gateway_modes() -> None:
    parsed = BridgeOptions.parse(
        {
            f"{P}bridge.gateway_mode_ipv4": "routed",
            f"{P}bridge.gateway_mode_ipv6": "nat-unprotected",
            f"{P}host_ipv6": "::A",
        }
    )
    assert parsed.routed == {4}
    assert parsed.ways == (Way(4, masquerade=False, reached="routed"), Way(6, source="::a", reached="unprotected"))
    isolated = BridgeOptions.parse({f"{P}bridge.gateway_mode_ipv4": "isolated"}, internal=True)
    assert isolated.ways == (Way(4, masquerade=False), Way(6))
    unmasked = BridgeOptions.parse({f"{P}bridge.enable_ip_masquerade": "false"})
    assert unmasked.ways == (Way(4, masquerade=False), Way(6, masquerade=False))
    trusting = BridgeOptions.parse({f"{P}bridge.trusted_host_interfaces": "eth0:eth1::eth0"})
    assert trusting.trusted == ("eth0", "eth1")


@pytest.mark.parametrize("value", ["x", "0800", "0x0806", "86dd", "0x8100", "88a8", "05ff", "10000", "88cc x"])
def test_what_the_guard_cannot_let_through(value: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^failed to parse netloom\.guard\.ethertypes value"):
        BridgeOptions.parse({"netloom.guard.ethertypes": value})


def test_the_guard_is_on_unless_switched_off() -> None:
    assert BridgeOptions.parse({}).guard
    assert not BridgeOptions.parse({"netloom.guard": "0"}).guard
    assert BridgeOptions.parse({"netloom.guard.ethertypes": "0x88cc, 8863,88cc"}).ethertypes == (0x88CC, 0x8863)
    with pytest.raises(InvalidArgument, match=r"netloom\.guard value: maybe"):
        BridgeOptions.parse({"netloom.guard": "maybe"})


def test_further_addresses() -> None:
    given = {"netloom.endpoint.addresses": "10.0.0.9,fd00::0:9 192.0.2.1"}
    assert not endpoint_faults(given)
    assert further_addresses(given) == ("10.0.0.9", "fd00::9", "192.0.2.1")
    assert further_addresses({}) == ()


@pytest.mark.parametrize("address", ["10.0.0.0/24", "x", "0.0.0.0", "224.0.0.1", "::1", "fe80::1%eth0"])
def test_what_cannot_be_a_further_address(address: str) -> None:
    (fault,) = endpoint_faults({"netloom.endpoint.addresses": address})
    assert fault.startswith(f"invalid netloom.endpoint.addresses value: {address}")


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan", "device"])
def test_where_any_address_may_be_sent_from_none_is_added(driver: str) -> None:
    (fault,) = endpoint_faults({"netloom.endpoint.addresses": "10.0.0.9"}, driver)
    assert fault.startswith(f"option netloom.endpoint.addresses means nothing on a {driver} network")


def test_an_unknown_option_is_told_the_known_ones() -> None:
    with pytest.raises(InvalidArgument) as error:
        BridgeOptions.parse({"com.example.unknown": "1"})
    assert all(key in error.value.remedy for key in KNOWN)


def test_ipv6_needs_room() -> None:
    BridgeOptions.parse({f"{P}driver.mtu": "1279"})
    with pytest.raises(Failed, match="1280"):
        BridgeOptions.parse({f"{P}driver.mtu": "1279"}, ipv6=True)


def test_accepted() -> None:
    parsed = BridgeOptions.parse(
        {
            f"{P}driver.mtu": "1400",
            f"{P}bridge.name": "mine",
            f"{P}bridge.enable_icc": "T",
            f"{P}bridge.enable_ip_masquerade": "False",
            f"{P}bridge.host_binding_ipv4": "::1",
            f"{P}bridge.gateway_mode_ipv4": "nat",
            f"{P}container_iface_prefix": "net",
            f"{P}advertise_addr_nmsgs": "0",
            f"{P}advertise_addr_ms": "100",
            f"{P}enable_ipv6": "true",
        }
    )
    assert parsed == BridgeOptions(
        mtu=1400,
        name="mine",
        iface_prefix="net",
        masquerade=False,
        host_binding="::1",
        advertise_count=0,
        advertise_interval=100,
    )
    assert BridgeOptions.parse({}) == BridgeOptions()


@pytest.mark.parametrize(
    ("request_", "families"),
    [
        (NetworkRequest(), (True, False)),
        (NetworkRequest(ipv4=False, ipv6=True), (False, True)),
        (NetworkRequest(options={f"{P}enable_ipv6": "1", f"{P}enable_ipv4": "0"}), (False, True)),
        (NetworkRequest(ipv6=False, options={f"{P}enable_ipv6": "1"}), (True, False)),
    ],
)
def test_families_by_option(request_: NetworkRequest, families: tuple[bool, bool]) -> None:
    assert enabled(request_) == families


def test_families_that_are_no_truth() -> None:
    with pytest.raises(InvalidArgument) as error:
        enabled(NetworkRequest(options={f"{P}enable_ipv6": "x"}))
    assert error.value.sentence == f'driver-opt "{P}enable_ipv6" is not a valid bool'


E = "com.docker.network.endpoint."


def test_endpoint_options() -> None:
    assert endpoint_options({}, "eth0") == ("eth0", ())
    assert endpoint_options({f"{E}ifname": ""}, "eth0") == ("eth0", ())
    settings = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2"
    assert endpoint_options({f"{E}ifname": "web.1", f"{E}sysctls": settings}, "eth0") == (
        "web.1",
        (("net.ipv4.conf.web/1.log_martians", "1"), ("net.ipv6.conf.web/1.accept_ra", "2")),
    )


def test_the_place_of_the_interface_in_lower_case() -> None:
    # the docker CLI lowers what stands in `--network …,driver-opt=`
    _, sysctls = endpoint_options({f"{E}sysctls": "net.ipv4.conf.ifname.log_martians=1"}, "eth3")
    assert sysctls == (("net.ipv4.conf.eth3.log_martians", "1"),)


@pytest.mark.parametrize(
    "setting",
    [
        "net.ipv4.conf.eth0.log_martians=1",
        "net.ipv4.ip_forward=1",
        "kernel.shmmax=1",
        "junk",
        "",
        "net.ipv4.conf.IFNAME.x",
    ],
)
def test_sysctls_that_are_not_of_the_interface(setting: str) -> None:
    (fault,) = endpoint_faults({f"{E}sysctls": setting})
    assert fault == (
        f"unrecognised network interface sysctl '{setting}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V',"
        " 'X' must be 'ipv4', 'ipv6' or 'mpls'"
    )


@pytest.mark.parametrize("path", ["net.ipv4.conf.IFNAME/../../../kernel.x=1", "net.ipv4.conf.IFNAME.a/b=1"])
def test_a_sysctl_does_not_climb(path: str) -> None:
    assert endpoint_faults({f"{E}sysctls": path})


@pytest.mark.parametrize("name", ["waytoolonginterfacename", "a/b", "lo", "a b", ".", "all"])
def test_names_that_no_interface_may_have(name: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot be the name"):
        endpoint_options({f"{E}ifname": name}, "eth0")


def test_unknown_endpoint_options() -> None:
    with pytest.raises(InvalidArgument, match="unknown endpoint option foo"):
        endpoint_options({"foo": "bar"}, "eth0")
