"""The few system calls that Python 3.11 has no function for. Each raises OSError with the call's name."""

from __future__ import annotations

import ctypes
import os

CLONE_FS = 0x00000200  # linux/sched.h
CLONE_NEWNS = 0x00020000

MS_RDONLY = 1  # linux/mount.h
MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 2

IN_MOVED_TO = 0x80  # linux/inotify.h
IN_MODIFY = 0x02
IN_CLOSE_WRITE = 0x08

OVERLAYFS_MAGIC = 0x794C7630  # linux/magic.h
CGROUP2_MAGIC = 0x63677270

_SYS_OPENAT2 = 437  # asm-generic/unistd.h: the same number on every architecture
_RESOLVE_IN_ROOT = 0x10  # linux/openat2.h

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Give the calling thread namespaces (or attributes) of its own."""
    _checked(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into a namespace. For mounts, the thread must have left CLONE_FS before."""
    _checked(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). `data` is at most one page."""
    call = _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, data.encode() or None)
    _checked(call, f"mount {kind or source} on {target}")


def inotify_init() -> int:
    """A non-blocking inotify descriptor."""
    return _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watch a path; the watch's number."""
    return _checked(_libc.inotify_add_watch(fd, os.fsencode(path), mask), f"inotify_add_watch {path}")


class _Statfs(ctypes.Structure):
    _fields_ = (("type", ctypes.c_long), ("rest", ctypes.c_char * 248))  # struct statfs, asm-generic/statfs.h


def filesystem_magic(path: str) -> int:
    """`f_type` of the file system that a path lies on."""
    buffer = _Statfs()
    _checked(_libc.statfs(os.fsencode(path), ctypes.byref(buffer)), f"statfs {path}")
    return int(buffer.type)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: int, path: str) -> int:
    """Open a file for reading as a process would whose root is the folder `root`: no symlink leads out of it.

    A pipe opens too, without waiting for its other end.
    """
    how = _OpenHow(os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    fd = _libc.syscall(_SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    return _checked(fd, f"open {path}")
