import asyncio

from netloom.engine.lanes import Lanes


async def test_one_after_another_for_one_key_and_side_by_side_for_others() -> None:
    lanes = Lanes()
    told: list[str] = []
    gate = asyncio.Event()

    async def first() -> None:
        async with lanes.hold("a"):
            told.append("first in")
            await gate.wait()
            told.append("first out")

    async def second() -> None:
        async with lanes.hold("a"):
            told.append("second")

    jobs = [asyncio.ensure_future(first()), asyncio.ensure_future(second())]
    await asyncio.sleep(0)
    async with lanes.hold("b"):
        told.append("other")
    gate.set()
    await asyncio.gather(*jobs)
    assert told == ["first in", "other", "first out", "second"]
    assert not lanes._locks
