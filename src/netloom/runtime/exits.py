"""How the end of a container is seen: its pidfd, conmon's exit file by inotify, and conmon's own pidfd.

The pidfd of the init process fires first; the file with the code comes within a millisecond. When conmon was killed no
file ever comes: then the kernel is asked what it still knows of the process.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import time
from collections.abc import Callable

from netloom.runtime import syscalls
from netloom.runtime.processes import Process

# include/uapi/linux/pidfd.h, Linux 6.15: the exit status of a process that has been reaped, for whoever holds a pidfd.
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO_SIZE = 64
_PIDFD_GET_INFO = (3 << 30) | (_PIDFD_INFO_SIZE << 16) | (0xFF << 8) | 11
_EXIT_CODE_OFFSET = 60

UNKNOWN = -1

# Between a process's end and its reaping by pid 1 the kernel does not tell yet.
_ASK_AGAIN_SECONDS = 0.005
_ASK_TIMES = 20


def kernel_exit_code(pidfd: int) -> int:
    """The code of a reaped process, 128 + n for signal n; UNKNOWN where the kernel does not tell."""
    info = bytearray(_PIDFD_INFO_SIZE)
    struct.pack_into("=Q", info, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        return UNKNOWN
    if not struct.unpack_from("=Q", info, 0)[0] & _PIDFD_INFO_EXIT:
        return UNKNOWN
    status = struct.unpack_from("=i", info, _EXIT_CODE_OFFSET)[0]
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def read_exit_file(path: str) -> tuple[int, int] | None:
    """Code and time (ns) of conmon's exit file; None while there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read()), os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None


class ExitWatch:
    """Watches the exits of all containers of one runtime, in one event loop."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._inotify = syscalls.inotify_init()
        syscalls.inotify_add_watch(self._inotify, folder, syscalls.IN_MOVED_TO | syscalls.IN_CLOSE_WRITE)
        self._watched: dict[str, _Watched] = {}
        self._loop.add_reader(self._inotify, self._files_came)

    def add(self, name: str, init: Process, conmon: Process, done: Callable[[int, int], None]) -> None:
        """Call `done(code, ns)` once when the container has ended, and never before `add` has returned."""
        self.discard(name)
        self._watched[name] = _Watched(self._loop, f"{self._folder}/{name}", init, conmon, self._finish(name, done))

    def _finish(self, name: str, done: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def finish(code: int, moment: int) -> None:
            self.discard(name)
            done(code, moment)

        return finish

    def discard(self, name: str) -> None:
        """Watch a container no longer; its `done` is not called any more."""
        watched = self._watched.pop(name, None)
        if watched:
            watched.close()

    def _files_came(self) -> None:
        try:
            events = os.read(self._inotify, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(events):
            length = struct.unpack_from("iIII", events, offset)[3]
            offset += 16
            watched = self._watched.get(events[offset : offset + length].rstrip(b"\0").decode(errors="replace"))
            offset += length
            if watched:
                watched.look()

    def close(self) -> None:
        """Stop watching everything."""
        self._loop.remove_reader(self._inotify)
        os.close(self._inotify)
        for name in list(self._watched):
            self.discard(name)


class _Watched:
    """One container: waits until its init has ended and its code is known, or can never be."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        exit_file: str,
        init: Process,
        conmon: Process,
        finish: Callable[[int, int], None],
    ) -> None:
        self._loop = loop
        self._exit_file = exit_file
        self._finish = finish
        self._init = init.open()
        self._conmon = conmon.open()
        self._init_ended = self._init < 0
        self._conmon_ended = self._conmon < 0
        self._closed = False
        if not self._init_ended:
            loop.add_reader(self._init, self._init_fired)
        if not self._conmon_ended:
            loop.add_reader(self._conmon, self._conmon_fired)
        loop.call_soon(self.look)

    def _init_fired(self) -> None:
        self._loop.remove_reader(self._init)
        self._init_ended = True
        self.look()

    def _conmon_fired(self) -> None:
        self._loop.remove_reader(self._conmon)
        self._conmon_ended = True
        self.look()

    def look(self) -> None:
        """Has everything come that will come?"""
        if self._closed or not self._init_ended:
            return
        known = read_exit_file(self._exit_file)
        if known:
            # A file's time lags by a tick of the kernel's clock; it counts only where nobody looked.
            self._finish(known[0], time.time_ns() if self._init >= 0 else known[1])
        elif self._conmon_ended:
            self._ask_kernel(_ASK_TIMES)

    def _ask_kernel(self, times: int) -> None:
        if self._closed:
            return
        code = kernel_exit_code(self._init) if self._init >= 0 else UNKNOWN
        if code == UNKNOWN and self._init >= 0 and times:
            self._loop.call_later(_ASK_AGAIN_SECONDS, self._ask_kernel, times - 1)
        else:
            self._finish(code, time.time_ns())

    def close(self) -> None:
        """Close what is held."""
        self._closed = True
        for fd, ended in ((self._init, self._init_ended), (self._conmon, self._conmon_ended)):
            if fd >= 0:
                if not ended:
                    self._loop.remove_reader(fd)
                os.close(fd)
