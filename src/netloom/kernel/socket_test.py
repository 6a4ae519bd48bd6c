from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from netloom.kernel.socket import MOST, NETFILTER, ROUTE, NetlinkSocket
from netloom.model.errors import KernelError
from netloom.netlink import address, link, nft
from netloom.netlink.message import Message
from netloom.testing.hosts import Netns


@pytest.fixture
def host() -> Iterator[Netns]:
    with Netns() as made:
        yield made


def elements(netlink: NetlinkSocket, name: str) -> list[nft.SetElement]:
    return [e for b in netlink.dump(nft.dump_elements(nft.INET, "netloom", name)) for e in nft.parse_elements(b)]


def test_failures_have_the_place_of_their_message_in_however_many_sends(host: Netns) -> None:
    with host.call(NetlinkSocket, ROUTE) as netlink:
        count = 2 * MOST + 10
        wrong = {0, 3, MOST - 1, MOST, 2 * MOST + 9}
        failures = netlink.request([link.up(999 if n in wrong else 1) for n in range(count)])
    assert {place: v.errno for place, v in failures.items()} == dict.fromkeys(wrong, errno.ENODEV)
    assert netlink.sent == count


def test_the_kernels_own_explanation_is_kept(host: Netns) -> None:
    with host.call(NetlinkSocket, ROUTE) as netlink:
        (failure,) = netlink.request([address.add(1, "10.0.0.1/40")]).values()
    assert (failure.errno, "refix length" in failure.text) == (errno.EINVAL, True)


def test_nothing_is_nothing(host: Netns) -> None:
    with host.call(NetlinkSocket, ROUTE) as netlink:
        assert netlink.request([]) == {}


def test_one_failure_undoes_a_transaction(host: Netns) -> None:
    host.run("nft", "-f", "-", stdin="table inet netloom { set bridges { type ifname; }; }")
    good = nft.element("add", nft.INET, "netloom", "bridges", b"a".ljust(16, b"\0"))
    bad = nft.element("add", nft.INET, "netloom", "nothing", bytes(16))
    with host.call(NetlinkSocket, NETFILTER) as netlink:
        assert {k: v.errno for k, v in netlink.transaction([good, bad, good]).items()} == {1: errno.ENOENT}
        assert elements(netlink, "bridges") == []
        assert netlink.transaction([good, good]) == {}
        assert elements(netlink, "bridges") == [nft.SetElement(b"a".ljust(16, b"\0"), None, None)]


def test_verdicts_values_and_comments_as_nft_shows_them(host: Netns) -> None:
    host.run("nft", "-f", "-", stdin="""table inet netloom {
        comment "who we are"
        map pair { type ifname : verdict; }
        map to { type inet_service : ipv4_addr; }
    }""")  # fmt: skip
    name = b"br-1".ljust(16, b"\0")
    with host.call(NetlinkSocket, NETFILTER) as netlink:
        assert netlink.transaction(
            [
                nft.element("add", nft.INET, "netloom", "pair", name, verdict="drop"),
                nft.element("add", nft.INET, "netloom", "to", b"\0\x50", value=bytes([10, 0, 0, 1])),
            ]
        ) == {}  # fmt: skip
        shown = host.run("nft", "list", "table", "inet", "netloom")
        assert '"br-1" : drop' in shown
        assert "80 : 10.0.0.1" in shown
        assert elements(netlink, "pair") == [nft.SetElement(name, None, "drop")]
        body = netlink.get(nft.get_table(nft.INET, "netloom"))
        assert body is not None
        assert nft.parse_table(body) == "who we are"
        assert netlink.get(nft.get_table(nft.INET, "nothing")) is None


def test_what_is_absent_dumps_as_empty(host: Netns) -> None:
    with host.call(NetlinkSocket, NETFILTER) as netlink:
        assert netlink.dump(nft.dump_sets(nft.INET, "nothing")) == []
        assert netlink.dump(nft.dump_elements(nft.INET, "nothing", "either")) == []


def test_a_dump_that_changed_meanwhile_is_taken_again(host: Netns, monkeypatch: pytest.MonkeyPatch) -> None:
    with host.call(NetlinkSocket, ROUTE) as netlink:
        whole = netlink.dump(link.dump())
        outcomes = [([], True), (whole[:1], True), (whole, False)]
        monkeypatch.setattr(netlink, "_dump", lambda *_: outcomes.pop(0))
        assert netlink.dump(link.dump()) == whole
        monkeypatch.setattr(netlink, "_dump", lambda *_: ([], True))
        with pytest.raises(KernelError, match="changed 10 times"):
            netlink.dump(link.dump())


def test_a_link_that_is_not_there(host: Netns) -> None:
    with host.call(NetlinkSocket, ROUTE) as netlink:
        assert netlink.get(link.get(name="nothing")) is None
        body = netlink.get(link.get(name="lo"))
        assert body is not None
        assert link.parse(body).ifindex == 1


def test_a_message_that_the_kernel_does_not_know(host: Netns) -> None:
    with host.call(NetlinkSocket, ROUTE) as netlink:
        with pytest.raises(KernelError, match="operation not supported"):
            netlink.get(Message(0x7FFF, 0, b""))
        assert netlink.request([link.up(1)]) == {}
