"""A runtime in memory: implements `engine.ports.Runtime` and `NamespaceMaker`; a test ends its processes."""

from __future__ import annotations

import asyncio
import os
import signal as signals
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from netloom.model.archive import ArchiveReader, ArchiveRoot, ArchiveWriter, Change, PathStat
from netloom.model.container import ExecConfig
from netloom.model.errors import Conflict, Failed, NotFound
from netloom.model.launch import Exit, Launch, Launched, Survivor
from netloom.model.streams import STDOUT, Attachment, LogRecord
from netloom.model.usage import Usage
from netloom.testing.fake_files import FakeFiles

_FIRST_PID = 1000
_Ended = Callable[[str, Exit], None]


class _Process(Struct):
    """One container's init. `exit` is set when it has ended."""

    pid: int
    conmon_pid: int
    began: bool = False  # its program runs
    exit: Exit | None = None
    ended: _Ended | None = None
    pending: int = 0  # a signal that came while it was frozen


class FakeNamespace:
    """Held by an fd, or by one of the fake processes."""

    def __init__(self, runtime: FakeRuntime, *, fd: int = -1, pid: int = 0) -> None:
        self._runtime = runtime
        self._fd = fd
        self._pid = pid
        runtime.open_namespaces.add(self)

    def open(self) -> int:
        """A new fd that the caller closes. Raises ProcessLookupError when its process has gone, or after `close`."""
        gone = self._pid not in self._runtime.pids() if self._pid else self._fd < 0
        if gone or self not in self._runtime.open_namespaces:
            raise ProcessLookupError("the network namespace has gone")
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it. Twice is once."""
        self._runtime.open_namespaces.discard(self)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FakeAttachment:
    """The stdio of nobody: the end of output follows at once, or at `close`."""

    def __init__(self, *, tty: bool, output: bytes = b"") -> None:
        self.tty = tty
        self._output = output
        self.closed = False
        self.written = b""

    async def read(self) -> tuple[int, bytes] | None:
        output, self._output = self._output, b""
        return (STDOUT, output) if output else None

    async def read_many(self) -> list[tuple[int, bytes]]:
        piece = await self.read()
        return [piece] if piece else []

    async def write(self, data: bytes) -> None:
        self.written += data

    async def close_stdin(self) -> None:
        return None

    async def close(self) -> None:
        self.closed = True


class FakeRuntime:
    """Containers' processes as numbers.

    `inits` are those that exist for the runtime, `on_disk` the containers that have a scratch layer. A container
    in `stubborn` ends by SIGKILL only, one in `immortal` not even by that. `gone` is told of every container whose
    init ends, before anybody else. `files` go with `purge`: they lie in the same folder.
    """

    def __init__(self, files: FakeFiles | None = None, gone: Callable[[str], None] | None = None) -> None:
        self.inits: dict[str, _Process] = {}
        self.on_disk: set[str] = set()
        self.cgroup_version = 2
        self.controllers = frozenset({"cpu", "memory", "pids", "swap"})
        self.stubborn: set[str] = set()
        self.immortal: set[str] = set()
        self.signals: list[tuple[str, int]] = []
        self.open_namespaces: set[FakeNamespace] = set()
        self.attachments: list[FakeAttachment] = []
        self.execs: dict[str, asyncio.Future[int]] = {}
        self.commands: list[tuple[str, ...]] = []  # of every exec
        self.exec_ends: tuple[int, bytes] | None = None  # how execs end, at once: code and output; None: `end_exec`
        self.frozen: set[str] = set()
        self.updates: list[tuple[str, dict[str, Any]]] = []
        self.refuse_update = ""
        self.samples = 0
        self._files = files
        self._gone = gone
        self._pid = _FIRST_PID

    def pids(self) -> set[int]:
        """Of the inits that live."""
        return {p.pid for p in self.inits.values() if p.exit is None}

    def end(self, container: str, code: int = 0) -> None:
        """The init ends with this exit code, whoever caused it; one that has ended already is success."""
        process = self.inits.get(container)
        if process is None or process.exit is not None:
            return
        process.exit = Exit(code=code, time_nano=0)
        if self._gone is not None:
            self._gone(container)
        self._tell(container, process)

    def forget_watches(self) -> None:
        """The daemon that watched has died."""
        for process in self.inits.values():
            process.ended = None

    def from_fd(self, fd: int) -> FakeNamespace:
        return FakeNamespace(self, fd=fd)

    def from_process(self, pid: int) -> FakeNamespace:
        if pid not in self.pids():
            raise ProcessLookupError(f"process {pid} has ended")
        return FakeNamespace(self, pid=pid)

    def host(self) -> FakeNamespace:
        return FakeNamespace(self, fd=os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    async def create(self, launch: Launch) -> Launched:
        self._pid += 2
        self.inits[launch.id] = _Process(pid=self._pid, conmon_pid=self._pid + 1)
        self.on_disk.add(launch.id)
        return Launched(pid=self._pid, conmon_pid=self._pid + 1)

    async def start(self, container: str) -> None:
        self.inits[container].began = True

    def watch(self, container: str, launched: Launched, ended: _Ended) -> None:
        process = self.inits[container]
        process.ended = ended
        if process.exit is not None:
            self._tell(container, process)

    async def kill(self, container: str, signal: int) -> None:
        process = self.inits.get(container)
        if process is None or process.exit is not None:
            return
        if container in self.frozen:
            process.pending = signal
            return
        self.signals.append((container, signal))
        deadly = signal == signals.SIGKILL or container not in self.stubborn
        if deadly and container not in self.immortal and signal not in (signals.SIGWINCH, signals.SIGUSR1):
            self.end(container, 128 + signal)

    async def delete(self, container: str) -> None:
        process = self.inits.get(container)
        if process is not None:
            process.ended = None
            self.frozen.discard(container)
            self.end(container, 128 + signals.SIGKILL)
            del self.inits[container]

    async def purge(self, container: str) -> None:
        self.on_disk.discard(container)
        if self._files is not None:
            self._files.texts.pop(container, None)

    async def scratch_size(self, container: str) -> int:
        return 7 if container in self.on_disk else 0

    async def survivors(self) -> list[Survivor]:
        return [
            Survivor(
                id=key,
                pid=0 if p.exit else p.pid,
                conmon_pid=p.conmon_pid,
                exit=p.exit,
                frozen=key in self.frozen,
            )
            for key, p in self.inits.items()
        ]

    async def attach(self, container: str) -> Attachment:
        if container not in self.inits:
            raise Conflict(f"container {container} is not running")
        return self._attachment(tty=False)

    async def resize(self, container: str, height: int, width: int) -> None:
        return None

    async def check_user(self, container: str, user: str) -> None:
        if container not in self.inits:
            raise Conflict(f"container {container} is not running")

    async def exec(
        self, container: str, exec_id: str, config: ExecConfig, env: Sequence[str]
    ) -> tuple[int, Attachment]:
        if container not in self.inits:
            raise Conflict(f"container {container} is not running")
        self.execs[exec_id] = asyncio.get_running_loop().create_future()
        self.commands.append(config.cmd)
        self._pid += 2
        if self.exec_ends is None:
            return self._pid, self._attachment(tty=config.tty)
        code, output = self.exec_ends
        self.end_exec(exec_id, code)
        return self._pid, self._attachment(tty=config.tty, output=output)

    def end_exec(self, exec_id: str, code: int = 0) -> None:
        """The program of an exec ends."""
        self.execs[exec_id].set_result(code)

    async def exec_wait(self, exec_id: str) -> int:
        if exec_id not in self.execs:
            raise NotFound(f"No such exec instance: {exec_id}")
        code = await self.execs[exec_id]
        self.execs.pop(exec_id, None)
        return code

    async def exec_kill(self, exec_id: str) -> None:
        if exec_id in self.execs and not self.execs[exec_id].done():
            self.end_exec(exec_id, 137)

    async def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        return None

    async def freeze(self, container: str) -> None:
        self.frozen.add(container)

    async def thaw(self, container: str) -> None:
        """A signal that came meanwhile does its work now."""
        self.frozen.discard(container)
        process = self.inits.get(container)
        if process is not None and process.pending:
            number, process.pending = process.pending, 0
            await self.kill(container, number)

    async def update(self, container: str, resources: Mapping[str, Any]) -> None:
        if self.refuse_update:
            raise Failed(self.refuse_update)
        self.updates.append((container, dict(resources)))

    async def usage(self, container: str, pid: int) -> Usage:
        self.samples += 1
        await asyncio.sleep(0)
        return Usage(read=self.samples, pids=1)

    async def logs(
        self, container: str, *, follow: bool, tail: int | None, since: int, until: int
    ) -> AsyncIterator[LogRecord]:
        nothing: tuple[LogRecord, ...] = ()
        for record in nothing:
            yield record

    async def stat_path(self, root: ArchiveRoot, path: str) -> PathStat:
        raise NotFound("missing")

    async def read_archive(self, root: ArchiveRoot, path: str) -> ArchiveReader:
        raise NotFound("missing")

    async def write_archive(self, root: ArchiveRoot, path: str, *, keep_kinds: bool, user: str) -> ArchiveWriter:
        raise NotFound("missing")

    async def changes(self, container: str, lower: Sequence[str]) -> list[Change]:
        return []

    def log_path(self, container: str) -> str:
        return f"/nowhere/{container}/log"

    async def processes(self, container: str, pid: int) -> list[int]:
        return [pid]

    async def ps(self, arguments: Sequence[str]) -> str:
        return "PID CMD\n"

    def _attachment(self, *, tty: bool, output: bytes = b"") -> FakeAttachment:
        made = FakeAttachment(tty=tty, output=output)
        self.attachments.append(made)
        return made

    @staticmethod
    def _tell(container: str, process: _Process) -> None:
        if process.ended is not None and process.exit is not None:
            ended, process.ended = process.ended, None
            asyncio.get_running_loop().call_soon(ended, container, process.exit)
