"""The order of servers, and when an ill one is tried again."""

from __future__ import annotations

from netloom.dataplane.health import FIRST_PAUSE, LONGEST_PAUSE, Health
from netloom.model.names import Upstream

A, B, C = (Upstream(f"192.0.2.{number}") for number in (1, 2, 3))


def test_ill_ones_are_asked_last_until_they_serve() -> None:
    health = Health()
    assert health.order((A, B, C)) == [A, B, C]
    health.failed(A, 0.0, 0.5)
    assert health.order((A, B, C)) == [B, C, A]
    health.failed(B, 0.0, 0.5)
    assert health.order((A, B, C)) == [C, A, B]
    health.served(A, 0.5)
    assert health.order((A, B, C)) == [A, C, B]


def test_an_ill_one_is_due_once_for_each_pause_which_grows() -> None:
    health = Health()
    now, pauses = 0.0, []
    health.failed(A, now, now)
    health.failed(A, now, now)  # another question that was under way
    for _ in range(6):
        start = now
        while health.due((A, B), now) != [A]:
            now += 0.5
        assert health.due((A, B), now) == []
        pauses.append(now - start)
        health.failed(A, now, now, again=True)
    assert pauses == [FIRST_PAUSE, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE]


def test_nobody_is_due_while_nobody_is_well() -> None:
    health = Health()
    health.failed(A, 0.0, 0.5)
    health.failed(B, 0.0, 0.5)
    assert health.order((A, B)) == [A, B]
    assert health.due((A, B), 1000.0) == []


def test_servers_that_are_not_used_any_more_are_forgotten() -> None:
    health = Health()
    health.failed(A, 0.0, 0.5)
    health.keep_only((B,))
    assert health.order((A, B)) == [A, B]


def test_who_serves_others_is_well() -> None:
    health = Health()
    health.served(A, 10.0)
    health.failed(A, 9.8, 10.3)  # of two questions at once, one had no answer
    assert health.order((A, B)) == [A, B]
    health.failed(A, 10.1, 10.6)
    assert health.order((A, B)) == [B, A]
