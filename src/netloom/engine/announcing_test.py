"""What neighbours are told of endpoints: when they are new, and once more by the next daemon, which adopts them."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from netloom.drivers.bridge_options import ADVERTISE_COUNT, ADVERTISE_INTERVAL
from netloom.model.errors import KernelError
from netloom.testing.engine_world import World, static

ON = {"parent": "up0"}
L3 = {"parent": "up0.7", "ipvlan_mode": "l3"}


async def restarted(world: World) -> list[tuple[str, tuple[str, ...]]]:
    """The daemon is killed; what the next one announces."""
    await world.settle()
    await world.crash()
    world.kernel.announced.clear()
    await world.start()
    await world.settle()
    return [(link, addresses) for link, _, addresses in world.kernel.announced]


async def test_what_is_adopted_is_announced_the_newest_first(world: World) -> None:
    bridge = await world.network("red", "10.1.0.0/24")
    await world.network("lan", "10.4.0.0/24", driver="macvlan", options=ON)
    await world.container("web", "red", start=True)
    await world.container("db", "lan", networks={"lan": static(mac="02:00:00:00:00:07")}, start=True)
    await world.container("idle", "red")
    assert await restarted(world) == [("up0", ("10.4.0.2",)), (bridge.bridge, ("10.1.0.2",))]
    assert world.kernel.announced[0][1] == "02:00:00:00:00:07"


async def test_where_nobody_listens_nothing_is_said(world: World) -> None:
    await world.network("quiet", "10.1.0.0/24", options={ADVERTISE_COUNT: "0"})
    await world.network("routed", "10.5.0.0/24", driver="ipvlan", options=L3)
    for network in ("quiet", "routed"):
        await world.container(f"on-{network}", network, start=True)
    assert await restarted(world) == []


@pytest.mark.parametrize("driver", ["bridge", "macvlan", "ipvlan"])
@pytest.mark.parametrize(("said", "pauses"), [({}, [1.0, 1.0]), ({ADVERTISE_COUNT: "0"}, []), (
    {ADVERTISE_COUNT: "2", ADVERTISE_INTERVAL: "300"}, [0.3]
)], ids=["default", "never", "twice"])  # fmt: skip
async def test_as_often_and_as_fast_as_the_network_says(
    world: World, monkeypatch: pytest.MonkeyPatch, driver: str, said: dict[str, str], pauses: list[float]
) -> None:
    loop = asyncio.get_running_loop()
    later, waited = loop.call_later, []

    def at_once(seconds: float, what: Any, *rest: Any) -> Any:
        if getattr(what, "__name__", "") != "_repeat":
            return later(seconds, what, *rest)
        waited.append(seconds)
        return loop.call_soon(what, *rest)

    monkeypatch.setattr(loop, "call_later", at_once)
    on = {} if driver == "bridge" else ON
    await world.network("lan", "10.4.0.0/24", driver=driver, options={**on, **said})
    world.kernel.announced.clear()
    await world.container("db", "lan", start=True)
    await world.settle()
    assert waited == pauses
    told = 0 if said.get(ADVERTISE_COUNT) == "0" else len(pauses) + 1
    assert [addresses for _, _, addresses in world.kernel.announced] == [("10.4.0.2",)] * told


async def test_who_has_ended_meanwhile_is_not_announced(world: World) -> None:
    await world.container("web", start=True)
    await world.settle()
    await world.crash()
    world.end("web", 9)
    world.kernel.announced.clear()
    await world.start()
    await world.settle()
    assert world.kernel.announced == []


async def test_many_are_announced_a_few_at_a_time(world: World) -> None:
    """What is asked comes in between; who leaves meanwhile is left out; an end of the daemon waits for nobody."""
    for n in range(40):
        await world.container(f"c{n:02}", start=True)
    await world.settle()
    await world.crash()
    world.kernel.announced.clear()
    await world.start()
    said = [await world.core.worker.call(lambda *_: len(world.kernel.announced)) for _ in range(2)]
    assert said == [0, 16]
    oldest = min(world.engine.endpoints(world.engine.network("bridge").id), key=lambda e: e.number)
    world.core.tables.drop_endpoint(oldest)
    await world.settle()
    world.core.tables.put_endpoint(oldest)
    assert len(world.kernel.announced) == 39
    await world.crash()
    world.kernel.announced.clear()
    await world.start()
    await world.engine.close()
    assert len(world.kernel.announced) < 40


async def test_a_failure_is_told_and_keeps_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise KernelError(errno.ENOBUFS, "send a frame on netloom0")

    await world.container("web", start=True)
    await world.settle()
    await world.crash()
    monkeypatch.setattr(world.kernel, "announce", fails)
    await world.start()
    await world.settle()
    (complaint,) = world.complaints
    assert complaint["message"] == "what was adopted could not be announced"
    await world.container("db", start=False)
    world.complaints.clear()
