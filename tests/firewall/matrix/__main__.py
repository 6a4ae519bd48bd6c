"""Print the matrix: what netloom does, and Docker where NETLOOM_MATRIX_DOCKER=unix:///… leads to one, else as recorded.

    make matrix
    NETLOOM_MATRIX_DOCKER=unix:///run/d.sock NETLOOM_MATRIX_IMAGE=busybox make matrix
    … python -m tests.firewall.matrix --record      # and write docker.txt anew

Exit status 1: a cell is not what the documents promise, or Docker differs for no known reason. Such a Docker must live
in a network namespace of its own; of its images one that has `sleep` is used, `busybox` where none is named.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from . import engines
from .cells import Cell, cells
from .city import City
from .differences import DIFFERENCES, UNTRIED_WHY, explained, unexplained
from .pairs import unpaired
from .rules import answered, broken, expected
from .table import LEGEND, UNTRIED, beside, record, recorded, shown

RECORD = Path(__file__).with_name("docker.txt")
PROMISED = {cell: expected(cell) for cell in cells()}


def main() -> int:
    """The exit status."""
    options = argparse.ArgumentParser(prog="matrix", description="who reaches whom, by netloom and by Docker")
    options.add_argument("--record", action="store_true", help=f"write {RECORD.name} anew")
    options.add_argument("--docker-only", action="store_true", help="leave netloom out")
    chosen = options.parse_args()
    if chosen.record and not os.environ.get("NETLOOM_MATRIX_DOCKER"):
        options.error("--record: NETLOOM_MATRIX_DOCKER leads to no Docker")
    wrong: list[str] = []
    if not chosen.docker_only:
        wrong += _ours()
    docker = _docker(chosen.record)
    print("\nwhere Docker differs (promised≠Docker)\n")
    differing = beside(PROMISED, docker)
    print(shown(differing))
    for difference in DIFFERENCES:
        count = sum(explained(cell, docker[cell]) is difference for cell in differing)
        print(f"  {count:4}  {difference.why}")
    print(f"  {sum(docker.get(cell, UNTRIED) == UNTRIED for cell in PROMISED):4}  not tried: {UNTRIED_WHY}")
    wrong += unexplained(PROMISED, docker)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


def _ours() -> list[str]:
    wrong = []
    with engines.netloom() as city:
        for bridge_netfilter in (False, True):
            verdicts, seconds = _asked(city, bridge_netfilter)
            print(f"netloom, bridge-nf-call-iptables={int(bridge_netfilter)}: {len(verdicts)} cells, {seconds:.1f} s")
            wrong += broken(verdicts)
    print(f"\n{LEGEND}\n\n{shown(verdicts)}")
    return wrong + [
        f"{' '.join(map(str, cell))}: denied without a pair" for cell in unpaired(verdicts, answered(verdicts))
    ]


def _docker(write: bool) -> dict[Cell, str]:
    address = os.environ.get("NETLOOM_MATRIX_DOCKER", "")
    if not address:
        text = RECORD.read_text()
        print(text.partition("\n")[0].lstrip("# "))
        return recorded(text)
    image = os.environ.get("NETLOOM_MATRIX_IMAGE", "busybox")
    with engines.docker(Path(address.removeprefix("unix://")), image) as (city, version):
        verdicts, seconds = _asked(city, None)
        bridged = city.host.sysctl("net/bridge/bridge-nf-call-iptables")
    linux = ".".join(os.uname().release.split(".")[:2])
    title = f"Docker {version}, bridge-nf-call-iptables={bridged}, Linux {linux}"
    verdicts = {cell: verdicts.get(cell, UNTRIED) for cell in PROMISED}
    print(f"{title}: {seconds:.1f} s\n\n{shown(verdicts)}")
    if write:
        RECORD.write_text(record(verdicts, title))
    return verdicts


def _asked(city: City, bridge_netfilter: bool | None) -> tuple[dict[Cell, str], float]:
    begun = time.monotonic()
    verdicts = city.verdicts(list(PROMISED), answered(PROMISED), bridge_netfilter=bridge_netfilter)
    return verdicts, time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
