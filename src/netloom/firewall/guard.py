"""The guard at each port of a bridge: what a container may call itself, before its frame reaches anybody.

A frame must come from the endpoint's own MAC address and, in the headers that neighbours believe, from its own
addresses; nobody but the host is a router or a DHCP server. What is not IPv4, ARP or IPv6 is dropped, tags of
VLANs and priorities included: a list of what is forbidden would be passed by one tag in front of it.

In the bridge family, before bridged packets meet any other hook: ARP, neighbour discovery and raw frames are seen
here alone. Ports, addresses and exceptions are elements; the rules never change.
"""

from __future__ import annotations

from netloom.firewall.ruleset import TARGET, Hook, Rule, Set, Table, chain

FIRST = -300  # before the bridge family's own NAT, and so before bridge-nf-call-iptables (priority 0)
AFTER_IP = 10  # after it: the IP hooks have judged, and marked

SETS = (
    Set("guarded", ("ifname",), "ports under guard"),
    Set("guarded_mac", ("ifname", "ether_addr"), "the address of each"),
    Set("guarded4", ("ifname", "ether_addr", "ipv4_addr"), "its IPv4 addresses, beside its MAC address"),
    Set("guarded6", ("ifname", "ether_addr", "ipv6_addr"), "its IPv6 addresses, link-local ones included"),
    Set("guarded_targets", ("ifname", "nd_target"), "the same, as neighbour discovery speaks of them"),
    Set("routing", ("ifname",), "ports of containers that may route for others"),
    Set("ethertypes", ("ifname", "ether_type"), "further protocols that a network lets through"),
    Set("apart_ports", ("ifname",), "ports of networks whose containers do not reach each other"),
)

_OWN4 = "iifname . ether saddr . ip saddr @guarded4"
_OWN6 = "iifname . ether saddr . ip6 saddr @guarded6"
_SOLICITED = "{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }"
_JOINS = "{ mld-listener-report, mld-listener-done, mld2-listener-report }"


def from_port() -> tuple[Rule, ...]:
    """Which chain judges a frame of the port's own MAC address. `ether type` is that of the outermost tag."""
    return (
        Rule("ether type ip goto ipv4_sender"),
        Rule("ether type arp goto arp_sender"),
        Rule("ether type ip6 goto ipv6_sender"),
        Rule("iifname . ether type @ethertypes accept"),
        Rule("drop", "tags, STP, and whatever else could carry what is forbidden"),
    )


def arp_sender() -> tuple[Rule, ...]:
    """ARP of Ethernet and IPv4: other lengths would move the fields that are looked at."""
    return (
        Rule("arp htype != 1 drop"),
        Rule("arp ptype != ip drop"),
        Rule("arp hlen != 6 drop"),
        Rule("arp plen != 4 drop"),
        Rule("iifname . arp saddr ether != @guarded_mac drop"),
        Rule("arp operation request arp saddr ip 0.0.0.0 accept", "is the address taken? (RFC 5227)"),
        Rule("iifname . arp saddr ether . arp saddr ip != @guarded4 drop"),
    )


def ipv4_sender() -> tuple[Rule, ...]:
    """A fragment without ports is nothing without the first one."""
    return (
        Rule("udp sport 67 drop", "a DHCP server"),
        Rule(f"{_OWN4} accept"),
        Rule("iifname @routing accept"),
        Rule("drop"),
    )


def ipv6_sender() -> tuple[Rule, ...]:
    """The same for IPv6, where a chain of headers may hide what follows it."""
    return (
        Rule("frag frag-off 0 jump whole_header"),
        Rule("meta l4proto ipv6-icmp goto icmp6"),
        Rule("udp sport 547 drop", "a DHCP server"),
        Rule(f"{_OWN6} accept"),
        Rule("iifname @routing accept"),
        Rule("drop"),
    )


def whole_header() -> tuple[Rule, ...]:
    """A first fragment shows which protocol it is of (RFC 7112)."""
    return (Rule("@th,0,32 >= 0 return", "it can be read"), Rule("drop"))


def icmp6() -> tuple[Rule, ...]:
    """Neighbour discovery, which tells others where to send; everything else is as any packet."""
    return (
        Rule("icmpv6 type { nd-router-advert, nd-redirect } drop", "the host alone routes"),
        Rule(f"icmpv6 type {_SOLICITED} goto neighbours"),
        Rule("iifname @routing accept"),
        Rule(f"ip6 saddr :: icmpv6 type {_JOINS} accept", "before there is an address (RFC 3590)"),
        Rule("iifname . ether saddr . ip6 saddr != @guarded6 drop"),
    )


def neighbours() -> tuple[Rule, ...]:
    """Of whom it comes, and of whom it speaks."""
    return (
        Rule(
            f"ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . {TARGET} @guarded_targets accept",
            "is the address taken? (RFC 4862)",
        ),
        Rule("ip6 saddr :: icmpv6 type nd-router-solicit accept"),
        Rule("iifname . ether saddr . ip6 saddr != @guarded6 drop"),
        Rule(f"icmpv6 type nd-neighbor-advert iifname . {TARGET} != @guarded_targets drop"),
    )


def apart(passed: int) -> tuple[Rule, ...]:
    """Containers of one network that do not reach each other, on no protocol.

    `passed` is the mark of what may: through a published port.
    """
    return (Rule(f"iifname @apart_ports oifname @apart_ports meta mark & {passed:#x} == 0 drop"),)


def ports() -> tuple[Rule, ...]:
    """What nearly every frame passes is asked first, here and in the chains that follow: each question costs."""
    return (
        Rule(f"ether type ip6 meta l4proto tcp {_OWN6} accept", "nearly all there is; it hides nothing"),
        Rule(f"ether type ip meta l4proto tcp {_OWN4} accept", "likewise"),
        Rule("iifname . ether saddr @guarded_mac goto from_port"),
        Rule("iifname @guarded drop", "of another's MAC address"),
    )


def guard_table(name: str, passed: int) -> Table:
    """The table of the bridge family."""
    return Table(
        name=name,
        family="bridge",
        sets=SETS,
        chains=(
            chain("arp_sender", "whose ARP", arp_sender()),
            chain("ipv4_sender", "whose IPv4", ipv4_sender()),
            chain("whole_header", "does a first fragment show what it is of?", whole_header()),
            chain("neighbours", "whose neighbour discovery, and about whom", neighbours()),
            chain("icmp6", "which ICMPv6", icmp6()),
            chain("ipv6_sender", "whose IPv6", ipv6_sender()),
            chain("from_port", "which protocols", from_port()),
            chain(
                "ports",
                "what a container may call itself, at its port",
                ports(),
                hook=Hook("filter", "prerouting", FIRST),
            ),
            chain(
                "between_ports",
                "frames between containers that are kept apart",
                apart(passed),
                hook=Hook("filter", "forward", AFTER_IP),
            ),
        ),
    )
