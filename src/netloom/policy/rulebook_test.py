"""Identities, pairs, segments and verdicts."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netloom.firewall.elements import text
from netloom.firewall.policy import HOST
from netloom.model.policy import NameRule, Peer, PortRange
from netloom.policy import parse
from netloom.policy.elements import crossing_elements, endpoint_elements, outer_elements, pair_elements
from netloom.policy.judge import Judge, Place
from netloom.policy.rulebook import Rulebook, Subject, identity
from netloom.policy.segments import segments

WEB, DB = {"label": "role=web"}, {"label": "role=db"}


def book(**document: Any) -> Rulebook:
    return Rulebook([parse.policy({"name": "p", **document})])


def subject(name: str, network: str = "app", **labels: str) -> Subject:
    return Subject(f"id-{name}", name, labels, network)


def known(rules: Rulebook, *subjects: Subject) -> dict[int, Any]:
    choices = [rules.choice(one) for one in subjects]
    return {identity(choice): choice for choice in choices if choice}


def words(elements: Any) -> list[str]:
    return sorted(f"{e.set} {text(e)}" for e in elements)


def test_endpoints_that_the_same_selectors_choose_are_one_identity() -> None:
    rules = book(deny=[{"from": WEB, "to": DB}, {"from": {"network": "app", "label": "role"}}])
    one, other = (rules.choice(subject(name, role="web")) for name in ("a", "b"))
    assert one == other == {Peer(labels=("role=web",)), Peer(labels=("role",), network="app")}
    assert identity(one) == identity(other) >= 16
    assert rules.choice(subject("c", "else", role="web")) == {Peer(labels=("role=web",))}
    assert identity(rules.choice(subject("d", other="x"))) == 0
    assert words(endpoint_elements(identity(one), ["10.0.0.2"])) == [
        f"from4 10.0.0.2 : {identity(one) >> 16:x}:{identity(one) & 0xFFFF:x}",
        f"to4 10.0.0.2 : {identity(one):#010x}",
    ]
    assert endpoint_elements(0, ["10.0.0.2", "fd00::2"]) == []


def test_pairs_of_identities() -> None:
    rules = book(deny=[{"from": WEB, "to": DB, "ports": [80, "81-90", "icmp"]}], allow=[{"from": DB, "to": WEB}])
    identities = known(rules, subject("a", role="web"), subject("b", role="db"))
    web, db = (identity(rules.choice(subject("x", role=role))) for role in ("web", "db"))
    pairs = {(p.kind, p.source, p.target): p for p in rules.pairs(identities)}
    assert set(pairs) == {("deny", web, db), ("allow", db, web)}
    assert pairs["deny", web, db].ports == (PortRange("icmp"), PortRange("tcp", 80, 90))
    assert pairs["deny", web, db].by == ("p/deny-1",)
    assert len(pair_elements(rules.pairs(identities))) == 4  # icmp is two protocols
    assert rules.pairs(identities, [web]) == rules.pairs(identities)
    assert rules.pairs({web: identities[web]}) == []


def test_everybody_is_everybody() -> None:
    rules = book(deny=[{"to": DB, "ports": [80]}, {"from": WEB}, {"from": DB, "to": {"cidr": "192.0.2.0/24"}}])
    identities = known(rules, subject("b", role="db"), subject("a", role="web"))
    web, db = (identity(rules.choice(subject("x", role=role))) for role in ("web", "db"))
    outer = identity(frozenset({Peer(cidr="192.0.2.0/24")}))
    pairs = {(p.source, p.target) for p in rules.pairs(identities)}
    assert pairs == {
        (0, db),
        (db, db),
        (web, db),
        (outer, db),
        (web, 0),
        (web, web),
        (web, HOST),
        (web, outer),
        (db, outer),
    }
    assert {(p.source, p.target) for p in rules.pairs(identities, [web])} == {p for p in pairs if web in p}


def test_a_new_identity_costs_what_is_said_of_it() -> None:
    rules = book(deny=[{"from": {"label": f"n={n}"}, "to": {"label": f"m={n}"}} for n in range(1000)])
    everybody = known(rules, *(subject(str(n), n=str(n)) for n in range(1000)), subject("t", m="7"))
    assert len(rules.pairs(everybody, known(rules, subject("t", m="7")))) == 1


def test_ways_between_networks_and_dry_runs_have_sets_of_their_own() -> None:
    document = {"allow": [{"from": {"network": "a"}, "to": {"network": "b"}}], "deny": [{"from": WEB}]}
    rules = book(**document)
    identities = known(rules, subject("x", "a"), subject("y", "b"))
    assert [p.kind for p in rules.pairs(identities)] == ["cross"]
    assert words(crossing_elements(rules, "a", "br-a", {"b": "br-b", "c": "br-c"})) == [
        'crossed "br-a" . "br-b"',
        'crossed "br-b" . "br-a"',
    ]
    assert crossing_elements(rules, "a", "br-a", {}) == []
    trial = Rulebook([parse.policy({"name": "p", **document}, dry_run=True)])
    assert {p.kind for p in trial.pairs(known(trial, subject("x", "a", role="web"), subject("y", "b")))} == {
        "trial_allow",
        "trial_deny",
    }
    assert not trial.crossings
    assert (trial.closed(trial=True), rules.closed(trial=False)) == (frozenset(), frozenset())


def test_names_are_of_those_whom_their_entries_choose() -> None:
    rules = book(
        allow=[{"from": WEB, "to": {"name": "a.test"}, "ports": [80, "53/udp"]}], deny=[{"to": {"name": "*.b.test"}}]
    )
    web = rules.choice(subject("a", role="web"))
    assert set(rules.names(web)) == {
        NameRule("a.test", True, (("tcp", 80), ("udp", 53))),
        NameRule("*.b.test", False),
    }
    assert rules.names(frozenset()) == (NameRule("*.b.test", False),)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), max_size=8), st.integers(0, 255))
def test_segments_are_disjoint_and_say_where_an_address_lies(parts: list[tuple[int, int]], last: int) -> None:
    cidrs = {str(ip_network(f"192.0.2.{at}/{size}", strict=False)) for at, size in parts} | {"2001:db8::/32"}
    found = segments(cidrs)[4]
    ends = [(int(ip_address(s.first)), int(ip_address(s.last))) for s in found]
    assert all(first <= end for first, end in ends)
    assert all(ends[i][1] < ends[i + 1][0] for i in range(len(ends) - 1))
    address = ip_address(f"192.0.2.{last}")
    within = [s.choice for s in found if ip_address(s.first) <= address <= ip_address(s.last)]  # type: ignore[operator]
    wanted = {Peer(cidr=c) for c in cidrs if address in ip_network(c)}
    assert within == ([wanted] if wanted else [])


def test_outer_addresses_are_intervals() -> None:
    rules = book(deny=[{"from": WEB, "to": {"cidr": "10.0.0.0/8"}}, {"from": WEB, "to": {"cidr": "10.1.0.0/16"}}])
    assert next(e for e in words(outer_elements(rules)) if e.startswith("outer_to4")).startswith(
        "outer_to4 0x00000000 . 10.0.0.0-10.0.255.255 : 0x"
    )
    assert len(outer_elements(rules)) == 6


def test_verdicts() -> None:
    rules = book(
        default={"app": "deny"},
        deny=[{"from": WEB, "to": DB, "ports": [81]}, {"from": {"cidr": "192.0.2.0/24"}, "to": WEB}],
        allow=[
            {"from": WEB, "to": DB},
            {"from": {"network": "far"}, "to": {"network": "app"}, "ports": ["icmp"]},
            {"from": DB, "to": {"host": True}},
        ],
    )
    subjects = {
        "10.0.0.2": subject("a", role="web"),
        "10.0.0.3": subject("b", role="db"),
        "10.0.1.2": subject("c", "far"),
        "10.0.2.2": subject("d", "free"),
    }
    places = {
        address: Place(identity(rules.choice(one)), one.network, ((True, (("tcp", 443),)),) if one.name == "b" else ())
        for address, one in subjects.items()
    }
    judge = Judge(rules, rules.pairs(known(rules, *subjects.values())), places, {"app"}, {"10.0.0.1"})

    def passes(proto: int, source: str, target: str, port: int = 0) -> bool:
        return judge.verdict(proto, source, target, port).allowed

    assert passes(6, "10.0.0.2", "10.0.0.3", 80)
    assert judge.verdict(6, "10.0.0.2", "10.0.0.3", 81) == (False, ("p/deny-1",))
    assert passes(17, "10.0.0.2", "10.0.0.3", 81)
    assert not passes(6, "10.0.0.3", "10.0.0.2", 80)
    assert judge.verdict(6, "192.0.2.9", "10.0.0.2", 80) == (False, ("p/deny-2",))
    assert not passes(6, "198.51.100.9", "10.0.0.2", 80)
    assert passes(1, "10.0.1.2", "10.0.0.3")
    assert not passes(6, "10.0.1.2", "10.0.0.3", 80)
    assert passes(6, "10.0.0.3", "10.0.0.1", 22)
    assert not passes(6, "10.0.0.2", "10.0.0.1", 22)
    assert passes(6, "10.0.0.1", "10.0.0.2", 80)
    assert passes(6, "10.0.0.3", "203.0.113.1", 443), "perhaps by a name"
    assert not passes(6, "10.0.0.3", "203.0.113.1", 80)
    assert passes(6, "10.0.2.2", "203.0.113.1", 80)
    assert passes(6, "203.0.113.1", "203.0.113.2", 80), "nobody of ours"
