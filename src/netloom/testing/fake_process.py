"""Programs in memory, named by the first word of their command.

`echo` and `err` print their arguments, `cat` repeats its input, `flood` prints until it is ended, `deaf` never reads
its input, `exit N` ends with a code, anything else sleeps until it is killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from netloom.model.streams import STDERR, STDOUT


class FakeProcess:
    """A program and its stdio. `reads` counts the pieces read of it, `opens` and `closes` the connections to it."""

    def __init__(self, command: Sequence[str], tty: bool, ended: Callable[[int], None]) -> None:
        self.tty = tty
        self.reads = 0
        self.opens = 0
        self.closes = 0
        self.received = bytearray()
        self._command = command
        self._ended = ended
        self._output: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self.stopped = False
        text = " ".join(command[1:]).encode() + b"\n"
        match command[0]:
            case "echo":
                self.finish((STDOUT, text))
            case "err":
                self.finish((STDERR, text))
            case "exit":
                self.finish(code=int(command[1]))

    def finish(self, *pieces: tuple[int, bytes], code: int = 0) -> None:
        """Print and end. Ending twice is once."""
        if self.stopped:
            return
        self.stopped = True
        for piece in (*pieces, None):
            self._output.put_nowait(piece)
        asyncio.get_running_loop().call_soon(self._ended, code)

    async def read(self) -> tuple[int, bytes] | None:
        """See Attachment."""
        self.reads += 1
        if self._command[0] == "flood" and not self.stopped:
            await asyncio.sleep(0)
            return STDOUT, b"x" * 65536
        return await self._output.get()

    async def read_many(self) -> list[tuple[int, bytes]]:
        """See Attachment."""
        piece = await self.read()
        return [piece] if piece else []

    async def write(self, data: bytes) -> None:
        """See Attachment."""
        self.received += data
        if self._command[0] == "deaf":
            await asyncio.Event().wait()
        if self._command[0] == "cat":
            self._output.put_nowait((STDOUT, data))

    async def close_stdin(self) -> None:
        """See Attachment."""
        if self._command[0] == "cat":
            self.finish()

    async def close(self) -> None:
        """See Attachment."""
        self.closes += 1


class Waiting(FakeProcess):
    """A program that somebody attached to before its start."""

    def __init__(self, make: Callable[[], FakeProcess], tty: bool) -> None:
        super().__init__(("wait",), tty, lambda code: None)
        self._make = make
        self._real: FakeProcess | None = None
        self._began = asyncio.Event()

    def start(self) -> None:
        """Now it runs."""
        self._real = self._make()
        self._began.set()

    async def _started(self) -> FakeProcess:
        await self._began.wait()
        assert self._real is not None
        return self._real

    def finish(self, *pieces: tuple[int, bytes], code: int = 0) -> None:
        if self._real is not None:
            self._real.finish(*pieces, code=code)

    async def read(self) -> tuple[int, bytes] | None:
        return await (await self._started()).read()

    async def read_many(self) -> list[tuple[int, bytes]]:
        """See Attachment."""
        return await (await self._started()).read_many()

    async def write(self, data: bytes) -> None:
        await (await self._started()).write(data)

    async def close_stdin(self) -> None:
        await (await self._started()).close_stdin()
