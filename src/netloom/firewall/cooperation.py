"""Ports that are reached from outside only where the host's own firewall lets them in (`publish = "cooperate"`).

No chain can ask another one's opinion. So the first packet of a connection from outside is left as it came: it goes
through INPUT, with its own addresses and ports, as if a program of the host listened there. If nobody has dropped it
when it comes to our chain, the last of that hook, a copy is sent into one end of a pair of interfaces and comes in
anew by the other; that one is translated, and with it the connection. The server sees the client's own address, and
what comes later takes the short way.

`dup` is of the families ip and ip6 alone, whose tables see no sets of inet: a mark tells them which packets.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from netloom.firewall.ruleset import Hook, Rule, Set, Table, chain
from netloom.model.desired import Address, Desired, Element, Loop, Sysctl

IN, BACK = "netloom-in", "netloom-back"  # what is sent into the one comes in by the other
IN_INDEX, BACK_INDEX = 999_998, 999_999  # below those of networks and endpoints: no name is looked up at load
ADMITTED = 0x08000000  # a bit of the packet mark, from our last chain of INPUT to the tables of one family
_MAC = "02:4e:4c:00:00:01"  # of both: without ARP a frame is sent to the sender's own address
_MTU = 65535  # a first datagram may be large
_SOURCE = "192.0.0.8/32"  # IPv4 dummy address (RFC 7600): without any a loose reverse path filter drops all
_VIA = {"ip": "192.0.0.11", "ip6": "fe80::1"}  # nobody: all goes out by IN
_LAST = 2_147_483_640  # of INPUT; connections are confirmed at 2,147,483,647

SETS = (
    Set("offered4", ("inet_proto", "inet_service"), "ports that INPUT must let in, on every IPv4 address"),
    Set("offered4_at", ("ipv4_addr", "inet_proto", "inet_service"), "the same on one IPv4 address"),
    Set("offered6", ("inet_proto", "inet_service"), "the same on every IPv6 address"),
    Set("offered6_at", ("ipv6_addr", "inet_proto", "inet_service"), "the same on one IPv6 address"),
    Set("offered_ranges4", ("inet_proto", "inet_service"), "ranges of such ports", flags="interval"),
    Set("offered_ranges4_at", ("ipv4_addr", "inet_proto", "inet_service"), "on one IPv4 address", flags="interval"),
    Set("offered_ranges6", ("inet_proto", "inet_service"), "on every IPv6 address", flags="interval"),
    Set("offered_ranges6_at", ("ipv6_addr", "inet_proto", "inet_service"), "on one IPv6 address", flags="interval"),
)


def offered(elements: Iterable[Desired]) -> list[Element]:
    """For each published port the element that makes it wait for INPUT."""
    return [
        msgspec.structs.replace(e, set=e.set.replace("published", "offered"), value=None)
        for e in elements
        if isinstance(e, Element) and e.set.startswith("published")
    ]


def pair() -> list[Desired]:
    """The interfaces, with what lets them take back a packet of any source."""
    return [
        Loop(name=IN, index=IN_INDEX, peer_name=BACK, peer_index=BACK_INDEX, mac=_MAC, mtu=_MTU),
        Sysctl(path=f"net/ipv4/conf/{BACK}/rp_filter", value="2"),
        Sysctl(path=f"net/ipv4/conf/{BACK}/forwarding", value="1"),
        Address(link=BACK, index=BACK_INDEX, address=_SOURCE),
    ]


def untranslated() -> tuple[Rule, ...]:
    """From outside nothing is translated at once."""
    return (Rule(f'iifname != @bridges iifname != {{ "lo", "{BACK}" }} accept', "through INPUT first"),)


def admitted() -> tuple[Rule, ...]:
    """The first packet of a connection to a published port that nobody has dropped."""
    mark = f"meta mark set meta mark | {ADMITTED:#x}"
    return (
        Rule("iifname @bridges accept"),
        Rule(f'iifname {{ "lo", "{BACK}" }} accept'),
        Rule("ct state != new accept"),
        Rule("ip6 saddr fe80::/10 accept", "a link-local client has no route beyond its link"),
        *(
            rule
            for kind, protocol in (("offered", "meta l4proto"), ("offered_ranges", "ct original protocol"))
            for rule in (
                Rule(f"ip daddr . {protocol} . th dport @{kind}4_at {mark}"),
                Rule(f"meta nfproto ipv4 {protocol} . th dport @{kind}4 {mark}"),
                Rule(f"ip6 daddr . {protocol} . th dport @{kind}6_at {mark}"),
                Rule(f"meta nfproto ipv6 {protocol} . th dport @{kind}6 {mark}"),
            )
        ),
    )


def hook() -> Hook:
    """Behind everybody else's."""
    return Hook("filter", "input", _LAST)


def tables(name: str) -> tuple[Table, ...]:
    """One of each family, which sends the copy."""
    return tuple(
        Table(
            name=name,
            sets=(),
            chains=(
                chain(
                    "again",
                    "a copy of it comes in once more, to be translated",
                    (
                        Rule(f"meta mark & {ADMITTED:#x} == 0 accept"),
                        Rule(f"meta mark set meta mark & {~ADMITTED & 0xFFFFFFFF:#x}", "the copy is marked as it came"),
                        Rule(f"dup to {via} device {IN_INDEX} drop"),
                    ),
                    hook=Hook("filter", "input", _LAST + 1),
                ),
            ),
            family="ip" if family == "ip" else "ip6",
        )
        for family, via in _VIA.items()
    )
