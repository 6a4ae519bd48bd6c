"""Who may reach whom, as users say it: chains that look up two identities and a port, whatever the policies are.

An identity is a number that stands for all endpoints, or all outer addresses, which the same selectors choose. The
sender's goes into the packet's priority, the receiver's into its mark: of the fields that a rule can both set and look
up, these two can be put back. Nobody's priority is lost (a packet that comes out of a container has none); the mark
that somebody has given a packet waits in the mark of its connection, if that is free, until the packet is judged. Both
are set for the packets that begin a connection and for no others.

The chains stand before all others in the forward and input hooks. What they let pass the other chains judge as ever.
"""

from __future__ import annotations

from netloom.firewall import relayed
from netloom.firewall.ruleset import Chain, Field, Hook, Rule, Set, chain

CROSSING = (
    0x10000000  # a bit of the packet mark, from here to `from_container`: a policy opens the way between networks
)
HOST = 1  # the identity of the host itself; 0 is everybody whom no selector chooses
LOG_GROUP = 20044  # of NFLOG: "NL"
DENIED, TRIED = "netloom denied", "netloom dry run"  # prefixes of what is logged there
BEFORE = -20  # priority of those to the host, before the filters of others

_PORTS: tuple[Field, ...] = ("classid", "mark", "inet_proto", "inet_service")
_PAIR: tuple[Field, ...] = ("classid", "mark")
_LEARNT: dict[int, tuple[Field, ...]] = {4: ("ipv4_addr", "ipv4_addr"), 6: ("ipv6_addr", "ipv6_addr")}

SETS = (
    Set("from4", ("ipv4_addr",), "identities of endpoints that policies choose, as senders", ("classid",)),
    Set("from6", ("ipv6_addr",), "the same for IPv6", ("classid",)),
    Set("to4", ("ipv4_addr",), "the same as receivers", ("mark",)),
    Set("to6", ("ipv6_addr",), "the same for IPv6", ("mark",)),
    Set("outer_from4", ("classid", "ipv4_addr"), "of addresses elsewhere, as senders", ("classid",), "interval"),
    Set("outer_from6", ("classid", "ipv6_addr"), "the same for IPv6", ("classid",), "interval"),
    Set("outer_to4", ("mark", "ipv4_addr"), "the same as receivers", ("mark",), "interval"),
    Set("outer_to6", ("mark", "ipv6_addr"), "the same for IPv6", ("mark",), "interval"),
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

LEARNT = frozenset(s.name for s in SETS if s.flags == "timeout")  # what is in them the data plane puts there

_NEIGHBOURS = (
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert,"
    " mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } return"
)
_BOTH = "meta priority . meta mark"  # sender and receiver
_NOBODY = (Rule("meta priority set 0"), Rule("meta mark set 0"))


def _ports(port: str = "dport") -> str:
    return f"{_BOTH} . ct original protocol . th {port}"


def _sides(*, back: bool = False) -> tuple[Rule, ...]:
    """The identities of sender and receiver; `back` of the connection whose answer this packet would be.

    Keys of the outer ones begin with the 0 that stands there: a key of intervals has two fields.
    """
    source, target, way_in, way_out = "saddr", "daddr", "iifname", "oifname"
    if back:
        source, target, way_in, way_out = target, source, way_out, way_in
    rules = list(_NOBODY)
    for family, ip in ((4, "ip"), (6, "ip6")):
        rules += [
            Rule(f"meta priority set {ip} {source} map @from{family}"),
            Rule(
                f"meta priority 0 {way_in} != @bridges"
                f" meta priority set meta priority . {ip} {source} map @outer_from{family}"
            ),
            Rule(f"meta mark set {ip} {target} map @to{family}"),
            Rule(f"meta mark 0 {way_out} != @bridges meta mark set meta mark . {ip} {target} map @outer_to{family}"),
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


def _denials(port: str = "dport") -> tuple[Rule, ...]:
    return (
        Rule(f"{_ports(port)} @deny_ports goto denied"),
        Rule(f"{_BOTH} @deny_pairs goto denied"),
        *_by_name("deny", "goto denied", back=port == "sport"),
    )


def _allowances(port: str = "dport") -> tuple[Rule, ...]:
    return (
        Rule(f"{_ports(port)} @allow_ports goto passed"),
        Rule(f"{_BOTH} @allow_pairs goto passed"),
        *_by_name("allow", "goto passed", back=port == "sport"),
        Rule(f"{_ports(port)} @cross_ports goto crossing"),
        Rule(f"{_BOTH} @cross_pairs goto crossing"),
    )


def _logged(prefix: str) -> Rule:
    """Anybody can cause denials: the log is for people, the elements' counters count them all."""
    return Rule(f'limit rate 20/second burst 50 packets log prefix "{prefix}" group {LOG_GROUP}')


def _judging() -> tuple[Chain, ...]:
    """What is said of the two identities. Who passes comes back to the caller, packet and mark as they came."""
    allowed = [f"{_ports()} @{kind}_ports" for kind in ("allow", "cross", "trial_allow")]
    allowed += [f"{_BOTH} @{kind}_pairs" for kind in ("allow", "cross", "trial_allow")]
    return (
        chain("passed", "no denial: the packet goes on without the identities", _NOBODY),
        chain(
            "crossing",
            "the same, and the way to another network is open",
            (*_NOBODY, Rule(f"meta mark set {CROSSING:#x}")),
        ),
        chain(
            "otherwise",
            "where nobody says anything, closed networks stay closed",
            (Rule("iifname @closed goto denied"), Rule("oifname @closed goto denied"), Rule("goto passed")),
        ),
        chain("sides", "the identities of sender and receiver, as the packet's priority and mark", _sides()),
        chain("sides_back", "those of the connection whose answer this would be", _sides(back=True)),
        chain(
            "trial_closed",
            "what a dry run's closed networks would deny",
            [Rule(f"{match} return") for match in allowed],
            _by_name("allow", "return"),
            (
                Rule("iifname @trial_closed goto would_be_denied", "last, or its counter would count what is allowed"),
                Rule("oifname @trial_closed goto would_be_denied"),
            ),
        ),
        chain(
            "trial",
            "what a dry run would deny",
            (
                Rule(f"{_ports()} @trial_deny_ports goto would_be_denied"),
                Rule(f"{_BOTH} @trial_deny_pairs goto would_be_denied"),
                Rule("goto trial_closed"),
            ),
        ),
        chain("verdict", "denials before allowances", _denials(), _allowances(), (Rule("goto otherwise"),)),
        chain(
            "answer_denied",
            "answers of a connection that a denial has ended",
            (
                Rule("jump sides_back"),
                Rule(f"{_ports('sport')} @deny_ports goto denied", "the answer of a connection that ended"),
            ),
        ),
        chain(
            "midstream",
            "a TCP packet of no known connection, as if it were of either direction",
            (Rule("jump sides_back"), *_denials("sport"), Rule("jump sides")),
            _denials(),
            _allowances(),
            (Rule("jump sides_back"),),
            _allowances("sport"),
            (Rule("goto otherwise"),),
        ),
        chain(
            "between",
            "what begins between two sides",
            (
                Rule(
                    "tcp flags & (fin|syn|rst|ack) != syn goto midstream",
                    "of a connection that is not tracked yet, or not any more",
                ),
                Rule("meta l4proto { udp, sctp } jump answer_denied"),
                Rule("jump sides"),
                Rule("jump trial"),
                Rule("goto verdict"),
            ),
        ),
        chain(
            "to_host",
            "what begins towards the host",
            (
                *_NOBODY,
                Rule("meta priority set ip saddr map @from4"),
                Rule("meta priority set ip6 saddr map @from6"),
                Rule(f"meta mark set {HOST}"),
                Rule("jump trial"),
                Rule("goto verdict"),
            ),
        ),
    )


def chains() -> tuple[Chain, ...]:
    """All of them, in an order in which nft takes them."""
    return (
        chain("denied", "a denial, with its line in the log", (_logged(DENIED), Rule("drop"))),
        chain("would_be_denied", "what a dry run would deny, in the log alone", (_logged(TRIED),)),
        *_judging(),
        chain("unjudged", "what cannot be judged passes only where nobody could deny it", _closed_alone()),
        chain(
            "mark_back", "the mark of somebody else, as it came", (Rule("meta mark set ct mark"), Rule("ct mark set 0"))
        ),
        chain(
            "mark_back_crossing",
            "the same, and the way to another network is open",
            (Rule("jump mark_back"), Rule(f"meta mark set meta mark | {CROSSING:#x}")),
        ),
        *_begin("between"),
        *_begin("to_host"),
        *relayed.chains(_logged(DENIED), _logged(TRIED)),
        chain(
            "judged",
            "which packets policies are about",
            (Rule("iifname @bridges goto judged_between"), Rule("oifname @bridges goto judged_between")),
        ),
        chain(
            "policies_to_host",
            "what policies say of what comes to the host",
            (Rule("ct state established,related accept"),),
            relayed.clients(),
            (Rule("iifname @bridges goto judged_to_host"),),
            hook=Hook("filter", "input", BEFORE),
        ),
    )


def _begin(name: str) -> tuple[Chain, ...]:
    """The mark must be free for the receiver: one of somebody else waits with the connection meanwhile."""
    return (
        chain(
            f"marked_{name}",
            f"the chain `{name}`, while the connection keeps the mark of somebody else",
            (
                Rule("ct mark set meta mark"),
                Rule(f"jump {name}"),
                Rule(f"meta mark {CROSSING:#x} goto mark_back_crossing"),
                Rule("goto mark_back"),
            ),
        ),
        chain(
            f"judged_{name}",
            f"can the chain `{name}` judge it?",
            (
                Rule(_NEIGHBOURS, "whom to send to is the guard's matter"),
                Rule("ct state invalid,untracked goto unjudged", "of no connection that could be judged"),
                Rule(f"meta mark 0 goto {name}"),
                Rule(f"ct mark 0 goto marked_{name}"),
                Rule("goto unjudged", "packet and connection carry marks of somebody else"),
            ),
        ),
    )


def _closed_alone() -> tuple[Rule, ...]:
    """Without a connection, or a place for the receiver's identity: what any policy could deny is denied."""
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
    )
