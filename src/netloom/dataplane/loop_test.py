"""The loop's promises, each also kept by asyncio's."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from netloom.dataplane.loop import Loop


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_reads_writes_and_forgets(pair: tuple[socket.socket, socket.socket]) -> None:
    loop, (near, far) = Loop(), pair
    seen: list[str] = []
    loop.add_reader(near, seen.append, "read")
    loop.step(0)
    assert seen == []
    far.send(b"x")
    loop.step(0)
    loop.add_writer(near, seen.append, "write")
    loop.step(0)
    assert seen == ["read", "read", "write"]
    loop.remove_reader(near)
    loop.remove_reader(near)
    loop.add_writer(near, seen.append, "write again")
    loop.step(0)
    loop.remove_writer(near)
    loop.step(0)
    assert seen[3:] == ["write again"]


def test_timers_in_order_and_cancelled() -> None:
    loop, seen = Loop(), list[int]()
    loop.call_later(0.002, seen.append, 2)
    loop.call_later(0.001, seen.append, 1)
    loop.call_later(0, seen.append, 9).cancel()
    loop.call_soon(seen.append, 0)
    loop.call_later(0.003, loop.stop)
    loop.run()
    assert seen == [0, 1, 2]


def test_a_descriptor_closed_in_the_same_round_gets_no_event(pair: tuple[socket.socket, socket.socket]) -> None:
    loop, (near, far) = Loop(), pair
    near.send(b"x")
    far.send(b"x")
    seen: list[str] = []

    def first(mine: socket.socket, other: socket.socket) -> None:
        seen.append("called")
        loop.remove_reader(mine)
        loop.remove_reader(other)
        number = other.fileno()
        other.close()
        fresh = os.dup(mine.fileno())  # takes the number
        assert fresh == number
        loop.add_reader(fresh, seen.append, "stale")
        loop.remove_reader(fresh)
        os.close(fresh)

    loop.add_reader(near, first, near, far)
    loop.add_reader(far, first, far, near)
    loop.step(0)
    assert seen == ["called"]


def test_an_exception_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    loop, seen = Loop(), list[int]()
    loop.call_soon(lambda: 1 // 0)
    loop.call_soon(seen.append, 1)
    loop.step(0)
    assert seen == [1]
    assert "division" in caplog.text


def test_a_signal_wakes_it() -> None:
    loop = Loop()
    before = signal.getsignal(signal.SIGUSR1)
    try:
        loop.on_signal(signal.SIGUSR1, call=loop.stop)
        loop.call_later(0, os.kill, os.getpid(), signal.SIGUSR1)
        loop.run()
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGUSR1, before)


def test_cancelled_timers_do_not_pile_up() -> None:
    loop, seen = Loop(), list[int]()
    kept = [loop.call_later(0.5, seen.append, number) for number in range(3)]
    for _ in range(5000):
        loop.call_later(60, seen.append, 9).cancel()
        if loop.cancelled % 100 == 0:
            loop.step(0)
    assert len(loop._timers) < 1000
    kept[1].cancel()
    kept[1].cancel()
    loop.call_later(0.6, loop.stop)
    loop.run()
    assert seen == [0, 2]
    assert loop.cancelled == sum(call.cancelled for _, _, call in loop._timers)
    before = loop.cancelled
    kept[0].cancel()
    assert loop.cancelled == before, "too late, and no matter"
