"""`engine.ports.Runtime` by crun under conmon: used from the event loop, all that blocks runs in the wrapper."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal as signals
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from netloom.containers import capabilities
from netloom.containers.cgroup_files import writes
from netloom.containers.resources import counted, require_controllers
from netloom.model.archive import ArchiveReader, ArchiveRoot, ArchiveWriter, Change, PathStat
from netloom.model.container import ExecConfig
from netloom.model.errors import Conflict, NotFound
from netloom.model.launch import Exit, Launch, Launched, Survivor
from netloom.model.streams import Attachment, LogRecord
from netloom.model.usage import Usage
from netloom.runtime import attach
from netloom.runtime.archive_roots import ArchiveRoots
from netloom.runtime.archives import Archives
from netloom.runtime.cgroups import Cgroups
from netloom.runtime.changes import changes
from netloom.runtime.conmon import Conmon
from netloom.runtime.crun import FIFO_VERSIONS, Crun
from netloom.runtime.exec import Execs, Running
from netloom.runtime.exits import ExitWatch
from netloom.runtime.freezer import Freezer
from netloom.runtime.launching import Launcher, Processes
from netloom.runtime.logs import read_log
from netloom.runtime.paths import Paths
from netloom.runtime.processes import Process
from netloom.runtime.ps import ps
from netloom.runtime.root import identity_in
from netloom.runtime.sizes import size_of
from netloom.runtime.survivors import Survivors
from netloom.runtime.usage import sample
from netloom.runtime.wrapper import Wrapper

T = TypeVar("T")

_SIGKILLED = 137


class _Exec(Struct):
    """An exec and the future of its exit code."""

    container: str
    running: Running
    monitor: int  # pidfd of its conmon, -1 once that has ended
    code: asyncio.Future[int]


class CrunRuntime:
    """The containers of one state and one run directory. Make and use it inside a running event loop.

    `open_files` are the soft and the hard limit of containers that ask for none; None: the daemon's own.
    """

    def __init__(self, state_dir: str, run_dir: str, instance: str, open_files: tuple[int, int] | None = None) -> None:
        self.paths = Paths(os.path.abspath(state_dir), os.path.abspath(run_dir), instance)
        self.paths.make()
        self._wrapper = Wrapper()
        self.cgroup_version = self._wrapper.layout.version
        self.controllers = self._wrapper.layout.controllers
        self._cgroups = Cgroups(self._wrapper.layout)
        self._freezer = Freezer(self._wrapper.layout)
        self._crun = Crun(self.paths.crun_root)
        conmon = Conmon(self._crun)
        bounding = _bounding_set()
        self._launcher = Launcher(
            self.paths, self._wrapper, self._crun, conmon, self._cgroups, self._freezer, bounding, open_files
        )
        self._execs = Execs(self.paths, conmon, bounding)
        roots = ArchiveRoots(self.paths, self._wrapper, self._launcher.volumes)
        roots.sweep()
        self._archives = Archives(self._wrapper, roots)
        self._survivors = Survivors(self.paths, self._launcher, self._cgroups, self._freezer)
        self._watch = ExitWatch(self.paths.exits)
        self._processes: dict[str, Processes] = {}
        self._running: dict[str, _Exec] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self, launch: Launch) -> Launched:
        """See engine.ports.Runtime."""
        processes = await _whole(self._wrapper.run(self._launcher.create, launch))
        self._processes[launch.id] = processes
        return Launched(processes.init.pid, processes.conmon.pid)

    async def start(self, container: str) -> None:
        """See engine.ports.Runtime."""
        if self._crun.version in FIFO_VERSIONS:
            self._crun.start(container)
        else:
            await self._wrapper.run(self._crun.start, container)

    def watch(self, container: str, launched: Launched, ended: Callable[[str, Exit], None]) -> None:
        """See engine.ports.Runtime."""
        known = self._processes.get(container) or Processes(
            Process.of(launched.pid), Process.of(launched.conmon_pid), tty=False
        )

        def finish(code: int, moment: int) -> None:
            if code != _SIGKILLED:
                ended(container, Exit(code, moment))
                return
            task = asyncio.get_running_loop().create_task(tell_killed(code, moment))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        async def tell_killed(code: int, moment: int) -> None:
            kills = await self._wrapper.run(self._cgroups.oom_kills, self.paths.cgroup(container))
            ended(container, Exit(code, moment, oom_killed=kills > 0))

        self._watch.add(container, known.init, known.conmon, finish)

    async def kill(self, container: str, signal: int) -> None:
        """See engine.ports.Runtime."""
        known = self._processes.get(container)
        if known is not None:
            _send(known.init, signal)

    async def delete(self, container: str) -> None:
        """See engine.ports.Runtime."""
        self._watch.discard(container)
        self._processes.pop(container, None)
        self._archives.end(container)
        await _whole(self._wrapper.run(self._launcher.sweep, container))

    async def purge(self, container: str) -> None:
        """See engine.ports.Runtime."""
        await _whole(self._wrapper.run(_remove_folder, self.paths.container(container)))

    async def scratch_size(self, container: str) -> int:
        """See engine.ports.Runtime."""
        return await asyncio.to_thread(size_of, self.paths.upper(container))

    async def survivors(self) -> list[Survivor]:
        """See engine.ports.Runtime."""
        found = await _whole(self._wrapper.run(self._survivors.find))
        self._processes.update((survivor.id, processes) for survivor, processes in found)
        for survivor, processes in found:
            self._launcher.volumes.mounted(survivor.id, processes.volumes, processes.conmon)
        return [survivor for survivor, _ in found]

    async def attach(self, container: str) -> Attachment:
        """See engine.ports.Runtime. Raises Conflict when nobody holds its stdio."""
        known = self._processes.get(container)
        try:
            connection = attach.connect(self.paths.bundle(container))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if known is not None and known.init.alive:
                raise Conflict(
                    f"container {container} cannot be attached to: its monitor, which held its stdio, was killed",
                    remedy="restart it, or look inside with exec",
                ) from error
            raise Conflict(f"container {container} is not running") from error
        await attach.accepted(connection)
        return self._attachment(connection, tty=bool(known and known.tty))

    def _attachment(self, connection: socket.socket, *, tty: bool) -> Attachment:
        return attach.ConmonAttachment(connection, tty=tty, folder=self.paths.state)

    async def resize(self, container: str, height: int, width: int) -> None:
        """See engine.ports.Runtime."""
        attach.resize(self.paths.bundle(container), height, width)

    async def check_user(self, container: str, user: str) -> None:
        """See engine.ports.Runtime."""
        known = self._processes.get(container)
        if known is None or not known.init.alive:
            raise Conflict(f"container {container} is not running")
        await self._wrapper.run(identity_in, f"/proc/{known.init.pid}/root", user)

    async def exec(
        self, container: str, exec_id: str, config: ExecConfig, env: Sequence[str]
    ) -> tuple[int, Attachment]:
        """See engine.ports.Runtime."""
        known = self._processes.get(container)
        if known is None:
            raise Conflict(f"container {container} is not running")
        running = await _whole(self._wrapper.run(self._execs.start, container, exec_id, config, env, known.init))
        loop = asyncio.get_running_loop()
        one = _Exec(container, running, running.conmon.open(), loop.create_future())
        self._running[exec_id] = one
        if one.monitor < 0:
            self._exec_ended(one)
        else:
            loop.add_reader(one.monitor, self._exec_ended, one)
        return running.program.pid, self._attachment(running.connection, tty=config.tty)

    def _exec_ended(self, one: _Exec) -> None:
        self._forget_monitor(one)
        if not one.code.done():
            one.code.set_result(self._execs.finish(one.container, one.running))

    @staticmethod
    def _forget_monitor(one: _Exec) -> None:
        if one.monitor >= 0:
            asyncio.get_running_loop().remove_reader(one.monitor)
            os.close(one.monitor)
            one.monitor = -1

    async def exec_wait(self, exec_id: str) -> int:
        """See engine.ports.Runtime. The code is told once, to all that wait."""
        one = self._running.get(exec_id)
        if one is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        code = await asyncio.shield(one.code)
        self._running.pop(exec_id, None)
        return code

    async def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        """See engine.ports.Runtime."""
        one = self._running.get(exec_id)
        if one is not None:
            attach.resize(one.running.folder, height, width)

    async def exec_kill(self, exec_id: str) -> None:
        """See engine.ports.Runtime."""
        one = self._running.get(exec_id)
        if one is not None:
            _send(one.running.program, signals.SIGKILL)

    async def freeze(self, container: str) -> None:
        """See engine.ports.Runtime."""
        await _whole(self._wrapper.run(self._freezer.freeze, self.paths.cgroup(container)))

    async def thaw(self, container: str) -> None:
        """See engine.ports.Runtime."""
        await _whole(self._wrapper.run(self._freezer.thaw, self.paths.cgroup(container)))

    async def update(self, container: str, resources: Mapping[str, Any]) -> None:
        """See engine.ports.Runtime."""
        layout = self._wrapper.layout
        require_controllers(resources, layout.controllers, version=layout.version)
        changes = writes(counted(resources, layout.controllers), layout.version)
        await _whole(self._wrapper.run(self._cgroups.write, self.paths.cgroup(container), changes))

    async def usage(self, container: str, pid: int) -> Usage:
        """See engine.ports.Runtime."""
        return await self._wrapper.run(sample, self.paths.cgroup(container), pid, version=self._wrapper.layout.version)

    def logs(
        self, container: str, *, follow: bool, tail: int | None, since: int, until: int
    ) -> AsyncIterator[LogRecord]:
        """See engine.ports.Runtime."""
        known = self._processes.get(container)
        writer = known.conmon if known else Process()
        return read_log(self.log_path(container), writer, follow=follow, tail=tail, since=since, until=until)

    async def stat_path(self, root: ArchiveRoot, path: str) -> PathStat:
        """See engine.ports.Runtime."""
        copying = await self._archives.open(root, self._init(root.id), "stat", {"path": path}, "")
        await copying.close()
        return copying.stat

    async def read_archive(self, root: ArchiveRoot, path: str) -> ArchiveReader:
        """See engine.ports.Runtime."""
        wanted = {"path": path, "bare": root.bare}
        return await self._archives.open(root, self._init(root.id), "get", wanted, "")

    async def write_archive(self, root: ArchiveRoot, path: str, *, keep_kinds: bool, user: str) -> ArchiveWriter:
        """See engine.ports.Runtime."""
        wanted = {"path": path, "keep_kinds": keep_kinds}
        return await self._archives.open(root, self._init(root.id), "put", wanted, user)

    async def changes(self, container: str, lower: Sequence[str]) -> list[Change]:
        """See engine.ports.Runtime."""
        return await asyncio.to_thread(changes, self.paths.upper(container), lower)

    def _init(self, container: str) -> Process | None:
        known = self._processes.get(container)
        return known.init if known else None

    def log_path(self, container: str) -> str:
        """See engine.ports.Runtime."""
        return self.paths.log(container)

    async def processes(self, container: str, pid: int) -> list[int]:
        """See engine.ports.Runtime."""
        return await self._wrapper.run(self._cgroups.processes, self.paths.cgroup(container)) or [pid]

    async def ps(self, arguments: Sequence[str]) -> str:
        """See engine.ports.Runtime."""
        return await asyncio.to_thread(ps, arguments)

    def close(self) -> None:
        """Watch nothing any more and end the threads; containers go on."""
        self._watch.close()
        for one in self._running.values():
            self._forget_monitor(one)
        self._wrapper.submit(self._cgroups.remove_if_empty, self.paths.cgroup_parent)
        self._wrapper.close()


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work in a thread to its end, though the caller be cancelled: what it made must be known to be undone."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _send(process: Process, signal: int) -> None:
    fd = process.open()
    if fd < 0:
        return
    try:
        signals.pidfd_send_signal(fd, signal)
    except ProcessLookupError:
        return
    finally:
        os.close(fd)


def _remove_folder(path: str) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return


def _bounding_set() -> frozenset[str]:
    """The capabilities that we have to give (CapBnd of proc(5))."""
    with open("/proc/self/status", encoding="ascii") as file:
        masks = dict(line.split(":", 1) for line in file)
    return capabilities.from_mask(int(masks["CapBnd"], 16))
