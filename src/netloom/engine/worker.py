"""The worker: one thread that owns the store's connection and the kernel's sockets.

Requests that are queued while it works share its next two commits: one durable commit for everybody's intents,
then each one's kernel work, then one ordinary commit for the statuses. A status need not survive a power loss,
since that takes the kernel's state along.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from netloom.engine.ports import Kernel, Namespace, Rows
from netloom.engine.tables import Row
from netloom.model.desired import Step

T = TypeVar("T")
_BATCH = 16  # requests that share a commit; more would make the first of them wait


class _Job:
    __slots__ = ("call", "done", "error", "future", "intents", "result", "sandboxes", "statuses", "steps")

    def __init__(
        self,
        future: asyncio.Future[Any] | None,
        *,
        intents: Sequence[Row] = (),
        steps: Sequence[Step] = (),
        sandboxes: Mapping[str, Namespace] | None = None,
        statuses: Sequence[Row] = (),
        call: Callable[[Kernel, Rows], Any] | None = None,
    ) -> None:
        self.future = future
        self.intents = intents
        self.steps = steps
        self.sandboxes = sandboxes or {}
        self.statuses = statuses
        self.call = call
        self.result: Any = None
        self.error: BaseException | None = None


class Worker:
    """Start it once, from the loop that will await its answers; `stop` lets the queue drain."""

    def __init__(self, kernel: Kernel, rows: Rows, at: Callable[[str], None] | None = None) -> None:
        """`at` hears of every step by name, which is then a call of its own: for tests that stop there."""
        self._kernel = kernel
        self._rows = rows
        self._at = at
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._noted: list[list[Step]] = []
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    async def stop(self) -> None:
        """Finish what is queued, then end."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def run(
        self,
        *,
        intents: Sequence[Row] = (),
        steps: Sequence[Step] = (),
        sandboxes: Mapping[str, Namespace] | None = None,
        statuses: Sequence[Row] = (),
    ) -> None:
        """Commit the intents durably, apply the steps, commit the statuses.

        Raises what the first failing part raised; later parts are then left out. Cancelling the caller does not
        cancel the work.
        """
        for noted in self._noted:
            noted.extend(steps)
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Job(future, intents=intents, steps=steps, sandboxes=sandboxes, statuses=statuses))
        await asyncio.shield(future)

    @contextmanager
    def noting(self) -> Iterator[list[Step]]:
        """The steps that anybody asks for from now on, done or still to come."""
        noted: list[Step] = []
        self._noted.append(noted)
        try:
            yield noted
        finally:
            self._noted = [one for one in self._noted if one is not noted]

    async def call(self, function: Callable[[Kernel, Rows], T]) -> T:
        """Run a function in the worker's thread, in its turn."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(future, call=function))
        return await asyncio.shield(future)

    def post(self, function: Callable[[Kernel, Rows], Any]) -> None:
        """The same, with nobody waiting; a failure goes to the loop's exception handler."""
        self._queue.put(_Job(None, call=function))

    def _run(self) -> None:
        while True:
            jobs, last = self._take()
            self._intents(jobs)
            for job in jobs:
                if job.error is None:
                    self._work(job)
            self._statuses(jobs)
            self._answer(jobs)
            if last:
                return

    def _take(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        while True:
            job = self._queue.get()
            if job is None:
                return jobs, True
            jobs.append(job)
            if self._queue.empty() or len(jobs) >= _BATCH:
                return jobs, False

    def _commit(self, jobs: list[_Job], field: str, *, durable: bool) -> None:
        """One transaction for all; where it fails, one for each, so that only the guilty one hears of it."""
        wanted = [job for job in jobs if job.error is None and getattr(job, field)]
        if not wanted:
            return
        try:
            self._rows.commit([row for job in wanted for row in getattr(job, field)], durable=durable)
        except Exception as together:  # whatever it was, it becomes somebody's reply
            if len(wanted) == 1:
                wanted[0].error = together
                return
            for job in wanted:
                try:
                    self._rows.commit(getattr(job, field), durable=durable)
                except Exception as alone:
                    job.error = alone

    def _intents(self, jobs: list[_Job]) -> None:
        self._commit(jobs, "intents", durable=True)
        self._pass("intents")

    def _statuses(self, jobs: list[_Job]) -> None:
        self._commit(jobs, "statuses", durable=False)
        self._pass("statuses")

    def _pass(self, point: str) -> None:
        if self._at is not None:
            self._at(point)

    def _work(self, job: _Job) -> None:
        try:
            if job.call is not None:
                job.result = job.call(self._kernel, self._rows)
            elif job.steps:
                self._apply(job)
        except Exception as error:  # an exception that escaped would hang everybody behind
            job.error = error

    def _apply(self, job: _Job) -> None:
        if self._at is None:
            self._kernel.apply(job.steps, job.sandboxes)
            return
        for step in job.steps:
            self._kernel.apply([step], job.sandboxes)
            self._at(f"step {step.verb}")

    def _answer(self, jobs: list[_Job]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle, jobs)
        except RuntimeError:
            return  # the loop has ended; nobody waits

    def _settle(self, jobs: list[_Job]) -> None:
        for job in jobs:
            if job.future is None:
                if job.error is not None:
                    self._loop.call_exception_handler({"message": "background work failed", "exception": job.error})
            elif job.future.done():
                continue
            elif job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
