"""The short processes that unpack, scan and pack: started, fed and listened to from the event loop.

They end with their caller's task: one that is cancelled kills its process and waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from netloom.images.pack import Plan
from netloom.images.scan import Members
from netloom.images.unpack import Unpacked
from netloom.model.errors import Exhausted, Failed

Body = AsyncIterator[bytes]
Read = Callable[[int], None]

_LINE = 1 << 26  # bytes; `Members` is one line
_PIECE = 1 << 18


async def unpack_pipe(folder: str, pipe: int, read: Read) -> Unpacked:
    """Unpack what comes out of a pipe (an fd, which is the caller's) into the folders that were made for it."""
    async with _started("unpack", folder, stdin=pipe) as process:
        return msgspec.convert(await _result(process, read), Unpacked)


async def unpack_parts(file: str, parts: Sequence[tuple[str, int, int]]) -> list[Unpacked]:
    """Unpack parts of a file: folder, offset and size of each."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        words = [str(word) for part in parts for word in part]
        async with _started("unpack", *words, stdin=fd) as process:
            return msgspec.convert(await _results(process), list[Unpacked])
    finally:
        os.close(fd)


async def unpack_body(folder: str, body: Body) -> Unpacked:
    """Unpack what a client sends."""
    async with _started("unpack", folder, stdin=PIPE) as process:
        return msgspec.convert(await _fed(process, body), Unpacked)


async def scan(file: str, body: Body) -> Members:
    """Take in an archive; see scan.py."""
    async with _started("scan", file, stdin=PIPE) as process:
        return msgspec.convert(await _fed(process, body), Members)


async def pack(plan: Plan) -> AsyncGenerator[bytes, None]:
    """An archive in pieces. Raises Failed at its end when a layer is no longer what it was."""
    async with _started("pack", stdin=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(msgspec.json.encode(plan))
        process.stdin.close()
        while data := await process.stdout.read(_PIECE):
            yield data
        if await process.wait():
            raise Failed((await process.stderr.read()).decode(errors="replace").strip() or "the archive is not whole")


@contextlib.asynccontextmanager
async def _started(module: str, *arguments: str, stdin: int, stderr: int = DEVNULL) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "utf8", "-m", f"netloom.images.{module}", *arguments),
        stdin=stdin,
        stdout=PIPE,
        stderr=stderr,
        limit=_LINE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


async def _fed(process: Process, body: Body) -> Any:
    """Give it the body while listening to it: what it refuses need not be sent to the end."""
    listening = asyncio.ensure_future(_result(process))
    feeding = asyncio.ensure_future(_feed(process, body))
    try:
        await asyncio.wait([listening, feeding], return_when=asyncio.FIRST_COMPLETED)
        if feeding.done() and feeding.exception() is not None:
            await feeding
        return await listening
    finally:
        for task in (listening, feeding):
            task.cancel()
        await asyncio.gather(listening, feeding, return_exceptions=True)


async def _feed(process: Process, body: Body) -> None:
    """What the client's connection raises goes on to the caller; that the process has ended it tells itself."""
    assert process.stdin is not None
    async for piece in body:
        process.stdin.write(piece)
        try:
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return
    process.stdin.close()


async def _result(process: Process, read: Read | None = None) -> Any:
    """What it has told at last."""
    return (await _results(process, read))[-1]


async def _results(process: Process, read: Read | None = None) -> list[Any]:
    """All that it has told but how far it was. Raises what it failed of."""
    assert process.stdout is not None
    told: list[Any] = []
    async for line in process.stdout:
        one = msgspec.json.decode(line)
        if "read" not in one:
            told.append(one)
        elif read is not None:
            read(one["read"])
    failed = await process.wait()
    if told and "error" in told[-1]:
        sentence = str(told[-1]["error"])
        raise (Exhausted if "no space left" in sentence or "disk quota" in sentence else Failed)(sentence)
    if failed or not told:
        raise Failed("the process that unpacks has ended unexpectedly")
    return told
