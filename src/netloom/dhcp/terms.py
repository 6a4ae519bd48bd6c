"""From the options of an offer to terms that can be used, or the reason why they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from netloom.dhcp import message as m
from netloom.dhcp.message import Malformed, Message
from netloom.model.lease import FOREVER, Terms

SHORTEST = 10  # seconds: a shorter lease would be renewed all the time
_SOONEST = 2  # seconds until it is renewed, whatever the server says
SMALLEST_MTU, LARGEST_MTU = 68, 65535  # RFC 791, RFC 2132
_MOST = 64  # addresses or routes that are read of one option


class Unusable(Exception):
    """What a server says cannot be used; the text completes "the server ADDRESS …"."""


def terms_of(reply: Message) -> Terms:
    """What an OFFER or an ACK says. Raises Unusable."""
    try:
        return _terms(reply)
    except Malformed as error:
        raise Unusable(f"sent what cannot be read: {error}") from error


def address_of(reply: Message, code: int) -> str:
    """The first address of an option, empty where there is none. Raises Malformed."""
    return next(iter(_addresses(reply, code)), "")


def _terms(reply: Message) -> Terms:
    server = address_of(reply, m.SERVER)
    if not server:
        raise Unusable("does not say who it is (option 54)")
    interface = _interface(reply)
    seconds = _number(reply, m.LEASE_TIME, 4)
    if seconds is None:
        raise Unusable("does not say for how long (option 51)")
    if seconds < SHORTEST:
        raise Unusable(f"gives a lease of {seconds} s, less than {SHORTEST}")
    routers = _addresses(reply, m.ROUTER)
    routes = list(_classless(reply))
    if m.CLASSLESS_ROUTES in reply.options:  # then neither option 3 nor 33 counts (RFC 3442)
        routers = [via for destination, via in routes if destination == "0.0.0.0/0" and via]
        routes = [route for route in routes if route[0] != "0.0.0.0/0"]
    else:
        routes = [(f"{to}/32", via) for to, via in _pairs(_addresses(reply, m.STATIC_ROUTES)) if to != "0.0.0.0"]
    for via in (*routers[:1], *(via for _, via in routes if via)):
        if IPv4Address(via) not in interface.network or via == str(interface.ip):
            raise Unusable(f"names the router {via}, which is not a neighbour of {interface}")
    t1, t2 = _times(reply, seconds)
    return Terms(
        address=str(interface),
        server=server,
        seconds=seconds,
        t1=t1,
        t2=t2,
        routers=tuple(routers),
        routes=tuple(routes),
        name_servers=tuple(_addresses(reply, m.NAME_SERVER)),
        mtu=_mtu(reply),
    )


def _interface(reply: Message) -> IPv4Interface:
    address = IPv4Address(reply.yours)
    mask = reply.options.get(m.SUBNET_MASK)
    if mask is None:
        raise Unusable(f"gives {address} without a subnet mask (option 1)")
    if len(mask) != 4:
        raise Malformed("option 1 is no subnet mask")
    ones = int.from_bytes(mask, "big")
    length = ones.bit_count()
    if not 1 <= length <= 32 or ones != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise Unusable(f"gives {address} with {IPv4Address(mask)}, which is no subnet mask")
    network = IPv4Network((int(address) & ones, length))
    lost = length < 31 and address in (network.network_address, network.broadcast_address)
    if lost or address.is_multicast or address.is_loopback or address.is_reserved or address in _THIS:
        raise Unusable(f"gives {address}/{length}, an address that no interface can have")
    return IPv4Interface((address, length))


_THIS = IPv4Network("0.0.0.0/8")


def _times(reply: Message, seconds: int) -> tuple[int, int]:
    """T1 and T2, the usual parts of the lease where the server's are none (RFC 2131, section 4.4.5)."""
    if seconds == FOREVER:
        return FOREVER, FOREVER
    t1 = _number(reply, m.T1, 4) or seconds // 2
    t2 = _number(reply, m.T2, 4) or seconds * 7 // 8
    if not _SOONEST <= t1 < t2 < seconds:
        t1, t2 = seconds // 2, seconds * 7 // 8
    return t1, t2


def _mtu(reply: Message) -> int:
    mtu = _number(reply, m.MTU, 2)
    if mtu is not None and not SMALLEST_MTU <= mtu <= LARGEST_MTU:
        raise Unusable(f"names an MTU of {mtu}, less than {SMALLEST_MTU}")
    return mtu or 0


def _number(reply: Message, code: int, size: int) -> int | None:
    data = reply.options.get(code)
    if data is None:
        return None
    if len(data) != size:
        raise Malformed(f"option {code} has {len(data)} octets")
    return int.from_bytes(data, "big")


def _addresses(reply: Message, code: int) -> list[str]:
    data = reply.options.get(code, b"")
    if len(data) % 4:
        raise Malformed(f"option {code} has {len(data)} octets")
    found = (str(IPv4Address(data[at : at + 4])) for at in range(0, min(len(data), 4 * _MOST), 4))
    return list(found)


def _pairs(addresses: list[str]) -> Iterator[tuple[str, str]]:
    if len(addresses) % 2:
        raise Malformed("option 33 names a destination without a router")
    return zip(addresses[::2], addresses[1::2], strict=True)


def _classless(reply: Message) -> Iterator[tuple[str, str]]:
    """RFC 3442: the length, as many octets of the destination as it needs, the router."""
    data = reply.options.get(m.CLASSLESS_ROUTES, b"")
    at = count = 0
    while at < len(data) and count < _MOST:
        length = data[at]
        size = (length + 7) // 8
        if length > 32 or at + 1 + size + 4 > len(data):
            raise Malformed("option 121 is cut off")
        destination = data[at + 1 : at + 1 + size].ljust(4, b"\0")
        network = IPv4Network((destination, length), strict=False)
        router = IPv4Address(data[at + 1 + size : at + 5 + size])
        yield str(network), "" if int(router) == 0 else str(router)
        at += 5 + size
        count += 1
