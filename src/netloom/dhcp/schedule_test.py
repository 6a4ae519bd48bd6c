from __future__ import annotations

from itertools import pairwise

from netloom.dhcp import schedule
from netloom.dhcp.exchange import State
from netloom.model.lease import FOREVER, Lease, Terms

S = 1_000_000_000


def lease(seconds: int = 3600, t1: int = 1800, t2: int = 3150) -> Lease:
    terms = Terms(address="10.0.0.9/24", server="10.0.0.1", seconds=seconds, t1=t1, t2=t2)
    return Lease(terms=terms, began=100 * S, mac="", server_mac="")


def test_the_life_of_a_lease() -> None:
    one = lease()
    assert schedule.due(one) == 1900 * S
    assert schedule.asks(one, 1900 * S) is State.RENEWING
    assert schedule.asks(one, 3250 * S) is State.REBINDING
    assert not schedule.over(one, 3699 * S)
    assert schedule.over(one, 3700 * S)
    assert (schedule.left(one, 100 * S), schedule.left(one, 3699 * S + 1), schedule.left(one, 4000 * S)) == (3600, 1, 1)


def test_when_nobody_answers() -> None:
    one = lease(120, 60, 105)
    moments = [160 * S]
    while moments[-1] < 220 * S:
        moments.append(schedule.again(one, moments[-1]))
    assert [m // S for m in moments[:3]] == [160, 182, 193]
    assert moments[-1] == 220 * S  # at its end it is over, not later
    assert all(b - a >= S for a, b in pairwise(moments[:-1]))
    assert schedule.again(lease(), 1900 * S) == 1960 * S


def test_one_without_end() -> None:
    one = lease(FOREVER, FOREVER, FOREVER)
    assert schedule.due(one) is None
    assert not schedule.over(one, 10**30)
    assert schedule.left(one, 10**20) == FOREVER
