"""One daemon for each state directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from netloom.model.errors import Conflict, Failed

NAME = "netloom.lock"


class DirectoryLock:
    """Holds a directory until `release` or the end of the process, however it ends.

    The lock is the flock, not the file: what a dead daemon leaves behind holds nobody up. The file says who has it.
    """

    def __init__(self, directory: Path) -> None:
        """Take it. Raises Conflict naming the pid of the daemon that has it."""
        self._path = directory / NAME
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Failed(f"cannot lock the state directory {directory}: {_reason(error)}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise Conflict(
                f"the state directory {directory} is in use by another daemon (pid {holder})",
                remedy="stop that one, or give this one another --state-dir",
            ) from error
        except OSError as error:
            os.close(fd)
            raise Failed(f"cannot lock the state directory {directory}: {_reason(error)}") from error
        self._fd = fd

    def release(self) -> None:
        """Let another daemon have it. Twice is once."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
