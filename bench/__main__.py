"""Runs the scenarios in rounds, the engines in turn within each, so that other work on the machine hits all alike."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import dns, engines, healing, lan, life, paths, raw, scenarios
from bench.engines import Engine
from bench.figures import Figures
from bench.policies import policies
from bench.publishing import publishing
from bench.report import FEW, MANY, report


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


def plan(quick: bool) -> dict[str, tuple[int, Callable[[Engine, Figures], None]]]:
    """Name → rounds and what one round does to one engine."""
    runs = 5 if quick else 20
    return {
        "connect": (1 if quick else 3, lambda engine, figures: scenarios.connect(engine, figures, runs * 2)),
        "crowd": (1 if quick else 3, lambda engine, figures: scenarios.crowd(engine, figures, 2 if quick else 4)),
        "networks": (1 if quick else 3, lambda engine, figures: scenarios.networks(engine, figures, runs)),
        "starts": (1 if quick else 3, lambda engine, figures: scenarios.starts(engine, figures, runs)),
        "ports": (1 if quick else 2, lambda engine, figures: publishing(engine, figures, runs // 2)),
        "healing": (1 if quick else 3, lambda engine, figures: healing.healing(engine, figures, 2 if quick else 5)),
        "memory": (1, scenarios.memory),
        "lives": (1 if quick else 3, lambda engine, figures: life.lives(engine, figures, runs)),
        "keeping": (1, lambda engine, figures: life.keeping(engine, figures, 10 if quick else 50)),
        "listing": (1, lambda engine, figures: life.listing(engine, figures, 20 if quick else 200, runs)),
        "runs": (1, lambda engine, figures: life.short_runs(engine, figures, 100 if quick else 1000)),
        "streams": (
            1 if quick else 3,
            lambda engine, figures: life.streams(engine, figures, (64 if quick else 1024) << 20),
        ),
        "dns": (1 if quick else 3, lambda engine, figures: dns.names(engine, figures, 1 if quick else 3)),
        "policies": (1, lambda engine, figures: policies(engine, figures, *((3, 1.0) if quick else (9, 3.0)))),
        "lan": (1 if quick else 3, lambda engine, figures: lan.lan(engine, figures, runs, 2 if quick else 5)),
        "guard": (1, lambda engine, figures: paths.guard(engine, figures, *((3, 1) if quick else (11, 2)))),
        "restart": (1, lambda engine, figures: life.restart(engine, figures, 10 if quick else 100)),
    }


def growth(engine: Engine, figures: Figures) -> None:
    scenarios.growth(engine, figures, (FEW, MANY), 25)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time; for seeing that it works")
    parser.add_argument(
        "--only",
        default="",
        metavar="NAMES",
        help="some of: connect,crowd,networks,starts,ports,healing,memory,lives,keeping,listing,runs,streams,dns,"
        "policies,lan,guard,restart,paths,growth",
    )
    parser.add_argument("--json", default="", metavar="FILE", help="write every sample there")
    chosen = parser.parse_args()
    only = set(filter(None, chosen.only.split(",")))
    wanted = {name: part for name, part in plan(chosen.quick).items() if not only or name in only}
    growing = "growth" in only if only else not chosen.quick
    streaming = not only or "paths" in only

    figures = Figures()
    with ExitStack() as stack:
        lock = stack.enter_context((Path(tempfile.gettempdir()) / "bench.lock").open("a"))
        fcntl.flock(lock, fcntl.LOCK_EX)  # two benchmarks at once would measure one another
        say(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, kernel {os.uname().release}")
        contestants = [stack.enter_context(engines.netloom())]
        docker = stack.enter_context(engines.docker())
        if docker is None:
            say("no dockerd and containerd on PATH and no NETLOOM_BENCH_DOCKER=unix:///…: ours alone")
        else:
            contestants.append(docker)
            say(f"beside Docker {docker.client.call('GET', '/version')['Version']}")
        if not raw.measure(figures, MANY if growing else 60, (FEW, MANY) if growing else ()):
            say("no C compiler: without the kernel's own bound")
        try:
            for name, (rounds, measure) in wanted.items():
                for number in range(rounds):
                    for engine in contestants:
                        say(f"{name}, round {number + 1} of {rounds}: {engine.name}")
                        measure(engine, figures)
            if streaming:
                say("paths: the engines in turn on each")
                paths.paths(contestants, figures, *((2, 1) if chosen.quick else (7, 2)))
            if growing:
                say(f"growth: {MANY} containers on one network of netloom's")
                growth(contestants[0], figures)
        finally:  # what was measured until something failed is told all the same
            print(f"\nMedians, the 95th percentile in brackets:\n{report(figures)}", flush=True)
            if chosen.json:
                Path(chosen.json).write_text(json.dumps(figures.samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
