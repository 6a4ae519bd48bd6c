"""What is measured of containers' lives: one function for each scenario, times in milliseconds."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.engines import PREFIX, Engine
from bench.figures import Figures

CLIENTS = 10
MIB = 1 << 20


def lives(engine: Engine, figures: Figures, runs: int) -> None:
    """(a) Create, start, wait and remove a container whose program ends at once."""
    engine.network("first")
    for run in range(runs + 1):
        for network, shown in (("none", "none"), (f"{PREFIX}-first", "a bridge")):
            begun = time.perf_counter()
            container = engine.container(network, start=False, command=["sleep", "0"])
            engine.client.call("POST", f"/containers/{container}/start")
            engine.client.call("POST", f"/containers/{container}/wait")
            engine.client.call("DELETE", f"/containers/{container}")
            if run:
                figures.add(engine.name, f"a life on {shown}", (time.perf_counter() - begun) * 1e3)
    engine.wipe()


def keeping(engine: Engine, figures: Figures, containers: int) -> None:
    """(b) Memory that one more running container costs: all that runs for it but its own program."""
    before = engine.kept()
    for _ in range(containers):
        engine.container("none")
    figures.add(engine.name, "memory for each container", (engine.kept() - before) / containers)
    engine.wipe()


def listing(engine: Engine, figures: Figures, containers: int, runs: int) -> None:
    """(c) `docker ps` over many running containers, by the CLI and by the request alone."""
    for _ in range(containers):
        engine.container("none")
    for _ in range(runs):
        figures.add(engine.name, "the list", engine.client.timed("GET", "/containers/json"))
        figures.add(engine.name, "docker ps", _timed(engine.docker("ps", "-q")))
    engine.wipe()


def short_runs(engine: Engine, figures: Figures, count: int) -> None:
    """(d) Many short `docker run --rm` by ten clients; a run that fails ends the bench."""
    command = engine.docker("run", "--rm", "--network", "none", "--label", PREFIX, engine.image, "sleep", "0")
    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(_timed, [command] * count))
    figures.add(engine.name, "docker run --rm a second, 10 clients", count / (time.perf_counter() - begun))
    left = engine.client.call("GET", f'/containers/json?all=1&filters={{"label":["{PREFIX}"]}}')
    if left:
        raise RuntimeError(f"{engine.name}: {len(left)} containers were left behind by docker run --rm")


def streams(engine: Engine, figures: Figures, size: int) -> None:
    """(e) Bytes through `docker run -i … cat`, and through `docker cp` in and out, MiB a second."""
    name = f"{PREFIX}-copied"
    with tempfile.TemporaryDirectory(prefix="netloom-bench-") as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        with source.open("wb") as file:
            block = os.urandom(MIB)
            for _ in range(size // MIB):
                file.write(block)
        cat = engine.docker("run", "--rm", "-i", "--network", "none", "--label", PREFIX, engine.image, "cat")
        with source.open("rb") as given, target.open("wb") as taken:
            begun = time.perf_counter()
            subprocess.run(cat, stdin=given, stdout=taken, check=True)
        _rate(engine, figures, "through run -i cat", begun, size)
        _same_size(target, size)
        engine.client.call(
            "POST",
            f"/containers/create?name={name}",
            {"Image": engine.image, "Cmd": ["sleep", "100000"], "Labels": {PREFIX: ""}},
        )
        engine.client.call("POST", f"/containers/{name}/start")
        begun = time.perf_counter()
        subprocess.run(engine.docker("cp", "-q", str(source), f"{name}:/copied"), check=True)
        _rate(engine, figures, "cp into a container", begun, size)
        target.unlink()
        begun = time.perf_counter()
        subprocess.run(engine.docker("cp", "-q", f"{name}:/copied", str(target)), check=True)
        _rate(engine, figures, "cp out of a container", begun, size)
        _same_size(target, size)
    engine.wipe()


def restart(engine: Engine, figures: Figures, containers: int) -> None:
    """(f) The daemon is killed while containers run: from the next one's start to its first answer."""
    if engine.restart is None:
        return
    engine.network("first")
    for _ in range(containers):
        engine.container(f"{PREFIX}-first")
    for _ in range(3):
        figures.add(engine.name, f"restart with {containers} containers", engine.restart())
    running = engine.client.call("GET", f'/containers/json?filters={{"label":["{PREFIX}"]}}')
    if len(running) != containers:
        raise RuntimeError(f"{engine.name}: {len(running)} of {containers} containers run after the restart")
    engine.wipe()


def _timed(command: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return (time.perf_counter() - begun) * 1e3


def _rate(engine: Engine, figures: Figures, what: str, begun: float, size: int) -> None:
    figures.add(engine.name, what, size / MIB / (time.perf_counter() - begun))


def _same_size(path: Path, size: int) -> None:
    if path.stat().st_size != size:
        raise RuntimeError(f"{path.stat().st_size} of {size} bytes came through")
