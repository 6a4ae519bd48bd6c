"""Networks beside what else the host has: VPNs, LANs, bridges of virtual machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Host, eventually

pytestmark = pytest.mark.root
MANY = 1000 if os.environ.get("NETLOOM_SOAK") else 60


def subnet_of(daemon: Daemon, name: str) -> str:
    found: str = daemon.network(name)["IPAM"]["Config"][0]["Subnet"]
    return found


def clashes(daemon: Daemon, name: str) -> list[dict[str, str]]:
    text = daemon.docker(
        *("events", "--since", "10m", "--until", "0s", "--format", "json"),
        *("--filter", "type=network", "--filter", "event=clash", "--filter", f"network={name}"),
    )
    return [json.loads(line)["Actor"]["Attributes"] for line in text.splitlines()]


def doctor(daemon: Daemon, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "netloom", "-H", f"unix://{daemon.socket}", "doctor", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def findings(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(doctor(daemon, "--format", "json")[1])
    return found


def test_a_pool_that_the_host_uses_is_not_given(host: Host, daemon: Daemon) -> None:
    """A VPN with a routing table of its own, a virtual machines' bridge without machines, and an interface that is
    down: the main table tells of none of them.
    """
    host.run("ip", "link", "add", "tun7", "type", "bridge")
    host.run("ip", "link", "set", "tun7", "up")
    host.run("ip", "route", "add", "172.18.0.0/15", "dev", "tun7", "table", "52")
    host.run("ip", "link", "add", "virbr7", "type", "bridge")
    host.run("ip", "addr", "add", "172.20.122.1/24", "dev", "virbr7")
    host.run("ip", "link", "add", "down7", "type", "bridge")
    host.run("ip", "addr", "add", "172.21.9.9/32", "dev", "down7")
    try:
        for name, subnet, what in (
            ("vpn", "172.18.7.0/24", "the host's route to 172.18.0.0/15 by tun7"),
            ("machines", "172.20.0.0/16", "the address 172.20.122.1/24 of the host's interface virbr7"),
            ("down", "172.21.9.0/28", "the address 172.21.9.9/32 of the host's interface down7"),
        ):
            said = daemon.docker("network", "create", "--subnet", subnet, name, check=False)
            assert f"Pool overlaps with other one on this address space: {subnet} overlaps {what}, choose" in said
        daemon.docker("network", "create", "free")
        assert subnet_of(daemon, "free") == "172.22.0.0/16"
        daemon.docker("network", "rm", "free")
    finally:
        for link in ("tun7", "virbr7", "down7"):
            host.run("ip", "link", "del", link)


def test_a_clash_that_comes_later_is_told_and_the_doctor_names_both_sides(host: Host, daemon: Daemon) -> None:
    daemon.docker("network", "create", "--ipv6", "--subnet", "10.90.1.0/24", "--subnet", "fd00:90::/64", "late")
    try:
        assert doctor(daemon) == (0, "nothing found\n")
        host.run("ip", "link", "add", "tun8", "type", "bridge")
        host.run("ip", "link", "set", "tun8", "up")
        host.run("ip", "route", "add", "10.90.0.0/16", "dev", "tun8", "metric", "50")
        event = eventually(lambda: clashes(daemon, "late"), what="the event")[0]
        assert event["subnet"] == "10.90.1.0/24"
        assert event["other"] == "the host's route to 10.90.0.0/16 by tun8"
        code, text = doctor(daemon)
        assert code == 1
        assert text == (
            "address clash: network late (10.90.1.0/24) and the host's route to 10.90.0.0/16 by tun8\n"
            "  effect: of those who have an address of 10.90.1.0/24 the host reaches only the ones of one side\n"
            f"  remedy: {event['remedy']}\n"
        )
        assert "remove network late and create it again, without a subnet (a free one is chosen)" in event["remedy"]
        host.run("ip", "addr", "add", "fd00:90::5/128", "dev", "tun8", "nodad")
        assert [f["Between"] for f in findings(daemon)] == [
            ["network late (10.90.1.0/24)", "the host's route to 10.90.0.0/16 by tun8"],
            ["network late (fd00:90::/64)", "the host's route to fd00:90::5/128 by tun8"],
        ]
        assert doctor(daemon, "--format", "{{index .Between 0}}")[1].splitlines()[0] == "network late (10.90.1.0/24)"
        eventually(lambda: len(clashes(daemon, "late")) == 2, what="one event for each, and none twice")
        daemon.kill()
        daemon.start()
        eventually(lambda: len(clashes(daemon, "late")) == 2, what="a new daemon telling of what it finds")
        host.run("ip", "link", "del", "tun8")
        assert doctor(daemon) == (0, "nothing found\n")
    finally:
        daemon.docker("network", "rm", "late")


def test_two_hundred_creates_at_once_give_two_hundred_subnets(tmp_path: Path) -> None:
    with Host() as host, Daemon(host, tmp_path) as daemon:

        def create(number: int) -> int:
            return daemon.api("POST", "/networks/create", {"Name": f"n{number}", "EnableIPv6": True})[0]

        with ThreadPoolExecutor(100) as threads:
            statuses = list(threads.map(create, range(200)))
        assert statuses == [201] * 200
        disjoint(host, daemon, 201)


@pytest.mark.soak
def test_many_networks_stand_beside_each_other_and_go_on_doing_so(tmp_path: Path) -> None:
    with Host(uplink=True) as host, Daemon(host, tmp_path) as daemon:
        for number in range(MANY):
            daemon.json("POST", "/networks/create", {"Name": f"n{number}", "EnableIPv6": True})
        disjoint(host, daemon, MANY + 1)
        daemon.kill()
        daemon.start()
        for number in range(0, MANY, 2):
            daemon.api("DELETE", f"/networks/n{number}")
        for number in range(0, MANY, 2):
            daemon.json("POST", "/networks/create", {"Name": f"m{number}", "EnableIPv6": True})
        disjoint(host, daemon, MANY + 1)


def disjoint(host: Host, daemon: Daemon, bridges: int) -> None:
    """No two subnets overlap, and each bridge has its addresses in the kernel."""
    networks = [n for n in daemon.json("GET", "/networks") if n["Driver"] == "bridge"]
    assert len(networks) == bridges
    pools = [pool for network in networks for pool in network["IPAM"]["Config"]]
    subnets = sorted((ip_network(pool["Subnet"]) for pool in pools), key=lambda net: (net.version, net))
    assert len(subnets) == 2 * bridges - 1
    assert not any(low.version == high.version and low.overlaps(high) for low, high in pairwise(subnets))
    standing = host.run("ip", "-o", "addr")
    assert all(f" {pool['Gateway']}/" in standing for pool in pools)
