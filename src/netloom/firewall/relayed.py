"""Policies on what reaches a published port by the relay: judged in the input hook as a forwarded connection would be.

The relay accepts in the host's namespace and opens a connection of its own, which is the host's. So its clients are
judged where they come in: by their own address, and by the container that the port leads to. The number of that
container's address is the value of the `relayed` maps; it goes into the priority, and gives way to the sender's
identity. Redirected packets carry the relay's port: the client's question is put back into the packet meanwhile, then
the container's port into the place of the host's, so that the sets of all policies are asked. `relayed_back` undoes it.

What names open or deny are addresses as a container looked them up; a published port has the host's, by this way as by
others. Who comes from the host itself is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from zlib import crc32

from netloom.firewall.ruleset import Chain, Field, Rule, Set, chain

_AT: tuple[Field, ...] = ("ipv6_addr", "inet_proto", "inet_service")
_ANY: tuple[Field, ...] = ("inet_proto", "inet_service")

SETS = (
    Set("relayed", _ANY, "ports on every IPv6 address that the relay may serve, and for whom", ("classid",)),
    Set("relayed_at", _AT, "the same on one IPv6 address", ("classid",)),
    Set("relayed_ranges", _ANY, "ranges of such ports on every IPv6 address", ("classid",), "interval"),
    Set("relayed_ranges_at", _AT, "the same on one IPv6 address", ("classid",), "interval"),
    Set("relay_port", ("nf_proto",), "where the relay listens", ("inet_service",)),
    Set("relay_ports", ("inet_service",), "the same, closed to all that is not redirected"),
)
POLICY_SETS = (
    Set("relayed_to", ("classid",), "identities of those whom the relay serves, while policies stand", ("mark",)),
    Set("relayed_inner", _ANY, "their own ports, where these are other ones", ("inet_service",)),
    Set("relayed_inner_at", _AT, "the same on one IPv6 address", ("inet_service",)),
    Set("relayed_closed", ("classid",), "those on networks where nothing passes that no policy allows", counted=True),
    Set("relayed_trial_closed", ("classid",), "those on networks that a dry run would close", counted=True),
)

_BOTH = "meta priority . meta mark"  # sender and receiver
_PORTS = f"{_BOTH} . ct original protocol . th dport"
_NO_TARGET = 0xE0000000  # from here on no container has an IPv4 address (RFC 5771, RFC 1112)


def target_number(ipv4: str, ipv6: str) -> int:
    """The number that stands for a container, by its addresses without prefix: the IPv4 one, if it has one."""
    return int(ip_address(ipv4)) if ipv4 else _NO_TARGET | crc32(ip_address(ipv6).packed) & 0x1FFFFFFF


def _keys(address: str, port: str) -> Iterator[tuple[str, str]]:
    """What to look up in which of the maps; that of one address last, where what it says counts."""
    for name, proto in (("relayed_ranges", "ct original protocol"), ("relayed", "meta l4proto")):
        yield name, f"{proto} . th {port}"
    for name, proto in (("relayed_ranges_at", "ct original protocol"), ("relayed_at", "meta l4proto")):
        yield name, f"ip6 {address} . {proto} . th {port}"


def _found(target: str, address: str, port: str) -> tuple[Rule, ...]:
    return tuple(Rule(f"{key} @{name} goto {target}") for name, key in _keys(address, port))


def _number(address: str, port: str) -> tuple[Rule, ...]:
    """Whom the relay serves there, in the priority."""
    rules = (Rule(f"meta priority set {key} map @{name}") for name, key in _keys(address, port))
    return (Rule("meta priority set 0"), *rules)


def _to_inner() -> tuple[Rule, ...]:
    return tuple(
        Rule(f"{proto} dport set {key} . th dport map @{name} return")
        for name, key in (("relayed_inner_at", "ip6 daddr . meta l4proto"), ("relayed_inner", "meta l4proto"))
        for proto in ("tcp", "udp")
    )


def _asked_port() -> tuple[Rule, ...]:
    return tuple(Rule(f"{proto} dport set ct original proto-dst") for proto in ("tcp", "udp"))


def _said(kind: str, verdict: str) -> tuple[Rule, ...]:
    return (Rule(f"{_PORTS} @{kind}_ports {verdict}"), Rule(f"{_BOTH} @{kind}_pairs {verdict}"))


def _otherwise(closed: str, verdict: str) -> tuple[Rule, ...]:
    """Is either side's network closed? The sender's identity has had its turn."""
    return (
        Rule(f"iifname @{closed} goto {verdict}"),
        Rule("jump relayed_asked"),
        Rule("jump relayed_target"),
        Rule(f"meta priority @relayed_{closed} goto {verdict}"),
    )


def _sides() -> tuple[Rule, ...]:
    return (
        Rule("jump relayed_target"),
        Rule("meta mark set 0"),
        Rule("meta mark set meta priority map @relayed_to"),
        Rule("jump relayed_inner"),
        Rule("meta priority set 0"),
        Rule("meta priority set ip6 saddr map @from6"),
        Rule("meta priority 0 iifname != @bridges meta priority set meta priority . ip6 saddr map @outer_from6"),
    )


def chains(denied: Rule, tried: Rule) -> tuple[Chain, ...]:
    """All of them, in an order in which nft takes them; what logs a denial, and what a dry run would deny."""
    allowed = [rule for kind in ("allow", "cross") for rule in _said(kind, "return")]
    return (
        chain(
            "relayed_target",
            "which container the relay will lead to",
            _number("daddr", "dport"),
            (
                Rule("ct state untracked meta priority set ip6 nexthdr . th dport map @relayed_ranges"),
                Rule("ct state untracked meta priority set ip6 daddr . ip6 nexthdr . th dport map @relayed_ranges_at"),
            ),
        ),
        chain("relayed_inner", "the container's port in place of the published one", _to_inner()),
        chain("relayed_asked", "the published port again", _asked_port()),
        chain(
            "relayed_denied",
            "a denial, logged with the port that was asked for",
            (Rule("jump relayed_asked"), denied, Rule("drop")),
        ),
        chain("relayed_would_be_denied", "what a dry run would deny, likewise", (Rule("jump relayed_asked"), tried)),
        chain(
            "relayed_trial",
            "what a dry run would deny of it",
            _said("trial_deny", "goto relayed_would_be_denied"),
            (*allowed, *_said("trial_allow", "return")),
            _otherwise("trial_closed", "relayed_would_be_denied"),
        ),
        chain("relayed_sides", "the identities of the client and of that container", _sides()),
        chain(
            "relayed_verdict",
            "denials before allowances, for the relay's clients",
            (Rule("jump relayed_sides"), Rule("jump relayed_trial"), Rule("jump relayed_asked")),
            (Rule("jump relayed_sides", "the trial may have gone on to other numbers"),),
            _said("deny", "goto relayed_denied"),
            allowed,
            _otherwise("closed", "relayed_denied"),
        ),
        chain(
            "relayed_marked",
            "the same, while the connection keeps the mark of somebody else",
            (
                Rule("ct mark set meta mark"),
                Rule("jump relayed_verdict"),
                Rule("meta mark set ct mark"),
                Rule("ct mark set 0"),
            ),
        ),
        chain(
            "relayed_unmarked",
            "the same, where the mark is free",
            (Rule("jump relayed_verdict"), Rule("meta mark set 0")),
        ),
        chain(
            "relayed_unjudged",
            "what cannot be judged passes only where nobody could deny it",
            (
                Rule("iifname @closed goto relayed_denied"),
                Rule("jump relayed_target"),
                Rule("meta priority @relayed_closed goto relayed_denied"),
                Rule("meta priority @relayed_to goto relayed_denied", "whatever policies say of it"),
            ),
        ),
        chain(
            "relayed_begun",
            "can the beginning be judged?",
            (
                Rule("ct state invalid,untracked goto relayed_unjudged", "of no connection that could be judged"),
                Rule("meta mark 0 goto relayed_unmarked"),
                Rule("ct mark 0 goto relayed_marked"),
                Rule("goto relayed_unjudged", "packet and connection carry marks of somebody else"),
            ),
        ),
        chain(
            "relayed_back",
            "who passes goes on as it came",
            (
                Rule("jump relayed_begun"),
                Rule("meta priority set 0"),
                Rule("ip6 daddr set ct reply ip6 saddr"),
                *(Rule(f"{proto} dport set ct reply proto-src") for proto in ("tcp", "udp")),
                Rule("accept"),
            ),
        ),
        chain(
            "relayed_streams",
            "TCP, which was redirected",
            (
                Rule("ip6 daddr set ct original ip6 daddr"),
                Rule("tcp dport set ct original proto-dst"),
                Rule("goto relayed_back"),
            ),
        ),
        chain(
            "relayed_datagrams",
            "UDP, which was not",
            _found("relayed_back", "daddr", "dport"),
            (
                Rule("ct state untracked ip6 nexthdr . th dport @relayed_ranges goto relayed_back"),
                Rule("ct state untracked ip6 daddr . ip6 nexthdr . th dport @relayed_ranges_at goto relayed_back"),
            ),
        ),
        chain(
            "relayed_clients",
            "what comes in for the relay",
            (
                Rule("tcp dport @relay_ports ct status dnat goto relayed_streams"),
                Rule("meta l4proto udp goto relayed_datagrams"),
            ),
        ),
        chain(
            "relayed_forgotten",
            "an answer whose connection is forgotten, where policies could deny it",
            _number("saddr", "sport"),
            (
                Rule("meta priority @relayed_closed drop", "its client has to ask anew, and is judged"),
                Rule("meta priority @relayed_to drop", "likewise"),
                Rule("meta priority set 0"),
            ),
        ),
        chain("relayed_answers", "what the relay sends", _found("relayed_forgotten", "saddr", "sport")),
    )


def clients() -> tuple[Rule, ...]:
    """What comes in for the relay; it comes back here if it is none of that."""
    return (Rule('iifname != "lo" meta nfproto ipv6 meta l4proto { tcp, udp } jump relayed_clients'),)


def answers() -> tuple[Rule, ...]:
    """An answer that begins a connection would let all that its client sends pass as its answers."""
    return (Rule("meta nfproto ipv6 meta l4proto udp jump relayed_answers"),)
