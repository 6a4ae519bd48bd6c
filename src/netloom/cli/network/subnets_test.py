import pytest

from netloom.cli.errors import CliError
from netloom.cli.network.subnets import ipam_config


def test_each_finds_its_subnet() -> None:
    assert ipam_config(
        ["10.0.0.0/24", "fd00::/64"],
        ["fd00::100/120"],
        ["fd00::1", "10.0.0.9"],
        {"a": "10.0.0.5", "b": "fd00::5"},
    ) == [
        {"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.9", "AuxiliaryAddresses": {"a": "10.0.0.5"}},
        {
            "Subnet": "fd00::/64",
            "IPRange": "fd00::100/120",
            "Gateway": "fd00::1",
            "AuxiliaryAddresses": {"b": "fd00::5"},
        },
    ]
    assert ipam_config([], [], [], {}) == []


def test_what_the_daemon_judges_is_sent() -> None:
    assert ipam_config(["banana"], [], [], {}) == [{"Subnet": "banana"}]
    assert ipam_config(["10.0.0.7/24"], ["10.0.0.0/16"], [], {}) == [
        {"Subnet": "10.0.0.7/24", "IPRange": "10.0.0.0/16"}
    ]


@pytest.mark.parametrize(
    ("subnets", "ranges", "gateways", "aux", "sentence"),
    [
        ([], [], ["10.0.0.1"], {}, "every ip-range or gateway must have a corresponding subnet"),
        ([], ["10.0.0.0/25"], [], {}, "every ip-range or gateway must have a corresponding subnet"),
        (["banana"], [], ["10.0.0.1"], {}, "invalid subnet: invalid CIDR address: banana"),
        ([], [], [], {"x": ""}, "no matching subnet for aux-address "),
        (["10.0.0.0/24"], [], ["10.1.0.1"], {}, "no matching subnet for gateway 10.1.0.1"),
        (["10.0.0.0/24"], [], [], {"a": "10.9.0.1"}, "no matching subnet for aux-address 10.9.0.1"),
        (["10.0.0.0/24", "10.0.0.0/25"], [], [], {}, "multiple overlapping subnet configuration is not supported"),
        (
            ["10.0.0.0/24", "10.1.0.0/24"],
            [],
            ["10.0.0.1", "10.0.0.2"],
            {},
            r"cannot configure multiple gateways \(10.0.0.2, 10.0.0.1\) for the same subnet \(10.0.0.0/24\)",
        ),
    ],
)
def test_refused(
    subnets: list[str], ranges: list[str], gateways: list[str], aux: dict[str, str], sentence: str
) -> None:
    with pytest.raises(CliError, match=f"^{sentence}$"):
        ipam_config(subnets, ranges, gateways, aux)
