"""One scenario, run once for each call that it makes of any seam, with that call failing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

from netloom.testing.agreement import differences
from netloom.testing.engine_world import World

Part = Callable[[World], Awaitable[object]]
Blind = Callable[[dict[str, Any]], dict[str, Any]]  # takes out what a failure may change
_MOST = 400  # calls; a scenario of more is no longer small
_PATIENCE = 10  # seconds until an operation counts as hung


async def fail_each(
    prepare: Part, act: Part, *, blind: Blind = lambda state: state, whole: bool = True, **settings: Any
) -> list[str]:
    """With each single call failing once: `act` raises and all is as before, or it succeeds and all is as it should.

    After either, everything agrees, and goes on agreeing when the daemon starts anew. The calls that were made to
    fail, in order. Where not the `whole` of it is done or undone, what a failure leaves is only asked to agree.
    """
    wanted = await _unhurt(prepare, act, blind, settings)
    tried: list[str] = []
    for nth in count(1):
        assert nth < _MOST
        world, before = await _prepared(prepare, blind, settings)
        world.wire.arm(nth)
        failed = await _acted(world, act)
        if not world.wire.tripped:
            await world.stop()
            return tried
        where = f"call {nth}: {world.wire.tripped[0]}, which made it {failed!r}"
        tried += world.wire.tripped
        try:
            world.check()
            if whole or not failed:
                _same(blind(world.state()), before if failed else wanted)
            await world.restart()
            await world.settle()
            world.check()
            await world.stop()
        except Exception as error:
            raise AssertionError(f"{where}:\n{error!r}") from error
    return tried


async def leave_each(prepare: Part, act: Part, **settings: Any) -> list[str]:
    """With the client leaving at each call: the operation goes on, to the end that it would have had."""
    wanted = await _unhurt(prepare, act, lambda state: state, settings)
    tried: list[str] = []
    for nth in count(1):
        assert nth < _MOST
        world, _ = await _prepared(prepare, lambda state: state, settings)
        loop = asyncio.get_running_loop()
        acting = asyncio.ensure_future(act(world))
        world.wire.arm(nth, "nothing", told=partial(_cancel_from_thread, loop, acting))
        await asyncio.wait([acting], timeout=_PATIENCE)
        if not world.wire.tripped:
            await acting
            await world.stop()
            return tried
        tried += world.wire.tripped
        try:
            await world.settle()
            world.check()
            _same(world.state(), wanted)
            await world.stop()
        except Exception as error:
            raise AssertionError(f"left at call {nth}, {tried[-1]}:\n{error!r}") from error
    return tried


async def break_each(prepare: Part, act: Part, **settings: Any) -> list[str]:
    """With each seam broken from each call on until `act` has ended: then one comparison makes everything agree."""
    tried: list[str] = []
    for nth in count(1):
        assert nth < _MOST
        world, _ = await _prepared(prepare, lambda state: state, settings)
        world.wire.arm(nth, "seam")
        failed = await _acted(world, act)
        if not world.wire.tripped:
            await world.stop()
            return tried
        where = f"from call {nth} on: {world.wire.tripped}, which made it {failed!r}"
        tried += world.wire.tripped[:1]
        try:
            await world.restart()
            await world.settle()
            world.check()
            await world.stop()
        except Exception as error:
            raise AssertionError(f"{where}:\n{error!r}") from error
    return tried


async def die_at_each(prepare: Part, act: Part, **settings: Any) -> list[str]:
    """With the daemon dying at each call: the next one makes everything agree."""
    tried: list[str] = []
    for nth in count(1):
        assert nth < _MOST
        world, _ = await _prepared(prepare, lambda state: state, settings)
        dead = asyncio.Event()
        loop = asyncio.get_running_loop()
        world.wire.arm(nth, "all", told=partial(_from_thread, loop, dead))
        acting = asyncio.ensure_future(_quietly(act(world)))
        dying = asyncio.ensure_future(dead.wait())
        await asyncio.wait([acting, dying], timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if not world.wire.tripped:
            await world.stop()
            return tried
        tried += world.wire.tripped[:1]
        try:
            await world.crash()
            world.wire.heal()
            await world.start()
            await world.settle()
            world.check()
            await world.stop()
        except Exception as error:
            raise AssertionError(f"dead at call {nth}, {tried[-1]}:\n{error!r}") from error
    return tried


async def _unhurt(prepare: Part, act: Part, blind: Blind, settings: dict[str, Any]) -> dict[str, Any]:
    """The state when nothing fails."""
    world, _ = await _prepared(prepare, blind, settings)
    await act(world)
    await world.settle()
    world.check()
    assert not world.complaints, world.complaints
    wanted = blind(world.state())
    await world.stop()
    return wanted


async def _prepared(prepare: Part, blind: Blind, settings: dict[str, Any]) -> tuple[World, dict[str, Any]]:
    world = World(**settings)
    await world.start()
    await prepare(world)
    await world.settle()
    world.check()
    return world, blind(world.state())


async def _acted(world: World, act: Part) -> BaseException | None:
    """What it raised; the world is whole again and at rest."""
    failed: BaseException | None = None
    try:
        await asyncio.wait_for(asyncio.ensure_future(act(world)), _PATIENCE)
    except TimeoutError:
        raise AssertionError(f"hangs after {world.wire.passed[-3:]}, tripped {world.wire.tripped}") from None
    except Exception as error:
        failed = error
    await world.settle()
    world.wire.heal()
    return failed


async def _quietly(work: Awaitable[object]) -> None:
    try:
        await work
    except Exception as error:
        del error  # a dying daemon tells nobody


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    if found != wanted:
        raise AssertionError("the state differs:\n" + "\n".join(differences(found, wanted)))


def _from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


def _cancel_from_thread(loop: asyncio.AbstractEventLoop, task: asyncio.Future[object]) -> None:
    loop.call_soon_threadsafe(task.cancel)
