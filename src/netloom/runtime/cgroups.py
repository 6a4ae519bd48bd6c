"""The containers' cgroup folders, in every hierarchy of the wrapper. Call from a thread of the wrapper only.

crun that was killed in the middle leaves folders of which its `delete -f` knows nothing, so ours are swept here.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from netloom.containers.cgroup_files import Write
from netloom.model.errors import Failed
from netloom.runtime.processes import wait_until
from netloom.runtime.wrapper import CGROUPS, CgroupLayout

SWEEP_SECONDS = 5.0


class Cgroups:
    """The folders below each hierarchy of a layout."""

    def __init__(self, layout: CgroupLayout) -> None:
        self._version = layout.version
        names = [one.removeprefix("name=") for one in layout.hierarchies]
        self._roots = [f"{CGROUPS}/{name}" for name in names] or [CGROUPS]
        memory = [f"{CGROUPS}/{name}" for name in names if "memory" in name.split(",")]
        self._oom_root = memory[0] if memory else CGROUPS
        self._oom_file = "memory.oom_control" if memory else "memory.events"

    def folders(self, path: str) -> list[str]:
        """Those folders of a cgroup that exist."""
        return [root + path for root in self._roots if os.path.isdir(root + path)]

    def children(self, path: str) -> set[str]:
        """Names of the cgroups directly below, in any hierarchy."""
        names: set[str] = set()
        for folder in self.folders(path):
            names.update(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
        return names

    def processes(self, path: str) -> list[int]:
        """Pids in a cgroup and below it, ascending; empty when it is gone."""
        found: set[int] = set()
        for root in self._roots:
            for folder, _, _ in os.walk(root + path):
                found.update(_pids(folder))
        return sorted(found)

    def oom_kills(self, path: str) -> int:
        """How many of its processes were killed for memory; 0 when nobody counts."""
        try:
            with open(f"{self._oom_root}{path}/{self._oom_file}", encoding="ascii") as file:
                counters = dict(line.split() for line in file)
        except FileNotFoundError:
            return 0
        return int(counters.get("oom_kill", 0))

    def write(self, path: str, changes: Sequence[Write]) -> None:
        """Change limits, all or as many as the kernel takes. Raises Failed naming the one that it does not.

        Where one bounds another the order depends on which way they go, so what is refused is tried again at the end.
        """
        refused = [one for one in changes if self._write(path, one) is not None]
        for one in reversed(refused):
            error = self._write(path, one)
            if error is not None:
                raise Failed(f"failed to write {one.text} to {one.name}: {(error.strerror or str(error)).lower()}")

    def _write(self, path: str, change: Write) -> OSError | None:
        try:
            with open(f"{self._root(change.controller)}{path}/{change.name}", "w", encoding="ascii") as file:
                file.write(change.text)
        except OSError as error:
            return error
        return None

    def _root(self, controller: str) -> str:
        return f"{CGROUPS}/{controller}" if self._version == 1 else CGROUPS

    def sweep(self, path: str) -> None:
        """Kill what lives in a cgroup and remove it from every hierarchy. Already gone is success.

        Raises TimeoutError when something in it does not die.
        """
        deadline = time.monotonic() + SWEEP_SECONDS
        for root in self._roots:
            while not _removed(root + path):
                if not wait_until(deadline):
                    raise TimeoutError(f"cgroup {path} still has processes {self.processes(path)}")

    def remove_if_empty(self, path: str) -> None:
        """Remove a parent folder in each hierarchy where it has no children left."""
        for folder in self.folders(path):
            try:
                os.rmdir(folder)
            except OSError:  # busy: a container of ours still lives in it
                continue


def _pids(folder: str) -> list[int]:
    try:
        with open(f"{folder}/cgroup.procs", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # ENODEV: removed while it was read
        return []


def _removed(top: str) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        for pid in _pids(folder):
            _kill(pid, folder)
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:  # EBUSY until the last process has been reaped
            return False
    return True


def _kill(pid: int, folder: str) -> None:
    """Kill a process if it is still in the folder: the number of one that has ended may be another's by now."""
    try:
        process = os.pidfd_open(pid)
    except OSError:  # it has ended; EINVAL: 0 stands for one of another PID namespace
        return
    try:
        if pid in _pids(folder):
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(process)
