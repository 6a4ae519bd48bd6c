"""kill -9 of the daemon in the midst of a lease: the next one finds all of it or nothing; the server has all back."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from netloom.dhcp.message import RELEASE, Message
from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.dhcp_servers import grant, serving
from netloom.testing.hosts import OUTSIDE4, Host, eventually

pytestmark = pytest.mark.kernel

SLEEP = ("host", "sleep", "600")
LAN = ("-d", "macvlan", "-o", "parent=eth0", "--ipam-driver", "dhcp", "--ipam-opt", "timeout=5")
POINTS = ["asking:1", "leased:1", "networked:1", "created:1", "started:1", "asking:2", "leased:2"]


# A client's number is its place here: an address that an earlier client had may still be in the neighbours' tables.
_CLIENTS: list[bytes] = []


def numbered(heard: Message) -> list[Message]:
    """An address for each client, never that of another."""
    client = heard.options[61]
    if client not in _CLIENTS:
        _CLIENTS.append(client)
    return [grant(heard, f"198.51.100.{100 + _CLIENTS.index(client)}", OUTSIDE4)]


def asks(daemon: Daemon, *words: str) -> bool:
    """A request that may be the daemon's last; was it carried out?"""
    return daemon.docker_run(*words).returncode == 0


def clean(daemon: Daemon) -> None:
    found: Callable[[], list[str]] = lambda: check(daemon)  # noqa: E731
    eventually(lambda: not found(), what=f"{found()}")


@pytest.mark.parametrize("point", POINTS)
def test_at(daemon: Daemon, host: Host, point: str) -> None:
    with serving(host.outside, numbered) as heard:
        daemon.docker("network", "create", *LAN, "cr-lan")
        daemon.docker("create", "--name", "cr-one", "--network", "cr-lan", *SLEEP)
        daemon.docker("run", "-d", "--name", "cr-two", *SLEEP)
        daemon.kill()
        daemon.environment["NETLOOM_STOP_AT"] = point
        daemon.start()
        del daemon.environment["NETLOOM_STOP_AT"]
        asks(daemon, "start", "cr-one")
        asks(daemon, "network", "connect", "cr-lan", "cr-two")
        daemon.kill()
        daemon.start()
        clean(daemon)
        assert asks(daemon, "start", "cr-one")
        if "cr-lan" not in daemon.inspect("cr-two")["NetworkSettings"]["Networks"]:
            daemon.docker("network", "connect", "cr-lan", "cr-two")
        for name in ("cr-one", "cr-two"):
            address = daemon.inspect(name)["NetworkSettings"]["Networks"]["cr-lan"]["IPAddress"]
            assert host.outside.ping(address)
        clean(daemon)
        daemon.docker("rm", "-f", "cr-one", "cr-two")
        eventually(lambda: [m.kind for m in heard].count(RELEASE) >= 2, what="both leases to be given back")
        daemon.docker("network", "rm", "cr-lan")
        clean(daemon)


def test_while_it_waits_for_a_silent_server(daemon: Daemon, host: Host) -> None:
    daemon.docker("network", "create", *LAN, "cr-lan")
    daemon.docker("create", "--name", "cr-one", "--network", "cr-lan", *SLEEP)
    waiting = threading.Thread(target=lambda: daemon.docker_run("start", "cr-one"))
    waiting.start()
    eventually(lambda: daemon.inspect("cr-one")["NetworkSettings"]["Networks"]["cr-lan"]["EndpointID"] or True)
    daemon.kill()
    waiting.join()
    daemon.start()
    clean(daemon)
    assert not daemon.inspect("cr-one")["State"]["Running"]
    with serving(host.outside, numbered):
        daemon.docker("start", "cr-one")
        daemon.docker("rm", "-f", "cr-one")
    daemon.docker("network", "rm", "cr-lan")


def test_a_container_that_ends_while_there_is_no_daemon(daemon: Daemon, host: Host) -> None:
    with serving(host.outside, numbered) as heard:
        daemon.docker("network", "create", *LAN, "cr-lan")
        daemon.docker("run", "-d", "--name", "cr-one", "--network", "cr-lan", *SLEEP)
        pid = daemon.inspect("cr-one")["State"]["Pid"]
        daemon.kill()
        host.run("kill", "-9", str(pid))
        daemon.start()
        eventually(lambda: RELEASE in [m.kind for m in heard], what="the lease to be given back")
        clean(daemon)
        daemon.docker("rm", "cr-one")
        daemon.docker("network", "rm", "cr-lan")
