"""Hostile bytes at the resolver, while its names change."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from netloom.dns.responder import Responder
from netloom.dns.zone import Zones
from netloom.model.names import NameEntry
from netloom.testing.dns_checks import check_survives, mutated, queries


def fuzz(rng: random.Random, rounds: int, zones: Zones, responder: Responder) -> None:
    seeds = queries()
    for turn in range(rounds):
        if turn % 200 == 0:
            number, address = rng.randrange(20), str(IPv4Address(rng.randrange(2**32)))
            names = ("web", "shared", "www")[: 1 + number % 3]
            zones.put(NameEntry("n1", "u1", f"e{number}", "s", names, "web.u1", address))
        check_survives(responder, mutated(rng, rng.choice(seeds)))


def test_mutated_queries_shortly(seed: int) -> None:
    zones = Zones()
    fuzz(random.Random(seed), 3000, zones, Responder(zones, ("n1", "n2")))


@pytest.mark.soak
def test_mutated_queries(seed: int, time_left: Callable[[], bool]) -> None:
    zones, rng = Zones(), random.Random(seed)
    responder = Responder(zones, ("n1", "n2"))
    while time_left():
        fuzz(rng, 1000, zones, responder)
