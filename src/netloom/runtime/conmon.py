"""conmon: its command lines and the pipes on which it reports. Its exit status says nothing and is not read."""

from __future__ import annotations

import fcntl
import json
import os
import select
import time
from collections.abc import Mapping, Sequence

from msgspec import Struct

from netloom.model.errors import Failed
from netloom.runtime import wrapper
from netloom.runtime.crun import Crun, find_program

CREATE_SECONDS = 60.0  # a create takes 20 ms; past this, crun hangs
SYNC_FD, ATTACH_FD, START_FD = 3, 4, 5


class Report(Struct, frozen=True):
    """What conmon said on a pipe: a pid (or a negative code) and, on failure, crun's words."""

    data: int
    message: str = ""


class Stdio(Struct, frozen=True):
    """How conmon holds a process's stdio. `once`: the first client that leaves closes stdin."""

    tty: bool
    stdin: bool
    once: bool = True


class Conmon:
    """conmon above one crun."""

    def __init__(self, crun: Crun) -> None:
        self.path = find_program("conmon")
        self._crun = crun

    def _command(self, container: str, unit: str, bundle: str, exits: str, log: str, stdio: Stdio) -> list[str]:
        argv = [self.path, "--api-version", "1", "-c", container, "-u", unit, "-n", container]
        argv += ["-r", self._crun.path, "-b", bundle, "-p", f"{bundle}/pid", "-P", f"{bundle}/conmon.pid"]
        # Without --full-attach conmon wants a folder of CRI-O's for the attach socket and dies without a word.
        argv += ["--exit-dir", exits, "--full-attach", "-l", log, "--log-level", "error", "--no-sync-log"]
        if stdio.tty:
            argv.append("-t")
        if stdio.stdin:
            argv.append("-i")
            if not stdio.once:
                argv.append("--leave-stdin-open")
        for argument in self._crun.global_arguments:
            argv += ["--runtime-arg", argument]
        return argv

    def create(self, container: str, bundle: str, exits: str, log: str, stdio: Stdio, *, limit: int = 0) -> list[str]:
        """The argv that creates a container. The log begins anew after `limit` bytes; an empty path keeps none."""
        argv = self._command(container, container, bundle, exits, f"k8s-file:{log}" if log else "none", stdio)
        return [*argv, "--log-size-max", str(limit)] if log and limit else argv

    def exec(self, container: str, exec_id: str, bundle: str, stdio: Stdio) -> list[str]:
        """The argv that starts a program in a container; process.json lies in the bundle, the exit file comes there."""
        argv = self._command(container, exec_id, bundle, bundle, "none", stdio)
        return [*argv, "--exec", "--exec-attach", "--exec-process-spec", f"{bundle}/process.json"]


class Pipes:
    """The pipes between us and one conmon. `sync` reports the pid, `attach` the socket; `start` holds it back."""

    def __init__(self, *, attach: bool = False) -> None:
        self._sync, self._sync_child = os.pipe2(os.O_CLOEXEC)
        self._attach = self._attach_child = self._start = self._start_child = -1
        if attach:
            self._attach, self._attach_child = os.pipe2(os.O_CLOEXEC)
            self._start_child, self._start = os.pipe2(os.O_CLOEXEC)

    def spawn(self, argv: Sequence[str]) -> int:
        """Start conmon from the calling thread of the wrapper; the pid of its first process, which soon ends."""
        fds = {SYNC_FD: self._sync_child}
        env = {"_OCI_SYNCPIPE": str(SYNC_FD)}
        if self._attach >= 0:
            fds |= {ATTACH_FD: self._attach_child, START_FD: self._start_child}
            env |= {"_OCI_ATTACHPIPE": str(ATTACH_FD), "_OCI_STARTPIPE": str(START_FD)}
        high = _clear_of_targets(fds)
        try:
            pid = wrapper.spawn(argv, fds=high, env=env)
        finally:
            for fd in high.values():
                os.close(fd)
        self._sync_child = _close(self._sync_child)
        self._attach_child = _close(self._attach_child)
        self._start_child = _close(self._start_child)
        return pid

    def go(self) -> None:
        """Let conmon take its next step."""
        os.write(self._start, b"\0")

    def attached(self) -> Report:
        """Wait for the attach socket."""
        return _read_report(self._attach, "attach socket")

    def created(self) -> Report:
        """Wait for the process."""
        return _read_report(self._sync, "process")

    def close(self) -> None:
        """Close what is open."""
        for fd in (self._sync, self._sync_child, self._attach, self._attach_child, self._start, self._start_child):
            _close(fd)


def _clear_of_targets(fds: Mapping[int, int]) -> dict[int, int]:
    """The same map with our numbers above the child's: one dup2 must not overwrite what the next one copies.

    Also, dup2 of a number onto itself would leave close-on-exec set.
    """
    return {theirs: fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, max(fds) + 1) for theirs, ours in fds.items()}


def _close(fd: int) -> int:
    if fd >= 0:
        os.close(fd)
    return -1


def _read_report(fd: int, what: str) -> Report:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + CREATE_SECONDS
    text = b""
    while b"\n" not in text:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Failed(f"conmon did not report its {what} within {CREATE_SECONDS:.0f} s")
        piece = os.read(fd, 65536)
        if not piece:
            break
        text += piece
    if not text.strip():
        return Report(-1, f"conmon ended before it had a {what}")
    # A program that ends at once has its exit code reported behind its pid, in the same read.
    fields = json.loads(text.partition(b"\n")[0])
    return Report(int(fields["data"]), str(fields.get("message", "")))
