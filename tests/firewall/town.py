"""Containers between which policies stand, and connections among them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Netns

BOXES = {  # name: network, label, last number of its addresses
    "po-web": ("po-app", "role=web", 10),
    "po-db": ("po-app", "role=db", 11),
    "po-other": ("po-app", "role=other", 12),
    "po-far": ("po-far", "role=web", 10),
}
NUMBERS = {"po-app": 80, "po-far": 81}
PORTS = (80, 81)
Way: TypeAlias = tuple[str, str, int, str, int]  # source, target, port, protocol, family

WEB, DB = {"label": "role=web"}, {"label": "role=db"}


class Town:
    """Four containers on two networks, each with servers of TCP and UDP, and one outside."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        self.places: dict[str, Netns] = {"outside": daemon.host.outside, "host": daemon.host}
        for name, number in NUMBERS.items():
            subnets = ("--subnet", f"10.{number}.0.0/24", "--ipv6", "--subnet", f"fd00:{number}::/64")
            daemon.docker("network", "create", *subnets, name)
        for name, (network, label, _) in BOXES.items():
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

    def misses(self, source: str, target: str, port: int = 80, proto: str = "tcp", family: int = 4) -> bool:
        return self.places[source].misses(self.address(target, family), port, proto)  # type: ignore[arg-type]

    def check(self, expected: dict[Way, bool]) -> None:
        """Who reaches whom is as expected; all are asked at once."""

        def found(way: Way) -> bool:
            return self.reaches(*way) if expected[way] else not self.misses(*way)

        with ThreadPoolExecutor(len(expected)) as threads:
            assert dict(zip(expected, threads.map(found, expected), strict=True)) == expected

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


@contextmanager
def connected(town: Town, source: str, target: str, port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection that stands: its client's end and its server's."""

    def listening() -> socket.socket:
        server = socket.create_server((town.address(target), port))
        server.settimeout(20)
        return server

    with town.places[target].call(listening) as server:
        client = town.places[source].call(socket.create_connection, (town.address(target), port), 20.0)
        with client, server.accept()[0] as accepted:
            yield client, accepted


def carries(sender: socket.socket, receiver: socket.socket) -> bool:
    """Does a word get through? Each is different: a late one is another's."""
    word = str(time.monotonic_ns()).encode() + b";"
    sender.sendall(word)
    receiver.settimeout(0.6)
    heard = b""
    try:
        while word not in heard:
            heard += receiver.recv(4096)
    except TimeoutError:
        return False
    return True
