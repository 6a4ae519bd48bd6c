from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.dhcp import message as m
from netloom.dhcp.message import Message
from netloom.dhcp.terms import Unusable, terms_of
from netloom.model.lease import FOREVER


def packed(*addresses: str) -> bytes:
    return b"".join(IPv4Address(a).packed for a in addresses)


PLAIN = {
    m.SUBNET_MASK: packed("255.255.255.0"),
    m.SERVER: packed("10.0.0.1"),
    m.LEASE_TIME: (3600).to_bytes(4, "big"),
}


def reply(address: str = "10.0.0.9", **options: bytes) -> Message:
    """An answer; options by the names of `message`, empty bytes leave one out."""
    given = {**PLAIN, **{getattr(m, name): data for name, data in options.items()}}
    return Message(
        reply=True, xid=1, mac=bytes(6), yours=packed(address), options={c: d for c, d in given.items() if d}
    )


def test_everything_that_is_read() -> None:
    found = terms_of(
        reply(
            ROUTER=packed("10.0.0.1", "10.0.0.2"),
            NAME_SERVER=packed("10.0.0.3", "192.0.2.1"),
            MTU=(1400).to_bytes(2, "big"),
            T1=(100).to_bytes(4, "big"),
            T2=(200).to_bytes(4, "big"),
            STATIC_ROUTES=packed("192.0.2.7", "10.0.0.4"),
        )
    )
    assert (found.address, found.server, found.seconds, found.t1, found.t2) == (
        "10.0.0.9/24",
        "10.0.0.1",
        3600,
        100,
        200,
    )
    assert (found.routers, found.name_servers, found.mtu) == (("10.0.0.1", "10.0.0.2"), ("10.0.0.3", "192.0.2.1"), 1400)
    assert found.routes == (("192.0.2.7/32", "10.0.0.4"),)


def test_classless_routes_count_instead() -> None:
    routes = (
        bytes((0,))
        + packed("10.0.0.5")
        + bytes((12, 172, 16))
        + packed("10.0.0.6")
        + bytes((24, 10, 9, 9))
        + packed("0.0.0.0")
    )
    found = terms_of(reply(ROUTER=packed("10.0.0.1"), CLASSLESS_ROUTES=routes))
    assert found.routers == ("10.0.0.5",)
    assert found.routes == (("172.16.0.0/12", "10.0.0.6"), ("10.9.9.0/24", ""))


@pytest.mark.parametrize(("t1", "t2"), [(0, 0), (300, 200), (3600, 3700), (0, 100)])
def test_times_that_make_no_sense(t1: int, t2: int) -> None:
    found = terms_of(reply(T1=t1.to_bytes(4, "big"), T2=t2.to_bytes(4, "big")))
    assert (found.t1, found.t2) == (1800, 3150)


def test_a_lease_without_end() -> None:
    found = terms_of(reply(LEASE_TIME=b"\xff" * 4))
    assert (found.seconds, found.t1) == (FOREVER, FOREVER)


@pytest.mark.parametrize(
    ("address", "options", "why"),
    [
        ("10.0.0.9", {"SERVER": b""}, "does not say who it is"),
        ("10.0.0.9", {"LEASE_TIME": b""}, "does not say for how long"),
        ("10.0.0.9", {"LEASE_TIME": bytes(4)}, "gives a lease of 0 s"),
        ("10.0.0.9", {"LEASE_TIME": b"\1"}, "option 51 has 1 octets"),
        ("10.0.0.9", {"SUBNET_MASK": b""}, "without a subnet mask"),
        ("10.0.0.9", {"SUBNET_MASK": packed("255.0.255.0")}, "which is no subnet mask"),
        ("10.0.0.9", {"SUBNET_MASK": bytes(4)}, "which is no subnet mask"),
        ("10.0.0.0", {}, "that no interface can have"),
        ("10.0.0.255", {}, "that no interface can have"),
        ("127.0.0.1", {}, "that no interface can have"),
        ("224.0.0.9", {}, "that no interface can have"),
        ("0.0.0.0", {}, "that no interface can have"),
        ("255.255.255.255", {"SUBNET_MASK": packed("255.255.255.255")}, "that no interface can have"),
        ("10.0.0.9", {"ROUTER": packed("192.0.2.1")}, "is not a neighbour of 10.0.0.9/24"),
        ("10.0.0.9", {"ROUTER": packed("10.0.0.9")}, "is not a neighbour"),
        ("10.0.0.9", {"ROUTER": b"\1\2\3"}, "option 3 has 3 octets"),
        ("10.0.0.9", {"MTU": b"\0\5"}, "an MTU of 5"),
        ("10.0.0.9", {"CLASSLESS_ROUTES": b"\x21"}, "option 121"),
        ("10.0.0.9", {"CLASSLESS_ROUTES": b"\x18\x0a"}, "option 121"),
        ("10.0.0.9", {"STATIC_ROUTES": packed("10.0.0.1")}, "option 33"),
    ],
)
def test_what_cannot_be_used(address: str, options: dict[str, bytes], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        terms_of(reply(address, **options))


@given(
    st.binary(min_size=4, max_size=4),
    st.dictionaries(st.sampled_from([1, 3, 6, 26, 33, 51, 54, 58, 59, 121]), st.binary(max_size=40), max_size=8),
)
def test_only_our_own_error(address: bytes, options: dict[int, bytes]) -> None:
    try:
        found = terms_of(Message(reply=True, xid=1, mac=bytes(6), yours=address, options={**PLAIN, **options}))
    except Unusable:
        return
    assert 1 <= found.t1 < found.t2 < found.seconds or found.seconds == FOREVER
