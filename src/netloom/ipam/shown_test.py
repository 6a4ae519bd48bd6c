from netloom.ipam.shown import shown_config
from netloom.model.network import IpamConfig

AUTO4 = IpamConfig(subnet="172.23.0.0/16", gateway="172.23.0.1")


def test_what_was_written_is_shown_as_written() -> None:
    written = IpamConfig(subnet="FD00:75:0::/64")
    pools = (AUTO4, IpamConfig(subnet="fd00:75::/64", gateway="fd00:75::1"))
    assert shown_config((written,), pools) == [written, AUTO4]


def test_families_that_are_off_are_shown_where_they_were_written() -> None:
    written = (IpamConfig(subnet="fd00:68::/64"), IpamConfig(subnet="10.71.0.0/24"))
    assert shown_config(written, (IpamConfig(subnet="fd00:68::/64", gateway="fd00:68::1"),)) == [written[1], written[0]]


def test_chosen_ones_have_their_gateway() -> None:
    auto6 = IpamConfig(subnet="fd3b:ca74:3321::/64", gateway="fd3b:ca74:3321::1")
    assert shown_config((), (AUTO4, auto6)) == [AUTO4, auto6]
