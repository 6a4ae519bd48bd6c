"""Forwarding: what is switched, marked, recorded, and brought back."""

from __future__ import annotations

import msgspec
import pytest

from netloom.firewall.elements import text
from netloom.firewall.forwarding import Forwarding, bridge_sysctls, forwarding, outward_links, watched_paths
from netloom.model.desired import HostFacts, HostRoute, Sysctl
from netloom.model.network import Network

ALL4, DEFAULT6 = "net/ipv4/conf/all/forwarding", "net/ipv6/conf/default/forwarding"
OFF = (
    (ALL4, "0"),
    (DEFAULT6, "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    ("net/ipv4/conf/eth0/forwarding", "0"),
    ("net/ipv6/conf/eth0/accept_ra", "1"),
    ("net/ipv4/conf/eth1/forwarding", "0"),
    ("net/ipv6/conf/eth1/accept_ra", "0"),
)
FACTS = HostFacts(
    uplinks=("eth0",),
    routes=(HostRoute("10.0.0.0/8", "eth1"), HostRoute("198.51.100.0/24", "eth0"), HostRoute("127.0.0.0/8", "lo")),
    sysctls=OFF,
)


def network(*, ipv6: bool = False, internal: bool = False) -> Network:
    return Network(
        id="a" * 64, name="a", created=0, driver="bridge", number=1, ipv6=ipv6, internal=internal, bridge="br-a"
    )


def told(result: Forwarding) -> list[str]:
    return [f"{s.path}={s.value}" for s in result.sysctls] + [f"{e.set} {text(e)}" for e in result.elements]


def test_ipv4_is_switched_on_where_other_hosts_are_reached() -> None:
    assert outward_links(FACTS) == ["eth0", "eth1"]
    result = forwarding([network()], FACTS)
    assert told(result) == [
        "net/ipv4/conf/eth0/forwarding=1",
        "net/ipv4/conf/eth1/forwarding=1",
        'uplinks "eth0"',
        'switched "eth0"',
        'switched "eth1"',
    ]
    assert [(s.path, s.value) for s in result.undo] == [
        ("net/ipv4/conf/eth0/forwarding", "0"),
        ("net/ipv4/conf/eth1/forwarding", "0"),
        (ALL4, "0"),
    ]


def test_ipv6_keeps_the_advertised_default_route() -> None:
    result = forwarding([network(ipv6=True)], FACTS)
    assert told(result)[2:5] == [
        "net/ipv6/conf/eth0/accept_ra=2",
        "net/ipv6/conf/all/forwarding=1",
        f"{DEFAULT6}=0",
    ]
    assert "switched_family ipv6" in told(result)
    assert Sysctl("net/ipv6/conf/eth0/accept_ra", "1") in result.undo


def test_what_was_on_already_is_nobodys_to_undo_and_nothing_is_dropped_for_it() -> None:
    on = HostFacts(uplinks=("eth0",), sysctls=(("net/ipv4/conf/eth0/forwarding", "1"),))
    assert told(forwarding([network()], on)) == ['uplinks "eth0"']
    assert forwarding([network()], on).undo == ()


def after(result: Forwarding, **others: str) -> HostFacts:
    """The host once the switches are thrown, and what somebody else switched then."""
    now = {**dict(OFF), **{s.path: s.value for s in result.sysctls}, **others}
    return HostFacts(uplinks=FACTS.uplinks, routes=FACTS.routes, sysctls=tuple(now.items()))


def test_repeating_with_the_record_changes_nothing_but_the_record() -> None:
    first = forwarding([network(ipv6=True)], FACTS)
    second = forwarding([network(ipv6=True)], after(first), first.undo)
    assert (second.sysctls, second.elements) == (first.sysctls, first.elements)
    assert set(second.undo) == {*first.undo, Sysctl(DEFAULT6, "0")}
    assert forwarding([network(ipv6=True)], after(second), second.undo) == second


@pytest.mark.parametrize(
    ("mark", "theirs", "ours"),
    [(ALL4, "net/ipv4/", "switched_family ipv6"), (DEFAULT6, "net/ipv6/", 'switched "eth0"')],
)
def test_who_wants_forwarding_later_has_it(mark: str, theirs: str, ours: str) -> None:
    networks = [network(ipv6=True)]
    first = forwarding(networks, FACTS)
    second = forwarding(networks, after(first), first.undo)
    third = forwarding(networks, after(second, **{mark: "1"}), second.undo)
    assert not [s for s in (*third.sysctls, *third.undo) if s.path.startswith(theirs)]
    marks = [line for line in told(third) if line.startswith("switched")]
    assert ours in marks
    assert len(marks) < len([line for line in told(second) if line.startswith("switched")])
    # It is his from now on, whatever of ours goes or comes.
    last = forwarding([], after(second, **{mark: "1"}), third.undo)
    assert not [s for s in last.sysctls if s.path.startswith(theirs)]


def test_a_daemon_that_died_between_two_switches_takes_nobody_for_their_owner() -> None:
    """The kernel switches `default` on with the host's; ours off again came too late."""
    first = forwarding([network(ipv6=True)], FACTS)
    second = forwarding([network(ipv6=True)], after(first, **{DEFAULT6: "1"}), first.undo)
    assert "switched_family ipv6" in told(second)
    assert f"{DEFAULT6}=0" in told(second)


def test_one_interface_that_is_off_on_a_host_that_forwards_is_ours() -> None:
    on = after(Forwarding((), (), ()), **{ALL4: "1"})
    first = forwarding([network()], on)
    assert 'switched "eth0"' in told(first)
    assert forwarding([network()], after(first, **{ALL4: "1"}), first.undo) == first


def test_the_last_network_brings_back_what_was() -> None:
    first = forwarding([network(ipv6=True)], FACTS)
    first = forwarding([network(ipv6=True)], after(first), first.undo)
    for rest in ([], [network(internal=True, ipv6=True)]):
        last = forwarding(rest, FACTS, first.undo)
        assert {*last.sysctls, Sysctl(ALL4, "0"), Sysctl(DEFAULT6, "0")} == set(first.undo)
        assert last.undo == ()
        assert not [e for e in last.elements if e.set != "uplinks"]


def test_the_last_ipv6_network_brings_back_ipv6_alone() -> None:
    first = forwarding([network(ipv6=True)], FACTS)
    rest = forwarding([network()], FACTS, first.undo)
    assert Sysctl("net/ipv6/conf/all/forwarding", "0") in rest.sysctls
    assert Sysctl("net/ipv4/conf/eth0/forwarding", "1") in rest.sysctls
    assert [s.path for s in rest.undo] == ["net/ipv4/conf/eth0/forwarding", "net/ipv4/conf/eth1/forwarding", ALL4]


def test_watched_paths_are_those_that_may_be_switched() -> None:
    wanted = {s.path for s in forwarding([network(ipv6=True)], FACTS).sysctls}
    assert wanted <= set(watched_paths(outward_links(FACTS)))


def test_a_bridges_own_switches() -> None:
    assert bridge_sysctls(network()) == [Sysctl("net/ipv4/conf/br-a/forwarding", "1")]
    assert bridge_sysctls(network(ipv6=True, internal=True)) == [
        Sysctl("net/ipv6/conf/br-a/accept_ra", "0"),
        Sysctl("net/ipv6/conf/br-a/accept_dad", "0"),
        Sysctl("net/ipv6/conf/br-a/forwarding", "1"),
    ]
    adopted = msgspec.structs.replace(network(ipv6=True, internal=True), adopted=True)
    assert bridge_sysctls(adopted) == [Sysctl("net/ipv6/conf/br-a/accept_ra", "0")]
