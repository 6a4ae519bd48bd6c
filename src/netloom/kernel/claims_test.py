from netloom.kernel.claims import claimed
from netloom.model.desired import HostRoute
from netloom.netlink.address import InterfaceAddress
from netloom.netlink.link import Link
from netloom.netlink.route import LOCAL, MAIN, RouteEntry

VRF_TABLE = 1001


def link(index: int, name: str, kind: str = "", master: int = 0) -> Link:
    return Link(index, name, kind, up=True, mac="", mtu=1500, master=master, alias="", peer=0, hairpin=False, group=0)


LINKS = {
    one.ifindex: one
    for one in (link(2, "eth0"), link(3, "ours", "bridge"), link(4, "tenant", "vrf"), link(5, "eth1", master=4))
}


def route(destination: str, index: int, table: int = MAIN) -> RouteEntry:
    return RouteEntry(destination, "", index, 0, table, unicast=True)


def test_neither_ours_nor_what_is_in_a_vrf_nor_what_the_kernel_keeps_for_itself() -> None:
    routes = [
        *(route("10.1.0.0/24", 2), route("default", 2), route("10.1.0.7/32", 2, LOCAL), route("10.2.0.0/16", 2, 52)),
        *(route("172.18.0.0/16", 3), route("10.3.0.0/24", 5, VRF_TABLE), route("10.4.0.0/24", 4, VRF_TABLE)),
        route("10.5.0.0/24", 99),
    ]
    addresses = [
        InterfaceAddress(index, text, 0)
        for index, text in ((2, "10.1.0.7/24"), (2, "fd00::7/64"), (3, "172.18.0.1/16"), (5, "10.3.0.1/24"))
    ]
    assert claimed(LINKS, {3}, routes, addresses) == [
        HostRoute("10.1.0.0/24", "eth0"),
        HostRoute("10.2.0.0/16", "eth0"),
        HostRoute("fd00::/64", "eth0", "fd00::7/64"),
    ]
