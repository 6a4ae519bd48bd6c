"""Elements: the encoding is the kernel's, and what a network and ports put into the sets."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.firewall.elements import (
    Lead,
    Way,
    apart_elements,
    element,
    guard_elements,
    lead,
    needs_loopback_route,
    network_elements,
    open_elements,
    port_elements,
    relay_elements,
    text,
    trust_elements,
)
from netloom.firewall.render import load
from netloom.firewall.rules import ruleset
from netloom.firewall.ruleset import Set
from netloom.kernel.host import HostKernel
from netloom.model.desired import Element, Step
from netloom.model.endpoint import PortBinding
from netloom.testing.hosts import Netns

RULES = ruleset(cooperate=True)
SETS = [s for t in RULES.tables for s in t.sets]
FAMILY = {s.name: t.family for t in RULES.tables for s in t.sets}
LAST = 8999  # of a range
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "classid": (0x10002, "1:2"),
    "ether_addr": ("02:42:0a:00:00:02", "02:42:0a:00:00:02"),
    "ether_type": (0x88CC, 0x88CC),
    "ifname": ("br-0123456789ab", "br-0123456789ab"),
    "inet_proto": ("udp", "udp"),
    "inet_service": (8080, 8080),
    "ipv4_addr": ("172.18.0.2", "172.18.0.2"),
    "ipv6_addr": ("fd00::2", "fd00::2"),
    "mark": (0x30004, 0x30004),
    "nd_target": ("fd00::2", "0xfd000000000000000000000000000002"),
    "nf_proto": ("ipv6", "ipv6"),
}


def example(fields: tuple[str, ...]) -> tuple[str | int, ...]:
    return tuple(EXAMPLES[f][0] for f in fields)


def example_of(s: Set) -> Element:
    data = example(s.data) if s.data else None
    return element(s.name, example(s.fields), data, last=LAST if of_ranges(s) else None)


def of_ranges(s: Set) -> bool:
    return s.flags == "interval" and s.fields[-1] == "inet_service"


def shown(fields: tuple[str, ...]) -> Any:
    words = [EXAMPLES[f][1] for f in fields]
    return words[0] if len(words) == 1 else {"concat": words}


@pytest.mark.root
def test_the_kernel_reads_every_kind_of_element_as_it_is_meant() -> None:
    everything = [example_of(s) for s in SETS]
    with Netns() as host:
        host.run("nft", "-f", "-", stdin=load(RULES))

        def apply(verb: Any) -> None:
            kernel = HostKernel()
            try:
                kernel.apply([Step(verb, e) for e in everything], {})
            finally:
                kernel.close()

        host.call(apply, "add")
        for s in SETS:
            kind = "map" if s.data else "set"
            shown_by_nft = host.run("nft", "-j", "list", kind, FAMILY[s.name], "netloom", s.name)
            listed = json.loads(shown_by_nft)["nftables"][1][kind]
            key = shown(s.fields)
            if of_ranges(s):
                key["concat"][-1] = {"range": [EXAMPLES["inet_service"][1], LAST]}
            wanted = [[key, shown(s.data)]] if s.data else [key]
            if s.counted:
                wanted = [{"elem": {"val": key, "counter": {"packets": 0, "bytes": 0}}}]
            assert listed["elem"] == wanted, s.name
        host.call(apply, "del")
        assert "elements" not in host.run("nft", "list", "ruleset")


@pytest.mark.root
def test_text_loads_the_same_elements_as_netlink() -> None:
    lasting = [s for s in SETS if s.flags != "timeout"]  # what goes by itself is not compared
    everything = [example_of(s) for s in lasting]
    with Netns() as host:
        host.run("nft", "-f", "-", stdin=load(RULES, everything))

        def observe() -> list[Element]:
            kernel = HostKernel()
            try:
                return [o for o in kernel.observe() if isinstance(o, Element)]
            finally:
                kernel.close()

        assert {e.key: e for e in host.call(observe)} == {e.key: e for e in everything}


def words(elements: list[Element]) -> list[str]:
    return [f"{e.set} {text(e)}" for e in elements]


WAYS = (Way(4), Way(6))


def test_a_network_puts_its_bridge_into_the_sets() -> None:
    assert words(network_elements("br-a", internal=False, ways=WAYS)) == [
        'bridges "br-a"',
        'together "br-a" . "br-a"',
        'outward "br-a"',
        'masqueraded "br-a" . ipv4',
        'masqueraded "br-a" . ipv6',
    ]
    assert words(network_elements("br-a", internal=True, ways=WAYS))[2:] == ['internal "br-a"']


@pytest.mark.parametrize(
    ("way", "wanted"),
    [
        (Way(4, masquerade=False), []),
        (Way(4, source="10.0.0.1"), ['masqueraded "br-a" . ipv4', 'source4 "br-a" : 10.0.0.1']),
        (Way(6, source="fd00::1"), ['masqueraded "br-a" . ipv6', 'source6 "br-a" : fd00::1']),
        (Way(4, masquerade=False, source="10.0.0.1", reached="routed"), ['routed "br-a" . ipv4']),
        (Way(6, reached="unprotected"), ['masqueraded "br-a" . ipv6', 'unprotected "br-a" . ipv6']),
    ],
)
def test_each_family_has_its_way(way: Way, wanted: list[str]) -> None:
    assert words(network_elements("br-a", internal=False, ways=[way]))[3:] == wanted


def test_where_a_port_leads() -> None:
    ports = [binding("0.0.0.0", "udp"), binding("10.0.0.1"), binding("::", "sctp")]
    leads = [lead(e) for e in port_elements(ports, "172.18.0.2", "fd00::2")]
    four, six = ip_address("172.18.0.2").packed, ip_address("fd00::2").packed
    assert leads == [
        Lead(17, b"", 8080, four, 80),
        Lead(6, ip_address("10.0.0.1").packed, 8080, four, 80),
        Lead(132, b"", 8080, six, 80),
    ]
    assert [lead(e) for e in network_elements("br-a", internal=False)] == [None] * 3


def test_trusted_interfaces() -> None:
    assert words(trust_elements("br-a", ["eth0", "eth1"])) == ['trusted "eth0" . "br-a"', 'trusted "eth1" . "br-a"']


def test_open_ports_are_the_containers() -> None:
    ports = [binding("0.0.0.0"), binding("10.0.0.1"), binding("::", "udp")]
    assert words(open_elements(ports, "172.18.0.2", "fd00::2")) == [
        "open4 172.18.0.2 . tcp . 80",
        "open6 fd00::2 . udp . 80",
    ]
    assert words(open_elements(ports, "", "")) == []


def test_ports_that_are_none_of_the_host() -> None:
    routed = PortBinding(proto="tcp", container_port=80, host_ip="0.0.0.0", host_port=0)
    assert port_elements([routed], "172.18.0.2", "") == []
    assert not needs_loopback_route([routed])


def test_neighbours_may_be_kept_apart() -> None:
    elements = network_elements("br-a", internal=False, apart=True)
    assert 'apart "br-a" . "br-a"' in words(elements)
    assert not any(word.startswith("together") for word in words(elements))
    assert words(apart_elements("nl1")) == ['apart_ports "nl1"']


def test_the_guard_knows_a_port_by_all_its_addresses_before_it_judges() -> None:
    guard = guard_elements("nl1", "02:42:00:00:00:01", ["10.0.0.2", "fe80::1", "10.0.0.2"], routing=True)
    assert words(guard) == [
        'guarded_mac "nl1" . 02:42:00:00:00:01',
        'guarded4 "nl1" . 02:42:00:00:00:01 . 10.0.0.2',
        'guarded6 "nl1" . 02:42:00:00:00:01 . fe80::1',
        'guarded_targets "nl1" . 0xfe800000000000000000000000000001',
        'routing "nl1"',
        'guarded "nl1"',
    ]
    assert {e.family for e in guard} == {7}
    assert words(guard_elements("nl1", "02:42:00:00:00:01", [], ethertypes=[0x88CC]))[1] == 'ethertypes "nl1" . 0x88cc'


def test_no_two_sets_have_one_name() -> None:
    assert len(FAMILY) == len(SETS)


def binding(ip: str, proto: str = "tcp") -> PortBinding:
    return PortBinding(proto=proto, container_port=80, host_ip=ip, host_port=8080)


@pytest.mark.parametrize(
    ("port", "ipv4", "ipv6", "wanted"),
    [
        (binding("0.0.0.0"), "172.18.0.2", "fd00::2", ["published4 tcp . 8080 : 172.18.0.2 . 80"]),
        (binding("10.0.0.1"), "172.18.0.2", "", ["published4_at 10.0.0.1 . tcp . 8080 : 172.18.0.2 . 80"]),
        (
            binding("::"),
            "172.18.0.2",
            "fd00::2",
            ["published6 tcp . 8080 : fd00::2 . 80", "relayed tcp . 8080 : ac12:2"],
        ),
        (binding("::"), "172.18.0.2", "", ["relayed tcp . 8080 : ac12:2"]),
        (binding("fd01::1"), "172.18.0.2", "", ["relayed_at fd01::1 . tcp . 8080 : ac12:2"]),
        (binding("::", "sctp"), "", "fd00::2", ["published6 sctp . 8080 : fd00::2 . 80"]),
        (binding("0.0.0.0"), "", "fd00::2", []),
    ],
)
def test_ports(port: PortBinding, ipv4: str, ipv6: str, wanted: list[str]) -> None:
    assert words(port_elements([port], ipv4, ipv6)) == wanted


def test_the_relay_is_told_once() -> None:
    assert words(relay_elements(61000)) == ["relay_port ipv6 : 61000", "relay_ports 61000"]
    assert relay_elements(0) == []


@pytest.mark.parametrize(
    ("ip", "needed"),
    [("0.0.0.0", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", False), ("::", False), ("10.0.0.1", False)],
)
def test_only_ports_on_loopback_need_its_route(ip: str, needed: bool) -> None:
    assert needs_loopback_route([binding(ip)]) is needed
    assert not needs_loopback_route([])


@given(
    proto=st.sampled_from(["tcp", "udp", "sctp"]),
    port=st.integers(0, 65535),
    ip=st.ip_addresses(v=4).map(str),
    target=st.ip_addresses(v=4).map(str),
    inner=st.integers(0, 65535),
)
def test_text_tells_what_was_packed(proto: str, port: int, ip: str, target: str, inner: int) -> None:
    packed = element("published4_at", (ip, proto, port), (target, inner))
    assert text(packed) == f"{ip} . {proto} . {port} : {target} . {inner}"
    assert len(packed.key_data) == 12
    assert packed.value is not None
    assert len(packed.value) == 8


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 15"):
        element("bridges", ("x" * 16,))


def published(first: int, last: int, *, inner: int = 0, ip: str = "0.0.0.0", proto: str = "tcp") -> list[PortBinding]:
    return [PortBinding(proto, port + inner, ip, port) for port in range(first, last + 1)]


def test_many_ports_side_by_side_are_one_element() -> None:
    ports = [*published(8000, 8999), *published(8000, 8999, ip="::")]
    assert words(port_elements(ports, "10.0.0.2", "fd00::2")) == [
        "published_ranges4 tcp . 8000-8999 : 10.0.0.2",
        "published_ranges6 tcp . 8000-8999 : fd00::2",
        "relayed_ranges tcp . 8000-8999 : a00:2",
    ]
    assert words(port_elements(published(8000, 8999, ip="192.0.2.1"), "10.0.0.2", "")) == [
        "published_ranges4_at 192.0.2.1 . tcp . 8000-8999 : 10.0.0.2"
    ]
    assert words(port_elements(published(8000, 8999, ip="2001:db8::1", proto="sctp"), "", "fd00::2")) == [
        "published_ranges6_at 2001:db8::1 . sctp . 8000-8999 : fd00::2"
    ]


def test_what_is_no_range_stays_one_element_a_port() -> None:
    few, moved = published(8000, 8030), published(8000, 8999, inner=1)
    assert [e.set for e in port_elements(few, "10.0.0.2", "")] == ["published4"] * 31
    assert [e.set for e in port_elements(moved, "10.0.0.2", "")] == ["published4"] * 1000
    broken = [p for p in published(8000, 8099) if p.host_port not in (8040, 8042)]
    assert words(port_elements(broken[::-1], "10.0.0.2", ""))[:3] == [
        "published_ranges4 tcp . 8000-8039 : 10.0.0.2",
        "published_ranges4 tcp . 8043-8099 : 10.0.0.2",
        "published4 tcp . 8041 : 10.0.0.2 . 8041",
    ]


RUNS = st.lists(st.tuples(st.integers(1, 200), st.integers(1, 60)), max_size=4)


@given(RUNS, RUNS)
def test_each_port_is_in_exactly_one_element(runs: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    same, elsewhere = ({p for first, n in part for p in range(first, first + n)} for part in (runs, others))
    bindings = [PortBinding("tcp", p if p in same else 9999, "0.0.0.0", p) for p in sorted(same | elsewhere)]
    found = {}
    for e in port_elements(bindings, "10.0.0.2", ""):
        there = lead(e)
        assert there is not None
        for i in range(there.width):
            assert there.host_port + i not in found
            found[there.host_port + i] = there.port + i
    assert found == {b.host_port: b.container_port for b in bindings}
