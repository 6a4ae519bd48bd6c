"""Ports that come and go: what is remembered, and which bindings go."""

import pytest

from netloom.firewall.port_changes import added, going, removed
from netloom.model.container import ContainerConfig
from netloom.model.endpoint import PortBinding
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.host_config import HostConfig, PortSpec

WEB = HostConfig(port_bindings={"80/tcp": (PortSpec("", "8080"), PortSpec("", "9000-9010")), "53/udp": (PortSpec(),)})


def test_what_comes_is_exposed_and_remembered() -> None:
    exposing = ContainerConfig(exposed_ports={"80/tcp": {}, "53/udp": {}})
    config, host = added(exposing, WEB, {"80/tcp": (PortSpec("127.0.0.1", "8081"),), "443/tcp": ()})
    assert config.exposed_ports == {"80/tcp": {}, "53/udp": {}, "443/tcp": {}}
    assert host.port_bindings is not None
    assert host.port_bindings["80/tcp"][-1:] == (PortSpec("127.0.0.1", "8081"),)
    assert host.port_bindings["443/tcp"] == (PortSpec(),)


@pytest.mark.parametrize("ports", [{"x": ()}, {"80/tcp": (PortSpec("nowhere", ""),)}, {"80/tcp": (PortSpec("", "x"),)}])
def test_what_cannot_come(ports: dict[str, tuple[PortSpec, ...]]) -> None:
    with pytest.raises(InvalidArgument):
        added(ContainerConfig(), HostConfig(), ports)


@pytest.mark.parametrize(
    ("ports", "kept"),
    [
        ({"80/tcp": ()}, {"53/udp": (PortSpec(),)}),
        ({"80/tcp": (PortSpec(),)}, {"53/udp": (PortSpec(),)}),
        ({"80/tcp": (PortSpec("", "8080"),)}, {"80/tcp": (PortSpec("", "9000-9010"),), "53/udp": (PortSpec(),)}),
        ({"80/tcp": (PortSpec("", "9005"),)}, {"80/tcp": (PortSpec("", "8080"),), "53/udp": (PortSpec(),)}),
        ({"53/udp": (PortSpec("", "32800"),), "80/tcp": ()}, {}),
        ({}, WEB.port_bindings),
    ],
)
def test_what_goes(ports: dict[str, tuple[PortSpec, ...]], kept: dict[str, tuple[PortSpec, ...]]) -> None:
    assert removed(WEB, ports).port_bindings == kept


@pytest.mark.parametrize(
    ("ports", "kind"),
    [
        ({"81/tcp": ()}, NotFound),
        ({"80/tcp": (PortSpec("", "8088"),)}, NotFound),
        ({"80/tcp": (PortSpec("127.0.0.1", "8080"),)}, InvalidArgument),
        ({"80/tcp": (PortSpec("", "8080-8081"),)}, InvalidArgument),
    ],
)
def test_what_cannot_go(ports: dict[str, tuple[PortSpec, ...]], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        removed(WEB, ports)


def test_bindings_that_go() -> None:
    bound = [PortBinding("tcp", 80, ip, 8080) for ip in ("0.0.0.0", "::")] + [PortBinding("tcp", 80, "::", 8081)]
    assert going(bound, {"80/tcp": ()}, HostConfig()) == tuple(bound)
    assert going(bound, {"80/tcp": (PortSpec("", "8080"),)}, HostConfig()) == tuple(bound[:2])
    assert going(bound, {"80/udp": ()}, HostConfig()) == ()


ANY = HostConfig(port_bindings={"80/tcp": (PortSpec(), PortSpec("", "8080"), PortSpec("", "9000-9010"))})
STOOD = [PortBinding("tcp", 80, ip, port) for port in (8080, 9000, 40001) for ip in ("0.0.0.0", "::")]


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("8080", (PortSpec(), PortSpec("", "9000-9010"))),
        ("9000", (PortSpec(), PortSpec("", "8080"))),
        ("40001", (PortSpec("", "8080"), PortSpec("", "9000-9010"))),
    ],
)
def test_a_port_of_the_host_is_the_one_that_stands(number: str, kept: tuple[PortSpec, ...]) -> None:
    named = {"80/tcp": (PortSpec("", number),)}
    changed = removed(ANY, named, STOOD)
    assert changed.port_bindings == {"80/tcp": kept}
    assert {b.host_port for b in going(STOOD, named, changed)} == {int(number)}


def test_two_of_one_kind_are_told_apart_by_the_address() -> None:
    two = HostConfig(port_bindings={"80/tcp": (PortSpec(), PortSpec("127.0.0.1"), PortSpec("127.0.0.1"))})
    stood = [
        PortBinding("tcp", 80, "0.0.0.0", 40001),
        *(PortBinding("tcp", 80, "127.0.0.1", p) for p in (40002, 40003)),
    ]
    assert removed(two, {"80/tcp": (PortSpec("", "40002"),)}, stood).port_bindings == {
        "80/tcp": (PortSpec(), PortSpec("127.0.0.1"))
    }
    assert removed(two, {"80/tcp": (PortSpec("", "40001"),)}, stood).port_bindings == {
        "80/tcp": (PortSpec("127.0.0.1"), PortSpec("127.0.0.1"))
    }


@pytest.mark.parametrize("number", ["1111", "9005"])
def test_a_number_that_it_has_not_become(number: str) -> None:
    with pytest.raises(NotFound, match=f"port 80/tcp is not published as {number}: `docker port` shows what is"):
        removed(ANY, {"80/tcp": (PortSpec("", number),)}, STOOD)


def test_the_opening_of_a_routed_network_goes_with_the_last_binding() -> None:
    opened = [PortBinding("tcp", 80, ip, 0) for ip in ("0.0.0.0", "::")]
    two = HostConfig(port_bindings={"80/tcp": (PortSpec("", "8080"), PortSpec("", "8081"))})
    for number, gone in (("8080", []), ("8081", opened)):
        named = {"80/tcp": (PortSpec("", number),)}
        two = removed(two, named, opened)
        assert going(opened, named, two) == tuple(gone)
