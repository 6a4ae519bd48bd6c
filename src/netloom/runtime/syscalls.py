"""The few system calls that Python 3.11 has no function for. Each raises OSError with the call's name."""

from __future__ import annotations

import ctypes
import errno
import os

CLONE_FS = 0x00000200  # linux/sched.h
CLONE_NEWNS = 0x00020000

MS_RDONLY = 1  # linux/mount.h
MS_REMOUNT = 1 << 5
MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 2

IN_MOVED_TO = 0x80  # linux/inotify.h
IN_MODIFY = 0x02
IN_ATTRIB = 0x04
IN_CLOSE_WRITE = 0x08

OVERLAYFS_MAGIC = 0x794C7630  # linux/magic.h
CGROUP2_MAGIC = 0x63677270

_SYS_OPENAT2 = 437  # asm-generic/unistd.h: the same number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02  # linux/openat2.h
_RESOLVE_BENEATH = 0x08
_RESOLVE_IN_ROOT = 0x10
# `..` is refused with EAGAIN where anything on this machine was renamed or mounted meanwhile: openat2(2)
_ATTEMPTS = 128
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_OPEN_TREE_CLONE = 1  # linux/mount.h
_MOVE_MOUNT_F_EMPTY_PATH = 4
_AT_FDCWD = -100  # linux/fcntl.h
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_RECURSIVE = 0x8000

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}", path)
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


def open_in_root(root: int, path: str, flags: int = os.O_RDONLY | os.O_NONBLOCK) -> int:
    """Open a file as a process would whose root is the folder `root`: no symlink leads out of it.

    By default for reading; a pipe opens too, without waiting for its other end.
    """
    return _openat2(root, path, flags, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)


def make_in_root(root: int, path: str, *, folder: bool) -> int:
    """A descriptor (O_PATH) of a path as of `open_in_root`; what lacks on the way is made, at its end a folder or file.

    A link that leads to nothing is not followed into what would have to be made: FileNotFoundError.
    """
    try:
        return open_in_root(root, path, os.O_PATH)
    except FileNotFoundError:
        pass
    parts = [part for part in path.split("/") if part]
    here = open_in_root(root, "/", os.O_RDONLY | os.O_DIRECTORY)
    for number, part in enumerate(parts):
        below = "/".join(parts[: number + 1])
        try:
            there = open_in_root(root, below, os.O_PATH)
        except FileNotFoundError:
            if folder or number < len(parts) - 1:
                os.mkdir(part, 0o755, dir_fd=here)
            else:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                os.close(os.open(part, flags, 0o755, dir_fd=here))
            there = open_in_root(root, below, os.O_PATH)
        finally:
            os.close(here)
        here = there
    return here


def open_beneath(folder: int, path: str) -> int:
    """A descriptor of a path below a folder (O_PATH). EXDEV where a link or `..` would lead out of it."""
    return _openat2(folder, path, os.O_PATH, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)


def open_tree(path: str, *, follow: bool = True) -> int:
    """A copy of a mount with all below it, mounted nowhere yet. `follow` a path that ends in a symbolic link."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE | (0 if follow else _AT_SYMLINK_NOFOLLOW)
    return _checked(_libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags), f"open_tree {path}")


def move_mount(tree: int, target: str) -> None:
    """Mount what `open_tree` gave."""
    call = _libc.syscall(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    _checked(call, f"move_mount to {target}")


def _openat2(folder: int, path: str, flags: int, resolve: int) -> int:
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    for _ in range(_ATTEMPTS):
        fd = _libc.syscall(_SYS_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return _checked(fd, f"open {path}", path)


def syncfs(path: str) -> None:
    """Write everything of the file system of a path to its disk (syncfs(2))."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.syncfs(fd), "syncfs")
    finally:
        os.close(fd)
