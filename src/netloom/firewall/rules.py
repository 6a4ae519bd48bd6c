"""The rules of the IP layer, a function for each feature, and the ruleset that they and the guard make up.

Verdicts are the same whether bridged packets pass these hooks (bridge-nf-call-iptables) or not. Only traffic of
our own bridges is judged, and packets that cross the host merely because netloom switched forwarding on.
"""

from __future__ import annotations

from netloom.firewall import cooperation, forward, policy, relayed
from netloom.firewall.forward import HAIRPIN
from netloom.firewall.guard import guard_table
from netloom.firewall.ruleset import Hook, Rule, Ruleset, Set, Table, chain

TABLE = "netloom"

SETS = (
    Set("bridges", ("ifname",), "bridges of networks"),
    Set("outward", ("ifname",), "those of networks that are not internal"),
    Set("together", ("ifname", "ifname"), "each bridge with itself: traffic within one network"),
    Set("apart", ("ifname", "ifname"), "the same where containers do not reach each other"),
    Set("internal", ("ifname",), "bridges of internal networks"),
    Set("masqueraded", ("ifname", "nf_proto"), "bridges whose traffic leaves with the host's address"),
    Set("source4", ("ifname",), "the address that the host then uses, where a network names one", ("ipv4_addr",)),
    Set("source6", ("ifname",), "the same for IPv6", ("ipv6_addr",)),
    Set("routed", ("ifname", "nf_proto"), "bridges whose published ports are reached by the container's own address"),
    Set("unprotected", ("ifname", "nf_proto"), "bridges whose every port is reached by the container's own address"),
    Set("trusted", ("ifname", "ifname"), "interfaces by which published ports of a bridge are reached likewise"),
    Set("members4", ("ifname", "ipv4_addr"), "containers that are machines of a LAN, by the host's way to it"),
    Set("members6", ("ifname", "ipv6_addr"), "the same for IPv6"),
    Set("open4", ("ipv4_addr", "inet_proto", "inet_service"), "those ports"),
    Set("open6", ("ipv6_addr", "inet_proto", "inet_service"), "the same for IPv6"),
    Set("published4", ("inet_proto", "inet_service"), "ports on every IPv4 address", ("ipv4_addr", "inet_service")),
    Set(
        "published4_at",
        ("ipv4_addr", "inet_proto", "inet_service"),
        "ports on one IPv4 address",
        ("ipv4_addr", "inet_service"),
    ),
    Set("published6", ("inet_proto", "inet_service"), "ports on every IPv6 address", ("ipv6_addr", "inet_service")),
    Set(
        "published6_at",
        ("ipv6_addr", "inet_proto", "inet_service"),
        "ports on one IPv6 address",
        ("ipv6_addr", "inet_service"),
    ),
    Set(
        "published_ranges4",
        ("inet_proto", "inet_service"),
        "ranges of ports on every IPv4 address that lead to the same ports",
        ("ipv4_addr",),
        flags="interval",
    ),
    Set(
        "published_ranges4_at",
        ("ipv4_addr", "inet_proto", "inet_service"),
        "the same on one IPv4 address",
        ("ipv4_addr",),
        flags="interval",
    ),
    Set(
        "published_ranges6",
        ("inet_proto", "inet_service"),
        "the same on every IPv6 address",
        ("ipv6_addr",),
        flags="interval",
    ),
    Set(
        "published_ranges6_at",
        ("ipv6_addr", "inet_proto", "inet_service"),
        "the same on one IPv6 address",
        ("ipv6_addr",),
        flags="interval",
    ),
    *relayed.SETS,
    Set("uplinks", ("ifname",), "interfaces by which networks reach other hosts"),
    Set("switched", ("ifname",), "interfaces whose IPv4 forwarding netloom switched on"),
    Set("switched_family", ("nf_proto",), "families whose forwarding netloom switched on for the whole host"),
    *policy.SETS,
    *relayed.POLICY_SETS,
)


def loopback_guard() -> tuple[Rule, ...]:
    """`route_localnet` on a bridge must open the host's loopback to nobody."""
    return (
        Rule(
            "ip daddr 127.0.0.0/8 iifname @bridges drop",
            "route_localnet would let containers reach the host's loopback",
        ),
        Rule("ip saddr 127.0.0.0/8 iifname @bridges drop", "and pretend to be it"),
    )


def publish_from_outside(*, cooperate: bool) -> tuple[Rule, ...]:
    """Packets that come in for one of the host's own addresses."""
    return (
        Rule("iifname @internal accept", "an internal network has no published ports to use"),
        Rule(
            'iifname != "lo" ip daddr 127.0.0.0/8 accept', "whoever routes loopback addresses in gets no published port"
        ),
        *(cooperation.untranslated() if cooperate else ()),
        *publish_from_host(),
    )


def publish_from_host() -> tuple[Rule, ...]:
    """The host's own programs reach published ports like everybody else."""
    return (
        Rule("meta nfproto ipv4 fib daddr type local goto publish4"),
        Rule("meta nfproto ipv6 fib daddr type local goto publish6"),
    )


def published4() -> tuple[Rule, ...]:
    """One address first, then any."""
    return (
        Rule("dnat ip to ip daddr . meta l4proto . th dport map @published4_at"),
        Rule("dnat ip to ip daddr . ct original protocol . th dport map @published_ranges4_at"),
        Rule("dnat ip to meta l4proto . th dport map @published4"),
        Rule("dnat ip to ct original protocol . th dport map @published_ranges4", "without a port: it stays"),
    )


def published6() -> tuple[Rule, ...]:
    """The same for IPv6, but for the addresses that cannot be translated."""
    return (
        Rule("ip6 daddr ::1 goto relay", "::1 never leaves the loopback interface: nothing like route_localnet exists"),
        Rule("ip6 saddr fe80::/10 goto relay", "a link-local client has no route beyond its link"),
        Rule("dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6_at"),
        Rule("dnat ip6 to ip6 daddr . ct original protocol . th dport map @published_ranges6_at"),
        Rule("dnat ip6 to meta l4proto . th dport map @published6"),
        Rule("dnat ip6 to ct original protocol . th dport map @published_ranges6"),
        Rule("goto relay", "an IPv4-only container"),
    )


def relay() -> tuple[Rule, ...]:
    """TCP goes to the relay's one listener, which asks for the original destination.

    UDP has no such question: its datagrams arrive at the socket that holds the port.
    """
    target = "meta l4proto tcp redirect to :meta nfproto map @relay_port"
    return (
        Rule(f"ip6 daddr . meta l4proto . th dport @relayed_at {target}"),
        Rule(f"ip6 daddr . ct original protocol . th dport @relayed_ranges_at {target}"),
        Rule(f"meta l4proto . th dport @relayed {target}"),
        Rule(f"ct original protocol . th dport @relayed_ranges {target}"),
    )


def relay_guard() -> tuple[Rule, ...]:
    """Only redirected connections reach the relay; internal networks reach none of its ports."""
    return (
        Rule("meta nfproto ipv6 tcp dport @relay_ports ct status & dnat == 0 drop", "not redirected: an outsider"),
        Rule("iifname @internal ip6 daddr . meta l4proto . th dport @relayed_at drop"),
        Rule("iifname @internal ip6 daddr . ct original protocol . th dport @relayed_ranges_at drop"),
        Rule("iifname @internal meta nfproto ipv6 meta l4proto . th dport @relayed drop"),
        Rule("iifname @internal meta nfproto ipv6 ct original protocol . th dport @relayed_ranges drop"),
    )


def source_addresses() -> tuple[Rule, ...]:
    """Who the other side sees."""
    return (
        Rule("oifname @bridges goto towards_container"),
        Rule("iifname . meta nfproto @masqueraded goto out_of_the_host"),
    )


def out_of_the_host() -> tuple[Rule, ...]:
    """With the address that the network names, or that of the interface."""
    return (
        Rule("snat ip to iifname map @source4"),
        Rule("snat ip6 to iifname map @source6"),
        Rule("masquerade"),
    )


def towards_container() -> tuple[Rule, ...]:
    """A container sees its client's own address, but where the answer would not come back through the host."""
    return (
        Rule("ip saddr 127.0.0.0/8 masquerade", "from the host's loopback"),
        Rule(f"meta mark & {HAIRPIN:#x} != 0 masquerade", "from its own network, through the host's address"),
    )


def segments() -> tuple[Rule, ...]:
    """Of a connection that begins: no segment larger than the way that its packet takes, nor than the way back.

    Where the path's MTU is smaller than the containers', nobody may depend on ICMP coming through.
    """
    clamp = "tcp flags syn tcp option maxseg size set rt mtu"
    return (
        Rule("iifname . oifname @together return", "bridged"),
        Rule("iifname . oifname @apart return"),
        Rule(f"iifname @bridges {clamp}"),
        Rule(f"oifname @bridges {clamp}"),
    )


def ruleset(*, cooperate: bool = False) -> Ruleset:
    """The ruleset of this version of netloom; `cooperate` where the host's INPUT decides about published ports."""
    tables = (_table(cooperate=cooperate), guard_table(TABLE, HAIRPIN))
    return Ruleset((*tables, *cooperation.tables(TABLE)) if cooperate else tables)


def _table(*, cooperate: bool) -> Table:
    last = (
        (
            chain(
                "admitted",
                "what everybody's INPUT has let in for a published port",
                cooperation.admitted(),
                hook=cooperation.hook(),
            ),
        )
        if cooperate
        else ()
    )
    return Table(
        name=TABLE,
        sets=(*SETS, *cooperation.SETS) if cooperate else SETS,
        chains=(
            chain("relay", "which IPv6 ports go to the relay, since the kernel cannot translate them", relay()),
            chain("publish4", "where a published IPv4 port leads", published4()),
            chain("publish6", "where a published IPv6 port leads", published6()),
            chain("towards_container", "which source a container sees", towards_container()),
            chain("out_of_the_host", "which source other hosts see", out_of_the_host()),
            *forward.chains(),
            chain("segments", "how large the segments of a new connection may be", segments()),
            chain(
                "guard",
                "no way from a network to the host's loopback addresses",
                loopback_guard(),
                hook=Hook("filter", "prerouting", -300),
            ),
            chain(
                "from_outside",
                "is what comes in for a published port?",
                publish_from_outside(cooperate=cooperate),
                hook=Hook("nat", "prerouting", -100),
            ),
            *policy.chains(),
            chain(
                "from_host",
                "the same of what the host itself sends",
                relayed.answers(),
                publish_from_host(),
                hook=Hook("nat", "output", -100),
            ),
            chain("input", "who reaches the relay", relay_guard(), hook=Hook("filter", "input", 0)),
            forward.base_chain(),
            chain(
                "source", "whose source address is replaced", source_addresses(), hook=Hook("nat", "postrouting", 100)
            ),
            *last,
        ),
    )
