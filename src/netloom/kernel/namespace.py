"""Network namespaces: enter, make, hold. A namespace is a file descriptor; nothing is ever bind-mounted.

Entering changes the calling thread only. No `await` may stand between entering and leaving, or another task would
run in a foreign namespace.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

# PyDLL keeps the interpreter lock: these calls are shorter than handing it over.
_libc = ctypes.PyDLL(None, use_errno=True)


class Openable(Protocol):
    """A namespace that may be entered; raises ProcessLookupError when it has gone."""

    def open(self) -> int:
        """A new fd that the caller closes."""
        ...


def setns(fd: int) -> None:
    """Move the calling thread into the network namespace."""
    if _libc.setns(fd, CLONE_NEWNET):
        errno = ctypes.get_errno()
        raise OSError(errno, f"setns: {os.strerror(errno)}")


def open_own() -> int:
    """A new fd of the calling thread's network namespace; the caller closes it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def entered(fd: int, home: int) -> Iterator[None]:
    """Inside: the calling thread is in `fd`; afterwards in `home`, whatever happened."""
    setns(fd)
    try:
        yield
    finally:
        setns(home)


def index_of(name: str) -> int:
    """Of the interface of that name in the calling thread's namespace, now; 0 for none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def in_thread(function: Callable[[], T]) -> T:
    """Run in a thread of its own, which may change its namespaces at will, and wait for the result."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # carried over to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=body, name="namespace")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def create() -> int:
    """A fresh network namespace with lo up; the fd is the caller's, and holds it. The caller's thread stays put."""
    return in_thread(unshared)


def unshared() -> int:
    """The same, and the calling thread goes into it: for a thread that ends soon."""
    if _libc.unshare(CLONE_NEWNET):
        errno = ctypes.get_errno()
        raise OSError(errno, f"unshare: {os.strerror(errno)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    return open_own()


class FdNamespace:
    """A namespace held by our fd, which it owns."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def open(self) -> int:
        """A new fd that the caller closes. Raises ProcessLookupError after `close`."""
        if self._fd < 0:
            raise ProcessLookupError("the network namespace was let go")
        return fcntl.fcntl(self._fd, fcntl.F_DUPFD_CLOEXEC, 3)

    def close(self) -> None:
        """Let go of it. Twice is once."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class ProcessNamespace:
    """A namespace held by a process that lives in it; the pidfd, which it owns, tells a reused pid from ours."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd

    @classmethod
    def of(cls, pid: int) -> ProcessNamespace:
        """The namespace of a process. Raises ProcessLookupError when there is none."""
        return cls(pid, os.pidfd_open(pid))

    def open(self) -> int:
        """A new fd that the caller closes. Raises ProcessLookupError when the process has ended."""
        try:
            fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ProcessLookupError(f"process {self.pid} has ended") from None
        # Looked at after the open: had the pid been reused before it, our process would have ended by now.
        if self._pidfd < 0 or self._ended():
            os.close(fd)
            raise ProcessLookupError(f"process {self.pid} has ended")
        return fd

    def close(self) -> None:
        """Let go of the pidfd. Twice is once."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _ended(self) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))
