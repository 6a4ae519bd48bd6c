"""Networks on a parent: attaching beside netavark and the CNI plugins, and throughput beside a bridge's.

The peers do the same work on a parent of the same kind (a veth pair) in a namespace of their own: one interface in a
namespace that stands, its address and default route. They are programs that end; what is measured is from the call to
its end, as a runtime waits for it. Ours is from the request over the socket to the reply. Attaching goes in turns,
so that other work on the machine hits all alike. netavark: $NETLOOM_BENCH_NETAVARK, else Debian's; the plugins:
$NETLOOM_BENCH_CNI (a folder), else Debian's. What a kernel lacks (ipvlan) is left out and told.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.engines import PREFIX, Engine, Ours
from bench.figures import Figures
from netloom.testing.hosts import Netns

NETAVARK = os.environ.get("NETLOOM_BENCH_NETAVARK", "/usr/lib/podman/netavark")
PLUGINS = os.environ.get("NETLOOM_BENCH_CNI", "/usr/lib/cni")
KINDS = ("macvlan", "ipvlan")
_SUBNET = {"bridge": "10.215.0.0/16", "macvlan": "10.216.0.0/16", "ipvlan": "10.217.0.0/16"}
_PAUSE = 0.1  # seconds: a deleted link keeps the kernel's lock for some time


def lan(engine: Engine, figures: Figures, runs: int, seconds: int) -> None:
    """(h) Ours alone has the peers beside it; Docker is not asked."""
    if not isinstance(engine, Ours):
        return
    host = engine.daemon.host
    host.run("ip", "link", "add", "par0", "up", "type", "veth", "peer", "name", "par1")
    host.run("ip", "link", "set", "par1", "up")
    try:
        kinds = [kind for kind in KINDS if _made(engine, kind)]
        for kind in kinds:
            _attach(engine, figures, kind, runs)
        _throughput(engine, figures, kinds, seconds)
    finally:
        engine.wipe()
        host.run("ip", "link", "del", "par0")


def _made(engine: Engine, kind: str) -> bool:
    """A network of the kind, where the kernel has it. One parent carries one kind: each has its own VLAN-free one."""
    parent = "par0" if kind == "macvlan" else "par1"
    options = {"Driver": kind, "Options": {"parent": parent}, "IPAM": {"Config": [{"Subnet": _SUBNET[kind]}]}}
    try:
        engine.network(kind, **options)
    except RuntimeError as error:
        print(f"bench: {kind} is not measured: {error}", flush=True)
        return False
    return True


def _attach(engine: Engine, figures: Figures, kind: str, runs: int) -> None:
    """Ours, netavark and the plugins in turn."""
    engine.network("first", IPAM={"Config": [{"Subnet": _SUBNET["bridge"]}]})
    container = engine.container(f"{PREFIX}-first")

    def ours() -> tuple[float, float]:
        up, down = (
            engine.client.timed("POST", f"/networks/{PREFIX}-{kind}/{word}", {"Container": container})
            for word in ("connect", "disconnect")
        )
        return up, down

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="netloom-bench-lan-"))
        peer = stack.enter_context(Netns())
        box = stack.enter_context(Netns())
        peer.run("ip", "link", "add", "par0", "up", "type", "veth", "peer", "name", "par1")
        peer.run("ip", "link", "set", "par1", "up")
        turns: dict[str, Callable[[], tuple[float, float]]] = {"netloom": ours}
        if shutil.which(NETAVARK):
            turns["netavark"] = lambda: _netavark(peer, box, kind, folder)
        if shutil.which(f"{PLUGINS}/{kind}"):
            turns["cni"] = lambda: _plugins(peer, box, kind, folder)
        for run in range(runs + 1):
            for name, attach in list(turns.items()):
                time.sleep(_PAUSE)
                try:
                    up, down = attach()
                except RuntimeError as error:
                    if run or name == "netloom":
                        raise
                    print(f"bench: {kind} of {name} is not measured: {error}", flush=True)  # netavark 1.4 has none
                    del turns[name]
                    continue
                if run:  # the first one warms up
                    figures.add(name, f"attach {kind}", up)
                    figures.add(name, f"detach {kind}", down)
    engine.remove(container)
    engine.client.call("DELETE", f"/networks/{PREFIX}-first")


def _netavark(peer: Netns, box: Netns, kind: str, folder: str) -> tuple[float, float]:
    network = {
        "dns_enabled": False,
        "driver": kind,
        "id": "5" * 64,
        "internal": False,
        "ipv6_enabled": False,
        "name": "bench",
        "network_interface": "par0",
        "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
        "ipam_options": {"driver": "host-local"},
    }
    asked = {
        "container_id": "6" * 64,
        "container_name": "bench",
        "networks": {"bench": {"static_ips": ["10.88.0.2"], "interface_name": "eth0"}},
        "network_info": {"bench": network},
    }
    words = [os.path.realpath(NETAVARK), "--config", folder]
    up, down = (timed(peer, [*words, word, box.netns_path], asked)[0] for word in ("setup", "teardown"))
    return up, down


def _plugins(peer: Netns, box: Netns, kind: str, folder: str) -> tuple[float, float]:
    """The plugin, which calls host-local, as a runtime calls both ends of a chain of one."""
    asked: dict[str, Any] = {
        "cniVersion": "1.0.0",
        "name": "bench",
        "type": kind,
        "master": "par0",
        "mode": "bridge" if kind == "macvlan" else "l2",
        "ipam": {
            "type": "host-local",
            "dataDir": folder,
            "ranges": [[{"subnet": "10.99.0.0/16"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    environment = {
        "PATH": os.environ["PATH"],
        "CNI_CONTAINERID": "bench",
        "CNI_NETNS": box.netns_path,
        "CNI_IFNAME": "eth0",
        "CNI_PATH": PLUGINS,
    }
    program = [f"{PLUGINS}/{kind}"]
    up, said = timed(peer, program, asked, {**environment, "CNI_COMMAND": "ADD"})
    down, _ = timed(peer, program, {**asked, "prevResult": json.loads(said)}, {**environment, "CNI_COMMAND": "DEL"})
    return up, down


def timed(where: Netns, words: list[str], asked: Any, environment: dict[str, str] | None = None) -> tuple[float, str]:
    """Milliseconds from the call of a program in a namespace to its end, and what it said."""

    def run() -> tuple[float, subprocess.CompletedProcess[str]]:
        begun = time.perf_counter()
        done = subprocess.run(
            words, input=json.dumps(asked), capture_output=True, text=True, env=environment, check=False
        )
        return (time.perf_counter() - begun) * 1e3, done

    took, done = where.call(run)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stdout}{done.stderr}")
    return took, done.stdout


def _throughput(engine: Engine, figures: Figures, kinds: list[str], seconds: int) -> None:
    """One TCP stream between two containers of each network, in turn, a second each."""
    if not shutil.which("iperf3"):
        print("bench: throughput is not measured: iperf3 is not on PATH (Debian: iperf3)", flush=True)
        return
    engine.network("bridge", IPAM={"Config": [{"Subnet": _SUBNET["bridge"]}]})
    clients: dict[str, tuple[str, str]] = {}
    for kind in ("bridge", *kinds):
        server = engine.container(f"{PREFIX}-{kind}", command=["iperf3", "-s"])
        settings = engine.client.call("GET", f"/containers/{server}/json")["NetworkSettings"]["Networks"]
        clients[kind] = (engine.container(f"{PREFIX}-{kind}"), settings[f"{PREFIX}-{kind}"]["IPAddress"])
    for run in range(seconds + 1):
        for kind, (client, address) in clients.items():
            command = engine.docker("exec", client, "iperf3", "-c", address, "-t", "1", "-J")
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode and not run:
                continue  # the server was not there yet
            if done.returncode:
                raise RuntimeError(f"iperf3 on {kind}: {done.stdout[-500:]}{done.stderr}")
            if run:
                rate = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9
                figures.add(engine.name, f"throughput {kind}", rate)
