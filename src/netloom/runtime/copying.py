"""A folder's content copied into another, as it is: owners, modes, times, extended attributes, devices, links.

Everything goes by descriptors of folders and single names: what somebody does to either tree meanwhile cannot lead
out of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

_PIECE = 1 << 24  # bytes that one call copies
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_empty(folder: int) -> bool:
    """Has a folder nothing in it?"""
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def copy_content(source: int, target: int) -> None:
    """Copy what a folder holds, and the folder's own attributes. What the target has already is replaced."""
    _copy(source, target, os.fstat(source).st_dev)


def _copy(source: int, target: int, device: int) -> None:
    with os.scandir(source) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=target)
            with _opened(name, _FOLDER, source) as inner, _opened(name, _FOLDER, target) as made:
                if found.st_dev == device:
                    _copy(inner, made, device)
                else:
                    _attributes(inner, made)
            continue
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=target)
        if stat.S_ISREG(found.st_mode):
            _copy_file(name, source, target)
        elif stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
            os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
        elif not stat.S_ISSOCK(found.st_mode):
            _make_special(name, found, target)
    _attributes(source, target)


def _copy_file(name: str, source: int, target: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _opened(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, source) as old, _opened(name, flags, target) as new:
        while _piece(old, new):
            continue
        _attributes(old, new)


def _piece(old: int, new: int) -> int:
    try:
        return os.copy_file_range(old, new, _PIECE)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return os.sendfile(new, old, None, _PIECE)  # None: from where the file stands


def _make_special(name: str, found: os.stat_result, target: int) -> None:
    os.mknod(name, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=target)
    with _opened(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, target) as made:
        path = f"/proc/self/fd/{made}"
        os.chown(path, found.st_uid, found.st_gid)
        os.chmod(path, stat.S_IMODE(found.st_mode))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _attributes(source: int, target: int) -> None:
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))  # after the owner, whose change takes set-user-id away
    for name in os.listxattr(source):
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENODATA):
                raise
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


@contextlib.contextmanager
def _opened(name: str, flags: int, folder: int) -> Iterator[int]:
    fd = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)
