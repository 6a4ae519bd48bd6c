from netloom.engine.gateways import settle
from netloom.model.endpoint import Endpoint, PortBinding
from netloom.model.network import Network

PORTS = tuple(
    PortBinding(proto="tcp", container_port=80, host_ip=host_ip, host_port=8080) for host_ip in ("0.0.0.0", "::")
)


def network(name: str, *, internal: bool = False) -> Network:
    return Network(id=name, name=name, created=0, driver="bridge", number=1, internal=internal)


def endpoint(name: str, *, v4: bool = True, v6: bool = False) -> Endpoint:
    return Endpoint(
        id=f"e-{name}",
        network=name,
        container="c",
        number=1,
        host_name="nl",
        inner_name="eth0",
        inner_index=2,
        mac="02:00:00:00:00:01",
        ipv4="10.0.0.2/24" if v4 else "",
        ipv6="fd00::2/64" if v6 else "",
        gateway4="10.0.0.1" if v4 else "",
        gateway6="fd00::1" if v6 else "",
    )


def winners(endpoints: list[Endpoint], networks: list[Network], **priorities: int) -> tuple[str, str, str]:
    settled = settle(endpoints, {n.id: n for n in networks}, priorities, PORTS)
    one = lambda test: next((e.network for e in settled if test(e)), "")  # noqa: E731
    return one(lambda e: e.default4), one(lambda e: e.default6), one(lambda e: e.ports)


def test_the_first_by_name_wins_among_equals() -> None:
    nets = [network("b"), network("a")]
    assert winners([endpoint("b"), endpoint("a")], nets) == ("a", "", "a")


def test_both_families_come_before_one_and_ipv6_before_ipv4() -> None:
    nets = [network("a"), network("b"), network("c")]
    endpoints = [endpoint("a"), endpoint("b", v4=False, v6=True), endpoint("c", v6=True)]
    assert winners(endpoints, nets) == ("c", "c", "c")
    assert winners(endpoints, nets, a=1) == ("a", "c", "a")


def test_priority_beats_the_name() -> None:
    nets = [network("b"), network("a")]
    assert winners([endpoint("a"), endpoint("b")], nets, b=1) == ("b", "", "b")


def test_an_internal_network_has_no_way_out() -> None:
    nets = [network("a", internal=True), network("b")]
    assert winners([endpoint("a"), endpoint("b")], nets, a=100) == ("b", "", "b")
    assert winners([endpoint("a")], nets) == ("", "", "")


def test_families_choose_on_their_own_and_ports_follow_ipv4() -> None:
    nets = [network("a"), network("b")]
    endpoints = [endpoint("a", v4=False, v6=True), endpoint("b")]
    assert winners(endpoints, nets) == ("b", "a", "b")
    assert winners(endpoints[:1], nets) == ("", "a", "a")


def test_without_ipv4_the_hosts_ipv4_ports_wait() -> None:
    (alone,) = settle([endpoint("a", v4=False, v6=True)], {"a": network("a")}, {}, PORTS)
    assert [p.host_ip for p in alone.ports] == ["::"]
    (both,) = settle([endpoint("a", v6=True)], {"a": network("a")}, {}, PORTS)
    assert both.ports == PORTS


def test_order_is_kept_and_nothing_else_changes() -> None:
    given = [endpoint("b"), endpoint("a")]
    settled = settle(given, {"a": network("a"), "b": network("b")}, {}, ())
    assert [e.network for e in settled] == ["b", "a"]
    assert settled[0] == given[0]
