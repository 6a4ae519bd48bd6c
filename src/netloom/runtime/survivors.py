"""What a new daemon finds of the containers that an earlier one started. Blocking: in a thread of the wrapper."""

from __future__ import annotations

import os
import time

from netloom.model.launch import Exit, Survivor
from netloom.runtime.cgroups import Cgroups
from netloom.runtime.exits import UNKNOWN, read_exit_file
from netloom.runtime.freezer import Freezer
from netloom.runtime.launching import Launcher, Processes
from netloom.runtime.paths import Paths
from netloom.runtime.processes import wait_until

EXIT_FILE_SECONDS = 2.0  # conmon writes it within a millisecond of the end


class Survivors:
    """Looks through the run directory and the cgroups."""

    def __init__(self, paths: Paths, launcher: Launcher, cgroups: Cgroups, freezer: Freezer) -> None:
        self._paths = paths
        self._launcher = launcher
        self._cgroups = cgroups
        self._freezer = freezer

    def find(self) -> list[tuple[Survivor, Processes]]:
        """Containers that were created to the end, living or ended; all that is half-made is cleaned away.

        One whose program never got its start is half-made too: it is told of, with neither pid nor exit.
        """
        found = []
        for container in sorted(os.listdir(self._paths.bundles)):
            record = self._launcher.record(container)
            if record is None:
                self._launcher.sweep(container)
            elif record.init.alive and os.path.exists(f"{self._paths.crun_root}/{container}/exec.fifo"):
                self._launcher.sweep(container)
                found.append((Survivor(container, 0, 0, None), record))
            else:
                found.append((self._survivor(container, record), record))
        self._sweep_strays({survivor.id for survivor, _ in found})
        return found

    def _survivor(self, container: str, record: Processes) -> Survivor:
        conmon_pid = record.conmon.pid if record.conmon.alive else 0
        if record.init.alive:
            frozen = self._freezer.frozen(self._paths.cgroup(container))
            return Survivor(container, record.init.pid, conmon_pid, None, frozen)
        return Survivor(container, 0, conmon_pid, self._exit(container, record))

    def _exit(self, container: str, record: Processes) -> Exit:
        path = self._paths.exit_file(container)
        deadline = time.monotonic() + EXIT_FILE_SECONDS
        known = read_exit_file(path)
        while known is None and record.conmon.alive and wait_until(deadline):
            known = read_exit_file(path)
        code, moment = known or read_exit_file(path) or (UNKNOWN, time.time_ns())
        killed_for_memory = self._cgroups.oom_kills(self._paths.cgroup(container)) > 0
        return Exit(code, moment, killed_for_memory)

    def _sweep_strays(self, known: set[str]) -> None:
        """What belongs to no container that is known: traces of a crun or conmon that was killed in the middle."""
        paths = self._paths
        strays = set(os.listdir(paths.crun_root)) | self._cgroups.children(paths.cgroup_parent)
        for container in strays - known:
            self._launcher.sweep(container)
        for name in set(os.listdir(paths.exits)) - known:
            try:
                os.unlink(f"{paths.exits}/{name}")
            except FileNotFoundError:
                continue
