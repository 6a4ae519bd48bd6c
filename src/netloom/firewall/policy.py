"""Who may reach whom, as users say it: chains that look up two identities and a port, whatever the policies are.

An identity is a number that stands for all endpoints, or all outer addresses, which the same selectors choose. The
sender's goes into the packet's priority, the receiver's into its mark: of the fields that a rule can both set and look
up, these two can be put back. Nobody's priority is lost (a packet that comes out of a container has none); a packet
that somebody has marked keeps its mark, and the mark of its connection, if free, takes the receiver. Both are set for
the packets that begin a connection and for no others.

The chains stand before all others in the forward and input hooks. What they let pass the other chains judge as ever.
"""

from __future__ import annotations

from netloom.firewall.ruleset import Chain, Field, Hook, Rule, Set, chain

CROSSING = (
    0x10000000  # a bit of the packet mark, from here to `from_container`: a policy opens the way between networks
)
HOST = 1  # the identity of the host itself; 0 is everybody whom no selector chooses
LOG_GROUP = 20044  # of NFLOG: "NL"
DENIED, TRIED = "netloom denied", "netloom dry run"  # prefixes of what is logged there
BEFORE = -20  # priority, before `our_mark`

_PORTS: tuple[Field, ...] = ("classid", "mark", "inet_proto", "inet_service")
_PAIR: tuple[Field, ...] = ("classid", "mark")
_LEARNT: dict[int, tuple[Field, ...]] = {4: ("ipv4_addr", "ipv4_addr"), 6: ("ipv6_addr", "ipv6_addr")}

SETS = (
    Set("from4", ("ipv4_addr",), "identities of endpoints that policies choose, as senders", ("classid",)),
    Set("from6", ("ipv6_addr",), "the same for IPv6", ("classid",)),
    Set("to4", ("ipv4_addr",), "the same as receivers", ("mark",)),
    Set("to6", ("ipv6_addr",), "the same for IPv6", ("mark",)),
    Set("outer_from4", ("nf_proto", "ipv4_addr"), "of addresses elsewhere, as senders", ("classid",), "interval"),
    Set("outer_from6", ("nf_proto", "ipv6_addr"), "the same for IPv6", ("classid",), "interval"),
    Set("outer_to4", ("nf_proto", "ipv4_addr"), "the same as receivers", ("mark",), "interval"),
    Set("outer_to6", ("nf_proto", "ipv6_addr"), "the same for IPv6", ("mark",), "interval"),
    Set("deny_ports", _PORTS, "who does not reach whom on which ports", flags="interval", counted=True),
    Set("deny_pairs", _PAIR, "the same on every port", counted=True),
    Set("allow_ports", _PORTS, "who reaches whom on which ports", flags="interval"),
    Set("allow_pairs", _PAIR, "the same on every port"),
    Set("cross_ports", _PORTS, "the same from one network to another", flags="interval"),
    Set("cross_pairs", _PAIR, "on every port"),
    Set("crossed", ("ifname", "ifname"), "bridges between which that is so, both ways"),
    Set("closed", ("ifname",), "bridges of networks where nothing passes that no policy allows", counted=True),
    Set("trial_deny_ports", _PORTS, "what a dry run would deny", flags="interval", counted=True),
    Set("trial_deny_pairs", _PAIR, "the same on every port", counted=True),
    Set("trial_allow_ports", _PORTS, "what it would allow", flags="interval"),
    Set("trial_allow_pairs", _PAIR, "the same on every port"),
    Set("trial_closed", ("ifname",), "bridges of networks that it would close", counted=True),
    *(
        one
        for family in (4, 6)
        for kind, about in (("deny", "what a container does not reach"), ("allow", "what it reaches"))
        for one in (
            Set(
                f"{kind}_names{family}",
                (*_LEARNT[family], "inet_proto", "inet_service"),
                f"{about}, by a name that it has looked up",
                flags="timeout",
            ),
            Set(
                f"{kind}_named{family}",
                _LEARNT[family],
                "the same on every port",
                flags="timeout",
            ),
        )
    ),
)

_NEIGHBOURS = (
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert,"
    " mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept"
)
_WAYS = {"": "meta mark", "_tracked": "ct mark"}  # by suffix of the chains: where the receiver's identity is kept


def _pair(field: str) -> str:
    return f"meta priority . {field}"


def _ports(field: str, port: str = "dport") -> str:
    return f"{_pair(field)} . meta l4proto . th {port}"


def _sides(field: str, *, back: bool = False) -> tuple[Rule, ...]:
    """The identities of sender and receiver; `back` of the connection whose answer this packet would be."""
    source, target, way_in, way_out = "saddr", "daddr", "iifname", "oifname"
    if back:
        source, target, way_in, way_out = target, source, way_out, way_in
    rules = [Rule("meta priority set 0"), Rule(f"{field} set 0")]
    for family, ip in ((4, "ip"), (6, "ip6")):
        rules += [
            Rule(f"meta priority set {ip} {source} map @from{family}"),
            Rule(
                f"meta priority 0 {way_in} != @bridges"
                f" meta priority set meta nfproto . {ip} {source} map @outer_from{family}"
            ),
            Rule(f"{field} set {ip} {target} map @to{family}"),
            Rule(f"{field} 0 {way_out} != @bridges {field} set meta nfproto . {ip} {target} map @outer_to{family}"),
        ]
    return tuple(rules)


def _by_name(kind: str, verdict: str, *, back: bool = False) -> tuple[Rule, ...]:
    source, target, port = ("daddr", "saddr", "sport") if back else ("saddr", "daddr", "dport")
    return tuple(
        rule
        for family, ip in ((4, "ip"), (6, "ip6"))
        for rule in (
            Rule(f"{ip} {source} . {ip} {target} . meta l4proto . th {port} @{kind}_names{family} {verdict}"),
            Rule(f"{ip} {source} . {ip} {target} @{kind}_named{family} {verdict}"),
        )
    )


def _denials(field: str, port: str = "dport") -> tuple[Rule, ...]:
    return (
        Rule(f"{_ports(field, port)} @deny_ports goto denied"),
        Rule(f"{_pair(field)} @deny_pairs goto denied"),
        *_by_name("deny", "goto denied", back=port == "sport"),
    )


def _allowances(field: str, suffix: str, port: str = "dport") -> tuple[Rule, ...]:
    return (
        Rule(f"{_ports(field, port)} @allow_ports goto passed{suffix}"),
        Rule(f"{_pair(field)} @allow_pairs goto passed{suffix}"),
        *_by_name("allow", f"goto passed{suffix}", back=port == "sport"),
        Rule(f"{_ports(field, port)} @cross_ports goto crossing{suffix}"),
        Rule(f"{_pair(field)} @cross_pairs goto crossing{suffix}"),
    )


def _logged(prefix: str) -> Rule:
    """Anybody can cause denials: the log is for people, the elements' counters count them all."""
    return Rule(f'limit rate 20/second burst 50 packets log prefix "{prefix}" group {LOG_GROUP}')


def _chains(suffix: str, field: str) -> tuple[Chain, ...]:
    """The chains that keep the receiver in `field`, which is 0 before and after."""
    restored = (Rule(f"{field} set 0"), Rule("meta priority set 0"))
    crossing = Rule(f"meta mark set meta mark | {CROSSING:#x}")
    allowed = [f"{_ports(field)} @{kind}_ports" for kind in ("allow", "cross", "trial_allow")]
    allowed += [f"{_pair(field)} @{kind}_pairs" for kind in ("allow", "cross", "trial_allow")]
    return (
        chain(f"passed{suffix}", (*restored, Rule("accept"))),
        chain(f"crossing{suffix}", (*restored, crossing, Rule("accept"))),
        chain(
            f"otherwise{suffix}",
            (
                Rule("iifname @closed goto denied"),
                Rule("oifname @closed goto denied"),
                Rule(f"goto passed{suffix}"),
            ),
        ),
        chain(f"sides{suffix}", _sides(field)),
        chain(f"sides_back{suffix}", _sides(field, back=True)),
        chain(
            f"trial_closed{suffix}",
            [Rule(f"{match} return") for match in allowed],
            _by_name("allow", "return"),
            (
                Rule("iifname @trial_closed goto would_be_denied", "last, or its counter would count what is allowed"),
                Rule("oifname @trial_closed goto would_be_denied"),
            ),
        ),
        chain(
            f"trial{suffix}",
            (
                Rule(f"{_ports(field)} @trial_deny_ports goto would_be_denied"),
                Rule(f"{_pair(field)} @trial_deny_pairs goto would_be_denied"),
                Rule(f"goto trial_closed{suffix}"),
            ),
        ),
        chain(f"verdict{suffix}", _denials(field), _allowances(field, suffix), (Rule(f"goto otherwise{suffix}"),)),
        chain(
            f"answer_denied{suffix}",
            (
                Rule(f"jump sides_back{suffix}"),
                Rule(f"{_ports(field, 'sport')} @deny_ports goto denied", "the answer of a connection that ended"),
            ),
        ),
        chain(
            f"midstream{suffix}",
            (Rule(f"jump sides_back{suffix}"), *_denials(field, "sport"), Rule(f"jump sides{suffix}")),
            _denials(field),
            _allowances(field, suffix),
            (Rule(f"jump sides_back{suffix}"),),
            _allowances(field, suffix, "sport"),
            (Rule(f"goto otherwise{suffix}"),),
        ),
        chain(
            f"between{suffix}",
            (
                Rule(
                    f"tcp flags & (fin|syn|rst|ack) != syn goto midstream{suffix}",
                    "of a connection that is not tracked yet, or not any more",
                ),
                Rule(f"meta l4proto {{ udp, sctp }} jump answer_denied{suffix}"),
                Rule(f"jump sides{suffix}"),
                Rule(f"jump trial{suffix}"),
                Rule(f"goto verdict{suffix}"),
            ),
        ),
        chain(
            f"to_host{suffix}",
            (
                Rule("meta priority set 0"),
                Rule("meta priority set ip saddr map @from4"),
                Rule("meta priority set ip6 saddr map @from6"),
                Rule(f"{field} set {HOST}"),
                Rule(f"jump trial{suffix}"),
                Rule(f"goto verdict{suffix}"),
            ),
        ),
    )


def chains() -> tuple[Chain, ...]:
    """All of them, in an order in which nft takes them."""
    ways = tuple(one for suffix, field in _WAYS.items() for one in _chains(suffix, field))
    return (
        chain("denied", (_logged(DENIED), Rule("drop"))),
        chain("would_be_denied", (_logged(TRIED),)),
        *ways,
        chain("unjudged", _closed_alone()),
        chain("judged", _begin("between")),
        chain("judged_to_host", _begin("to_host")),
        chain(
            "policies",
            (
                Rule("ct state established,related accept", "judged when it began; the chains that follow go on"),
                Rule("iifname @bridges goto judged"),
                Rule("oifname @bridges goto judged"),
            ),
            hook=Hook("filter", "forward", BEFORE),
        ),
        chain(
            "policies_to_host",
            (Rule("ct state established,related accept"), Rule("iifname @bridges goto judged_to_host")),
            hook=Hook("filter", "input", BEFORE),
        ),
    )


def _begin(name: str) -> tuple[Rule, ...]:
    return (
        Rule(_NEIGHBOURS, "whom to send to is the guard's matter"),
        *(Rule(f"{field} 0 goto {name}{suffix}") for suffix, field in _WAYS.items()),
        Rule("goto unjudged", "packet and connection carry marks of somebody else"),
    )


def _closed_alone() -> tuple[Rule, ...]:
    """Without a place for the receiver's identity: what any policy could deny is denied."""
    return (
        Rule("iifname @closed goto denied"),
        Rule("oifname @closed goto denied"),
        Rule("meta priority set 0"),
        *(
            rule
            for family, ip in ((4, "ip"), (6, "ip6"))
            for side in ("saddr", "daddr")
            for rule in (
                Rule(f"meta priority set {ip} {side} map @from{family}"),
                Rule("meta priority != 0 goto denied"),
            )
        ),
        Rule("accept"),
    )
