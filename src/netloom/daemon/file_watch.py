"""Tells when files may have changed, however that is done: written in place, renamed over, linked elsewhere.

Each file is watched itself, since it may be a mount of one that lies elsewhere, and so is its folder, and what its
symbolic link leads to, since most programs put a new file in the place of the old. See inotify(7).
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable, Sequence

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_TO = 0x2, 0x4, 0x8, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_OF_FILE = _MODIFY | _ATTRIB | _CLOSE_WRITE | _DELETE_SELF | _MOVE_SELF
_OF_FOLDER = _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE
_SETTLE = 0.1  # seconds: a file is often emptied first and filled then

_libc = ctypes.CDLL(None, use_errno=True)

log = logging.getLogger("netloom")


class FileWatch:
    """Calls `changed` from the running event loop, once for a burst of changes."""

    def __init__(self, paths: Sequence[str], changed: Callable[[], None]) -> None:
        self._paths = paths
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:  # fs.inotify.max_user_instances
            log.warning("changes of the host's name servers are not followed: %s", os.strerror(ctypes.get_errno()))
            return
        self._watch()
        self._loop.add_reader(self._fd, self._heard)

    def close(self) -> None:
        """Call nobody any more. Twice is once."""
        if self._timer is not None:
            self._timer.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _watch(self) -> None:
        """Watch what is there now; watched already is success."""
        for path in self._paths:
            real = os.path.realpath(path)
            for folder in {os.path.dirname(path), os.path.dirname(real)}:
                self._add(folder, _OF_FOLDER)
            self._add(real, _OF_FILE)

    def _add(self, path: str, mask: int) -> None:
        if _libc.inotify_add_watch(self._fd, os.fsencode(path), mask) < 0:
            log.debug("%s is not watched: %s", path, os.strerror(ctypes.get_errno()))

    def _heard(self) -> None:
        try:
            os.read(self._fd, 65536)  # what has happened is found out by looking
        except BlockingIOError:
            return
        if self._timer is None:
            self._timer = self._loop.call_later(_SETTLE, self._settled)

    def _settled(self) -> None:
        self._timer = None
        self._watch()
        self._changed()
