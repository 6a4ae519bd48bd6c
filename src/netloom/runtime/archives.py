"""Tar streams out of a container's root and into it, by a process of their own (`archive_process`)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
from collections import defaultdict
from typing import Any

import msgspec

from netloom.model.archive import ArchiveRoot, PathStat
from netloom.model.errors import Exhausted, Failed, InvalidArgument, NetloomError, NotFound
from netloom.runtime.archive_process import COMMAND
from netloom.runtime.archive_roots import CONTROL, ArchiveRoots
from netloom.runtime.processes import Process
from netloom.runtime.wrapper import Wrapper, reap

_PIECE = 1 << 18  # bytes that the event loop handles at once
_LINE = 1 << 16
_PIPE = 1 << 20  # bytes that may be under way to the program
_F_SETPIPE_SZ = 1031  # linux/fcntl.h


class Copying:
    """One running copy: implements model.archive.ArchiveReader and ArchiveWriter. `path` is told in errors."""

    def __init__(self, owner: Archives, root: ArchiveRoot, pid: int, control: int, stream: int) -> None:
        self.root = root
        self.stat = PathStat(name="", size=0, mode=0, mtime_ns=0)
        self._owner = owner
        self._pid = pid
        self._control = control
        self._stream = stream
        self._told = b""
        self._closed = False

    async def told(self) -> dict[str, Any]:
        """The program's next line. Raises what it tells of."""
        while b"\n" not in self._told:
            data = await _read(self._control, _LINE)
            if not data:
                raise Failed("the copy ended before its time")
            self._told += data
        line, _, self._told = self._told.partition(b"\n")
        answer: dict[str, Any] = msgspec.json.decode(line)
        if "error" in answer:
            raise _failure(answer)
        if "stat" in answer:
            found = answer["stat"]
            self.stat = PathStat(
                name=found["name"],
                size=found["size"],
                mode=found["mode"],
                mtime_ns=found["mtime_ns"],
                link_target=found["linkTarget"],
            )
        return answer

    async def read(self) -> bytes:
        """See ArchiveReader."""
        data = await _read(self._stream, _PIECE)
        if not data and self._pid:
            pid, self._pid = self._pid, 0  # whoever ends us here must not end another's process
            if await self._owner.ended(pid):
                raise Failed("the copy ended before its time")
        return data

    async def write(self, data: bytes) -> None:
        """See ArchiveWriter. What the program does not want any more is dropped: it tells why at the end."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._stream, left) :]
            except BlockingIOError:
                await _ready(self._stream, writing=True)
            except BrokenPipeError:
                return

    async def finish(self) -> None:
        """See ArchiveWriter."""
        os.close(self._stream)
        self._stream = -1
        await self.told()

    def kill(self) -> None:
        """The container's root goes."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)  # a child of ours that nobody has waited for: the number is its own

    async def close(self) -> None:
        """See ArchiveReader. Twice is once."""
        if self._closed:
            return
        self._closed = True
        for fd in (self._control, self._stream):
            if fd >= 0:
                os.close(fd)
        await self._owner.finished(self)

    @property
    def pid(self) -> int:
        """0 when it has ended and is forgotten."""
        return self._pid


class Archives:
    """Every copy that is under way. Used from the event loop."""

    def __init__(self, wrapper: Wrapper, roots: ArchiveRoots) -> None:
        self._wrapper = wrapper
        self._roots = roots
        self._running: defaultdict[str, set[Copying]] = defaultdict(set)
        self._codes: dict[int, int] = {}

    async def open(
        self, root: ArchiveRoot, init: Process | None, mode: str, wanted: dict[str, Any], user: str
    ) -> Copying:
        """Start a copy. Its first line has been told: the path is there. When cancelled, nothing goes on."""
        opening = asyncio.ensure_future(self._open(root, init, mode, wanted, user))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if opening.exception() is None:
                await opening.result().close()
            raise

    async def _open(
        self, root: ArchiveRoot, init: Process | None, mode: str, wanted: dict[str, Any], user: str
    ) -> Copying:
        if user:
            identity = await self._wrapper.run(self._roots.identity, root, init, user)
            wanted = {**wanted, "owner": (identity.uid, identity.gid)}
        argv = [*COMMAND, mode, msgspec.json.encode(wanted).decode()]
        control, theirs = os.pipe2(os.O_CLOEXEC)
        if mode == "put":
            other, stream = os.pipe2(os.O_CLOEXEC)
            fds = {CONTROL: theirs, 0: other}
        else:
            stream, other = os.pipe2(os.O_CLOEXEC)
            fds = {CONTROL: theirs, 1: other}
        _widen(stream)
        try:
            pid = await self._wrapper.run(self._roots.run, root, init, argv, fds)
        except BaseException:
            os.close(control)
            os.close(stream)
            await self._sweep(root)
            raise
        finally:
            os.close(theirs)
            os.close(other)
        os.set_blocking(control, False)
        os.set_blocking(stream, False)
        copying = Copying(self, root, pid, control, stream)
        self._running[root.id].add(copying)
        try:
            await copying.told()
        except BaseException:
            await copying.close()
            raise
        return copying

    async def ended(self, pid: int) -> int:
        """The exit code of one that has written everything."""
        return await self._wrapper.run(reap, pid)

    async def finished(self, copying: Copying) -> None:
        """It is wanted no more: end it, and forget it."""
        self._running[copying.root.id].discard(copying)
        if not self._running[copying.root.id]:
            del self._running[copying.root.id]
        try:
            if copying.pid:
                copying.kill()
                await self._wrapper.run(reap, copying.pid)
        finally:
            await self._sweep(copying.root)

    def end(self, container: str) -> None:
        """A container's processes go, and its root with them: nobody may hold it."""
        for copying in self._running.get(container, ()):
            if copying.root.running:
                copying.kill()

    async def _sweep(self, root: ArchiveRoot) -> None:
        if not root.running:
            await self._wrapper.run(self._roots.sweep, root.id)


def _widen(pipe: int) -> None:
    """Fewer turns for the same bytes."""
    with contextlib.suppress(OSError):  # beyond what all pipes of this user may take together
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE)


def _failure(answer: dict[str, Any]) -> NetloomError:
    """`engine.archiving` puts the first two into Docker's words: it knows how the path was written."""
    detail = answer["detail"]
    match answer["error"]:
        case "missing":
            return NotFound("missing")
        case "read-only":
            return InvalidArgument("read-only")
        case "no folder":
            return InvalidArgument("extraction point is not a directory")
        case "malformed":
            return InvalidArgument(f"Error processing tar file: {detail}")
    return Exhausted(detail) if answer.get("errno") in (errno.ENOSPC, errno.EDQUOT) else Failed(detail)


async def _read(fd: int, size: int) -> bytes:
    while True:
        try:
            return os.read(fd, size)
        except BlockingIOError:
            await _ready(fd, writing=False)


async def _ready(fd: int, *, writing: bool) -> None:
    """Wait until a descriptor can be read from, or written to."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(fd, ready.set)
    try:
        await ready.wait()
    finally:
        remove(fd)
