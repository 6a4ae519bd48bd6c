from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from netloom.kernel import links
from netloom.kernel.links import Deleter
from netloom.testing.hosts import Netns

T = TypeVar("T")


@pytest.fixture
def host() -> Iterator[Netns]:
    with Netns() as made:
        yield made


def play(host: Netns, scene: Callable[[Deleter], Coroutine[Any, Any, T]]) -> T:
    """Run a scene on an event loop that lives in the host's namespace."""

    async def run() -> T:
        deleter = Deleter()
        try:
            return await scene(deleter)
        finally:
            await deleter.close()
            await deleter.close()

    return host.call(lambda: asyncio.run(run()))


def names() -> set[str]:
    with open("/proc/thread-self/net/dev") as file:
        return {line.partition(":")[0].strip() for line in file if ":" in line} - {"lo"}


def add(host: Netns, *lines: str) -> None:
    host.run("ip", "-batch", "-", stdin="".join(f"link add {line}\n" for line in lines))


def test_a_link_is_unlisted_when_the_call_returns_and_its_name_and_index_are_free(host: Netns) -> None:
    line = "v0 index 77 type veth peer name v1"
    add(host, line)

    async def scene(deleter: Deleter) -> list[set[str]]:
        seen = []
        for _ in range(10):
            await deleter.delete(77)
            seen.append(names())
            add(host, line)
        return seen

    assert play(host, scene) == [set()] * 10


def test_the_answer_comes_before_the_kernels_call_returns(host: Netns, monkeypatch: pytest.MonkeyPatch) -> None:
    """DELLINK waits for a grace period; were the answer its return, so would we."""
    add(host, "v0 index 77 type veth peer name v1")
    answered = threading.Event()
    before_return = []
    really = links._delete

    def held_up(*arguments: Any) -> Any:
        returned = really(*arguments)
        before_return.append(answered.wait(10))
        return returned

    monkeypatch.setattr(links, "_delete", held_up)

    async def scene(deleter: Deleter) -> None:
        await deleter.delete(77)
        answered.set()

    play(host, scene)
    assert before_return == [True]
    assert host.call(names) == set()


def test_many_at_once(host: Netns) -> None:
    add(host, *(f"v{n} index {5000 + n} type veth peer name w{n}" for n in range(150)))

    async def scene(deleter: Deleter) -> int:
        await asyncio.gather(*(deleter.delete(5000 + n) for n in range(150)))
        assert names() == set()
        return threading.active_count()

    before = threading.active_count()
    assert play(host, scene) <= before + 34  # 32 of ours, and this test's own


def test_what_is_gone_is_success_alone_and_among_others(host: Netns) -> None:
    add(host, "v0 index 77 type veth peer name v1")

    async def scene(deleter: Deleter) -> None:
        await deleter.delete(4711)
        await asyncio.gather(*(deleter.delete(i) for i in (4711, 77, 4712)))
        await asyncio.gather(deleter.delete(77), deleter.delete(77))

    play(host, scene)
    assert host.call(names) == set()


def test_a_bridge_with_an_address_and_one_without(host: Netns) -> None:
    add(host, "b0 index 80 type bridge", "b1 index 81 type bridge")
    host.run("ip", "addr", "add", "10.0.0.1/24", "dev", "b0")

    async def scene(deleter: Deleter) -> None:
        await deleter.delete(80)
        assert names() == {"b1"}
        await deleter.delete(81)
        assert names() == set()

    play(host, scene)


def test_a_port_that_leaves_its_bridge_is_not_taken_for_deleted(host: Netns) -> None:
    """Leaving sends RTM_DELLINK too, in family AF_BRIDGE."""
    add(host, "b0 index 80 type bridge", "v0 index 81 type veth peer name v1")
    host.run("ip", "link", "set", "v0", "master", "b0", "up")

    async def scene(deleter: Deleter) -> None:
        for _ in range(5):
            await deleter.delete(81)
            assert "v0" not in names()
            add(host, "v0 index 81 type veth peer name v1")
            host.run("ip", "link", "set", "v0", "master", "b0", "up")

    play(host, scene)


def test_a_link_that_cannot_be_deleted(host: Netns) -> None:
    async def scene(deleter: Deleter) -> str:
        with pytest.raises(Exception, match="operation not supported") as caught:
            await deleter.delete(1)  # lo
        return str(caught.value)

    assert play(host, scene).startswith("del link 1: ")


def test_a_caller_that_is_cancelled_cancels_nothing(host: Netns) -> None:
    add(host, "v0 index 77 type veth peer name v1")

    async def scene(deleter: Deleter) -> None:
        task = asyncio.create_task(deleter.delete(77))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await deleter.delete(77)
        assert names() == set()

    play(host, scene)


def test_closing_leaves_no_thread_and_no_descriptor(host: Netns) -> None:
    async def scene(deleter: Deleter) -> None:
        await asyncio.gather(*(deleter.delete(9000 + i) for i in range(5)))

    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    play(host, scene)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
