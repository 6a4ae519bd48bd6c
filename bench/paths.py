"""Throughput on every published path and between networks, beside Docker's on the same path; and what the guard costs.

One TCP stream of iperf3. Each path is measured on the engines in turn before the next one, and what is said of it is
the median of the rounds' ratios with their quartiles: other work on the machine hits neighbours in time alike. Where
that work is much, who has more processes gets more of the machine and so more throughput; processor time tells. Both
engines have the same topology: two networks with both families and one with IPv4 alone, a published server in each of
two, clients in the other corners. iperf3 is the machine's own, in the network namespaces of containers, host and
outside. Docker's host is the namespace of its daemon; its outside is $NETLOOM_BENCH_DOCKER_OUTSIDE (a file of a network
namespace), else the paths by way of it are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.engines import PREFIX, Engine, Ours
from bench.figures import Figures

PATH = "path: "  # begins the names of what is measured beside Docker
COST = "processor time of a GB, "
GUARDED, UNGUARDED = "between containers under guard", "between containers without guard"
_PORT, _PORT4 = 5201, 5204  # of the server with both families; of the one with IPv4 alone
_SUBNETS = {"front": "fd00:be7c:1::/64", "other": "fd00:be7c:2::/64"}
_MODES = {4: "IPv4", 6: "IPv6"}


class _Way(NamedTuple):
    """From a network namespace (a file) to an address and port."""

    begin: str
    address: str
    port: int

    def stream(self, seconds: int, carriers: Sequence[int] = ()) -> _Carried:
        """One stream; `carriers` may copy its bytes. A server may be busy with the stream before: asked again."""
        command = ["nsenter", f"--net={self.begin}", "iperf3", "-c", self.address, "-p", str(self.port)]
        command += ["-t", str(seconds), "-J", "--connect-timeout", "2000"]
        if (os.cpu_count() or 1) > 1:
            command += ["-A", "0,1"]  # where the scheduler happens to put both would be the greater part of the noise
        deadline = time.monotonic() + 3
        while True:
            before = sum(map(_spent, carriers))
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            told: Any = json.loads(done.stdout or "{}")
            if "error" not in told and not done.returncode:
                end, spent = told["end"], sum(map(_spent, carriers)) - before
                ends = sum(end["cpu_utilization_percent"][side] for side in ("host_total", "remote_total")) / 100
                spent += ends * float(end["sum_sent"]["seconds"])
                return _Carried(
                    end["sum_received"]["bits_per_second"] / 1e9, spent / (end["sum_received"]["bytes"] / 1e9)
                )
            error = str(told.get("error", done.stderr))
            if time.monotonic() > deadline or "busy" not in error:
                raise RuntimeError(error)
            time.sleep(0.05)


class _Carried(NamedTuple):
    """Gbit/s that arrived, and the seconds of processor time of both ends and what is between them for each GB."""

    rate: float
    cost: float


class _Topology:
    """One engine's topology: where a stream can begin, and what each address is."""

    def __init__(self, engine: Engine, stack: ExitStack) -> None:
        self.engine = engine
        self.host = engine.host()
        self.outside = engine.outside
        self.addresses = {family: _uplink(self.host, family) for family in (4, 6)}
        for name, subnet in _SUBNETS.items():
            engine.network(name, EnableIPv6=True, IPAM={"Config": [{"Subnet": subnet}]})
        engine.network("four")
        self.server = engine.container(f"{PREFIX}-front", ports=1, first=_PORT)
        self.neighbour = engine.container(f"{PREFIX}-front")
        self.stranger = engine.container(f"{PREFIX}-other")
        self.four = engine.container(f"{PREFIX}-four", ports=1, first=_PORT4)
        for container, port in ((self.server, _PORT), (self.four, _PORT4)):
            stack.enter_context(_serving(self.inside(container), port))
        if self.outside:
            stack.enter_context(_serving(self.outside, _PORT))

    def inside(self, container: str) -> str:
        return f"/proc/{self.engine.told(container)['State']['Pid']}/ns/net"

    def ways(self) -> Iterator[tuple[str, _Way]]:
        """Each path's name, and how it goes here."""
        told = self.engine.told(self.server)["NetworkSettings"]["Networks"][f"{PREFIX}-front"]
        own = {4: told["IPAddress"], 6: told["GlobalIPv6Address"]}
        gateways = {4: told["Gateway"], 6: told["IPv6Gateway"]}
        neighbour, stranger, server = (self.inside(one) for one in (self.neighbour, self.stranger, self.server))
        for family, mode in _MODES.items():
            published = self.addresses[family]
            if self.outside:
                yield f"outside → published port, {mode}", _Way(self.outside, published, _PORT)
            yield f"host → published port, {mode}", _Way(self.host, published, _PORT)
            yield f"host → its loopback, {mode}", _Way(self.host, {4: "127.0.0.1", 6: "::1"}[family], _PORT)
            yield f"same network → published port, {mode}", _Way(neighbour, published, _PORT)
            if gateways[family]:
                yield f"same network → its gateway, {mode}", _Way(neighbour, gateways[family], _PORT)
            yield f"other network → published port, {mode}", _Way(stranger, published, _PORT)
            yield f"container → itself, published, {mode}", _Way(server, published, _PORT)
            yield f"same network, {mode}", _Way(neighbour, own[family], _PORT)
            if self.outside:
                yield f"container → outside, {mode}", _Way(neighbour, _gateway(self.host, family), _PORT)
        if self.outside:
            yield "outside → IPv4 container, IPv6", _Way(self.outside, self.addresses[6], _PORT4)
        yield "host → IPv4 container, loopback IPv6", _Way(self.host, "::1", _PORT4)


def paths(contestants: Sequence[Engine], figures: Figures, rounds: int, seconds: int) -> None:
    """All paths. One that an engine does not have is told once."""
    if not shutil.which("iperf3"):
        print("bench: paths are not measured: iperf3 is not on PATH (Debian: iperf3)", flush=True)
        return
    with ExitStack() as stack:
        for engine in contestants:
            stack.callback(engine.wipe)
        ways: dict[str, dict[str, _Way]] = {}
        carriers = {engine.name: engine.carriers for engine in contestants}
        for engine in contestants:
            for name, way in _Topology(engine, stack).ways():
                ways.setdefault(PATH + name, {})[engine.name] = way
        for number in range(rounds + 1):
            for name, by in ways.items():
                for who, way in list(by.items())[:: 1 if number % 2 else -1]:
                    try:
                        found = way.stream(seconds if number else 1, carriers[who]())
                    except RuntimeError as error:
                        print(f"bench: {who} has no way {name.removeprefix(PATH)}: {error}", flush=True)
                        del by[who]
                        continue
                    if number:  # the first round warms up
                        figures.add(who, name, found.rate)
                        figures.add(who, COST + name, found.cost)


def guard(engine: Engine, figures: Figures, rounds: int, seconds: int) -> None:
    """The same stream on a network with the guard and on one without, in turn. Docker has none."""
    if not isinstance(engine, Ours) or not shutil.which("iperf3"):
        return
    with ExitStack() as stack:
        stack.callback(engine.wipe)
        ways = {}
        for name, on in ((GUARDED, "true"), (UNGUARDED, "false")):
            network = engine.network(f"guard-{on}", Options={"netloom.guard": on})
            server, client = (engine.container(network) for _ in range(2))
            told = engine.told(server)
            where, begin = (f"/proc/{engine.told(one)['State']['Pid']}/ns/net" for one in (server, client))
            stack.enter_context(_serving(where, _PORT))
            (settings,) = told["NetworkSettings"]["Networks"].values()
            ways[name] = _Way(begin, settings["IPAddress"], _PORT)
        for number in range(rounds + 1):
            for name, way in list(ways.items())[:: 1 if number % 2 else -1]:
                found = way.stream(seconds if number else 1)
                if number:
                    figures.add(engine.name, name, found.rate)
                    figures.add(engine.name, COST + name, found.cost)


@contextmanager
def _serving(where: str, port: int) -> Iterator[None]:
    """An iperf3 server in a namespace, which listens."""
    inside = ["nsenter", f"--net={where}"]
    command = [*inside, "iperf3", "-s", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not subprocess.run(
                [*inside, "ss", "-Hltn", f"sport = :{port}"], capture_output=True, check=True
            ).stdout:
                if server.poll() is not None:
                    raise RuntimeError(f"iperf3 does not serve on port {port}")
                time.sleep(0.02)
            yield
        finally:
            server.kill()


def _spent(pid: int) -> float:
    """Seconds of processor time (proc(5), stat); a process that has ended spends no more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _route(where: str, family: int) -> dict[str, Any]:
    words = ["nsenter", f"--net={where}", "ip", "-j", f"-{family}", "route", "show", "default"]
    found: list[dict[str, Any]] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return found[0]


def _gateway(where: str, family: int) -> str:
    return str(_route(where, family)["gateway"])


def _uplink(where: str, family: int) -> str:
    """The host's own address on the interface of its default route."""
    words = ["nsenter", f"--net={where}", "ip", "-j", f"-{family}", "addr", "show"]
    words += ["dev", _route(where, family)["dev"], "scope", "global"]
    (link,) = (one for one in json.loads(subprocess.run(words, capture_output=True, check=True).stdout) if one)
    return str(link["addr_info"][0]["local"])
