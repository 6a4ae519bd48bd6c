"""The log that conmon writes in its `k8s-file` format: `TIME STREAM TAG TEXT`, where tag P is a part of a line."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator

from netloom.model.streams import LogRecord
from netloom.runtime import syscalls
from netloom.runtime.processes import Process

_BLOCK = 1 << 16
_NANO = 1_000_000_000


def parse_line(line: bytes, clock: Timestamps) -> LogRecord | None:
    """One line of the file without its newline; None for one that conmon did not finish writing."""
    fields = line.split(b" ", 3)
    if len(fields) != 4 or fields[1] not in (b"stdout", b"stderr"):
        return None
    moment = clock.parse(fields[0])
    return LogRecord(moment, "stdout" if fields[1] == b"stdout" else "stderr", fields[3], partial=fields[2] == b"P")


class Timestamps:
    """RFC 3339 with nanoseconds, as ns since the epoch. Keeps the last second: most lines share it."""

    def __init__(self) -> None:
        self._text = b""
        self._seconds = 0

    def parse(self, text: bytes) -> int:
        """`2026-11-24T19:00:00.123456789+01:00`."""
        whole, _, rest = text.partition(b".")
        digits = rest.rstrip(b"Z").partition(b"+")[0].partition(b"-")[0]
        zone = rest[len(digits) :]
        if whole + zone != self._text:
            self._text = whole + zone
            stamp = datetime.datetime.fromisoformat((whole + (zone or b"Z")).decode())
            self._seconds = int(stamp.timestamp())
        return self._seconds * _NANO + int(digits.ljust(9, b"0")[:9])


def tail_offset(fd: int, lines: int) -> int:
    """Where the last `lines` lines begin; a line in parts counts once. Reads from the end, as much as is needed."""
    end = os.fstat(fd).st_size
    if lines <= 0:
        return end
    position = end
    rest = b""
    found = 0
    complete_at = deque[int](maxlen=1)
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start) + rest
        cut = block.find(b"\n") + 1 if start else 0  # before it lies the end of a line that begins further ahead
        at = start + len(block)
        for line in reversed(block[cut:].splitlines(keepends=True)):
            at -= len(line)
            if _is_end(line):
                if found == lines:
                    return complete_at[0]
                found += 1
            elif not found:
                found = 1  # the last line has no end yet
            complete_at.append(at)
        rest = block[:cut]
        position = start
    return 0


def _is_end(line: bytes) -> bool:
    fields = line.split(b" ", 3)
    return len(fields) < 3 or fields[2] != b"P"


class LogReader:
    """Reads whole lines of one file as they come."""

    def __init__(self, fd: int, offset: int) -> None:
        self._fd = fd
        self._offset = offset
        self._rest = b""
        self._clock = Timestamps()

    def records(self) -> Iterator[LogRecord]:
        """What is there now and has not been read."""
        while block := os.pread(self._fd, _BLOCK, self._offset):
            self._offset += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                record = parse_line(line, self._clock)
                if record is not None:
                    yield record


class FileChanges:
    """Tells when a file was written to, or a process ended."""

    def __init__(self, path: str, process: Process) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.ended = False
        self._pidfd = process.open()
        self._inotify = syscalls.inotify_init()
        self.watch(path)
        self._loop.add_reader(self._inotify, self._wrote)
        if self._pidfd < 0:
            self.ended = True
        else:
            self._loop.add_reader(self._pidfd, self._end)

    def watch(self, path: str) -> None:
        """Look at the file that is there now; the one before goes on being looked at, in vain."""
        syscalls.inotify_add_watch(self._inotify, path, syscalls.IN_MODIFY | syscalls.IN_ATTRIB)

    def _wrote(self) -> None:
        try:
            os.read(self._inotify, 4096)
        except BlockingIOError:
            return
        self._changed.set()

    def _end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self.ended = True
        self._changed.set()

    async def wait(self) -> None:
        """Return at the next change after the last return."""
        if not self.ended:
            await self._changed.wait()
        self._changed.clear()

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._inotify)
        os.close(self._inotify)
        if self._pidfd >= 0:
            if not self.ended:
                self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)


async def read_log(
    path: str, writer: Process, *, follow: bool, tail: int | None, since: int, until: int
) -> AsyncIterator[LogRecord]:
    """Records in order; with `follow`, until `writer` (conmon) has ended or a record is later than `until`.

    `since` and `until` are ns since the epoch, 0 for none; `tail` counts lines before they are applied, as Docker's.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    changes = None
    try:
        reader = LogReader(fd, 0 if tail is None or tail < 0 else tail_offset(fd, tail))
        changes = FileChanges(path, writer) if follow else None
        while True:
            last_round = changes is None or changes.ended
            full = changes is not None and _replaced(path, fd)  # asked first: what is replaced has all its lines
            for record in reader.records():
                if until and record.time_nano > until:
                    return
                if record.time_nano >= since:
                    yield record
            if changes is None:
                return
            if full:
                fd = _reopened(path, fd)
                reader = LogReader(fd, 0)
                changes.watch(path)
                continue
            if last_round:
                return
            await changes.wait()
    finally:
        if changes is not None:
            changes.close()
        os.close(fd)


def _replaced(path: str, fd: int) -> bool:
    try:
        return os.stat(path).st_ino != os.fstat(fd).st_ino
    except FileNotFoundError:  # removed with its container
        return False


def _reopened(path: str, fd: int) -> int:
    """The descriptor, standing for the file that has the name now."""
    new = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(new, fd, inheritable=False)
    os.close(new)
    return fd
