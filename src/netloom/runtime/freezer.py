"""Pausing: the freezer of cgroup v1 and v2. Call from a thread of the wrapper only."""

from __future__ import annotations

import time

from netloom.model.errors import Failed, Unsupported
from netloom.runtime.processes import wait_until
from netloom.runtime.wrapper import CGROUPS, CgroupLayout

FREEZE_SECONDS = 10.0


class Freezer:
    """Freezes and thaws cgroups, told by their path below each hierarchy."""

    def __init__(self, layout: CgroupLayout) -> None:
        self._version = layout.version
        self._present = layout.version == 2 or "freezer" in layout.controllers
        self._root = f"{CGROUPS}/freezer" if layout.version == 1 else CGROUPS

    def frozen(self, path: str) -> bool:
        """Is it, or is it about to be? What does not exist is not."""
        try:
            with open(self._file(path), encoding="ascii") as file:
                return file.read().strip() not in ("0", "THAWED")
        except OSError:
            return False

    def freeze(self, path: str) -> None:
        """Stop every process in it; returns when all have stopped. Raises Failed when one does not, thawed again."""
        if not self._present:
            raise Unsupported("pausing needs the cgroup controller freezer, which this host does not have")
        deadline = time.monotonic() + FREEZE_SECONDS
        self._write(path, "FROZEN" if self._version == 1 else "1")
        while not self._settled(path):
            if not wait_until(deadline):
                self.thaw(path)
                raise Failed("its processes do not stop")

    def thaw(self, path: str) -> None:
        """Let them go on. Not frozen, or gone, is success."""
        try:
            self._write(path, "THAWED" if self._version == 1 else "0")
        except OSError:
            return

    def _settled(self, path: str) -> bool:
        if self._version == 1:
            with open(self._file(path), encoding="ascii") as file:
                return file.read().strip() == "FROZEN"
        with open(f"{self._root}{path}/cgroup.events", encoding="ascii") as file:
            return "frozen 1" in file.read()

    def _file(self, path: str) -> str:
        return f"{self._root}{path}/" + ("freezer.state" if self._version == 1 else "cgroup.freeze")

    def _write(self, path: str, text: str) -> None:
        with open(self._file(path), "w", encoding="ascii") as file:
            file.write(text)
