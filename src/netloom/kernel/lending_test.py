"""Interfaces that go into another namespace and come home as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.kernel import lending
from netloom.kernel.lending import Ticket
from netloom.kernel.socket import ROUTE, NetlinkSocket
from netloom.netlink import link
from netloom.testing.hosts import Netns

MAC = "02:aa:bb:cc:dd:01"
words = st.text("abc0.", min_size=1, max_size=15)


@given(st.integers(0, 2**64 - 1), words, st.sampled_from(["", MAC]), st.integers(68, 65535), st.booleans(), st.text())
def test_a_ticket_says_what_was(home: int, name: str, mac: str, mtu: int, up: bool, alias: str) -> None:
    was = Ticket(home, name, mac, mtu, up, alias)
    told = Ticket.parse(was.text())
    assert told is not None
    assert told[:5] == was[:5]
    assert was.alias.startswith(told.alias)
    assert len(was.text().encode()) <= 255


@given(st.text())
def test_what_is_no_ticket(alias: str) -> None:
    assert Ticket.parse(alias) is None


@pytest.fixture
def host() -> Iterator[Netns]:
    with Netns() as host:
        host.run("ip", "link", "add", "eth1", "address", MAC, "mtu", "1400", "type", "veth", "peer", "name", "far")
        host.run("ip", "link", "set", "eth1", "alias", "the lab's", "up")
        yield host


def lend(host: Netns, box: Netns) -> None:
    def inside() -> None:
        with NetlinkSocket(ROUTE) as own:
            body = own.get(link.get(name="eth1"))
            assert body is not None
            home = lending.home_of(own.socket)
            message = lending.lend(link.parse(body), home=home, index=777, name="nl1", mac="", netns=box.fd)
            assert own.request([message]) == {}

    host.call(inside)


def one(place: Netns, name: str) -> dict[str, Any]:
    (found,) = json.loads(place.run("ip", "-j", "link", "show", name))
    return dict(found)


def as_it_was(host: Netns) -> bool:
    found = one(host, "eth1")
    told = (found["address"], found["mtu"], found["ifalias"], found["group"], "UP" in found["flags"])
    return told == (MAC, 1400, "the lab's", "default", True)


def test_it_goes_and_comes_home(host: Netns) -> None:
    with Netns() as box:
        lend(host, box)
        assert one(box, "nl1")["ifindex"] == 777
        box.run("ip", "link", "set", "nl1", "name", "eth0", "address", "02:00:00:00:00:09", "mtu", "1300")
        host.call(lambda: lending.give_all_back(box.fd, host.fd))
        assert len(json.loads(box.run("ip", "-j", "link"))) == 1
    assert as_it_was(host)


@pytest.mark.parametrize("inner", [False, True])
def test_a_name_that_is_taken_is_given_later(host: Netns, inner: bool) -> None:
    with Netns() as box:
        lend(host, box)
        host.run("ip", "link", "add", "eth1", "type", "bridge")
        if inner:
            host.run("ip", "link", "add", "nl1", "type", "bridge")  # so is the one that it has inside
        host.call(lambda: lending.give_all_back(box.fd, host.fd))
    assert any(found["address"] == MAC for found in json.loads(host.run("ip", "-j", "link")))
    host.run("ip", "link", "del", "eth1")
    reclaim(host)
    assert as_it_was(host)


def reclaim(host: Netns) -> None:
    def inside() -> None:
        with NetlinkSocket(ROUTE) as own:
            lending.reclaim(own, host.fd)

    host.call(inside)


def test_what_another_host_lent_is_not_ours(host: Netns) -> None:
    other = Ticket(1, "eth7", MAC, 1400, True, "").text()
    host.run("ip", "link", "set", "far", "alias", other, "group", str(link.LENT))
    reclaim(host)
    assert one(host, "far")["ifalias"] == other
