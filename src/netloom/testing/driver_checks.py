"""The checks that every driver passes, by the docker CLI on a real daemon: a kind of network, told as a `Kind`.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_driver(daemon: Daemon, check: Check) -> None:
        check(daemon, Kind("mine", ("-o", "speed=11")))

Each check makes its own networks and containers, named `kit-…`, and leaves the host as it was.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from msgspec import Struct

from netloom.testing.checker import check as agrees
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Netns, eventually

SLEEP = ("host", "sleep", "600")
MAC = "02:11:22:33:44:55"
_STOP_AT = "NETLOOM_STOP_AT"
_PATIENCE = 5.0  # seconds
_STRIDE, _FEWEST = 7, 4


class Kind(Struct, frozen=True):
    """A driver, its options, and what is peculiar to it."""

    driver: str
    options: tuple[str, ...] = ()  # flags of `docker network create`; `{number}` is that of the network, 1 or 2
    own_mac: bool = True  # else an interface has its parent's MAC
    gateway: bool = True  # else the default route names the interface alone
    internal: bool = False  # without a way out, though nobody asked for that
    alone: bool = False  # a network takes one container at a time: leave out the checks of PAIRED

    def flags(self, number: int = 1) -> list[str]:
        """The options of one of its networks."""
        return [option.format(number=number) for option in self.options]


Check: TypeAlias = Callable[[Daemon, Kind], None]


def creates_and_deletes(daemon: Daemon, kind: Kind) -> None:
    """A network is there when it was created, and nothing of it when it was deleted; both are told as events."""
    before, began = _standing(daemon), time.time()
    with _network(daemon, kind) as name:
        told = daemon.network(name)
        assert (told["Driver"], told["Scope"], told["Containers"]) == (kind.driver, "local", {})
        assert told["Internal"] == kind.internal
        assert told["IPAM"]["Config"] == [{"Subnet": "10.96.1.0/24"}]
    eventually(lambda: _standing(daemon) == before, what="what stood before")
    assert _told(daemon, began) == [f"create kit-1 {kind.driver}", f"destroy kit-1 {kind.driver}"]


def attaches_as_told(daemon: Daemon, kind: Kind) -> None:
    """What inspect says of an endpoint is what stands inside: address, MAC, interface, default route, files."""
    with _network(daemon, kind) as name, _container(daemon, "kit-one", name) as box:
        told = _endpoint(daemon, "kit-one", name)
        (link,) = _links(box)
        found = [a["local"] for a in link["addr_info"] if a["family"] == "inet"]
        assert (link["ifname"], found, told["IPPrefixLen"]) == ("eth0", [told["IPAddress"]], 24)
        assert told["MacAddress"] == (link["address"] if kind.own_mac else "")
        defaults = json.loads(box.run("ip", "-j", "-4", "route", "show", "default") or "[]")
        assert len(defaults) == (0 if kind.internal else 1)
        if kind.gateway and not kind.internal:
            assert defaults[0]["gateway"] == told["Gateway"] == "10.96.1.1"
        assert "nameserver 127.0.0.11" in daemon.docker("exec", "kit-one", "cat", "/etc/resolv.conf")
        assert f"{told['IPAddress']}\t" in daemon.docker("exec", "kit-one", "cat", "/etc/hosts")
        _clean(daemon)


def takes_what_was_asked(daemon: Daemon, kind: Kind) -> None:
    """A static address, a MAC, a name of the interface; and an address that is taken is refused."""
    option = "driver-opt=com.docker.network.endpoint.ifname=lan7"
    mac = f"mac-address={MAC}," if kind.own_mac else ""
    with _network(daemon, kind) as name:
        with _container(daemon, "kit-one", f"name={name},ip=10.96.1.77,{mac}{option}") as box:
            (link,) = _links(box)
            assert (link["ifname"], link["addr_info"][0]["local"]) == ("lan7", "10.96.1.77")
            assert not kind.own_mac or link["address"] == MAC
            said = daemon.docker("run", "--rm", "--network", name, "--ip", "10.96.1.77", *SLEEP, check=False)
            assert ("is in container kit-one" if kind.alone else "Address already in use") in said
        if not kind.own_mac:
            said = daemon.docker("run", "--rm", "--network", name, "--mac-address", MAC, *SLEEP, check=False)
            assert "do not support custom mac address assignment" in said
        _clean(daemon)


def knows_names_and_reaches(daemon: Daemon, kind: Kind) -> None:
    """Two containers find each other by name, by alias, and back from the address."""
    with _network(daemon, kind) as name, _pair(daemon, name, "name=kit-1,alias=second"):
        for known_as in ("kit-two", "second", f"second.{name}"):
            daemon.docker("exec", "kit-one", "ping", "-c", "1", "-W", "10", known_as)
        address = _endpoint(daemon, "kit-two", name)["IPAddress"]
        assert f"kit-two.{name}" in daemon.docker("exec", "kit-one", "getent", "hosts", address)


def has_ipv6(daemon: Daemon, kind: Kind) -> None:
    """Both families, and IPv6 off where it was not asked for."""
    subnets = ("--ipv6", "--subnet", "fd00:96::/64")
    with _network(daemon, kind, *subnets) as name, _pair(daemon, name) as box:
        told = _endpoint(daemon, "kit-two", name)
        assert (told["GlobalIPv6Address"][:9], told["GlobalIPv6PrefixLen"]) == ("fd00:96::", 64)
        assert eventually(lambda: box.ping(told["GlobalIPv6Address"], timeout=0.5))
        assert box.ping(told["IPAddress"])
        _clean(daemon)
    with _network(daemon, kind) as name, _container(daemon, "kit-one", name) as box:
        assert box.run("cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6").strip() == "1"


def comes_and_goes_while_it_runs(daemon: Daemon, kind: Kind) -> None:
    """Several networks on one container, connected and disconnected; each is told as an event, in order."""
    with _network(daemon, kind) as name, _network(daemon, kind, number=2) as other:
        began = time.time()
        with _container(daemon, "kit-one", name) as box:
            daemon.docker("network", "connect", "--alias", "second", other, "kit-one")
            assert sorted(link["ifname"] for link in _links(box)) == ["eth0", "eth1"]
            _clean(daemon)
            daemon.docker("network", "disconnect", name, "kit-one")
            assert [link["ifname"] for link in _links(box)] == ["eth1"]
            _clean(daemon)
            daemon.docker("network", "connect", name, "kit-one")
            assert sorted(link["ifname"] for link in _links(box)) == ["eth0", "eth1"]
            _clean(daemon)
        first = [f"connect {name} {kind.driver}", f"connect {other} {kind.driver}"]
        second = [f"disconnect {name} {kind.driver}", f"connect {name} {kind.driver}"]
        assert _told(daemon, began)[:4] == first + second


def outlives_restarts(daemon: Daemon, kind: Kind) -> None:
    """The container's and the daemon's: a static address stays, names go on, inspect and kernel agree."""
    with _network(daemon, kind) as name, _pair(daemon, name, f"name={name},ip=10.96.1.77") as box:
        daemon.docker("restart", "-t", "0", "kit-two")
        assert box.ping("10.96.1.77")
        daemon.kill()
        assert box.ping("10.96.1.77")
        daemon.start()
        _clean(daemon)
        assert box.ping("10.96.1.77")
        daemon.docker("exec", "kit-one", "ping", "-c", "1", "-W", "10", "kit-two")
        daemon.docker("stop", "-t", "0", "kit-two")
        assert not box.ping("10.96.1.77", timeout=0.3)
        _clean(daemon)


def refuses_unknown_options(daemon: Daemon, kind: Kind) -> None:
    """By name, of the network and of the endpoint, with nothing made."""
    before = _standing(daemon)
    command = ("network", "create", "-d", kind.driver, *kind.flags(), "-o", "com.example.odd=1", "kit-odd")
    assert "unknown option com.example.odd" in daemon.docker(*command, check=False)
    with _network(daemon, kind) as name:
        odd = f"name={name},driver-opt=com.example.odd=1"
        said = daemon.docker("run", "--rm", "--network", odd, *SLEEP, check=False)
        assert "unknown endpoint option com.example.odd" in said
    eventually(lambda: _standing(daemon) == before, what="what stood before")


def survives_the_daemons_death_at_each_step(daemon: Daemon, kind: Kind) -> None:
    """kill -9 at steps of create, connect, disconnect and delete: afterwards all agree, and nothing is left.

    As many steps as there is time for, spread over all; with NETLOOM_SOAK set every one.
    """
    before = _standing(daemon)
    total = _steps(daemon, kind)
    deadline = time.monotonic() + (3600 if "NETLOOM_SOAK" in os.environ else _PATIENCE)
    for tried, number in enumerate(sorted(range(1, total + 1), key=lambda n: (n % _STRIDE, n))):
        if tried >= _FEWEST and time.monotonic() > deadline:
            return
        try:
            _stopping_at(daemon, f"any:{number}")
            _story(daemon, kind)
        finally:  # whoever comes next has a daemon
            daemon.kill()
            daemon.environment.pop(_STOP_AT, None)
            daemon.start()
        _clean(daemon)
        daemon.api("DELETE", "/containers/kit-one?force=1")
        daemon.api("DELETE", "/networks/kit-1")
        eventually(lambda: _standing(daemon) == before, what="all to be gone")


CHECKS: tuple[Check, ...] = (
    creates_and_deletes,
    attaches_as_told,
    takes_what_was_asked,
    knows_names_and_reaches,
    has_ipv6,
    comes_and_goes_while_it_runs,
    outlives_restarts,
    refuses_unknown_options,
    survives_the_daemons_death_at_each_step,
)

PAIRED: tuple[Check, ...] = (knows_names_and_reaches, has_ipv6, outlives_restarts)  # need two on one network


def _story(daemon: Daemon, kind: Kind) -> None:
    """Any request may be the daemon's last."""
    host_config = {"NetworkMode": "none"}
    flags = kind.flags()
    options = dict(flags[n + 1].split("=", 1) for n, word in enumerate(flags) if word == "-o")
    ipam = {"Config": [{"Subnet": "10.96.1.0/24"}]}
    it = {"Container": "kit-one"}
    requests: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/containers/create?name=kit-one", {"Image": "host", "Cmd": SLEEP[1:], "HostConfig": host_config}),
        ("POST", "/containers/kit-one/start", None),
        ("POST", "/networks/none/disconnect", it),
        ("POST", "/networks/create", {"Name": "kit-1", "Driver": kind.driver, "Options": options, "IPAM": ipam}),
        ("POST", "/networks/kit-1/connect", it),
        ("POST", "/networks/kit-1/disconnect", it),
        ("POST", "/networks/kit-1/connect", it),
        ("DELETE", "/containers/kit-one?force=1", None),
        ("DELETE", "/networks/kit-1", None),
    )
    for request in requests:
        with contextlib.suppress(OSError, http.client.HTTPException):
            daemon.api(*request)


def _stopping_at(daemon: Daemon, where: str) -> None:
    daemon.stop()
    daemon.environment[_STOP_AT] = where
    with contextlib.suppress(AssertionError):  # it may die before it answers
        daemon.start()


def _steps(daemon: Daemon, kind: Kind) -> int:
    """How many steps the story has."""
    _stopping_at(daemon, "count:1")
    _story(daemon, kind)
    daemon.stop()
    del daemon.environment[_STOP_AT]
    daemon.start()
    return int(daemon.log.read_text().rpartition("stop points passed: ")[2].split()[0])


@contextmanager
def _network(daemon: Daemon, kind: Kind, *flags: str, number: int = 1) -> Iterator[str]:
    name = f"kit-{number}"
    subnet = ("--subnet", f"10.96.{number}.0/24")
    daemon.docker("network", "create", "-d", kind.driver, *kind.flags(number), *subnet, *flags, name)
    try:
        yield name
    finally:
        daemon.docker("network", "rm", name)


@contextmanager
def _container(daemon: Daemon, name: str, network: str) -> Iterator[Netns]:
    daemon.docker("run", "-d", "--name", name, "--network", network, *SLEEP)
    try:
        with Netns.of(daemon.inspect(name)["State"]["Pid"]) as box:
            yield box
    finally:
        daemon.docker("rm", "-f", name)


@contextmanager
def _pair(daemon: Daemon, network: str, second: str = "") -> Iterator[Netns]:
    """Two containers, kit-one (whose inside this is) and kit-two, which asks for its network as `second` says."""
    with _container(daemon, "kit-one", network) as box, _container(daemon, "kit-two", second or network):
        yield box


def _endpoint(daemon: Daemon, container: str, network: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.inspect(container)["NetworkSettings"]["Networks"][network]
    return found


def _links(box: Netns) -> list[dict[str, Any]]:
    return [link for link in json.loads(box.run("ip", "-j", "addr")) if link["ifname"] != "lo"]


def _told(daemon: Daemon, began: float) -> list[str]:
    """The events of networks since then, as action, name and driver."""
    moments = ("--since", f"{began:.9f}", "--until", f"{time.time():.9f}")
    shown = ("--format", "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}")
    return daemon.docker("events", *moments, "--filter", "type=network", *shown).splitlines()


def _standing(daemon: Daemon) -> tuple[list[str], list[str], list[str]]:
    """Which networks are known, and what stands on the host: routes and links by name."""
    host = daemon.host
    routes = [f"{r['dst']} dev {r['dev']}" for r in json.loads(host.run("ip", "-j", "route") or "[]")]
    links = [link["ifname"] for link in json.loads(host.run("ip", "-j", "link"))]
    return daemon.docker("network", "ls", "--format", "{{.Name}}").split(), sorted(routes), sorted(links)


def _clean(daemon: Daemon) -> None:
    """The checker's findings settle to none."""
    findings: list[str] = []

    def none() -> bool:
        findings[:] = agrees(daemon)
        return not findings

    try:
        eventually(none)
    except AssertionError:
        raise AssertionError("\n".join([*findings, daemon.log_tail(2000)])) from None
