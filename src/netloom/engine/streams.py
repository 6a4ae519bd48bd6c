"""Attaching before the start: the client's stream waits for the container's."""

from __future__ import annotations

import asyncio

from netloom.model.streams import Attachment


class PendingAttachment:
    """An Attachment whose container has not started yet. `connect` or `give_up` decides its fate, once."""

    def __init__(self, *, tty: bool) -> None:
        self.tty = tty
        self._real: asyncio.Future[Attachment | None] = asyncio.get_running_loop().create_future()
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Has neither happened yet?"""
        return not self._real.done() and not self._closed

    def connect(self, real: Attachment) -> None:
        """The container's stdio is there."""
        if not self._real.done():
            self._real.set_result(real)

    def give_up(self) -> None:
        """It will never be: readers see the end."""
        if not self._real.done():
            self._real.set_result(None)

    async def read(self) -> tuple[int, bytes] | None:
        """See Attachment."""
        real = await asyncio.shield(self._real)
        return await real.read() if real else None

    async def read_many(self) -> list[tuple[int, bytes]]:
        """See Attachment."""
        real = await asyncio.shield(self._real)
        return await real.read_many() if real else []

    async def write(self, data: bytes) -> None:
        """See Attachment."""
        if real := await asyncio.shield(self._real):
            await real.write(data)

    async def close_stdin(self) -> None:
        """See Attachment."""
        if real := await asyncio.shield(self._real):
            await real.close_stdin()

    async def close(self) -> None:
        """See Attachment."""
        self._closed = True
        if self._real.done():
            if real := self._real.result():
                await real.close()
        else:
            self._real.set_result(None)


class Accounted:
    """An attachment whose end of output is told only when the exit code is known: clients ask for it right then."""

    def __init__(self, inner: Attachment, ended: asyncio.Task[None]) -> None:
        self._inner = inner
        self._ended = ended
        self.tty = inner.tty

    async def read(self) -> tuple[int, bytes] | None:
        """See Attachment."""
        piece = await self._inner.read()
        if piece is None:
            await asyncio.wait([self._ended])
        return piece

    async def read_many(self) -> list[tuple[int, bytes]]:
        """See Attachment."""
        pieces = await self._inner.read_many()
        if not pieces:
            await asyncio.wait([self._ended])
        return pieces

    async def write(self, data: bytes) -> None:
        """See Attachment."""
        await self._inner.write(data)

    async def close_stdin(self) -> None:
        """See Attachment."""
        await self._inner.close_stdin()

    async def close(self) -> None:
        """See Attachment."""
        await self._inner.close()


class Waiting:
    """Attachments that wait, by container."""

    def __init__(self) -> None:
        self._by_container: dict[str, list[PendingAttachment]] = {}

    def add(self, container: str, *, tty: bool) -> PendingAttachment:
        """One more client waits."""
        pending = PendingAttachment(tty=tty)
        self._by_container.setdefault(container, []).append(pending)
        return pending

    def take(self, container: str) -> list[PendingAttachment]:
        """Those that still wait, handed out once."""
        return [p for p in self._by_container.pop(container, []) if p.waiting]
