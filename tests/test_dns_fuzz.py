"""Hostile bytes at the resolver: guided by coverage, mutated at random while names change, and all that was found."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

import dns_fuzzer
from netloom.dns.responder import Responder
from netloom.dns.zone import Zones
from netloom.model.names import NameEntry
from netloom.testing.dns_checks import check_survives, mutated, queries


def test_what_was_found_once_is_survived() -> None:
    one = dns_fuzzer.target()
    for data in dns_fuzzer.inputs():
        one(data)  # type: ignore[operator]


def test_mutated_queries_while_names_change(seed: int) -> None:
    rng, zones = random.Random(seed), Zones()
    responder = Responder(zones, ("n1", "n2"))
    seeds = queries()
    for turn in range(3000):
        if turn % 200 == 0:
            number, address = rng.randrange(20), str(IPv4Address(rng.randrange(2**32)))
            names = ("web", "shared", "www")[: 1 + number % 3]
            zones.put(NameEntry("n1", "u1", f"e{number}", "s", names, "web.u1", address))
        check_survives(responder, mutated(rng, rng.choice(seeds)))


@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="atheris has no wheel for this machine")
def test_guided_by_coverage(seed: int, share: float, tmp_path: Path) -> None:
    fuzzer = [
        sys.executable,
        dns_fuzzer.__file__,
        str(tmp_path),
        f"-max_total_time={share:.0f}",
        f"-seed={seed % 2**32}",
    ]
    done = subprocess.run(fuzzer, capture_output=True, text=True, timeout=share + 120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DONE" in done.stderr or "Done" in done.stderr, done.stderr
