"""Processes by pid, told apart from later ones that got the same number."""

from __future__ import annotations

import os
import select
import signal
import time

from msgspec import Struct


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (proc(5), field 22); 0 when there is none, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


class Process(Struct, frozen=True):
    """One process for ever: its number and its start."""

    pid: int = 0
    started: int = 0

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number now."""
        return cls(pid, start_time(pid))

    @property
    def alive(self) -> bool:
        """Does this very process run? A zombie does not."""
        return self.started != 0 and start_time(self.pid) == self.started

    def open(self) -> int:
        """A pidfd of this very process, or -1 when it has gone."""
        if not self.started:
            return -1
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return -1
        if self.alive:  # asked after the fd was had: now the number cannot pass to another
            return fd
        os.close(fd)
        return -1


def kill_and_wait(process: Process, seconds: float, *, grace: float = 0) -> None:
    """Let a process end by itself within `grace` seconds, then SIGKILL it and wait until it has ended.

    Raises TimeoutError when it has not ended after `seconds` more.
    """
    fd = process.open()
    if fd < 0:
        return
    try:
        if grace and _ended(fd, grace):
            return
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except ProcessLookupError:
            return
        if not _ended(fd, seconds):
            raise TimeoutError(f"process {process.pid} did not end within {seconds} s of SIGKILL")
    finally:
        os.close(fd)


def _ended(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def with_argument(argument: str, programs: frozenset[str]) -> list[Process]:
    """Processes of the given programs (base names of argv[0]) that have exactly this argument."""
    found = []
    wanted = argument.encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                argv = file.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if wanted in argv and os.path.basename(argv[0]).decode(errors="replace") in programs:
            process = Process.of(int(name))
            if process.started:
                found.append(process)
    return found


def wait_until(deadline: float) -> bool:
    """One short pause of a poll, in a thread; False once the deadline (monotonic seconds) has passed."""
    time.sleep(0.002)
    return time.monotonic() < deadline
