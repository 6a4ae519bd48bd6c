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
    assert going(bound, {"80/tcp": ()}) == tuple(bound)
    assert going(bound, {"80/tcp": (PortSpec("", "8080"),)}) == tuple(bound[:2])
    assert going(bound, {"80/udp": ()}) == ()
