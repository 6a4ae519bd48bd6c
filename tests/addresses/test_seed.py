"""Addresses of containers on a real host, asked for with the docker CLI. S numbers: docs/addresses.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Netns

pytestmark = pytest.mark.root


@contextmanager
def network(daemon: Daemon, name: str, *options: str) -> Iterator[dict[str, Any]]:
    """A network with containers that are removed with it."""
    daemon.docker("network", "create", *options, name)
    try:
        yield daemon.network(name)
    finally:
        if left := daemon.docker("ps", "-aq", "--filter", f"network={name}").split():
            daemon.docker("rm", "-f", *left)
        daemon.docker("network", "rm", name)


def run(daemon: Daemon, name: str, on: str, *options: str) -> dict[str, Any]:
    """Start a container; its endpoint on the network."""
    daemon.docker("run", "-d", "--name", name, "--network", on, *options, "host", "sleep", "600")
    found: dict[str, Any] = daemon.inspect(name)["NetworkSettings"]["Networks"][on]
    return found


def inside(daemon: Daemon, name: str, *command: str) -> str:
    """What a command prints in a container's namespace."""
    with Netns.of(daemon.inspect(name)["State"]["Pid"]) as namespace:
        return namespace.run(*command)


def refused(daemon: Daemon, *words: str) -> str:
    """The daemon's sentence."""
    done = daemon.docker_run(*words)
    assert done.returncode != 0, done.stdout
    return done.stderr


def config(shown: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown["IPAM"]["Config"]
    return found


def test_s34_every_container_gets_a_private_address_of_its_own(daemon: Daemon) -> None:
    with network(daemon, "s34") as shown:
        subnet = ip_network(config(shown)[0]["Subnet"])
        assert subnet.is_private
        found = [run(daemon, f"s34-{n}", "s34") for n in range(4)]
        addresses = [entry["IPAddress"] for entry in found]
        assert addresses == [str(subnet[n]) for n in range(2, 6)]
        assert all(
            f"inet {a}/{subnet.prefixlen} " in inside(daemon, f"s34-{n}", "ip", "addr") for n, a in enumerate(addresses)
        )
    default = run(daemon, "s34-default", "bridge")
    daemon.docker("rm", "-f", "s34-default")
    assert ip_address(default["IPAddress"]) in ip_network(config(daemon.network("bridge"))[0]["Subnet"])


def test_s34_an_address_comes_back_last_used_last(daemon: Daemon) -> None:
    with network(daemon, "s34-again", "--subnet", "10.34.0.0/29"):
        seen = []
        for _ in range(7):
            seen.append(run(daemon, "s34-one", "s34-again")["IPAddress"])
            daemon.docker("rm", "-f", "s34-one")
        assert seen == [f"10.34.0.{n}" for n in (2, 3, 4, 5, 6, 2, 3)]


def test_s35_every_key_of_composes_ipam(daemon: Daemon) -> None:
    options = (
        *("--driver", "bridge", "--ipam-driver", "default", "--ipv6"),
        *("--subnet", "10.35.0.0/16", "--ip-range", "10.35.4.0/29", "--gateway", "10.35.9.9"),
        *("--aux-address", "nas=10.35.4.1", "--aux-address", "printer=10.35.200.1"),
        *("--subnet", "fd00:35::/64", "--gateway", "fd00:35::ff", "--aux-address", "nas6=fd00:35::1"),
    )
    with network(daemon, "s35", *options) as shown:
        assert config(shown) == [
            {
                "Subnet": "10.35.0.0/16",
                "IPRange": "10.35.4.0/29",
                "Gateway": "10.35.9.9",
                "AuxiliaryAddresses": {"nas": "10.35.4.1", "printer": "10.35.200.1"},
            },
            {"Subnet": "fd00:35::/64", "Gateway": "fd00:35::ff", "AuxiliaryAddresses": {"nas6": "fd00:35::1"}},
        ]
        first, second = (run(daemon, f"s35-{n}", "s35") for n in range(2))
        assert [(e["IPAddress"], e["GlobalIPv6Address"]) for e in (first, second)] == [
            ("10.35.4.0", "fd00:35::2"),
            ("10.35.4.2", "fd00:35::3"),
        ]
        chosen = run(daemon, "s35-chosen", "s35", "--ip", "10.35.77.7", "--ip6", "fd00:35::77")
        assert (chosen["IPAddress"], chosen["GlobalIPv6Address"]) == ("10.35.77.7", "fd00:35::77")
        routes = inside(daemon, "s35-0", "ip", "route") + inside(daemon, "s35-0", "ip", "-6", "route")
        assert "default via 10.35.9.9 " in routes
        assert "default via fd00:35::ff " in routes
        taken = refused(daemon, "run", "--network", "s35", "--ip", "10.35.4.1", "host", "true")
        assert "Address already in use: 10.35.4.1 is auxiliary address nas" in taken
        status = json.loads(daemon.api("GET", "/networks/s35?netloom=1")[1])["Status"]
        # 10.35: the network's own, broadcast, gateway, two auxiliary ones, three endpoints; of the range's 8 one
        # auxiliary one and two endpoints are gone. fd00:35: anycast, gateway, the auxiliary one, three endpoints
        assert status == {
            "IPAM": {
                "Subnets": {
                    "10.35.0.0/16": {"IPsInUse": 8, "DynamicIPsAvailable": 5},
                    "fd00:35::/64": {"IPsInUse": 6, "DynamicIPsAvailable": 2**64 - 6},
                }
            }
        }
        assert "Status" not in daemon.network("s35"), "clients of 1.51 do not know it"


def test_s35_the_containers_router_may_be_another_than_the_bridge(daemon: Daemon) -> None:
    aux = ("--aux-address", "DefaultGatewayIPv4=10.36.0.77", "--aux-address", "DefaultGatewayIPv6=fd00:36::77")
    subnets = ("--ipv6", "--subnet", "10.36.0.0/24", "--subnet", "fd00:36::/64")
    with network(daemon, "s35-router", *subnets, *aux) as shown:
        found = run(daemon, "s35-routed", "s35-router")
        assert (found["Gateway"], found["IPv6Gateway"]) == ("10.36.0.77", "fd00:36::77")
        assert "default via 10.36.0.77 " in inside(daemon, "s35-routed", "ip", "route")
        assert "default via fd00:36::77 " in inside(daemon, "s35-routed", "ip", "-6", "route")
        assert "inet 10.36.0.1/24 " in daemon.host.run("ip", "addr", "show", f"br-{shown['Id'][:12]}")
    said = refused(daemon, "network", "create", "--internal", *subnets, *aux, "s35-router")
    assert "no gateway can be set on an internal bridge network" in said


def test_ipv6_alone_and_both_families_with_an_automatic_prefix(daemon: Daemon) -> None:
    with network(daemon, "six", "--ipv4=false", "--ipv6") as six, network(daemon, "both", "--ipv6") as both:
        subnets = [ip_network(entry["Subnet"]) for entry in (*config(six), *config(both))]
        assert [subnet.version for subnet in subnets] == [6, 4, 6]
        ours = [subnet.supernet(new_prefix=48) for subnet in subnets if subnet.version == 6]
        assert ours[0] == ours[1], "one unique local prefix for the host"
        assert ours[0].subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
        found = run(daemon, "six-only", "six")
        assert found["IPAddress"] == ""
        assert found["GlobalIPv6Address"] == str(subnets[0][2])
        assert " inet " not in inside(daemon, "six-only", "ip", "addr", "show", "eth0")
        with Netns.of(daemon.inspect("six-only")["State"]["Pid"]) as namespace:
            assert namespace.ping(str(subnets[0][1]))
    assert "IPv4 or IPv6 must be enabled" in refused(daemon, "network", "create", "--ipv4=false", "none-of-both")


def test_a_subnet_asked_for_by_its_size(daemon: Daemon) -> None:
    with network(daemon, "sized", "--ipv6", "--subnet", "0.0.0.0/28", "--subnet", "::/96") as shown:
        four, six = (ip_network(entry["Subnet"]) for entry in config(shown))
        assert (four.prefixlen, six.prefixlen) == (28, 96)
        assert [entry["Gateway"] for entry in config(shown)] == [str(four[1]), str(six[1])]
        chosen = run(daemon, "sized-one", "sized", "--ip", str(four[9]))  # as in any subnet that a user asked for
        assert (chosen["IPAddress"], chosen["IPPrefixLen"]) == (str(four[9]), 28)
        daemon.kill()
        daemon.start()
        assert config(daemon.network("sized")) == config(shown)


def test_addresses_that_a_user_chose_and_others_never_meet(daemon: Daemon) -> None:
    with network(daemon, "mixed", "--subnet", "10.37.0.0/29"):
        run(daemon, "kept", "mixed", "--ip", "10.37.0.3")
        daemon.docker("stop", "-t", "0", "kept")
        said = refused(daemon, "run", "--network", "mixed", "--ip", "10.37.0.3", "host", "true")
        assert "Address already in use: 10.37.0.3 is held by container kept" in said
        assert [run(daemon, f"mixed-{n}", "mixed")["IPAddress"] for n in range(4)] == [
            f"10.37.0.{n}" for n in (2, 4, 5, 6)
        ]
        full = refused(daemon, "run", "--network", "mixed", "host", "true")
        assert "no available IPv4 addresses on this network's address pools: mixed" in full
        daemon.docker("start", "kept")
        assert daemon.inspect("kept")["NetworkSettings"]["Networks"]["mixed"]["IPAddress"] == "10.37.0.3"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--ipam-driver", "null"), "ipv4 pool is empty"),
        (("--ipam-driver", "null", "--ipv4=false", "--ipv6"), "ipv6 pool is empty"),
        (
            ("--ipam-driver", "null", "--subnet", "10.38.0.0/24"),
            "null ipam driver does not handle specific address pool requests",
        ),
        (("--ipam-driver", "infoblox"), 'plugin "infoblox" not found'),
        (("--subnet", "10.38.0.0/24", "--subnet", "10.38.1.0/24"), "bridge driver doesn't support multiple subnets"),
        (
            ("--ipv6", "--subnet", "fd00:38::/64", "--subnet", "fd00:39::/64"),
            "bridge driver doesn't support multiple subnets",
        ),
    ],
)
def test_refused_in_dockers_words(daemon: Daemon, options: tuple[str, ...], sentence: str) -> None:
    said = refused(daemon, "network", "create", *options, "refused")
    assert f"Error response from daemon: {sentence}" in said
