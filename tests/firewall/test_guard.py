"""What a container with NET_RAW may send under another name, and that none of it reaches its neighbour.

Every frame is sent on a network without a guard too: what does not arrive there proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from frames import (
    AD,
    ADVERT,
    ALL_NODES,
    ARP,
    BRIDGES,
    FRAGMENT,
    HOP_BY_HOP,
    ICMP6,
    IP,
    IP6,
    JOIN,
    LOCAL,
    OPTIONS,
    REDIRECT,
    ROUTER_ADVERT,
    SOLICIT,
    TOKEN,
    UDP,
    Q,
    arp,
    behind_snap,
    discovery,
    ethernet,
    fragment,
    icmp6,
    ipv4,
    ipv6,
    llc,
    options,
    tagged,
    udp,
)
from guard_world import FURTHER, PORT, GuardWorld, ip4, ip6, link_local, mac_of

pytestmark = [pytest.mark.root, pytest.mark.kernel]

Made = Callable[["Sender", bytes], list[bytes]]


@pytest.fixture(scope="module", params=[False, True], ids=["brnf0", "brnf1"])
def guards(request: pytest.FixtureRequest) -> Iterator[GuardWorld]:
    with ExitStack() as stack:
        yield GuardWorld(stack, request.param)


class Sender:
    """Who sends, to whom, and whom it may pretend to be."""

    def __init__(self, network: str, place: str = "a") -> None:
        self.mac, self.to = mac_of(network, place), mac_of(network, "b")
        self.ip4, self.ip6, self.local = ip4(network, place), ip6(network, place), link_local(network, place)
        self.to4, self.to6 = ip4(network, "b"), ip6(network, "b")
        self.gateway4, self.gateway6 = ip4(network, 1), ip6(network, 1)
        self.other4, self.other6 = ip4(network, "r1"), ip6(network, "r1")
        self.further = ip4(network, FURTHER)

    def frame(self, ethertype: int, body: bytes, *tags: int) -> list[bytes]:
        return [ethernet(self.to, self.mac, ethertype, body, *tags)]

    def arp(self, sender: str, name: bytes, *tags: int) -> list[bytes]:
        return self.frame(ARP, arp(self.mac, sender, self.to4, name=name), *tags)

    def udp4(self, source: str, name: bytes, port: int = 7, *tags: int) -> list[bytes]:
        return self.frame(IP, ipv4(source, self.to4, UDP, udp(port, port + 1, name)), *tags)

    def udp6(self, source: str, name: bytes, port: int = 7, *tags: int) -> list[bytes]:
        return self.frame(IP6, ipv6(source, self.to6, UDP, udp(port, port - 1, name)), *tags)

    def split(self, following: int, body: bytes, at: int) -> list[bytes]:
        """To all nodes, in two fragments."""
        first, second = fragment(following, body[:at], more=True), fragment(following, body[at:], offset=at)
        return [f for part in (first, second) for f in self.frame(IP6, ipv6(self.local, ALL_NODES, FRAGMENT, part))]

    def router(self, name: bytes) -> bytes:
        """A router advertisement, as an ICMPv6 message."""
        return icmp6(self.local, ALL_NODES, ROUTER_ADVERT, bytes(12) + TOKEN + name)


FORGED: dict[str, Made] = {
    "ARP of the gateway": lambda s, n: s.arp(s.gateway4, n),
    "ARP of another, as a question": lambda s, n: s.frame(ARP, arp(s.mac, s.other4, s.to4, reply=False, name=n)),
    "ARP with another MAC inside": lambda s, n: s.frame(ARP, arp("02:00:00:00:00:99", s.ip4, s.to4, name=n)),
    "ARP of nobody, as an answer": lambda s, n: s.arp("0.0.0.0", n),
    "ARP with addresses of another length": lambda s, n: s.frame(ARP, arp(s.mac, s.ip4, s.to4, hlen=8, name=n)),
    "ARP of other hardware": lambda s, n: s.frame(ARP, arp(s.mac, s.ip4, s.to4, hardware=6, name=n)),
    "another MAC": lambda s, n: [ethernet(s.to, "02:00:00:00:00:99", IP, ipv4(s.ip4, s.to4, UDP, udp(7, 7, n)))],
    "IPv4 of another": lambda s, n: s.udp4(s.other4, n),
    "IPv4 of a stranger": lambda s, n: s.udp4("203.0.113.9", n),
    "IPv4 of another, a later fragment": lambda s, n: (
        s.frame(IP, ipv4(s.other4, s.to4, UDP, udp(7, 7, b"").ljust(24, b"."), more=True))
        + s.frame(IP, ipv4(s.other4, s.to4, UDP, TOKEN + n, offset=24))
    ),
    "IPv6 of another": lambda s, n: s.udp6(s.other6, n),
    "IPv6 of the gateway's link-local address": lambda s, n: s.udp6("fe80::1", n),
    "IPv6 of nobody": lambda s, n: s.udp6("::", n),
    "advertisement of the gateway": lambda s, n: s.frame(IP6, discovery(s.ip6, s.to6, ADVERT, s.gateway6, n)),
    "advertisement of another, by the link-local address": lambda s, n: s.frame(
        IP6, discovery(s.local, s.to6, ADVERT, s.other6, n)
    ),
    "advertisement from another": lambda s, n: s.frame(IP6, discovery(s.other6, s.to6, ADVERT, s.ip6, n)),
    "advertisement behind options": lambda s, n: s.frame(
        IP6,
        ipv6(
            s.ip6,
            s.to6,
            HOP_BY_HOP,
            options(
                OPTIONS,
                options(ICMP6, discovery(s.ip6, s.to6, ADVERT, s.gateway6, n)[40:]),
            ),
        ),
    ),
    "solicitation from another": lambda s, n: s.frame(IP6, discovery(s.other6, s.to6, SOLICIT, s.to6, n)),
    "another's address claimed": lambda s, n: s.frame(IP6, discovery("::", s.to6, SOLICIT, s.to6, n)),
    "redirect": lambda s, n: s.frame(IP6, discovery(s.local, s.to6, REDIRECT, s.ip6, n)),
    "router advertisement": lambda s, n: s.frame(IP6, ipv6(s.local, ALL_NODES, ICMP6, s.router(n))),
    "router advertisement behind options": lambda s, n: s.frame(
        IP6, ipv6(s.local, ALL_NODES, OPTIONS, options(ICMP6, s.router(n)))
    ),
    "router advertisement in a single fragment": lambda s, n: s.frame(
        IP6, ipv6(s.local, ALL_NODES, FRAGMENT, fragment(ICMP6, s.router(n)))
    ),
    "router advertisement whose kind is in the second fragment": lambda s, n: s.split(
        OPTIONS, options(ICMP6, s.router(b""), TOKEN + n), len(options(ICMP6, b"", TOKEN + n))
    ),
    "DHCP offer": lambda s, n: s.udp4(s.ip4, n, 67),
    "DHCP offer in two fragments": lambda s, n: (
        s.frame(IP, ipv4(s.ip4, s.to4, UDP, udp(67, 68, n).ljust(120, b"."), more=True, number=78))
        + s.frame(IP, ipv4(s.ip4, s.to4, UDP, bytes(24), offset=120, number=78))
    ),
    "DHCPv6 advertisement": lambda s, n: s.udp6(s.local, n, 547),
    "DHCPv6 advertisement behind options": lambda s, n: s.frame(
        IP6, ipv6(s.local, s.to6, OPTIONS, options(UDP, udp(547, 546, n)))
    ),
    "DHCPv6 advertisement in a single fragment": lambda s, n: s.frame(
        IP6, ipv6(s.local, s.to6, FRAGMENT, fragment(UDP, udp(547, 546, n)))
    ),
    "IPv6 of another behind options": lambda s, n: s.frame(
        IP6, ipv6(s.other6, s.to6, OPTIONS, options(UDP, udp(7, 6, n)))
    ),
    "IPv6 of another in a single fragment": lambda s, n: s.frame(
        IP6, ipv6(s.other6, s.to6, FRAGMENT, fragment(UDP, udp(7, 6, n)))
    ),
    "advertisement in a single fragment": lambda s, n: s.frame(
        IP6,
        ipv6(s.ip6, s.to6, FRAGMENT, fragment(ICMP6, discovery(s.ip6, s.to6, ADVERT, s.gateway6, n)[40:])),
    ),
    "redirect behind options": lambda s, n: s.frame(
        IP6,
        ipv6(s.local, s.to6, OPTIONS, options(ICMP6, discovery(s.local, s.to6, REDIRECT, s.ip6, n)[40:])),
    ),
    "spanning tree": lambda s, n: [llc(BRIDGES, s.mac, b"\x42\x42\x03" + bytes(35) + TOKEN + n)],
    "some other protocol": lambda s, n: s.frame(LOCAL, TOKEN + n),
}
HONEST: dict[str, Made] = {
    "ARP": lambda s, n: s.arp(s.ip4, n),
    "ARP of the further address": lambda s, n: s.arp(s.further, n),
    "is this IPv4 address taken": lambda s, n: s.frame(ARP, arp(s.mac, "0.0.0.0", s.ip4, reply=False, name=n)),
    "IPv4": lambda s, n: s.udp4(s.ip4, n),
    "IPv4 of the further address": lambda s, n: s.udp4(s.further, n),
    "DHCP request": lambda s, n: s.udp4(s.ip4, n, 68),
    "IPv4 fragments": lambda s, n: (
        s.frame(IP, ipv4(s.ip4, s.to4, UDP, udp(7, 7, b"").ljust(24, b"."), more=True))
        + s.frame(IP, ipv4(s.ip4, s.to4, UDP, TOKEN + n, offset=24))
    ),
    "IPv6": lambda s, n: s.udp6(s.ip6, n),
    "IPv6 of the link-local address": lambda s, n: s.udp6(s.local, n),
    "IPv6 fragments": lambda s, n: (
        s.frame(IP6, ipv6(s.ip6, s.to6, FRAGMENT, fragment(UDP, udp(7, 7, b"").ljust(24, b"."), more=True)))
        + s.frame(IP6, ipv6(s.ip6, s.to6, FRAGMENT, fragment(UDP, TOKEN + n, offset=24)))
    ),
    "advertisement": lambda s, n: s.frame(IP6, discovery(s.ip6, s.to6, ADVERT, s.ip6, n)),
    "solicitation": lambda s, n: s.frame(IP6, discovery(s.local, s.to6, SOLICIT, s.to6, n)),
    "is this IPv6 address taken": lambda s, n: s.frame(IP6, discovery("::", s.to6, SOLICIT, s.ip6, n)),
    "is the link-local address taken": lambda s, n: s.frame(IP6, discovery("::", s.to6, SOLICIT, s.local, n)),
    "joining a group before there is an address": lambda s, n: s.frame(
        IP6, ipv6("::", s.to6, ICMP6, icmp6("::", s.to6, JOIN, bytes(4) + TOKEN + n))
    ),
}


def _wrapped(kind: str, wrap: Callable[[bytes], bytes]) -> Made:
    made = FORGED[kind]
    return lambda s, n: [wrap(frame) for frame in made(s, n)]


WRAPS: dict[str, Callable[[bytes], bytes]] = {
    "a priority tag": lambda frame: tagged(frame, Q),
    "a provider's tag": lambda frame: tagged(frame, AD),
    "two tags": lambda frame: tagged(frame, Q, Q),
    "a provider's and a priority tag": lambda frame: tagged(frame, AD, Q),
    "SNAP": behind_snap,
}
FORGED |= {
    f"{kind}, behind {name}": _wrapped(kind, wrap)
    for name, wrap in WRAPS.items()
    for kind in (
        *("ARP of the gateway", "another MAC", "IPv4 of another", "IPv6 of another", "advertisement of the gateway"),
        *("router advertisement", "redirect", "DHCP offer", "DHCPv6 advertisement"),
    )
}
# What a privileged container may: packets of other sources that it routes, and nothing else.
ROUTED = {"IPv4 of another", "IPv4 of a stranger", "IPv4 of another, a later fragment", "IPv6 of another"}
ROUTED |= {"IPv6 of the gateway's link-local address", "IPv6 of nobody"}
ROUTED |= {"IPv6 of another behind options", "IPv6 of another in a single fragment"}


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_forged_reaches_nobody(guards: GuardWorld, kind: str) -> None:
    name = kind.encode()
    assert guards.arrives("loose", "a", "b", name, FORGED[kind](Sender("loose"), name)), "not even without a guard"
    assert not guards.arrives("kept", "a", "b", name, FORGED[kind](Sender("kept"), name))


@pytest.mark.parametrize("kind", HONEST)
def test_what_is_honest_arrives(guards: GuardWorld, kind: str) -> None:
    name = kind.encode()
    for place in ("a", "r1"):
        if place == "a" or "further" not in kind:
            assert guards.arrives("kept", place, "b", name, HONEST[kind](Sender("kept", place), name))


@pytest.mark.parametrize("kind", FORGED)
def test_a_privileged_container_may_route_and_nothing_else(guards: GuardWorld, kind: str) -> None:
    name = kind.encode()
    sender = Sender("kept", "r2")  # `other` is r1
    assert guards.arrives("kept", "r2", "b", name, FORGED[kind](sender, name)) is (kind in ROUTED)


def test_two_privileged_containers_route_through_each_other(guards: GuardWorld) -> None:
    for network, reached in (("loose", True), ("kept", True)):
        one, two = guards.places[network, "r1"], guards.places[network, "r2"]
        for place, own, other, via in ((one, 1, 2, "r2"), (two, 2, 1, "r1")):
            place.run("ip", "addr", "replace", f"10.244.{own}.1/24", "dev", "lo")
            place.run(
                "ip", "route", "replace", f"10.244.{other}.0/24", "via", ip4(network, via), "src", f"10.244.{own}.1"
            )
        assert one.ping("10.244.2.1") is reached
        assert two.ping("10.244.1.77") is reached, "all of the subnet, both ways"


def test_a_container_that_is_not_privileged_does_not_route(guards: GuardWorld) -> None:
    for network, reached in (("loose", True), ("kept", False)):
        one, two = guards.places[network, "a"], guards.places[network, "r1"]
        one.run("ip", "addr", "replace", "10.245.1.1/32", "dev", "lo")
        two.run("ip", "route", "replace", "10.245.1.1/32", "via", ip4(network, "a"))
        assert two.ping("10.245.1.1", timeout=10 if reached else 0.3) is reached


def test_a_network_may_let_another_protocol_through(guards: GuardWorld) -> None:
    for name, frames, arrives in (
        (b"other", Sender("lenient").frame(LOCAL, TOKEN + b"other"), True),
        (b"one more", Sender("lenient").frame(LOCAL + 1, TOKEN + b"one more"), False),
        (b"tagged", Sender("lenient").frame(LOCAL, TOKEN + b"tagged", Q), False),
    ):
        assert guards.arrives("lenient", "a", "b", name, frames) is arrives


@pytest.mark.parametrize("kind", [*HONEST, "some other protocol"])
def test_neighbours_that_are_kept_apart_see_no_frame(guards: GuardWorld, kind: str) -> None:
    name = kind.encode()
    frames = (HONEST | FORGED)[kind](Sender("apart"), name)
    receiver = guards.places["apart", "b"]
    gateway = guards.host
    guards.send("apart", "a", frames)
    assert gateway.ping(ip4("apart", "b"))
    assert not guards.drained("apart", "b", name)
    assert receiver.ping(ip4("apart", 1))


@pytest.mark.parametrize("family", [4, 6])
def test_neighbours_that_are_kept_apart_do_not_meet_through_the_host(guards: GuardWorld, family: int) -> None:
    """A container may send its packets to the bridge, which would forward them."""
    for network, reached in (("kept", True), ("apart", False)):
        a = guards.places[network, "a"]
        to, gateway = (ip4(network, "b"), ip4(network, 1)) if family == 4 else (ip6(network, "b"), ip6(network, 1))
        a.run("ip", f"-{family}", "route", "replace", to, "via", gateway)
        with guards.places[network, "b"].serve("0.0.0.0" if family == 4 else "::", 80):
            assert a.reaches(to, 80) if reached else a.misses(to, 80)


def test_neighbours_that_are_kept_apart_meet_at_published_ports(guards: GuardWorld) -> None:
    for network, port in (("kept", PORT + 1), ("apart", PORT + 4)):
        with guards.places[network, "b"].serve("0.0.0.0", 80, tag=network):
            for place in ("a", "b"):
                assert guards.places[network, place].ask(ip4(network, 1), port).tag == network
            assert guards.places["loose", "a"].ask(ip4("loose", 1), port).tag == network
            assert guards.host.ask(ip4(network, "b"), 80).tag == network
