"""Ports: what is refused at create, what a start asks for, and what it gets; sentences as Docker 28.5 has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.firewall.ports import (
    DYNAMIC,
    Among,
    PortRequest,
    check_local,
    check_ports,
    choose,
    conflict,
    not_bound,
    requested,
    untranslated,
)
from netloom.firewall.taken import Taken
from netloom.model.container import ContainerConfig
from netloom.model.endpoint import PortBinding
from netloom.model.errors import Exhausted, Failed, InvalidArgument, NetloomError
from netloom.model.host_config import HostConfig, PortSpec

Specs = dict[str, tuple[PortSpec, ...] | None]


def asked(bindings: Specs, *exposed: str, publish_all: bool = False) -> tuple[ContainerConfig, HostConfig]:
    return (
        ContainerConfig(exposed_ports={key: {} for key in (*bindings, *exposed)}),
        HostConfig(port_bindings=bindings, publish_all_ports=publish_all),
    )


def spec(port: str = "", ip: str = "") -> tuple[PortSpec, ...]:
    return (PortSpec(host_ip=ip, host_port=port),)


def zeros(size: int) -> bytes:
    return bytes(size)


def free(proto: str, first: int, width: int) -> list[tuple[int, str]]:
    return []


def taken(*bindings: tuple[str, int]) -> Among:
    published = Taken()
    for ip, port in bindings:
        published.put(PortBinding("tcp", 1, ip, port))
    return published.among


def rows(bindings: list[PortBinding]) -> list[str]:
    return [f"{b.container_port}/{b.proto} {b.host_ip} {b.host_port}" for b in bindings]


@pytest.mark.parametrize(
    ("bindings", "sentence"),
    [
        ({"http/tcp": spec("8080")}, 'invalid port specification: "http"'),
        ({"80-82/tcp": spec("8080")}, 'invalid port specification: "80-82"'),
        ({"70000/tcp": spec("8080")}, 'invalid port specification: "70000"'),
        ({"80/tcp": spec("70000")}, 'invalid port specification: "70000"'),
        ({"80/tcp": spec("19085-19080")}, 'invalid port specification: "19085-19080"'),
        ({"80/tcp": spec("-1")}, 'invalid port specification: "-1"'),
        ({"80/tcp": spec(" 19090")}, 'invalid port specification: " 19090"'),
        ({"80/tcp": spec("a-b")}, 'invalid port specification: "a-b"'),
        ({"80/tcp": spec("٣")}, 'invalid port specification: "٣"'),
        ({"80/tcp": spec("8080", "x.y")}, "invalid IP address: x.y"),
    ],
)
def test_refused_at_create(bindings: Specs, sentence: str) -> None:
    config, host_config = asked({})
    config = ContainerConfig(exposed_ports={"80/tcp": {}})
    host_config = HostConfig(port_bindings=bindings)
    with pytest.raises(InvalidArgument) as error:
        check_ports(config, host_config)
    assert error.value.sentence == sentence


def test_a_binding_without_exposure_is_refused_and_not_dropped() -> None:
    with pytest.raises(InvalidArgument, match="80/tcp is published and not exposed"):
        check_ports(ContainerConfig(), HostConfig(port_bindings={"80/tcp": spec("8080")}))


@pytest.mark.parametrize(
    "bindings",
    [
        {"80": spec("8080")},
        {"80/TCP": spec("8080")},
        {"80/quic": spec("8080")},
        {"80/tcp": None},
        {"80/tcp": spec("0")},
    ],
)
def test_passed_at_create(bindings: Specs) -> None:
    check_ports(*asked(bindings))


def test_an_unknown_protocol_is_refused_at_start() -> None:
    with pytest.raises(Failed) as error:
        requested(*asked({"80/quic": spec("8080")}))
    assert error.value.sentence == "unknown protocol"


@pytest.mark.parametrize(
    ("given_ip", "default_ip", "ipv4", "host_ips"),
    [
        ("", "", True, ("0.0.0.0", "::")),
        ("", "0.0.0.0", True, ("0.0.0.0", "::")),
        ("", "127.0.0.1", True, ("127.0.0.1",)),
        ("", "::1", True, ("::1",)),
        ("0.0.0.0", "127.0.0.1", True, ("0.0.0.0",)),
        ("::", "", True, ("::",)),
        ("[::1]", "", True, ("::1",)),
        ("", "", False, ("::",)),
        ("127.0.0.1", "", False, None),
    ],
)
def test_host_addresses(given_ip: str, default_ip: str, ipv4: bool, host_ips: tuple[str, ...] | None) -> None:
    found = requested(*asked({"80/tcp": spec("8080", given_ip)}), default_ip, ipv4=ipv4)
    assert [r.host_ips for r in found] == ([host_ips] if host_ips else [])


def test_a_host_without_ipv6_publishes_on_ipv4_alone() -> None:
    assert requested(*asked({"80/tcp": spec("8080")}), host_ipv6=False)[0].host_ips == ("0.0.0.0",)


def test_publish_all_takes_what_is_exposed_and_not_bound() -> None:
    found = requested(*asked({"80/tcp": spec("8080")}, "81/tcp", "90-91/udp", publish_all=True))
    assert [(r.container_port, r.proto, r.first) for r in found] == [
        (80, "tcp", 8080),
        (81, "tcp", 0),
        (90, "udp", 0),
        (91, "udp", 0),
    ]
    assert requested(*asked({"80/tcp": None, "81/tcp": ()})) == []


def test_both_families_get_the_same_port_and_the_order_is_that_of_inspect() -> None:
    found = requested(*asked({"80/tcp": (*spec("8081"), *spec("8080")), "53/udp": spec("", "127.0.0.1")}))
    assert rows(choose(found, free, zeros)) == [
        "53/udp 127.0.0.1 32768",
        "80/tcp 0.0.0.0 8080",
        "80/tcp :: 8080",
        "80/tcp 0.0.0.0 8081",
        "80/tcp :: 8081",
    ]


@pytest.mark.parametrize(
    ("ip", "others", "sentence"),
    [
        ("", [("0.0.0.0", 8080)], "Bind for 0.0.0.0:8080 failed: port is already allocated"),
        ("", [("127.0.0.1", 8080)], "Bind for 127.0.0.1:8080 failed: port is already allocated"),
        ("127.0.0.1", [("0.0.0.0", 8080)], "Bind for 0.0.0.0:8080 failed: port is already allocated"),
        ("::1", [("::", 8080)], "Bind for [::]:8080 failed: port is already allocated"),
        ("127.0.0.1", [("10.0.0.1", 8080)], None),
        ("0.0.0.0", [("::", 8080)], None),
    ],
)
def test_conflicts(ip: str, others: list[tuple[str, int]], sentence: str | None) -> None:
    found = requested(*asked({"80/tcp": spec("8080", ip)}))
    if sentence is None:
        assert choose(found, taken(*others), zeros)[0].host_port == 8080
        return
    with pytest.raises(Failed) as error:
        choose(found, taken(*others), zeros)
    assert error.value.sentence == sentence


def test_a_port_asked_for_twice() -> None:
    found = requested(*asked({"80/tcp": (*spec("8080"), *spec("8080", "127.0.0.1"))}))
    with pytest.raises(Failed) as error:
        choose(found, free, zeros)
    assert error.value.sentence == "failed to listen on TCP socket: address already in use"
    both = requested(*asked({"80/tcp": spec("8080"), "80/udp": spec("8080")}))
    assert len(choose(both, free, zeros)) == 4


def test_a_range_gives_its_first_free_port() -> None:
    found = requested(*asked({"80/tcp": spec("18080-18082")}))
    busy = [("0.0.0.0", 18080), ("127.0.0.1", 18081)]
    assert {b.host_port for b in choose(found, taken(*busy), zeros)} == {18082}
    with pytest.raises(Exhausted) as error:
        choose(found, taken(*busy, ("::", 18082)), zeros)
    assert error.value.sentence == "all ports are allocated"


def test_those_who_do_not_care_give_way_to_those_who_do() -> None:
    found = requested(*asked({"80/tcp": spec(""), "81/tcp": spec("32768-32769"), "82/tcp": spec("32768")}))
    chosen = {b.container_port: b.host_port for b in choose(found, free, zeros)}
    assert chosen == {82: 32768, 81: 32769, 80: 32770}


@given(st.binary(min_size=4, max_size=4), st.sets(st.integers(*DYNAMIC), max_size=20))
def test_any_port_is_a_free_one_of_the_dynamic_range(dice: bytes, busy: set[int]) -> None:
    request = PortRequest(proto="tcp", container_port=80, host_ips=("0.0.0.0", "::"), first=0, last=0)
    (port,) = {b.host_port for b in choose([request], taken(*(("0.0.0.0", p) for p in busy)), lambda _: dice)}
    assert DYNAMIC[0] <= port <= DYNAMIC[1]
    assert port not in busy


def test_no_port_left() -> None:
    request = PortRequest(proto="tcp", container_port=80, host_ips=("0.0.0.0",), first=0, last=0)
    with pytest.raises(Exhausted):
        choose([request], lambda proto, port, width: [(port, "0.0.0.0")], zeros)


def test_addresses_that_the_host_does_not_have() -> None:
    binding = PortBinding(proto="tcp", container_port=80, host_ip="203.0.113.9", host_port=18081)
    with pytest.raises(Failed) as error:
        check_local([binding], ["198.51.100.2"], "172.17.0.3")
    assert error.value.sentence == (
        "failed to bind host port for 203.0.113.9:18081:172.17.0.3:80/tcp: cannot assign requested address"
    )
    check_local([binding], ["203.0.113.9"], "172.17.0.3")
    for ip in ("0.0.0.0", "::", "127.0.0.9", "::1"):
        check_local([PortBinding("tcp", 80, ip, 1)], [], "172.17.0.3")
    assert "[::1]:1:172.17.0.3:80/tcp: x" in str(not_bound(PortBinding("tcp", 80, "::1", 1), "172.17.0.3", "x"))


@pytest.mark.parametrize(
    ("ip", "others", "found"),
    [
        ("0.0.0.0", ["127.0.0.1"], "127.0.0.1"),
        ("127.0.0.1", ["0.0.0.0"], "0.0.0.0"),
        ("127.0.0.1", ["127.0.0.2", "::"], ""),
        ("::", ["fd00::1"], "fd00::1"),
    ],
)
def test_conflict(ip: str, others: list[str], found: str) -> None:
    assert conflict(ip, others) == found


_text = st.text(max_size=8) | st.sampled_from(["80", "80/tcp", "80-81/udp", "8080", "1-2", "::1", "0.0.0.0", "[::]"])
_specs = st.lists(st.builds(PortSpec, host_ip=_text, host_port=_text), max_size=3).map(tuple)


@given(st.dictionaries(_text, st.none() | _specs, max_size=3), st.lists(_text, max_size=3), st.booleans())
def test_whatever_is_asked_only_our_own_errors(bindings: Specs, exposed: list[str], publish_all: bool) -> None:
    config, host_config = asked(bindings, *exposed, publish_all=publish_all)
    try:
        check_ports(config, host_config)
        chosen = choose(requested(config, host_config)[:50], free, zeros)
    except NetloomError:
        return
    ports = [(b.proto, b.host_ip, b.host_port) for b in chosen]
    assert len(set(ports)) == len(ports)
    assert all(0 < port < 65536 for _, _, port in ports)


def test_a_routed_family_needs_no_port_of_the_host() -> None:
    asked = [
        PortRequest("tcp", 80, ("0.0.0.0", "::"), 8080, 8080),
        PortRequest("tcp", 80, ("127.0.0.1",), 8081, 8081),
        PortRequest("udp", 53, ("::1",), 0, 0),
    ]
    opened, remaining = untranslated(asked, {4})
    assert opened == [PortBinding("tcp", 80, "0.0.0.0", 0)]
    assert remaining == [PortRequest("tcp", 80, ("::",), 8080, 8080), asked[2]]
    opened, remaining = untranslated(asked, {4, 6})
    assert opened == [
        PortBinding("tcp", 80, "0.0.0.0", 0),
        PortBinding("tcp", 80, "::", 0),
        PortBinding("udp", 53, "::", 0),
    ]
    assert remaining == []
    assert untranslated(asked, ()) == ([], asked)
