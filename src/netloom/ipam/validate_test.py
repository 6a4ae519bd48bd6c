import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.ipam.validate import check_config, parse_address, parse_prefix
from netloom.model.errors import InvalidArgument
from netloom.model.network import IpamConfig


def fault(*config: IpamConfig, ipv6: bool = True) -> str:
    with pytest.raises(InvalidArgument) as caught:
        check_config(config, ipv6=ipv6)
    text = caught.value.message
    assert text.startswith("invalid network config:\n")
    return text.removeprefix("invalid network config:\n")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (IpamConfig(subnet="banana"), "invalid subnet banana: invalid CIDR block notation"),
        (IpamConfig(subnet="10.55.0.0"), "invalid subnet 10.55.0.0: invalid CIDR block notation"),
        (IpamConfig(subnet="10.300.0.0/24"), "invalid subnet 10.300.0.0/24: invalid CIDR block notation"),
        (IpamConfig(subnet="010.75.0.0/24"), "invalid subnet 010.75.0.0/24: invalid CIDR block notation"),
        (IpamConfig(subnet="10.75.0.0/024"), "invalid subnet 10.75.0.0/024: invalid CIDR block notation"),
        (IpamConfig(subnet="10.75.0.0/33"), "invalid subnet 10.75.0.0/33: invalid CIDR block notation"),
        (
            IpamConfig(subnet="10.75.0.0/255.255.255.0"),
            "invalid subnet 10.75.0.0/255.255.255.0: invalid CIDR block notation",
        ),
        (IpamConfig(subnet="::ffff:10.75.0.0/120"), "invalid subnet ::ffff:10.75.0.0/120: invalid CIDR block notation"),
        (IpamConfig(subnet="10.55.0.7/24"), "invalid subnet 10.55.0.7/24: it should be 10.55.0.0/24"),
        (IpamConfig(subnet="FD00::7/64"), "invalid subnet fd00::7/64: it should be fd00::/64"),
        (IpamConfig(gateway="10.60.4.1"), "invalid subnet : invalid CIDR block notation"),
        (
            IpamConfig(subnet="10.60.0.0/24", gateway="10.61.0.1"),
            "invalid gateway 10.61.0.1: parent subnet 10.60.0.0/24 doesn't contain this address",
        ),
        (IpamConfig(subnet="10.60.3.0/24", gateway="gw"), "invalid gateway gw: invalid address"),
        (
            IpamConfig(subnet="10.62.0.0/24", ip_range="10.63.0.0/25"),
            "invalid ip-range 10.63.0.0/25: parent subnet 10.62.0.0/24 doesn't contain ip-range",
        ),
        (
            IpamConfig(subnet="10.62.0.0/24", ip_range="10.62.0.0/16"),
            "invalid ip-range 10.62.0.0/16: CIDR block is bigger than its parent subnet 10.62.0.0/24",
        ),
        (
            IpamConfig(subnet="10.62.1.0/24", ip_range="10.62.1.9/28"),
            "invalid ip-range 10.62.1.9/28: it should be 10.62.1.0/28",
        ),
        (IpamConfig(subnet="10.62.1.0/24", ip_range="x"), "invalid ip-range x: invalid CIDR block notation"),
        (
            IpamConfig(subnet="10.64.0.0/24", aux={"a": "10.65.0.1"}),
            "invalid auxiliary address a: parent subnet 10.64.0.0/24 doesn't contain this address",
        ),
        (
            IpamConfig(subnet="10.67.0.9/24", ip_range="10.99.0.0/25", gateway="10.98.0.1", aux={"a": "10.97.0.1"}),
            (
                "* invalid subnet 10.67.0.9/24: it should be 10.67.0.0/24\n"
                "* invalid ip-range 10.99.0.0/25: parent subnet 10.67.0.9/24 doesn't contain ip-range\n"
                "* invalid gateway 10.98.0.1: parent subnet 10.67.0.9/24 doesn't contain this address\n"
                "* invalid auxiliary address a: parent subnet 10.67.0.9/24 doesn't contain this address"
            ),
        ),
        (
            IpamConfig(subnet="10.75.0.0/24", ip_range="fd00::/64", gateway="fd00::1", aux={"y": "fd00::1", "x": "zz"}),
            (
                "* invalid ip-range fd00::/64: parent subnet is an IPv4 block\n"
                "* invalid gateway fd00::1: parent subnet is an IPv4 block\n"
                "* invalid auxiliary address x: invalid address\n"
                "* invalid auxiliary address y: parent subnet is an IPv4 block"
            ),
        ),
        (IpamConfig(subnet="0.0.0.0/0"), "invalid subnet 0.0.0.0/0: it says neither where nor how large"),
        (
            IpamConfig(subnet="::/96", gateway="fd00::1"),
            "invalid subnet ::/96: one chosen by its size has no gateway, ip-range or auxiliary address of yours",
        ),
        (
            IpamConfig(subnet="0.0.0.0/32"),
            "invalid subnet 0.0.0.0/32: addresses of this network (RFC 1122) cannot be given to an interface",
        ),
        (IpamConfig(subnet="127.3.0.0/24"), "invalid subnet 127.3.0.0/24: loopback addresses never leave a host"),
        (
            IpamConfig(subnet="224.0.0.0/24"),
            "invalid subnet 224.0.0.0/24: multicast addresses cannot be given to an interface",
        ),
    ],
)
def test_sentences(config: IpamConfig, expected: str) -> None:
    assert fault(config) == expected


def test_faults_of_several_entries_are_told_together() -> None:
    assert fault(IpamConfig(subnet="a"), IpamConfig(subnet="10.0.0.0/24"), IpamConfig(subnet="b")) == (
        "* invalid subnet a: invalid CIDR block notation\n* invalid subnet b: invalid CIDR block notation"
    )


def test_ipv6_entries_of_a_network_without_ipv6_are_skipped() -> None:
    check_config([IpamConfig(subnet="fd00::9/64", gateway="banana")], ipv6=False)
    assert fault(IpamConfig(subnet="fd00::9/zz"), ipv6=False).startswith("invalid subnet fd00::9/zz")


def test_good_ones_pass() -> None:
    check_config(
        [
            IpamConfig(subnet="10.0.0.0/24", ip_range="10.0.0.128/25", gateway="10.0.0.200", aux={"a": "10.0.0.7"}),
            IpamConfig(subnet="10.56.0.1/32"),
            IpamConfig(subnet="10.57.0.0/31"),
            IpamConfig(subnet="FD00:75:0::/64"),
            IpamConfig(subnet="fe80::/64"),
            IpamConfig(subnet="0.0.0.0/24"),
            IpamConfig(subnet="::/96"),
        ],
        ipv6=True,
    )


@given(st.text(max_size=30) | st.from_regex(r"[0-9a-f:.]{0,20}(/[0-9]{0,4})?", fullmatch=True))
def test_parsing_never_raises(text: str) -> None:
    prefix = parse_prefix(text)
    address = parse_address(text)
    assert prefix is None or "/" in text
    assert address is None or "/" not in text
