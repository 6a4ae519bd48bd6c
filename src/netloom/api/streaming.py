"""A reply of unknown length: chunks until the work or the client ends, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TypeVar

from netloom.api import web
from netloom.api.call import Call
from netloom.api.respond import HEADERS

T = TypeVar("T")


@asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Tell an iterator that can be told when nobody wants more of it."""
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


class Stream:
    """Sends its headers on entry. Inside, the client's going away cancels the handler; that is its normal end.

    Writing waits for a slow reader, so nothing piles up here.
    """

    def __init__(self, call: Call, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        self._call = call
        self.response = web.StreamResponse(headers={**HEADERS, "Content-Type": content_type, **(headers or {})})
        if call.request.version >= (1, 1):
            self.response.enable_chunked_encoding()

    async def __aenter__(self) -> Stream:
        connection = self._call.connection
        if connection.transport is None:
            raise ConnectionResetError("the client has gone")
        connection.stream_task = asyncio.current_task()
        await self.response.prepare(self._call.request)
        return self

    async def write(self, data: bytes) -> None:
        """One chunk."""
        await self.response.write(data)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        connection = self._call.connection
        connection.stream_task = None
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            connection.close()
            return True
        return False
