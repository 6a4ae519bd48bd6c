"""Many operations at once on few names: each succeeds or is refused, none hangs, and afterwards everything agrees."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from netloom.model.container import ExecConfig
from netloom.model.endpoint import EndpointConfig, EndpointIpam
from netloom.model.errors import NetloomError
from netloom.testing.engine_world import World, publish

NETWORKS = ("red", "blue", "green")
CONTAINERS = ("web", "db", "cache", "job")
SUBNETS = {name: f"10.{n}.0" for n, name in enumerate(NETWORKS, 1)}
DEADLINE = 30  # seconds; what takes longer hangs
CLIENTS, EACH = 12, 25

Operation = Callable[[World, random.Random], Awaitable[object]]


async def create_network(world: World, dice: random.Random) -> None:
    name = dice.choice(NETWORKS)
    await world.network(name, f"{SUBNETS[name]}.0/24", ipv6=dice.random() < 0.3, internal=dice.random() < 0.2)


async def delete_network(world: World, dice: random.Random) -> None:
    await world.engine.delete_network(dice.choice(NETWORKS))


async def create(world: World, dice: random.Random) -> None:
    first, second = dice.sample((*NETWORKS, "bridge"), 2)
    asked = {name: endpoint(name, dice) for name in (first, second)}
    ports = publish(*dice.sample(["8080", "", "127.0.0.1:9090"], dice.randrange(3)))
    await world.container(
        dice.choice(CONTAINERS),
        first,
        networks=asked,
        ports=ports,
        auto_remove=dice.random() < 0.3,
        start=dice.random() < 0.6,
    )


def endpoint(network: str, dice: random.Random) -> EndpointConfig:
    static = f"{SUBNETS[network]}.{dice.randrange(5, 8)}" if network in SUBNETS and dice.random() < 0.4 else ""
    return EndpointConfig(ipam=EndpointIpam(ipv4=static) if static else None, gw_priority=dice.randrange(3))


async def connect(world: World, dice: random.Random) -> None:
    network = dice.choice(NETWORKS)
    await world.engine.connect(network, dice.choice(CONTAINERS), endpoint(network, dice))


async def disconnect(world: World, dice: random.Random) -> None:
    await world.engine.disconnect(dice.choice((*NETWORKS, "bridge")), dice.choice(CONTAINERS), force=False)


async def start(world: World, dice: random.Random) -> None:
    await world.engine.start(dice.choice(CONTAINERS))


async def restart(world: World, dice: random.Random) -> None:
    await world.engine.restart(dice.choice(CONTAINERS), timeout=1)


async def stop(world: World, dice: random.Random) -> None:
    await world.engine.stop(dice.choice(CONTAINERS), timeout=1)


async def kill(world: World, dice: random.Random) -> None:
    await world.engine.kill(dice.choice(CONTAINERS), "KILL")


async def end(world: World, dice: random.Random) -> None:
    world.end(dice.choice(CONTAINERS), dice.randrange(3))


async def remove(world: World, dice: random.Random) -> None:
    await world.engine.remove(dice.choice(CONTAINERS), force=dice.random() < 0.7, volumes=False, link=False)


async def rename(world: World, dice: random.Random) -> None:
    await world.engine.rename(*dice.sample(CONTAINERS, 2))


async def attach(world: World, dice: random.Random) -> None:
    await (await world.engine.attach(dice.choice(CONTAINERS))).close()


async def execute(world: World, dice: random.Random) -> None:
    made = await world.engine.create_exec(dice.choice(CONTAINERS), ExecConfig(cmd=("true",)))
    await world.engine.start_exec(made.id, tty=False, size=None)
    world.runtime.end_exec(made.id)


async def compare(world: World, dice: random.Random) -> None:
    """The data plane was started anew, or somebody changed the kernel."""
    world.core.doubted()


OPERATIONS: tuple[Operation, ...] = (
    *(create_network, delete_network, create, create, connect, connect, disconnect, disconnect, start, restart),
    *(stop, kill, end, remove, remove, rename, attach, execute, compare),
)


@pytest.mark.parametrize("seed", range(12))
async def test_everything_agrees_afterwards(seed: int) -> None:
    world = World(seed=seed)
    await world.start()
    clients = [asyncio.ensure_future(client(world, random.Random(f"{seed} {n}"))) for n in range(CLIENTS)]
    done, hanging = await asyncio.wait(clients, timeout=DEADLINE)
    assert not hanging, [c.get_stack() for c in hanging]
    assert sum(c.result() for c in done) > CLIENTS  # some of it works
    await world.settle()
    assert not world.complaints, world.complaints
    world.check()
    await world.restart()
    await world.settle()
    world.check()
    await world.stop()


@pytest.mark.parametrize("seed", range(12))
async def test_everything_agrees_though_parts_fail(seed: int) -> None:
    """The same while now and then a call of some seam fails; one comparison with all seams whole makes it agree."""
    world = World(seed=seed)
    await world.start()
    dice = random.Random(seed)
    clients = [asyncio.ensure_future(client(world, random.Random(f"{seed} {n}"))) for n in range(CLIENTS)]
    while not all(c.done() for c in clients):
        world.wire.arm(dice.randrange(1, 60))
        await asyncio.wait(clients, timeout=0.002)
    world.wire.heal()
    for client_ in clients:
        client_.result()
    await world.settle()
    world.core.doubted()
    await world.settle()
    world.check()
    await world.restart()
    await world.settle()
    world.check()
    await world.stop()


async def client(world: World, dice: random.Random) -> int:
    """How many operations succeeded; only what a user may be told may be raised."""
    succeeded = 0
    for _ in range(EACH):
        operation = dice.choice(OPERATIONS)
        try:
            async with asyncio.timeout(DEADLINE):
                await operation(world, dice)
            succeeded += 1
        except NetloomError:
            continue
    return succeeded
