"""The rules of the IP layer, a function for each feature, and the ruleset that they and the guard make up.

Verdicts are the same whether bridged packets pass these hooks (bridge-nf-call-iptables) or not. Only traffic of
our own bridges is judged, and packets that cross the host merely because netloom switched forwarding on.
"""

from __future__ import annotations

from netloom.firewall import cooperation, policy, relayed
from netloom.firewall.guard import guard_table
from netloom.firewall.ruleset import Hook, Rule, Ruleset, Set, Table, chain

TABLE = "netloom"

# Single bits of the packet mark; the others belong to whoever set them.
OURS = 0x40000000  # tells other firewalls that this packet is judged here
HAIRPIN = 0x20000000  # from forward to postrouting, where a bridged packet has no input interface any more

_MEMBERS = (("ip", "members4"), ("ip6", "members6"))
_OUR_MARK = f"meta mark set meta mark | {OURS:#x}"

SETS = (
    Set("bridges", ("ifname",), "bridges of networks"),
    Set("same", ("ifname", "ifname"), "each bridge with itself: traffic within one network"),
    Set("internal", ("ifname",), "bridges of internal networks"),
    Set("apart", ("ifname",), "bridges whose containers do not reach each other"),
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


def our_mark() -> tuple[Rule, ...]:
    """Tell other firewalls what is judged here.

    Not what crosses to bridges of others: their owners' isolation holds for our containers too. Every packet passes
    here, so what it costs is the number of sets that are asked.
    """
    return (
        Rule("iifname @bridges goto ours_leaving"),
        Rule("oifname @bridges goto ours_coming"),
        Rule("iifname . oifname @same goto our_members"),
    )


def ours_leaving() -> tuple[Rule, ...]:
    """From a bridge of ours."""
    return (
        Rule(f"oifname @bridges {_OUR_MARK} accept"),
        Rule(f"oifname @uplinks {_OUR_MARK} accept", "an uplink may be a bridge itself"),
        Rule(f'meta oifkind != "bridge" {_OUR_MARK}'),
    )


def ours_coming() -> tuple[Rule, ...]:
    """To a bridge of ours, from what is none."""
    return (
        Rule(f"iifname @uplinks {_OUR_MARK} accept"),
        Rule(f'meta iifkind != "bridge" {_OUR_MARK}'),
    )


def our_members() -> tuple[Rule, ...]:
    """The same on a bridge of somebody else's, where only some are ours."""
    return (
        *(Rule(f"iifname . {ip} saddr @{members} {_OUR_MARK}") for ip, members in _MEMBERS),
        *(Rule(f"oifname . {ip} daddr @{members} {_OUR_MARK}") for ip, members in _MEMBERS),
    )


def path_mtu() -> tuple[Rule, ...]:
    """No segment larger than the way that its packet takes, nor than the way back.

    Where the path's MTU is smaller than the containers', nobody may depend on ICMP coming through.
    """
    return (Rule("tcp flags & (syn | rst) == syn goto segments"),)


def segments() -> tuple[Rule, ...]:
    """Of a connection that begins."""
    clamp = "tcp flags syn tcp option maxseg size set rt mtu"
    return (
        Rule("iifname . oifname @same accept", "bridged"),
        Rule(f"iifname @bridges {clamp}"),
        Rule(f"oifname @bridges {clamp}"),
    )


def directions() -> tuple[Rule, ...]:
    """Which chain judges a forwarded packet."""
    return (
        Rule("iifname . oifname @same goto within"),
        Rule("iifname @bridges goto from_container"),
        Rule("oifname @bridges goto to_container"),
        *(Rule(f"oifname . {ip} daddr @{members} goto to_container") for ip, members in _MEMBERS),
    )


def foreign() -> tuple[Rule, ...]:
    """What crosses the host between interfaces of others, and did not before netloom switched forwarding on."""
    return (
        Rule("meta nfproto ipv4 iifname @switched drop"),
        Rule("meta nfproto @switched_family drop"),
    )


def within() -> tuple[Rule, ...]:
    """Within one network all may talk, whatever conntrack thinks of packets that a bridge merely carries.

    But where neighbours are kept apart: then only through published ports.
    """
    return (
        Rule(f"ct status dnat meta mark set meta mark | {HAIRPIN:#x}", "through a published port"),
        Rule("iifname @apart ct status & dnat == 0 drop"),
        Rule("accept"),
    )


def internal() -> tuple[Rule, ...]:
    """No way out of an internal network and none into it, answers and published ports included."""
    return (Rule("iifname @internal drop"), *into_internal())


def into_internal() -> tuple[Rule, ...]:
    """The second half alone, for what comes from outside."""
    return (Rule("oifname @internal drop"),)


def answers() -> tuple[Rule, ...]:
    """What belongs to connections that containers opened."""
    return (Rule("ct state established,related accept"),)


def untracked() -> tuple[Rule, ...]:
    """What conntrack cannot place is not translated either."""
    return (Rule("ct state invalid drop", "it would leave with the container's own address"),)


def leaving() -> tuple[Rule, ...]:
    """What was let out when it began: nearly all that comes here."""
    return (Rule("ct state established oifname @uplinks accept"),)


def published() -> tuple[Rule, ...]:
    """What a published port let in."""
    return (Rule("ct status dnat accept"),)


def isolation() -> tuple[Rule, ...]:
    """Nothing else between networks, but what policies open, and routed ones to everybody."""
    return (
        Rule(f"meta mark & {policy.CROSSING:#x} != 0 accept", "a policy opens it"),
        Rule("iifname . oifname @crossed ct state established,related accept", "and its answers"),
        Rule("iifname . meta nfproto @routed ct state established,related accept", "answers of a routed one"),
        Rule("oifname . meta nfproto @routed goto routed_ports"),
        Rule("oifname @bridges drop"),
        Rule("oifname . ip daddr @members4 drop", "its LAN reaches it, the host does not lead there"),
        Rule("oifname . ip6 daddr @members6 drop"),
    )


def without_translation() -> tuple[Rule, ...]:
    """Containers that are reached by their own addresses: gateway modes routed and nat-unprotected, trusted links."""
    return (
        Rule("oifname . meta nfproto @routed goto routed_ports"),
        Rule("oifname . meta nfproto @unprotected accept"),
        Rule("iifname . oifname @trusted goto open_ports"),
    )


def routed_ports() -> tuple[Rule, ...]:
    """A routed container answers to pings too."""
    return (Rule("meta l4proto { icmp, ipv6-icmp } accept"), Rule("goto open_ports"))


def open_ports() -> tuple[Rule, ...]:
    """Published ports, by the address and the port of the container."""
    return (
        Rule("ip daddr . meta l4proto . th dport @open4 accept"),
        Rule("ip6 daddr . meta l4proto . th dport @open6 accept"),
        Rule("drop"),
    )


def unpublished() -> tuple[Rule, ...]:
    """Nothing else from outside, by whatever route it comes."""
    return (Rule("drop"),)


def ruleset(*, cooperate: bool = False) -> Ruleset:
    """The ruleset of this version of netloom; `cooperate` where the host's INPUT decides about published ports."""
    tables = (_table(cooperate=cooperate), guard_table(TABLE, HAIRPIN))
    return Ruleset((*tables, *cooperation.tables(TABLE)) if cooperate else tables)


def _table(*, cooperate: bool) -> Table:
    last = (chain("admitted", cooperation.admitted(), hook=cooperation.hook()),) if cooperate else ()
    return Table(
        name=TABLE,
        sets=(*SETS, *cooperation.SETS) if cooperate else SETS,
        chains=(
            chain("relay", relay()),
            chain("publish4", published4()),
            chain("publish6", published6()),
            chain("towards_container", towards_container()),
            chain("out_of_the_host", out_of_the_host()),
            chain("within", within()),
            chain("open_ports", open_ports()),
            chain("routed_ports", routed_ports()),
            chain("from_container", internal(), untracked(), leaving(), published(), isolation()),
            chain("to_container", into_internal(), answers(), published(), without_translation(), unpublished()),
            chain("ours_leaving", ours_leaving()),
            chain("ours_coming", ours_coming()),
            chain("our_members", our_members()),
            chain("segments", segments()),
            chain("guard", loopback_guard(), hook=Hook("filter", "prerouting", -300)),
            chain("from_outside", publish_from_outside(cooperate=cooperate), hook=Hook("nat", "prerouting", -100)),
            *policy.chains(),
            chain("from_host", relayed.answers(), publish_from_host(), hook=Hook("nat", "output", -100)),
            chain("input", relay_guard(), hook=Hook("filter", "input", 0)),
            chain("path_mtu", path_mtu(), hook=Hook("filter", "forward", -150)),
            chain("our_mark", our_mark(), hook=Hook("filter", "forward", -10)),
            chain("forward", directions(), foreign(), hook=Hook("filter", "forward", 0)),
            chain("source", source_addresses(), hook=Hook("nat", "postrouting", 100)),
            *last,
        ),
    )
