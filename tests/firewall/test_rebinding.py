"""The gateway's network changes between `nat` and `routed` while the container runs: what Docker shows, and packets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from town import carries, cut

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, Netns, eventually

pytestmark = [pytest.mark.root, pytest.mark.kernel]

MODE = "com.docker.network.bridge.gateway_mode_ipv"
HOST4, HOST6 = "198.51.100.2", "2001:db8:ff::2"
PUBLISHED = ("-p", "18080:80", "-p", "18082:82")
OWN4, OWN6 = "10.92.2.10", "fd00:92:2::10"
HELD = [{"HostIp": "0.0.0.0", "HostPort": "18080"}, {"HostIp": "::", "HostPort": "18080"}]
OPENED = [{"HostIp": "0.0.0.0", "HostPort": ""}, {"HostIp": "::", "HostPort": ""}]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Host(uplink=True) as host, Daemon(host, tmp_path_factory.mktemp("d")) as daemon:
        for subnet, address in (("10.92.2.0/24", HOST4), ("fd00:92:2::/64", HOST6)):
            host.outside.run("ip", "route", "add", subnet, "via", address)
        ipv6 = ("--ipv6", "--subnet")
        routed = ("-o", f"{MODE}4=routed", "-o", f"{MODE}6=routed")
        daemon.docker("network", "create", "--subnet", "10.92.1.0/24", *ipv6, "fd00:92:1::/64", "rb-nat")
        daemon.docker("network", "create", "--subnet", "10.92.2.0/24", *ipv6, "fd00:92:2::/64", *routed, "rb-routed")
        yield daemon
        daemon.docker("network", "rm", "rb-nat", "rb-routed")


@pytest.fixture
def inside(daemon: Daemon) -> Iterator[Netns]:
    """A container on the network that translates, with a server behind its port."""
    daemon.docker("run", "-d", "--name", "rb-web", "--network", "rb-nat", *PUBLISHED, "host", "sleep", "600")
    with ExitStack() as stack:
        inside = stack.enter_context(Netns.of(daemon.inspect("rb-web")["State"]["Pid"]))
        stack.enter_context(inside.serve("0.0.0.0", 80))
        stack.enter_context(inside.serve("::", 80))
        yield inside
    daemon.docker("rm", "-f", "rb-web")


def ports(daemon: Daemon) -> Any:
    return daemon.inspect("rb-web")["NetworkSettings"]["Ports"]["80/tcp"]


def reached(daemon: Daemon) -> list[bool]:
    """By ports of the host, and at the container's own addresses on the routed network."""
    asked = ((HOST4, 18080), (HOST6, 18080), (OWN4, 80), (OWN6, 80))
    return daemon.host.outside.answered(*((address, port, "tcp") for address, port in asked))


def route(daemon: Daemon) -> None:
    own = ("--ip", OWN4, "--ip6", OWN6)
    daemon.docker("network", "connect", "--gw-priority", "10", *own, "rb-routed", "rb-web")


@pytest.mark.usefixtures("inside")
def test_ports_are_bound_as_the_gateway_s_network_says(daemon: Daemon) -> None:
    assert ports(daemon) == HELD
    assert reached(daemon) == [True, True, False, False]
    for _ in range(2):
        route(daemon)
        assert ports(daemon) == OPENED
        assert daemon.docker("port", "rb-web", "80").split() == ["0.0.0.0:", "[::]:"]
        shown = daemon.docker("ps", "--filter", "name=rb-web", "--format", "{{.Ports}}").strip()
        assert shown == "0.0.0.0:0->80/tcp, [::]:0->80/tcp, 0.0.0.0:0->82/tcp, [::]:0->82/tcp"
        assert reached(daemon) == [False, False, True, True]
        with daemon.host.serve("0.0.0.0", 18080):
            assert daemon.host.outside.reaches(HOST4, 18080), "the host's own program may have it"
        assert check(daemon) == []
        daemon.docker("network", "disconnect", "rb-routed", "rb-web")
        assert ports(daemon) == HELD
        assert reached(daemon) == [True, True, False, False]
        assert check(daemon) == []


def test_connections_through_what_goes_end(daemon: Daemon, inside: Netns) -> None:
    with ExitStack() as stack:
        daemon.docker("run", "-d", "--name", "rb-too", "--network", "rb-nat", "-p", "18081:81", "host", "sleep", "600")
        stack.callback(daemon.docker, "rm", "-f", "rb-too")
        other = stack.enter_context(Netns.of(daemon.inspect("rb-too")["State"]["Pid"]))
        ends = []
        for name, place, port, asked in (("rb-web", inside, 82, 18082), ("rb-too", other, 81, 18081)):
            address = daemon.inspect(name)["NetworkSettings"]["Networks"]["rb-nat"]["IPAddress"]
            listener = stack.enter_context(place.call(_listening, address, port))
            client = stack.enter_context(daemon.host.outside.call(socket.create_connection, (HOST4, asked), 5.0))
            ends.append((client, stack.enter_context(listener.accept()[0])))
        for client, server in ends:
            assert carries(client, server)
        route(daemon)
        assert cut(*ends[0])
        assert carries(*ends[1])


def _listening(address: str, port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen()
    sock.settimeout(5)
    return sock


@pytest.mark.usefixtures("inside")
def test_a_port_that_another_has_meanwhile(daemon: Daemon) -> None:
    route(daemon)
    daemon.docker("run", "-d", "--name", "rb-too", "--network", "rb-nat", "-p", "18080:80", "host", "sleep", "600")
    try:
        done = daemon.docker_run("network", "connect", "--gw-priority", "30", "bridge", "rb-web")
        assert done.returncode == 1
        assert "Bind for 0.0.0.0:18080 failed: port is already allocated" in done.stderr
        assert ports(daemon) == OPENED
        assert check(daemon) == []
        daemon.docker("network", "disconnect", "rb-routed", "rb-web")
        assert ports(daemon) is None
        assert check(daemon) == []
    finally:
        daemon.docker("rm", "-f", "rb-too")


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(("point", "stands"), [("rebound", False), ("fenced", True), ("unlisted", True)])
def test_a_daemon_that_dies_meanwhile_leaves_old_or_new(daemon: Daemon, point: str, stands: bool) -> None:
    """At each point: before anything stands, and after that, before the ports that go are released."""

    def dying(change: Callable[[], object]) -> None:
        daemon.stop()
        daemon.environment["NETLOOM_STOP_AT"] = point
        try:
            daemon.start()
            with pytest.raises(AssertionError):
                change()
        finally:
            daemon.kill()
            del daemon.environment["NETLOOM_STOP_AT"]
            daemon.start()

    def settled(translated: bool) -> None:
        assert ports(daemon) == (HELD if translated else OPENED)
        wanted = [translated, translated, not translated, not translated]
        eventually(lambda: reached(daemon) == wanted, what="the ports")
        with ExitStack() as stack:
            if not translated:  # nothing holds it any more
                stack.enter_context(daemon.host.serve("0.0.0.0", 18080))
        eventually(lambda: check(daemon) == [], what="everything in its place")

    dying(lambda: route(daemon))
    settled(translated=not stands)
    if not stands:
        route(daemon)
        settled(translated=False)
    dying(lambda: daemon.docker("network", "disconnect", "rb-routed", "rb-web"))
    settled(translated=stands)
