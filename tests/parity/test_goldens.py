"""What a real Docker answered to the same requests: status and sentence; ours may add `: remedy`."""

from __future__ import annotations

from replay import Deliberate, differences

from netloom.testing.daemons import Daemon

UNEXPOSED = "a binding that Docker drops silently"
NOT_AN_ADDRESS = "Docker takes a host address that it cannot read for every address"
CREATE = {
    "subnet overlaps the host's uplink": Deliberate(
        "the host would lose what lies behind its route",
        403,
        "invalid pool request: Pool overlaps with other one on this address space: 198.51.100.0/24 overlaps the host's"
        " route to 198.51.100.0/24 by eth0",
    ),
    "unknown option": Deliberate(
        "a promise that nobody keeps", 400, "unknown option com.example.unknown for network driver bridge"
    ),
    "overlay without swarm": Deliberate("not there yet", 501, "network driver overlay is not supported yet"),
}
CONNECT = {
    "connect with multicast MAC": Deliberate(
        "MacAddress counts here as from API 1.54 on; 28.5 ignores it",
        400,
        "invalid MAC address 01:00:5e:00:00:01: it is a multicast address",
    ),
    "disconnect b from n2": Deliberate(
        "it was not connected: see above", 500, "container <id> is not connected to network n2"
    ),
    "static IP on default bridge": Deliberate(
        "as with NetworkMode bridge, which is what it means",
        400,
        "invalid config for network bridge: invalid endpoint settings:\n"
        "* user specified IP address is supported on user defined networks only\n"
        "* user specified IP address is supported only when connecting to networks with user configured subnets",
    ),
    "/containers/p6/start": Deliberate(
        "the address freed longest ago is given first",
        500,
        "failed to set up container networking: driver failed programming external connectivity on endpoint p6 (<id>):"
        " failed to bind host port for 203.0.113.9:18081:172.17.0.4:80/tcp: cannot assign requested address",
    ),
    "host IP invalid": Deliberate(
        NOT_AN_ADDRESS, 400, 'invalid port specification: "80/tcp": invalid host IP address "x.y"'
    ),
    "host IP invalid: start": Deliberate(NOT_AN_ADDRESS, 404, "No such container: p7"),
    "PortBindings without ExposedPorts": Deliberate(
        UNEXPOSED, 400, 'invalid port specification: "80/tcp" is published and not exposed'
    ),
    "/containers/p20/start": Deliberate(UNEXPOSED, 404, "No such container: p20"),
    "/containers/p20/json": Deliberate(UNEXPOSED, 404, "No such container: p20"),
    "/containers/p23/start": Deliberate("the proxy needs SCTP sockets; rules do not", 204),
}
DANGLING = "28.5 takes every network of a user for unused"
FILTERS = {
    'filter {"dangling": ["true"]}': Deliberate(DANGLING, 200, names=["cfg", "fromcfg", "internal", "min", "v6only"]),
    'filter {"dangling": ["false"]}': Deliberate(DANGLING, 200, names=["bridge", "full", "host", "none"]),
}


def test_creating_and_inspecting_networks(fresh: Daemon) -> None:
    assert differences(fresh, "network-create-inspect.json", CREATE) == []


def test_connecting_and_creating_containers(fresh: Daemon) -> None:
    assert differences(fresh, "connect-containers.json", CONNECT) == []


def test_filters_and_prune_of_networks(fresh: Daemon) -> None:
    assert differences(fresh, "network-filters-prune.json", FILTERS) == []
