"""A tree as a tar stream on stdout."""

from __future__ import annotations

import fcntl
import os
import stat
import tarfile
from collections.abc import Callable

from netloom.runtime.archive_process.inside import (
    PIECE,
    ROOT,
    XATTR,
    Wanted,
    absolute,
    base,
    look,
    of_kernel,
    tell,
    told,
    write_all,
)
from netloom.runtime.syscalls import open_in_root

Opened = Callable[[int], int]

_PIPE_SIZE = 1031  # F_SETPIPE_SZ, linux/fcntl.h
_CAPABILITY = "security.capability"


def get(wanted: Wanted) -> None:
    """One tree; with `bare` its content alone, as `docker export` has it."""
    path = absolute(wanted["path"])
    fd, found = look(path)
    tell(stat=told(path, found))
    writer = Writer()
    shown = "" if wanted.get("bare") else base(path)
    writer.put(found, shown, lambda flags: open_in_root(ROOT, path, flags & ~os.O_NOFOLLOW), (fd, ""))
    write_all(1, bytes(1024))


class Writer:
    """Writes one tree to stdout."""

    def __init__(self) -> None:
        self.seen: dict[tuple[int, int], str] = {}
        try:
            fcntl.fcntl(1, _PIPE_SIZE, PIECE)
        except OSError:
            pass  # beyond what this user's pipes may take: smaller pieces do

    def add(self, folder: int, name: str, shown: str) -> None:
        """What a folder has under a name, with all below it, under the name that is shown."""
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        self.put(found, shown, lambda flags: os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder), (folder, name))

    def put(self, found: os.stat_result, shown: str, opened: Opened, place: tuple[int, str]) -> None:
        """One entry; `opened` opens it with flags, `place` is where a link is read."""
        info = tarfile.TarInfo(shown)
        info.mode = stat.S_IMODE(found.st_mode)
        info.uid, info.gid = found.st_uid, found.st_gid
        info.mtime = int(found.st_mtime)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            info.type = tarfile.DIRTYPE
            self.folder(info, shown, opened)
        elif kind == stat.S_IFREG:
            self.file(info, found, opened)
        elif kind == stat.S_IFLNK:
            info.type = tarfile.SYMTYPE
            info.linkname = os.readlink(place[1], dir_fd=place[0])
            self.head(info)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO):
            info.type = {stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE}.get(kind, tarfile.FIFOTYPE)
            info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
            self.head(info)

    def folder(self, info: tarfile.TarInfo, shown: str, opened: Opened) -> None:
        """A folder and what is in it."""
        try:
            fd = opened(os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return  # it has gone meanwhile
        try:
            self.head(info)
            if of_kernel(fd):
                return
            for name in sorted(os.listdir(fd)):
                try:
                    self.add(fd, name, name if shown == "" else shown.rstrip("/") + "/" + name)
                except FileNotFoundError:
                    continue
        finally:
            os.close(fd)

    def file(self, info: tarfile.TarInfo, found: os.stat_result, opened: Opened) -> None:
        """A regular file; a further name of one that has been sent is a link."""
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self.seen:
            info.type, info.linkname = tarfile.LNKTYPE, self.seen[key]
            self.head(info)
            return
        try:
            fd = opened(os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            size = info.size = os.fstat(fd).st_size if not of_kernel(fd) else 0
            try:
                value = os.getxattr(fd, _CAPABILITY)
                info.pax_headers = {XATTR + _CAPABILITY: value.decode("utf-8", "surrogateescape")}
            except OSError:
                pass
            self.head(info)
            if found.st_nlink > 1:
                self.seen[key] = info.name
            left = size
            while left and (sent := os.sendfile(1, fd, None, min(left, PIECE))):
                left -= sent
            self.zeros(left + -size % 512)  # what was cut off meanwhile, and the rest of the block
        finally:
            os.close(fd)

    def head(self, info: tarfile.TarInfo) -> None:
        """The header; none for a folder whose content alone is wanted."""
        if info.name:
            write_all(1, info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def zeros(self, count: int) -> None:
        """So many zero bytes."""
        while count:
            count -= os.write(1, bytes(min(count, PIECE)))
