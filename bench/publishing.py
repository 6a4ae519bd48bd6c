"""Published ports: what many cost beside one, and what an attach costs while many elements stand.

Docker, which starts a process for each port and family, is asked for 100 at most: 10,000 would take it minutes and
the machine's memory. netavark stands beside with the same ports as one range, as Podman hands them to it: it is a
program that sets up a network and ends, so its growth is what can be compared, not its time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.engines import PREFIX, Engine, Ours
from bench.figures import Figures
from bench.lan import NETAVARK, timed
from netloom.testing.hosts import Netns

MANY = 10_000
FEW = (1, 100)
SETTLE = 0.15  # seconds: what is still cleared away after a removal is not the next operation's
_FIRST = 20_000
_TURNS = 3  # of an empty host and one with many elements, in one round


def publishing(engine: Engine, figures: Figures, runs: int) -> None:
    """(e) A container is started with few and many published ports, and removed; many for ours and netavark."""
    many = isinstance(engine, Ours)
    with ExitStack() as stack:
        beside = _netavark(stack) if many else None
        for run in range(runs + 1):
            for count in (*FEW, MANY) if many else FEW:
                container = engine.container("bridge", start=False, ports=count)
                time.sleep(SETTLE)
                took = engine.client.timed("POST", f"/containers/{container}/start")
                removed = engine.remove(container)
                if run:
                    figures.add(engine.name, f"start with {count} published ports", took)
                    figures.add(engine.name, f"rm with {count} published ports", removed)
                if beside is not None and (count < MANY or run == 1):  # its removal takes a minute
                    time.sleep(SETTLE)
                    up, down = beside(count)
                    if run:
                        figures.add("netavark", f"start with {count} published ports", up)
                        figures.add("netavark", f"rm with {count} published ports", down)
    if many:
        for _ in range(_TURNS):
            _attach(engine, figures, "attach on an empty host", runs)
            crowd = engine.container("bridge", ports=MANY, shift=-10_000)  # other numbers inside: each an element
            _attach(engine, figures, f"attach beside {MANY} elements", runs)
            engine.remove(crowd)


def _attach(engine: Engine, figures: Figures, what: str, runs: int) -> None:
    """A running container is connected to a second network and disconnected."""
    engine.network("first")
    network = engine.network("second")
    container = engine.container(f"{PREFIX}-first")
    time.sleep(SETTLE)
    for run in range(3 * runs + 2):
        took = engine.client.timed("POST", f"/networks/{network}/connect", {"Container": container})
        engine.client.call("POST", f"/networks/{network}/disconnect", {"Container": container})
        if run > 1:
            figures.add(engine.name, what, took)
    engine.remove(container)
    for name in ("first", "second"):
        engine.client.call("DELETE", f"/networks/{PREFIX}-{name}")


def _netavark(stack: ExitStack) -> Callable[[int], tuple[float, float]] | None:
    """netavark on a host of its own: sets up a bridge with so many ports and tears it down; None where it is not."""
    if not shutil.which(NETAVARK):
        print("bench: ports without netavark: it is neither at $NETLOOM_BENCH_NETAVARK nor installed", flush=True)
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="netloom-bench-ports-"))
    peer, box = stack.enter_context(Netns()), stack.enter_context(Netns())
    peer.run("ip", "link", "set", "lo", "up")
    words = [os.path.realpath(NETAVARK), "--config", folder]

    def publish(count: int) -> tuple[float, float]:
        up, down = (timed(peer, [*words, word, box.netns_path], _asked(count))[0] for word in ("setup", "teardown"))
        return up, down

    return publish


def _asked(count: int) -> dict[str, Any]:
    """netavark's NetworkOptions of a container on a bridge."""
    ports = {"container_port": _FIRST, "host_ip": "", "host_port": _FIRST, "protocol": "tcp", "range": count}
    network = {
        "dns_enabled": False,
        "driver": "bridge",
        "id": "5" * 64,
        "internal": False,
        "ipv6_enabled": False,
        "name": "bench",
        "network_interface": "bench0",
        "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
        "ipam_options": {"driver": "host-local"},
    }
    return {
        "container_id": "6" * 64,
        "container_name": "bench",
        "networks": {"bench": {"static_ips": ["10.88.0.2"], "interface_name": "eth0"}},
        "network_info": {"bench": network},
        "port_mappings": [ports],
    }
