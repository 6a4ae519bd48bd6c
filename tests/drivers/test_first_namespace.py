"""A daemon in the machine's first namespace, as most are, lends an interface of its own; everybody is killed.

It runs where that namespace is nobody's: in the lab.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from lans import LAN, SLEEP
from machines import inside, network

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

MAC = "02:aa:bb:cc:dd:05"
ON = ("-o", "parent=own0")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    if "KERNEL_LAB" not in os.environ:
        pytest.skip("the machine's first namespace is not ours to use; run it by `make lab`")
    with Host(fd=os.open("/proc/1/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as host:
        host.own_links |= {one["ifname"] for one in json.loads(host.run("ip", "-j", "link"))}
        yield host


@pytest.fixture(params=["dummy", "veth"])
def own(request: pytest.FixtureRequest, host: Host) -> Iterator[str]:
    """An interface of the host's, `own0`; its kind."""
    kind: str = request.param
    need(kind)
    host.run("ip", "link", "add", "own0", "address", MAC, "mtu", "1400", "type", kind)
    host.run("ip", "link", "set", "own0", "alias", "the lab's", "up")
    host.own_links |= {"own0", "veth0"}
    yield kind
    host.run("ip", "link", "del", "own0", check=False)


def home(host: Host) -> dict[str, Any]:
    """What the host has by that name."""
    found = json.loads(host.run("ip", "-j", "link", "show", "own0", check=False) or "[]")
    return found[0] if found else {}


def is_home(host: Host) -> bool:
    one = home(host)
    told = (one.get("address"), one.get("mtu"), one.get("ifalias"), one.get("group"), "UP" in one.get("flags", ()))
    return told == (MAC, 1400, "the lab's", "default", True)


def kill_all(daemon: Daemon, *, data_plane: bool, container: bool) -> None:
    pid = daemon.inspect("fn-web")["State"]["Pid"]
    plane = daemon.data_plane_pid()
    assert plane
    daemon.kill()
    if data_plane:
        os.kill(plane, signal.SIGKILL)
        eventually(lambda: not daemon.data_plane_pid(), what="the data plane to end")
    if container:
        os.kill(pid, signal.SIGKILL)


def test_it_comes_home_while_anybody_is_left(daemon: Daemon, host: Host, own: str) -> None:
    with network(daemon, "fn-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "-d", "--name", "fn-web", "--network", "fn-one", *SLEEP)
        assert home(host) == {}
        kill_all(daemon, data_plane=False, container=True)
        eventually(lambda: is_home(host), what="the data plane to bring it home")
        daemon.start()
        daemon.docker("start", "fn-web")
        assert home(host) == {}
        kill_all(daemon, data_plane=True, container=False)
        daemon.start()
        with inside(daemon, "fn-web") as web:
            found = {one["ifname"]: one["address"] for one in json.loads(web.run("ip", "-j", "link"))}
            assert (found.keys(), found["eth0"]) == ({"lo", "eth0"}, MAC)
        assert check(daemon) == []
    assert is_home(host)
    assert check(daemon) == []


def test_a_virtual_one_ends_with_its_namespace_when_all_are_killed(daemon: Daemon, host: Host, own: str) -> None:
    """The kernel keeps none of those: the next start says so, and where somebody makes it anew, it is lent again."""
    with network(daemon, "fn-one", *ON, *LAN, driver="device"):
        daemon.docker("run", "-d", "--name", "fn-web", "--network", "fn-one", *SLEEP)
        kill_all(daemon, data_plane=True, container=True)
        daemon.start()
        assert home(host) == {}
        assert not daemon.inspect("fn-web")["State"]["Running"]
        told = daemon.docker("start", "fn-web", check=False)
        assert "parent interface own0 of network fn-one is not there" in told
        assert check(daemon) == []
        host.run("ip", "link", "add", "own0", "address", MAC, "mtu", "1400", "type", own)
        host.run("ip", "link", "set", "own0", "alias", "the lab's", "up")
        eventually(lambda: daemon.docker_run("start", "fn-web").returncode == 0, what="the interface to be lent again")
        assert home(host) == {}
    assert is_home(host)
