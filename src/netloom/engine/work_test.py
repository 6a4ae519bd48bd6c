import asyncio

import pytest

from netloom.engine.work import Work


async def test_an_operation_goes_on_when_its_client_has_gone() -> None:
    work, go, done = Work(), asyncio.Event(), []

    async def operation() -> None:
        await go.wait()
        done.append(True)

    client = asyncio.ensure_future(work.whole(operation()))
    await asyncio.sleep(0)
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    go.set()
    await work.drain()
    assert done == [True]


async def test_a_failure_is_the_clients() -> None:
    async def operation() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Work().whole(operation())


async def test_nobody_waits_for_what_may_wait_for_ever() -> None:
    work = Work()
    client = asyncio.ensure_future(work.patient(asyncio.Event().wait()))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await work.drain()
    with pytest.raises(asyncio.CancelledError):
        await client
