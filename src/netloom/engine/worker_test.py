import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from netloom.engine.ports import Kernel, Namespace, Rows
from netloom.engine.tables import Row
from netloom.engine.worker import Worker
from netloom.model.desired import Address, Step
from netloom.model.errors import KernelError

STEP = Step("add", Address(link="br0", index=1, address="10.0.0.1/24"))


class Journal:
    """A kernel and a store that write down what happens, and fail on demand."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.refuse_key = ""
        self.refuse_step = False

    def commit(self, changes: Sequence[Row], *, durable: bool) -> None:
        if any(key == self.refuse_key for _, key, _ in changes):
            raise OSError(28, "No space left on device")
        self.told.append(("durable" if durable else "status", [key for _, key, _ in changes]))

    def apply(self, steps: Sequence[Step], sandboxes: Mapping[str, Namespace]) -> None:
        if self.refuse_step:
            raise KernelError(16, "add address")
        self.told.append(("apply", len(steps)))


async def started(journal: Journal) -> Worker:
    worker = Worker(cast(Kernel, journal), cast(Rows, journal))
    worker.start()
    return worker


async def test_intent_then_kernel_then_status() -> None:
    journal = Journal()
    worker = await started(journal)
    await worker.run(intents=[("t", "a", b"1")], steps=[STEP], statuses=[("t", "a", b"2")])
    await worker.stop()
    assert journal.told == [("durable", ["a"]), ("apply", 1), ("status", ["a"])]


async def test_what_is_queued_together_shares_the_commits() -> None:
    journal = Journal()
    worker = Worker(cast(Kernel, journal), cast(Rows, journal))
    jobs = [
        asyncio.ensure_future(worker.run(intents=[("t", str(n), b"")], statuses=[("t", str(n), b"")])) for n in range(5)
    ]
    await asyncio.sleep(0)
    worker.start()
    await asyncio.gather(*jobs)
    await worker.stop()
    keys = [str(n) for n in range(5)]
    assert journal.told == [("durable", keys), ("status", keys)]


async def test_a_failing_step_fails_its_own_request_only() -> None:
    journal = Journal()
    worker = await started(journal)
    journal.refuse_step = True
    with pytest.raises(KernelError, match="add address: device or resource busy"):
        await worker.run(intents=[("t", "a", b"")], steps=[STEP], statuses=[("t", "a", b"2")])
    journal.refuse_step = False
    await worker.run(steps=[STEP])
    await worker.stop()
    assert journal.told == [("durable", ["a"]), ("apply", 1)]


async def test_a_commit_that_fails_blames_only_the_guilty() -> None:
    journal = Journal()
    journal.refuse_key = "bad"
    worker = Worker(cast(Kernel, journal), cast(Rows, journal))
    good = asyncio.ensure_future(worker.run(intents=[("t", "good", b"")], steps=[STEP]))
    bad = asyncio.ensure_future(worker.run(intents=[("t", "bad", b"")], steps=[STEP]))
    await asyncio.sleep(0)
    worker.start()
    await good
    with pytest.raises(OSError, match="No space left"):
        await bad
    await worker.stop()
    assert journal.told == [("durable", ["good"]), ("apply", 1)]


async def test_a_call_runs_in_turn_and_its_failure_is_the_callers() -> None:
    worker = await started(Journal())

    def broken(kernel: Kernel, rows: Rows) -> None:
        raise ValueError("no")

    assert await worker.call(lambda kernel, rows: 42) == 42
    with pytest.raises(ValueError, match="no"):
        await worker.call(broken)
    await worker.stop()


async def test_steps_are_noted_when_they_are_asked_for() -> None:
    worker = await started(Journal())
    await worker.run(steps=[STEP])
    with worker.noting() as noted, worker.noting() as too:
        work = asyncio.ensure_future(worker.run(steps=[STEP]))
        await asyncio.sleep(0)
        assert noted == too == [STEP]
        await work
    await worker.run(steps=[STEP])
    await worker.stop()
    assert noted == [STEP]
