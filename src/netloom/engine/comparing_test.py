"""A full comparison while operations go on: what these do is nobody's harm, whenever they begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from netloom.model.desired import Desired
from netloom.model.errors import KernelError
from netloom.testing.engine_world import World, publish, static

MODE = "com.docker.network.bridge.gateway_mode_ipv"
Operation = Callable[[World], Awaitable[object]]

OPERATIONS: dict[str, Operation] = {
    "a port is withdrawn": lambda w: w.engine.change_ports("web", {}, {"80/tcp": ()}),
    "a port is published": lambda w: w.engine.change_ports("web", publish("9090", port="90/tcp"), {}),
    "the gateway routes": lambda w: w.engine.connect("blue", "web", static(gw_priority=1)),
    "a network is left": lambda w: w.engine.disconnect("red", "web", force=False),
    "a container goes": lambda w: w.engine.remove("web", force=True, volumes=False, link=False),
    "a container comes": lambda w: w.container("db", "red", ports=publish("9090"), start=True),
    "a network comes": lambda w: w.network("green", "10.3.0.0/24"),
    "a network goes": lambda w: w.engine.delete_network("blue"),
}


async def stood(world: World) -> None:
    """`red` translates, `blue` routes; a container with a published port is on the first."""
    await world.network("red", "10.1.0.0/24")
    await world.network("blue", "10.2.0.0/24", options={f"{MODE}4": "routed", f"{MODE}6": "routed"})
    await world.container("web", "red", ports=publish("8080"), start=True)
    await world.settle()


def meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]) -> None:
    """Let something happen when the host has been looked at, and nothing has been concluded yet."""
    look = world.engine.reconciler._on_others

    async def late() -> list[Desired]:
        monkeypatch.undo()
        found = await look()
        await happens()
        return found

    monkeypatch.setattr(world.engine.reconciler, "_on_others", late)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_is_over_by_then(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    await stood(world)
    meanwhile(world, monkeypatch, lambda: OPERATIONS[name](world))
    assert await world.engine.reconciler.kernel() == []
    await world.settle()
    world.check()


@pytest.mark.parametrize("name", ["a port is withdrawn", "the gateway routes", "a network is left"])
async def test_what_is_under_way_by_then(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    await stood(world)
    under_way: list[asyncio.Future[object]] = []

    async def begin() -> None:
        under_way.append(asyncio.ensure_future(OPERATIONS[name](world)))
        async with asyncio.timeout(10):
            while not world.core.moving:
                await asyncio.sleep(0)

    meanwhile(world, monkeypatch, begin)
    assert await world.engine.reconciler.kernel() == []
    await under_way[0]
    await world.settle()
    world.check()


async def test_what_is_on_its_way_back_by_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await stood(world)
    under_way: list[asyncio.Future[object]] = []
    asked = world.core.worker.run
    count = 0

    async def counted(**parts: object) -> None:
        nonlocal count
        count += bool(parts.get("steps"))
        await asked(**parts)  # type: ignore[arg-type]

    async def begin() -> None:
        monkeypatch.setattr(world.core.worker, "run", counted)
        world.kernel.fail("add element netloom open4")
        under_way.append(asyncio.ensure_future(OPERATIONS["the gateway routes"](world)))
        async with asyncio.timeout(10):
            while count < 2:
                await asyncio.sleep(0)

    meanwhile(world, monkeypatch, begin)
    assert await world.engine.reconciler.kernel() == []
    with pytest.raises(KernelError):
        await under_way[0]
    await world.settle()
    world.check()
