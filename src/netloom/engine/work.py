"""Operations that end though their client has gone: what was begun is finished, or undone, in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Work:
    """The operations under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._patient: set[asyncio.Task[Any]] = set()

    async def whole(self, operation: Coroutine[Any, Any, T]) -> T:
        """Its result. Cancelling the caller does not cancel the operation."""
        return await self._run(operation, self._tasks)

    async def patient(self, operation: Coroutine[Any, Any, T]) -> T:
        """The same for one that waits for others (a program that shall stop): `drain` does not wait for it."""
        return await self._run(operation, self._patient)

    async def drain(self) -> None:
        """Let what is under way end; called when no new operations come."""
        for task in self._patient:
            task.cancel()
        while tasks := self._tasks | self._patient:
            await asyncio.wait(tasks)

    @staticmethod
    async def _run(operation: Coroutine[Any, Any, T], among: set[asyncio.Task[Any]]) -> T:
        task = asyncio.get_running_loop().create_task(operation)
        among.add(task)
        task.add_done_callback(among.discard)
        return await asyncio.shield(task)
