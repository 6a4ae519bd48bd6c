"""A DHCP server that is silent, lies or changes its mind harms the endpoint that it speaks to, and nobody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from machines import address_of

from netloom.dhcp.message import DISCOVER, Message
from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.dhcp_servers import Answer, grant, refusal, serving
from netloom.testing.hosts import OUTSIDE4, Host, eventually

pytestmark = pytest.mark.kernel

SLEEP = ("host", "sleep", "600")
ME = OUTSIDE4
ASKED = "198.51.100.101"
NOW = (2).to_bytes(4, "big")  # T1


@contextmanager
def lan(daemon: Daemon, name: str, *flags: str) -> Iterator[str]:
    create = ("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--ipam-driver", "dhcp")
    daemon.docker(*create, "--ipam-opt", "timeout=4", *flags, name)
    try:
        yield name
    finally:
        for container in ("li-one", "li-two"):
            daemon.docker_run("rm", "-f", container)
        daemon.docker("network", "rm", name)


def honest(heard: Message) -> list[Message]:
    return [grant(heard, ASKED, ME)]


def inside(daemon: Daemon, container: str) -> str:
    return daemon.docker("exec", container, "ip", "-4", "-o", "addr", "show", "eth0")


LIES: dict[str, tuple[Answer, str]] = {
    "outside": (lambda heard: [grant(heard, "10.9.9.9", ME)], "offers 10.9.9.9, which lies outside of 198.51.100.0/24"),
    "the host's": (lambda heard: [grant(heard, "198.51.100.2", ME)], "which is an address of the host itself"),
    "the server's": (
        lambda heard: [grant(heard, OUTSIDE4, ME)],
        "on its LAN uses already",
    ),  # who has it answers for it
    "too short": (lambda heard: [grant(heard, ASKED, ME, 3)], "gives a lease of 3 s, less than 10"),
    "no time": (lambda heard: [grant(heard, ASKED, ME, LEASE_TIME=b"")], "does not say for how long"),
    "no mask": (lambda heard: [grant(heard, ASKED, ME, SUBNET_MASK=b"")], "without a subnet mask"),
    "cut off": (lambda heard: [grant(heard, ASKED, ME, ROUTER=b"\1\2\3")], "sent what cannot be read"),
    "a far router": (lambda heard: [grant(heard, ASKED, ME, ROUTER=bytes((9, 9, 9, 9)))], "names the router 9.9.9.9"),
    "another's": (
        lambda heard: [msgspec.structs.replace(grant(heard, ASKED, ME), xid=heard.xid ^ 1)],
        "no server answered on eth0",
    ),
    "another grant": (
        lambda heard: [grant(heard, ASKED if heard.kind == DISCOVER else "198.51.100.102", ME)],
        f"was asked for {ASKED} and grants 198.51.100.102/24",
    ),
    "no grant": (
        lambda heard: [grant(heard, ASKED, ME) if heard.kind == DISCOVER else refusal(heard, ME)],
        f"offered {ASKED}, then refused it",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(daemon: Daemon, host: Host, lie: str) -> None:
    answer, told = LIES[lie]
    with serving(host.outside, answer), lan(daemon, "li-lan", "--subnet", "198.51.100.0/24") as network:
        said = daemon.docker("run", "--name", "li-one", "--network", network, *SLEEP, check=False)
        assert "no address by DHCP for container li-one on network li-lan" in said
        assert told in said
        assert check(daemon) == []
        daemon.docker("rm", "-f", "li-one")


def test_what_one_of_ours_has_already(daemon: Daemon, host: Host) -> None:
    with serving(host.outside, honest) as heard, lan(daemon, "li-lan") as network:
        daemon.docker("run", "-d", "--name", "li-one", "--network", network, *SLEEP)
        said = daemon.docker("run", "--name", "li-two", "--network", network, *SLEEP, check=False)
        assert f"the server {ME} offers {ASKED}, which container li-one has already" in said
        assert inside(daemon, "li-one")
        assert len({message.options[61] for message in heard}) == 2
        daemon.docker("rm", "-f", "li-two")


def test_another_server_does_better(daemon: Daemon, host: Host) -> None:
    def both(heard: Message) -> list[Message]:
        return [grant(heard, ASKED, "198.51.100.66"), grant(heard, "198.51.100.103", ME)]

    with serving(host.outside, both), lan(daemon, "li-lan", "--ipam-opt", f"server={ME}") as network:
        daemon.docker("run", "-d", "--name", "li-one", "--network", network, *SLEEP)
        assert address_of(daemon, "li-one", network) == "198.51.100.103"


def test_what_the_server_says_of_its_lan(daemon: Daemon, host: Host) -> None:
    def full(heard: Message) -> list[Message]:
        routes = bytes((0, 198, 51, 100, 1, 24, 192, 0, 2, 198, 51, 100, 1))
        return [grant(heard, ASKED, ME, CLASSLESS_ROUTES=routes, MTU=(1280).to_bytes(2, "big"))]

    with serving(host.outside, full), lan(daemon, "li-lan") as network:
        daemon.docker("run", "-d", "--name", "li-one", "--network", network, *SLEEP)
        routes = daemon.docker("exec", "li-one", "ip", "route")
        assert f"default via {OUTSIDE4} dev eth0" in routes
        assert f"192.0.2.0/24 via {OUTSIDE4} dev eth0" in routes
        assert "mtu 1280" in daemon.docker("exec", "li-one", "ip", "link", "show", "eth0")
        assert check(daemon) == []


def test_nobody_waits_for_a_silent_server(daemon: Daemon) -> None:
    with lan(daemon, "li-lan", "--ipam-opt", "timeout=6") as network:
        daemon.docker("create", "--name", "li-one", "--network", network, *SLEEP)
        answer: list[int] = []
        start = threading.Thread(target=lambda: answer.append(daemon.api("POST", "/containers/li-one/start")[0]))
        start.start()
        try:
            daemon.docker("run", "--rm", "host", "true")
            daemon.docker("network", "create", "li-other")
            daemon.docker("network", "rm", "li-other")
            assert answer == []  # it still waits
        finally:
            start.join()
        assert answer == [503]
        assert check(daemon) == []
        daemon.docker("rm", "-f", "li-one")


def events(daemon: Daemon, since: float) -> list[dict[str, str]]:
    """Attributes of what was told of leases, oldest first."""
    text = daemon.api("GET", f"/events?since={since:.3f}&until={time.time() + 1:.3f}")[1].decode()
    told = [json.loads(line) for line in text.splitlines()]
    return [event["Actor"]["Attributes"] for event in told if event["Action"] == "lease"]


def test_a_server_that_takes_the_address_back(daemon: Daemon, host: Host) -> None:
    back, began = "198.51.100.104", time.time()

    def fickle(heard: Message) -> list[Message]:
        if heard.kind != DISCOVER and any(heard.client):
            return [refusal(heard, ME)] if heard.client[3] == 101 else [grant(heard, back, ME)]
        discovers = [message for message in said if message.kind == DISCOVER and message.options[12] == b"li-host"]
        return [grant(heard, ASKED if len(discovers) < 2 else back, ME, T1=NOW)]

    with serving(host.outside, fickle) as said, lan(daemon, "li-lan") as network:
        run = ("run", "-d", "--name", "li-one", "--hostname", "li-host", "--network", network)
        daemon.docker(*run, "--network-alias", "db", *SLEEP)
        assert address_of(daemon, "li-one", network) == ASKED
        eventually(lambda: address_of(daemon, "li-one", network) == back, what="another address")
        assert f" {back}/24" in inside(daemon, "li-one")
        assert ASKED not in inside(daemon, "li-one")
        assert daemon.docker("exec", "li-one", "getent", "ahostsv4", "db").startswith(back)
        hosts = daemon.docker("exec", "li-one", "cat", "/etc/hosts")
        assert (back in hosts, ASKED in hosts) == (True, False)
        lost, changed = events(daemon, began)
        assert (lost["state"], lost["address"], lost["name"]) == ("lost", ASKED, "li-lan")
        assert "refuses" in lost["reason"]
        assert (changed["state"], changed["address"]) == ("changed", back)
        assert check(daemon) == []


def test_a_lease_that_nobody_renews(daemon: Daemon, host: Host) -> None:
    def once(heard: Message) -> list[Message]:
        return [] if any(heard.client) or not giving else [grant(heard, ASKED, ME, 10, T1=NOW)]

    giving = [True]
    with serving(host.outside, once), lan(daemon, "li-lan") as network:
        daemon.docker("run", "-d", "--name", "li-one", "--network", network, *SLEEP)
        daemon.docker("network", "create", "li-other")
        daemon.docker("run", "-d", "--name", "li-two", "--network", "li-other", *SLEEP)
        giving.clear()
        eventually(lambda: inside(daemon, "li-one") == "", timeout=30, what="the address to go")
        eventually(lambda: address_of(daemon, "li-one", network) == "", what="inspect to say so")
        assert inside(daemon, "li-two")
        assert check(daemon) == []
        daemon.docker("rm", "-f", "li-two")
        daemon.docker("network", "rm", "li-other")


def test_the_daemon_is_dead_for_longer_than_the_lease(daemon: Daemon, host: Host) -> None:
    def brief(heard: Message) -> list[Message]:
        return [grant(heard, ASKED, ME, 10)]

    with serving(host.outside, brief) as heard, lan(daemon, "li-lan") as network:
        daemon.docker("run", "-d", "--name", "li-one", "--network", network, *SLEEP)
        pid = daemon.inspect("li-one")["State"]["Pid"]
        eventually(lambda: len(heard) > 1)
        daemon.kill()
        shown = ("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-4", "-o", "addr", "show", "eth0")
        eventually(lambda: host.run(*shown) == "", timeout=30, what="the kernel to take the address away")
        daemon.start()
        eventually(lambda: address_of(daemon, "li-one", network) == ASKED, what="a new lease")
        eventually(lambda: f" {ASKED}/24" in inside(daemon, "li-one"))
        assert check(daemon) == []
