from ipaddress import ip_network

import pytest

from netloom.ipam.routes import Routes
from netloom.model.desired import HostRoute


@pytest.mark.parametrize(
    "destination",
    [
        "default",
        "default6",
        "",
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "2000::/3",
        "fe80::/64",
        "ff00::/8",
        "127.0.0.0/8",
    ],
)
def test_routes_to_everywhere_or_to_the_link_do_not_count(destination: str) -> None:
    routes = Routes([HostRoute(destination=destination, link="up0")])
    for subnet in ("10.0.0.0/8", "127.0.0.0/8", "200.0.0.0/24", "2001:db8::/64", "fe80::/64"):
        assert routes.meeting(ip_network(subnet)) is None
    assert routes.ranges(4).ranges() == routes.ranges(6).ranges() == []


def test_the_narrowest_route_is_named() -> None:
    wide = HostRoute(destination="10.0.0.0/8", link="vpn0")
    narrow = HostRoute(destination="10.9.0.0/16", link="eth0")
    routes = Routes([narrow, wide])
    assert routes.meeting(ip_network("10.9.1.0/24")) == narrow
    assert routes.meeting(ip_network("10.8.1.0/24")) == wide
    assert routes.meeting(ip_network("11.0.0.0/24")) is None
    assert routes.meeting(ip_network("fd00::/64")) is None
    assert len(routes.ranges(4).ranges()) == 1
