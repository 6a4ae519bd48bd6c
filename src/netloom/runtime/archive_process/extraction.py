"""Entries of an archive as files below one folder."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable
from typing import Any

from netloom.runtime.archive_process.inside import (
    PIECE,
    ROOT,
    XATTR,
    Refused,
    Wanted,
    absolute,
    resolved,
    tell,
    write_all,
)
from netloom.runtime.archive_process.reading import Compressed, Reader
from netloom.runtime.syscalls import open_in_root

Copy = Callable[[tarfile.TarInfo, int], None]  # the bytes of an entry, into a file

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")


def put(wanted: Wanted) -> None:
    """Extract stdin into a folder."""
    path = absolute(wanted["path"])
    try:
        target = open_in_root(ROOT, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            raise Refused("missing") from error
        raise Refused("lstat", f"lstat {path}: {os.strerror(error.errno or errno.EIO).lower()}") from error
    if not stat.S_ISDIR(os.fstat(target).st_mode):
        raise Refused("no folder")
    if os.fstatvfs(target).f_flag & os.ST_RDONLY:
        raise Refused("read-only")
    os.umask(0)
    tell(ready=True)
    extraction = Extraction(target, wanted)
    reader: Any = Reader()
    first = reader.peek()
    try:
        if first.startswith(_COMPRESSED):
            stream: Any = Compressed(reader)
            with tarfile.open(fileobj=stream, mode="r|*", bufsize=PIECE, errorlevel=2) as archive:
                extract(extraction, archive, lambda member, fd: unpack(archive, member, fd))
        elif len(first) == tarfile.BLOCKSIZE:  # less than a block is an empty archive to Docker
            with tarfile.TarFile(fileobj=reader, errorlevel=2) as archive:
                extract(extraction, archive, lambda member, fd: reader.copy(member.size, fd))
    except tarfile.TarError as error:
        raise Refused("malformed", str(error)) from error
    extraction.finish()
    while os.read(0, PIECE):
        continue  # a client that is still sending must see our answer


def extract(extraction: Extraction, archive: tarfile.TarFile, copy: Copy) -> None:
    """Every entry in turn; none is kept in mind."""
    while (member := archive.next()) is not None:
        extraction.add(member, copy)
        archive.members = []  # type: ignore[attr-defined]


def unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, fd: int) -> None:
    """The bytes of one entry, into a file."""
    source = archive.extractfile(member)
    while source is not None and (piece := source.read(PIECE)):
        write_all(fd, piece)


class Extraction:
    """Entries become files below one folder, which is their root."""

    def __init__(self, target: int, wanted: Wanted) -> None:
        self.target = target
        self.keep = wanted.get("keep_kinds", False)
        self.owner = wanted.get("owner")
        self.folders: list[tuple[str, float]] = []

    def add(self, member: tarfile.TarInfo, copy: Copy) -> None:
        """One entry."""
        name = posixpath.normpath("/" + member.name).lstrip("/")
        if posixpath.normpath(member.name.lstrip("/") or ".").startswith(".."):
            raise Refused("failed", f'invalid entry name "{member.name}"')
        if not name:
            return
        parent = self.parent(posixpath.dirname(name))
        try:
            self.place(member, copy, parent, posixpath.basename(name), name)
        finally:
            os.close(parent)

    def parent(self, path: str) -> int:
        """The folder of an entry, made where it lacks."""
        try:
            return open_in_root(self.target, path or "/", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            pass
        here = os.dup(self.target)
        for part in resolved(self.target, path).split("/"):
            try:
                os.mkdir(part, 0o755, dir_fd=here)
            except FileExistsError:
                pass
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        return here

    def place(self, member: tarfile.TarInfo, copy: Copy, parent: int, name: str, whole: str) -> None:
        """An entry of a folder, in the place of what is there."""
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            there = 0
        is_folder = stat.S_ISDIR(there)
        if self.keep and there and is_folder != member.isdir():
            kinds = ("directory", "non-directory") if is_folder else ("non-directory", "directory")
            raise Refused("failed", f'cannot overwrite {kinds[0]} "{whole}" with {kinds[1]} "{member.name}"')
        if there and not (is_folder and member.isdir()):
            remove(parent, name, is_folder)
        uid, gid = self.owner or (member.uid, member.gid)
        mode = stat.S_IMODE(member.mode)
        if member.isdir():
            if not is_folder:
                os.mkdir(name, 0o700, dir_fd=parent)
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            self.attributes(fd, member, uid, gid, mode)
            self.folders.append((whole, member.mtime))
            os.close(fd)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
            os.utime(name, (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)
        elif member.islnk():
            self.link(member, parent, name)
        elif member.isfifo() or member.isdev():
            kind = stat.S_IFIFO if member.isfifo() else stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(name, kind | mode, os.makedev(member.devmajor, member.devminor), dir_fd=parent)
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
        elif member.isreg():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(name, flags, 0o600, dir_fd=parent)
            copy(member, fd)
            self.attributes(fd, member, uid, gid, mode)
            os.utime(fd, (member.mtime, member.mtime))
            os.close(fd)
        else:
            raise Refused("failed", f'unhandled tar header type {ord(member.type)} of "{member.name}"')

    def link(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        """A further name of a file below the same folder."""
        target = posixpath.normpath("/" + member.linkname).lstrip("/")
        folder = self.parent(posixpath.dirname(target))
        try:
            os.link(posixpath.basename(target), name, src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(folder)

    @staticmethod
    def attributes(fd: int, member: tarfile.TarInfo, uid: int, gid: int, mode: int) -> None:
        """Owner, mode and extended attributes."""
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
        for key, value in member.pax_headers.items():
            if key.startswith(XATTR):
                try:
                    os.setxattr(fd, key[len(XATTR) :], value.encode("utf-8", "surrogateescape"))
                except OSError as error:
                    if error.errno not in (errno.ENOTSUP, errno.EPERM):
                        raise

    def finish(self) -> None:
        """Folders get their times last: what was put into them has changed them."""
        for path, moment in reversed(self.folders):
            try:
                fd = open_in_root(self.target, path, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue
            os.utime(fd, (moment, moment))
            os.close(fd)


def remove(folder: int, name: str, is_folder: bool) -> None:
    """A tree, without following anything."""
    if not is_folder:
        os.unlink(name, dir_fd=folder)
        return
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for inner in os.listdir(fd):
            remove(fd, inner, stat.S_ISDIR(os.stat(inner, dir_fd=fd, follow_symlinks=False).st_mode))
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=folder)
