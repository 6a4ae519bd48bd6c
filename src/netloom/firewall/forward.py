"""The forward hook: what may cross this host from or to a container, and the mark that tells other firewalls so."""

from __future__ import annotations

from netloom.firewall import policy
from netloom.firewall.ruleset import Chain, Hook, Rule, chain

# Single bits of the packet mark; the others belong to whoever set them.
OURS = 0x40000000  # tells other firewalls that this packet is judged here
HAIRPIN = 0x20000000  # from forward to postrouting, where a bridged packet has no input interface any more

BEFORE_OTHERS = -10  # priority of the verdicts, whose mark the filters of others (0) ask for

_MEMBERS = (("ip", "members4"), ("ip6", "members6"))
_OUR_MARK = f"meta mark set meta mark | {OURS:#x}"


def ours_leaving() -> tuple[Rule, ...]:
    """Tell other firewalls what is judged here; this is from a bridge of ours.

    Not what crosses to bridges of others: their owners' isolation holds for our containers too.
    """
    return (
        Rule(f"oifname @bridges {_OUR_MARK} return"),
        Rule(f"oifname @uplinks {_OUR_MARK} return", "an uplink may be a bridge itself"),
        Rule(f'meta oifkind != "bridge" {_OUR_MARK}'),
    )


def ours_coming() -> tuple[Rule, ...]:
    """To a bridge of ours, from what is none."""
    return (
        Rule(f"iifname @uplinks {_OUR_MARK} return"),
        Rule(f'meta iifkind != "bridge" {_OUR_MARK}'),
    )


def beside() -> tuple[Rule, ...]:
    """Within a network that leads nowhere else, or on a LAN's bridge, where only some are ours."""
    return (
        Rule("iifname @bridges goto within"),
        *(Rule(f"iifname . {ip} saddr @{members} {_OUR_MARK}") for ip, members in _MEMBERS),
        *(Rule(f"oifname . {ip} daddr @{members} {_OUR_MARK}") for ip, members in _MEMBERS),
        Rule("goto bridged"),
    )


def directions() -> tuple[Rule, ...]:
    """Which chain judges a forwarded packet."""
    return (
        Rule("iifname @outward goto from_container"),
        Rule("oifname @outward goto to_container"),
        Rule("iifname . oifname @together goto beside"),
        *neighbours_apart(),
        *internal(),
        *(Rule(f"oifname . {ip} daddr @{members} goto to_member") for ip, members in _MEMBERS),
    )


def foreign() -> tuple[Rule, ...]:
    """What crosses the host between interfaces of others, and did not before netloom switched forwarding on."""
    return (
        Rule("meta nfproto ipv4 iifname @switched drop"),
        Rule("meta nfproto @switched_family drop"),
    )


def within() -> tuple[Rule, ...]:
    """Within one network of ours."""
    return (Rule(_OUR_MARK), Rule("goto bridged"))


def bridged() -> tuple[Rule, ...]:
    """Neighbours may all talk, whatever conntrack thinks of packets that a bridge merely carries."""
    return (
        Rule(f"ct status dnat meta mark set meta mark | {HAIRPIN:#x}", "through a published port"),
        Rule("accept"),
    )


def kept_apart() -> tuple[Rule, ...]:
    """Where they do not: only through published ports."""
    return (Rule("ct status & dnat == 0 drop"), Rule("goto within"))


def internal() -> tuple[Rule, ...]:
    """No way out of an internal network and none into it, answers and published ports included."""
    return (*out_of_internal(), *into_internal())


def out_of_internal() -> tuple[Rule, ...]:
    """The first half alone, for what goes to other networks of ours."""
    return (Rule("iifname @internal drop"),)


def into_internal() -> tuple[Rule, ...]:
    """The second half alone, for what comes from other networks of ours."""
    return (Rule("oifname @internal drop"),)


def neighbours() -> tuple[Rule, ...]:
    """What stays within the network. Most of the rest goes to what is no bridge, and need not ask for the pair."""
    return (Rule('meta oifkind "bridge" iifname . oifname @together goto within'),)


def neighbours_apart() -> tuple[Rule, ...]:
    """The same where they do not reach each other."""
    return (Rule("iifname . oifname @apart goto kept_apart"),)


def beginning() -> tuple[Rule, ...]:
    """What the first packets of a connection are asked, before anything is let through."""
    return (
        Rule("tcp flags & (syn | rst) == syn jump segments"),
        Rule("ct state & (established | related) == 0 jump judged", "policies judge what begins"),
    )


def answers() -> tuple[Rule, ...]:
    """What belongs to connections that containers opened."""
    return (Rule("ct state established,related accept"),)


def untracked() -> tuple[Rule, ...]:
    """What conntrack cannot place is not translated either."""
    return (Rule("ct state invalid drop", "it would leave with the container's own address"),)


def leaving() -> tuple[Rule, ...]:
    """What was let out when it began: nearly all that comes from containers."""
    return (Rule(f"ct state established oifname @uplinks {_OUR_MARK} accept"),)


def coming() -> tuple[Rule, ...]:
    """The same way back."""
    return (Rule(f"ct state established iifname @uplinks {_OUR_MARK} accept"),)


def marked(side: str) -> tuple[Rule, ...]:
    """What other firewalls are to know, before anything is let through."""
    return (Rule(f"jump {side}"),)


def as_member() -> tuple[Rule, ...]:
    """As to a container that is a machine of a LAN."""
    return (Rule("goto to_member"),)


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


def chains() -> tuple[Chain, ...]:
    """In the order in which they are named."""
    return (
        chain("bridged", "within a network everything passes", bridged()),
        chain("within", "the same, and other firewalls are told", within()),
        chain("kept_apart", "neighbours who meet through published ports alone", kept_apart()),
        chain("beside", "within an internal network, or on a LAN's bridge", beside()),
        chain("open_ports", "published ports at a container's own address", open_ports()),
        chain("routed_ports", "the same, and pings", routed_ports()),
        chain("ours_leaving", "tells other firewalls what leaves a network", ours_leaving()),
        chain("ours_coming", "tells other firewalls what comes into one", ours_coming()),
        chain(
            "from_container",
            "what may leave a network",
            neighbours(),
            leaving(),
            neighbours_apart(),
            into_internal(),
            untracked(),
            marked("ours_leaving"),
            published(),
            isolation(),
        ),
        chain(
            "to_member",
            "what may reach a container from elsewhere",
            answers(),
            published(),
            without_translation(),
            unpublished(),
        ),
        chain(
            "to_container",
            "what may come into a network",
            coming(),
            out_of_internal(),
            marked("ours_coming"),
            as_member(),
        ),
    )


def base_chain() -> Chain:
    """Where the kernel asks, once: every packet passes here, and costs a look at it for each chain at the hook.

    The first questions are those that decide about connections that stand, and as few sets as can be.
    """
    return chain(
        "forward",
        "what crosses the host, and which chain judges it",
        beginning(),
        directions(),
        foreign(),
        hook=Hook("filter", "forward", BEFORE_OTHERS),
    )
