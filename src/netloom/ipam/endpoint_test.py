import pytest

from netloom.ipam.endpoint import check_endpoint
from netloom.model.endpoint import EndpointConfig, EndpointIpam
from netloom.model.errors import InvalidArgument
from netloom.model.network import IpamConfig

N1 = (IpamConfig(subnet="10.50.0.0/24", ip_range="10.50.0.128/25"),)
NO_SUBNET = "user specified IP address is supported only when connecting to networks with user configured subnets"


def ipam(ipv4: str = "", ipv6: str = "", *link_local: str) -> EndpointConfig:
    return EndpointConfig(ipam=EndpointIpam(ipv4=ipv4, ipv6=ipv6, link_local=link_local))


@pytest.mark.parametrize(
    ("config", "network", "requested", "expected"),
    [
        (ipam("10.99.0.5"), "n1", N1, "no configured subnet or ip-range contain the IP address 10.99.0.5"),
        (
            ipam("10.50.0.x"),
            "n1",
            N1,
            "* invalid IPv4 address: 10.50.0.x\n* no configured subnet or ip-range contain the IP address 10.50.0.x",
        ),
        (
            ipam("fd00::1"),
            "n1",
            N1,
            "* invalid IPv4 address: fd00::1\n* no configured subnet or ip-range contain the IP address fd00::1",
        ),
        (ipam("172.18.0.99"), "n2", (), NO_SUBNET),
        (ipam("", "fd00:51::5"), "n1", N1, NO_SUBNET),
        (ipam("", "10.50.0.5"), "n1", N1, f"* invalid IPv6 address: 10.50.0.5\n* {NO_SUBNET}"),
        (
            ipam("0.0.0.0"),
            "n1",
            N1,
            "* invalid IPv4 address: 0.0.0.0\n* no configured subnet or ip-range contain the IP address 0.0.0.0",
        ),
        (
            ipam("x", "y", "z"),
            "f15",
            (IpamConfig(subnet="fd00::/64"),),
            (
                "* invalid IPv4 address: x\n* invalid IPv6 address: y\n* invalid link-local IP address: z\n"
                f"* {NO_SUBNET}\n* no configured subnet or ip-range contain the IP address y"
            ),
        ),
        (
            ipam("172.17.0.99"),
            "bridge",
            (),
            f"* user specified IP address is supported on user defined networks only\n* {NO_SUBNET}",
        ),
        (
            ipam("172.17.0.99"),
            "bridge",
            None,
            "user specified IP address is supported on user defined networks only",
        ),
        (
            EndpointConfig(aliases=("q",)),
            "default",
            (),
            "network-scoped alias is supported only for containers in user defined networks",
        ),
    ],
)
def test_sentences(
    config: EndpointConfig, network: str, requested: tuple[IpamConfig, ...] | None, expected: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_endpoint(config, network, requested)
    assert caught.value.message == "invalid endpoint settings:\n" + expected


def test_the_faults_of_its_options_are_told_with_the_others() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_endpoint(ipam("x"), "n1", None, ["this", "that"])
    assert caught.value.message == "invalid endpoint settings:\n* invalid IPv4 address: x\n* this\n* that"


def test_link_local_must_be_link_local() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_endpoint(ipam("", "", "169.254.1.1", "10.1.1.1"), "n2", ())
    assert caught.value.message == "invalid link local IP address: 10.1.1.1"


def test_good_ones_pass() -> None:
    check_endpoint(EndpointConfig(), "bridge", ())
    check_endpoint(EndpointConfig(aliases=("x",)), "n1", N1)
    check_endpoint(ipam("10.50.0.9", "", "fe80::9", "169.254.7.7"), "n1", N1)  # outside the range, inside the subnet
    check_endpoint(ipam("10.50.0.9"), "n1", None)


@pytest.mark.parametrize("requested", [N1, None])
def test_a_mac_address_is_looked_at_first(requested: tuple[IpamConfig, ...] | None) -> None:
    config = EndpointConfig(mac="zz", ipam=EndpointIpam(ipv4="x"))
    with pytest.raises(InvalidArgument, match=r"^invalid MAC address zz$"):
        check_endpoint(config, "n1", requested)
