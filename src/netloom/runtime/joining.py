"""Namespaces that a container shares with another one, and the shared memory that goes with its IPC namespace."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from netloom.model.errors import Conflict
from netloom.runtime import syscalls
from netloom.runtime.processes import Process

SHARED_MEMORY = "/dev/shm"


class Joined:
    """Held open until the container that joins them is created: a number of a process may be given to another."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self.namespaces: list[dict[str, str]] = []
        self._memory = -1

    def join(self, processes: Mapping[str, Process], home: Callable[[], None]) -> None:
        """Open what is shared, by the namespace's kind. `home` brings the thread back from where it had to look.

        Raises Conflict for a container that has ended.
        """
        for kind, process in processes.items():
            path = f"/proc/{process.pid}/ns/{kind}"
            try:
                fd = self._keep(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                if kind == "ipc":
                    self._memory = self._keep(_shared_memory(process.pid, home))
            except OSError as error:
                raise Conflict(f"failed to join {kind.upper()} namespace: {error.strerror}") from error
            if not process.alive:  # now that they are open they cannot become a stranger's
                raise Conflict(f"failed to join {kind.upper()} namespace: its container has just ended")
            self.namespaces.append({"type": kind, "path": f"/proc/{os.readlink('/proc/self')}/fd/{fd}"})

    def _keep(self, fd: int) -> int:
        self._open.callback(os.close, fd)
        return fd

    def mounts(self, folder: str) -> list[dict[str, Any]]:
        """The mounts that come with it, put up in the calling thread's namespace below a folder."""
        if self._memory < 0:
            return []
        path = f"{folder}/shm"
        os.makedirs(path, mode=0o700, exist_ok=True)
        syscalls.move_mount(self._memory, path)
        bind = {"destination": SHARED_MEMORY, "type": "bind", "source": path, "options": ["rbind", "rprivate"]}
        return [bind]

    def close(self) -> None:
        """Let go."""
        self._open.close()


def _shared_memory(pid: int, home: Callable[[], None]) -> int:
    """A copy of the mount in another container, attached nowhere yet."""
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(fd, syscalls.CLONE_NEWNS)
        try:
            return syscalls.open_tree(SHARED_MEMORY, follow=False)
        finally:
            home()
    finally:
        os.close(fd)
