"""Policies and real packets: who reaches whom is what the policies say, on both ways of bridged packets."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, Netns, eventually

pytestmark = [pytest.mark.root, pytest.mark.kernel]

BOXES = {  # name: network, label, last number of its addresses
    "po-web": ("po-app", "role=web", 10),
    "po-db": ("po-app", "role=db", 11),
    "po-other": ("po-app", "role=other", 12),
    "po-far": ("po-far", "role=web", 10),
}
NUMBERS = {"po-app": 80, "po-far": 81}
PORTS = (80, 81)


@pytest.fixture(scope="module", params=[False, True], ids=["brnf0", "brnf1"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with Host(uplink=True) as host:
        host.bridge_netfilter(request.param)
        yield host


class Town:
    """Four containers on two networks, each with servers of TCP and UDP, and one outside."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        self.places: dict[str, Netns] = {"outside": daemon.host.outside, "host": daemon.host}
        for name, number in NUMBERS.items():
            subnets = ("--subnet", f"10.{number}.0.0/24", "--ipv6", "--subnet", f"fd00:{number}::/64")
            daemon.docker("network", "create", *subnets, name)
        for name, (network, label, last) in BOXES.items():
            addresses = ("--ip", self.address(name), "--ip6", self.address(name, 6))
            published = ("-p", "8080:80", "-p", "8081:81/udp") if name == "po-web" else ()
            daemon.docker(
                *("run", "-d", "--name", name, "--network", network, *addresses, "--label", label, *published),
                *("host", "sleep", "600"),
            )
            inside = stack.enter_context(Netns.of(daemon.inspect(name)["State"]["Pid"]))
            self.places[name] = inside
            self.serve(stack, name)
        self.serve(stack, "outside")

    def serve(self, stack: ExitStack, name: str) -> None:
        for address in ("0.0.0.0", "::"):
            for port in PORTS:
                for proto in ("tcp", "udp"):
                    stack.enter_context(self.places[name].serve(address, port, proto, tag=name))  # type: ignore[arg-type]

    def address(self, name: str, family: int = 4) -> str:
        if name == "outside":
            return OUTSIDE4 if family == 4 else OUTSIDE6
        network, _, last = BOXES[name]
        return f"10.{NUMBERS[network]}.0.{last}" if family == 4 else f"fd00:{NUMBERS[network]}::{last:x}"

    def reaches(self, source: str, target: str, port: int = 80, proto: str = "tcp", family: int = 4) -> bool:
        return self.places[source].reaches(self.address(target, family), port, proto)  # type: ignore[arg-type]

    @contextmanager
    def policy(self, *flags: str, **document: Any) -> Iterator[None]:
        """A policy stands meanwhile."""
        self.apply({"name": "po", **document}, *flags)
        try:
            yield
        finally:
            self.netloom("policy", "rm", "po")

    def apply(self, document: dict[str, Any], *flags: str) -> None:
        self.netloom("policy", "apply", *flags, "-", stdin=json.dumps(document))

    def netloom(self, *words: str, stdin: str | None = None) -> str:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "netloom", "-H", f"unix://{self.daemon.socket}", *words)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def town(daemon: Daemon) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(daemon, stack)
    for name in BOXES:
        daemon.docker("rm", "-f", name)
    for name in NUMBERS:
        daemon.docker("network", "rm", name)


WEB, DB = {"label": "role=web"}, {"label": "role=db"}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_denial_by_label_and_port_within_a_network(town: Town, family: int, proto: str) -> None:
    def seen() -> dict[str, bool]:
        return {
            f"{source} {target} {port}": town.reaches(source, target, port, proto, family)
            for source, target in (("po-web", "po-db"), ("po-other", "po-db"), ("po-db", "po-web"))
            for port in PORTS
        }

    assert all(seen().values())
    with town.policy(deny=[{"from": WEB, "to": DB, "ports": [f"80/{proto}"]}]):
        assert seen() == {**dict.fromkeys(seen(), True), "po-web po-db 80": False}
    assert all(seen().values())


@pytest.mark.parametrize("family", [4, 6])
def test_a_closed_network_lets_pass_what_is_allowed(town: Town, family: int) -> None:
    allow = [{"from": WEB, "to": DB, "ports": ["80/tcp", "81-90/udp"]}, {"from": {"container": "po-other"}, "to": WEB}]
    with town.policy(default={"po-app": "deny"}, allow=allow):
        for source, target, port, proto, passes in (
            ("po-web", "po-db", 80, "tcp", True),
            ("po-web", "po-db", 81, "tcp", False),
            ("po-web", "po-db", 81, "udp", True),
            ("po-web", "po-db", 80, "udp", False),
            ("po-db", "po-web", 80, "tcp", False),
            ("po-other", "po-web", 80, "tcp", True),
            ("po-other", "po-web", 81, "udp", True),
            ("po-other", "po-db", 80, "tcp", False),
            ("po-web", "outside", 80, "tcp", False),
            ("po-far", "outside", 80, "tcp", True),
        ):
            assert town.reaches(source, target, port, proto, family) is passes, (source, target, port, proto)
        assert town.places["host"].reaches(town.address("po-web", family), 80), "the host reaches every container"
        assert not town.places["po-web"].ping(town.address("po-db", family), timeout=0.3)
    assert town.places["po-web"].ping(town.address("po-db", family))
