"""What is measured, one function for each scenario. All times are milliseconds from request to reply."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event as ProcessEvent

from bench.client import Client
from bench.engines import Engine
from bench.figures import Figures

CLIENTS = 8
SETTLE = 0.15  # seconds: what is still cleared away after a removal is not the next operation's
ENDPOINTS = 100


def connect(engine: Engine, figures: Figures, runs: int) -> None:
    """(a) A running container is connected to a second network and disconnected."""
    engine.network("first")
    network = engine.network("second")
    container = engine.container("nlbench-first")
    for run in range(runs + 1):
        took = {
            word: engine.client.timed("POST", f"/networks/{network}/{word}", {"Container": container})
            for word in ("connect", "disconnect")
        }
        if run:  # the first one warms up
            for word, value in took.items():
                figures.add(engine.name, word, value)
    engine.wipe()


def crowd(engine: Engine, figures: Figures, seconds: float) -> None:
    """(a) Eight clients connect and disconnect at once, each its own container; a ninth asks for _ping meanwhile."""
    engine.network("first")
    network = engine.network("second")
    containers = [engine.container("nlbench-first") for _ in range(CLIENTS)]
    context = multiprocessing.get_context("fork")
    go, stop = context.Event(), context.Event()
    counted: multiprocessing.Queue[int] = context.Queue()
    workers = [
        context.Process(target=_hammer, args=(engine.path, network, container, go, stop, counted))
        for container in containers
    ]
    for worker in workers:
        worker.start()
    go.set()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        figures.add(engine.name, "ping under load", engine.client.timed("GET", "/_ping"))
        time.sleep(0.005)  # asking all the time would itself be the load
    stop.set()
    done = sum(counted.get(timeout=60) for _ in workers)
    figures.add(engine.name, "operations a second, 8 clients", done / (time.perf_counter() - start))
    for worker in workers:
        worker.join()
    engine.wipe()


def _hammer(
    path: str, network: str, container: str, go: ProcessEvent, stop: ProcessEvent, counted: multiprocessing.Queue[int]
) -> None:
    client = Client(path)
    done = 0
    go.wait()
    while not stop.is_set():
        for word in ("connect", "disconnect"):
            client.call("POST", f"/networks/{network}/{word}", {"Container": container})
        done += 2
    counted.put(done)
    client.close()


def networks(engine: Engine, figures: Figures, runs: int) -> None:
    """(b) A network is created and removed; then the same without a pause, where a creation meets the last removal."""
    for pause, create in ((SETTLE, "network create"), (0.0, "network create, right after a rm")):
        for run in range(runs + 1):
            time.sleep(pause)
            created = engine.client.timed("POST", "/networks/create", {"Name": "nlbench-one"})
            removed = engine.client.timed("DELETE", "/networks/nlbench-one")
            if run:
                figures.add(engine.name, create, created)
                figures.add(engine.name, "network rm", removed)


def starts(engine: Engine, figures: Figures, runs: int) -> None:
    """(c) A container is started in turn on no network and on a user's bridge."""
    engine.network("first")
    for run in range(runs + 1):
        for network in ("none", "nlbench-first"):
            container = engine.container(network, start=False)
            time.sleep(SETTLE)
            took = engine.client.timed("POST", f"/containers/{container}/start")
            if run:
                figures.add(engine.name, f"start on {'none' if network == 'none' else 'a bridge'}", took)
            engine.remove(container)
    engine.wipe()


def memory(engine: Engine, figures: Figures) -> None:
    """(d) Resident memory, idle and with 100 endpoints (of ten containers in ten networks)."""
    figures.add(engine.name, "memory idle", engine.memory())
    names = [f"m{index}" for index in range(10)]
    for index, name in enumerate(names):
        engine.network(name, IPAM={"Config": [{"Subnet": f"10.213.{index}.0/24"}]})
    for _ in range(ENDPOINTS // len(names)):
        container = engine.container(f"nlbench-{names[0]}")
        for name in names[1:]:
            engine.client.call("POST", f"/networks/nlbench-{name}/connect", {"Container": container})
    figures.add(engine.name, "memory with 100 endpoints", engine.memory())
    engine.wipe()


def growth(engine: Engine, figures: Figures, sizes: tuple[int, ...], runs: int) -> None:
    """(f) Connect to a network that has few and many endpoints already."""
    engine.network("first", IPAM={"Config": [{"Subnet": "10.214.0.0/16"}]})
    engine.network("second")
    probe = engine.container("nlbench-second")
    have = 0
    for size in sizes:
        while have < size - 1:
            engine.container("nlbench-first")
            have += 1
        for run in range(runs + 1):
            took = engine.client.timed("POST", "/networks/nlbench-first/connect", {"Container": probe})
            engine.client.call("POST", "/networks/nlbench-first/disconnect", {"Container": probe})
            if run:
                figures.add(engine.name, f"connect as number {size}", took)
    engine.wipe()


Scenario = Callable[[Engine, Figures], None]
