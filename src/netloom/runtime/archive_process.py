"""Files of a container's root as a tar stream and back: a program of its own, so that no other work waits for it.

    archive_process.py stat|get|put JSON

Descriptor 3 is the root, 4 gets one line of JSON: what the path is, or how it ended. The archive goes by stdin and
stdout. Everything is reached from the root's descriptor: links are followed as a process would whose root it is, and
none leads out; what a link of the container's /proc would open counts as a link that leads nowhere.

Only the standard library: it is started without netloom's packages.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import posixpath
import stat
import struct
import sys
import tarfile
from collections.abc import Callable
from typing import Any

Opened = Callable[[int], int]
Wanted = dict[str, Any]
Copy = Callable[[tarfile.TarInfo, int], None]  # the bytes of an entry, into a file

ROOT, CONTROL = 3, 4
_PIECE = 1 << 20
_PIPE_SIZE = 1031  # F_SETPIPE_SZ, linux/fcntl.h
_LINKS = 255  # that may be followed on one way, as in Go's

_SYS_OPENAT2 = 437
_RESOLVE = 0x10 | 0x02  # IN_ROOT, NO_MAGICLINKS: linux/openat2.h
_libc = ctypes.CDLL(None, use_errno=True)

# File systems that only tell of the kernel: what is mounted so is an empty folder here (linux/magic.h).
_KERNEL = {0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x19800202, 0x64626720, 0x74726163, 0xCAFE4A11}

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
_CAPABILITY = "security.capability"
_XATTR = "SCHILY.xattr."


class Refused(Exception):
    """A failure that the caller puts into words: a kind, and the path or reason."""

    def __init__(self, kind: str, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(kind, detail)


def open_in(folder: int, path: str, flags: int) -> int:
    """openat2(2) below a folder, as if it were the root."""
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE)
    fd: int = _libc.syscall(_SYS_OPENAT2, folder, os.fsencode(path), how, len(how))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return fd


def resolved(folder: int, path: str) -> str:
    """The path without links, relative to the folder as root; what does not exist stays as it is."""
    left = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            done = done[:-1]
            continue
        here = "/".join((*done, name))
        try:
            target = read_link(folder, here)
        except OSError:
            done.append(name)
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done = []
        left += target.split("/")[::-1]
    return "/".join(done)


def read_link(folder: int, path: str) -> str:
    """Where a link of a folder leads."""
    fd = open_in(folder, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def absolute(path: str) -> str:
    """From the root, clean, but with the dot or slash at its end that says: what the link points to."""
    clean = posixpath.normpath("/" + path).replace("//", "/")
    if clean != "/" and (path.endswith(("/", "/.")) or path == "."):
        return clean + ("/." if path.endswith(".") else "/")
    return clean + "." if clean == "/" and path.endswith(".") and path not in ("..",) else clean


def base(path: str) -> str:
    """The last part of an absolute path, as Go names it."""
    return path.rstrip("/").rpartition("/")[2] or "/"


def look(path: str) -> tuple[int, os.stat_result]:
    """A descriptor (O_PATH) of what is there, a last link itself; and its stat."""
    follow = path.endswith(("/", "/."))
    try:
        fd = open_in(ROOT, path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            raise Refused("missing") from error
        raise Refused("lstat", f"lstat {path}: {os.strerror(error.errno or errno.EIO).lower()}") from error
    found = os.fstat(fd)
    if follow and not stat.S_ISDIR(found.st_mode):
        raise Refused("lstat", f"lstat {path}: not a directory")
    return fd, found


def told(path: str, found: os.stat_result) -> dict[str, Any]:
    """What X-Docker-Container-Path-Stat has."""
    target = "/" + resolved(ROOT, path) if stat.S_ISLNK(found.st_mode) else ""
    return {
        "name": base(path),
        "size": found.st_size,
        "mode": go_mode(found.st_mode),
        "mtime_ns": found.st_mtime_ns,
        "linkTarget": target,
    }


def go_mode(mode: int) -> int:
    """The bits of Go's os.FileMode."""
    bits = mode & 0o777
    kinds = {stat.S_IFDIR: 31, stat.S_IFLNK: 27, stat.S_IFBLK: 26, stat.S_IFIFO: 25, stat.S_IFSOCK: 24}
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFCHR:
        bits |= 1 << 26 | 1 << 21
    elif kind in kinds:
        bits |= 1 << kinds[kind]
    for bit, place in ((stat.S_ISUID, 23), (stat.S_ISGID, 22), (stat.S_ISVTX, 20)):
        if mode & bit:
            bits |= 1 << place
    return bits


def tell(**fields: Any) -> None:
    """The one line of the control descriptor."""
    os.write(CONTROL, json.dumps(fields).encode() + b"\n")


class Writer:
    """Writes one tree to stdout."""

    def __init__(self) -> None:
        self.seen: dict[tuple[int, int], str] = {}
        try:
            fcntl.fcntl(1, _PIPE_SIZE, _PIECE)
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
            if magic(fd) in _KERNEL:
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
            size = info.size = os.fstat(fd).st_size if magic(fd) not in _KERNEL else 0
            try:
                value = os.getxattr(fd, _CAPABILITY)
                info.pax_headers = {_XATTR + _CAPABILITY: value.decode("utf-8", "surrogateescape")}
            except OSError:
                pass
            self.head(info)
            if found.st_nlink > 1:
                self.seen[key] = info.name
            left = size
            while left and (sent := os.sendfile(1, fd, None, min(left, _PIECE))):
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
            count -= os.write(1, bytes(min(count, _PIECE)))


def write_all(fd: int, data: bytes) -> None:
    """However many calls it takes."""
    while data:
        data = data[os.write(fd, data) :]


def magic(fd: int) -> int:
    """`f_type` of the file system."""
    buffer = ctypes.create_string_buffer(256)
    return struct.unpack_from("l", buffer)[0] if _libc.fstatfs(fd, buffer) == 0 else 0


def get(wanted: Wanted) -> None:
    """One tree; with `bare` its content alone, as `docker export` has it."""
    path = absolute(wanted["path"])
    fd, found = look(path)
    tell(stat=told(path, found))
    writer = Writer()
    shown = "" if wanted.get("bare") else base(path)
    writer.put(found, shown, lambda flags: open_in(ROOT, path, flags & ~os.O_NOFOLLOW), (fd, ""))
    write_all(1, bytes(1024))


class Reader:
    """stdin as the file that tarfile reads headers from: no byte more than it asks for, so that what follows a header
    can go from the pipe into its file by splice(2)."""

    def __init__(self) -> None:
        self.position = 0
        self.first = b""  # looked at, not yet read

    def peek(self) -> bytes:
        """The first block, or what there is of it."""
        self.first = self._take(tarfile.BLOCKSIZE)
        return self.first

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only."""
        data, self.first = self.first[:size], self.first[size:]
        data += self._take(size - len(data))
        self.position += len(data)
        return data

    def tell(self) -> int:
        """Bytes that are read."""
        return self.position

    def seek(self, position: int) -> None:
        """Forward only."""
        while self.position < position and self.read(min(_PIECE, position - self.position)):
            continue

    def copy(self, size: int, fd: int) -> None:
        """The next bytes, into a file."""
        while size:
            try:
                moved = os.splice(0, fd, min(size, _PIECE))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                data = self._take(min(size, _PIECE))
                write_all(fd, data)
                moved = len(data)
            if not moved:
                raise tarfile.ReadError("unexpected end of data")
            size -= moved
            self.position += moved

    @staticmethod
    def _take(size: int) -> bytes:
        pieces = []
        while size and (piece := os.read(0, size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class Compressed:
    """The same for an archive that tarfile must unpack first."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        """What there is, at most so much."""
        if self._reader.first:
            return self._reader.read(min(size, len(self._reader.first)))
        return os.read(0, size)


def put(wanted: Wanted) -> None:
    """Extract stdin into a folder."""
    path = absolute(wanted["path"])
    try:
        target = open_in(ROOT, path, os.O_RDONLY | os.O_NONBLOCK)
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
            with tarfile.open(fileobj=stream, mode="r|*", bufsize=_PIECE, errorlevel=2) as archive:
                extract(extraction, archive, lambda member, fd: unpack(archive, member, fd))
        elif len(first) == tarfile.BLOCKSIZE:  # less than a block is an empty archive to Docker
            with tarfile.TarFile(fileobj=reader, errorlevel=2) as archive:
                extract(extraction, archive, lambda member, fd: reader.copy(member.size, fd))
    except tarfile.TarError as error:
        raise Refused("malformed", str(error)) from error
    extraction.finish()
    while os.read(0, _PIECE):
        continue  # a client that is still sending must see our answer


def extract(extraction: Extraction, archive: tarfile.TarFile, copy: Copy) -> None:
    """Every entry in turn; none is kept in mind."""
    while (member := archive.next()) is not None:
        extraction.add(member, copy)
        archive.members = []  # type: ignore[attr-defined]


def unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, fd: int) -> None:
    """The bytes of one entry, into a file."""
    source = archive.extractfile(member)
    while source is not None and (piece := source.read(_PIECE)):
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
            return open_in(self.target, path or "/", os.O_RDONLY | os.O_DIRECTORY)
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
            if key.startswith(_XATTR):
                try:
                    os.setxattr(fd, key[len(_XATTR) :], value.encode("utf-8", "surrogateescape"))
                except OSError as error:
                    if error.errno not in (errno.ENOTSUP, errno.EPERM):
                        raise

    def finish(self) -> None:
        """Folders get their times last: what was put into them has changed them."""
        for path, moment in reversed(self.folders):
            try:
                fd = open_in(self.target, path, os.O_RDONLY | os.O_DIRECTORY)
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


def main(mode: str, wanted: Wanted) -> None:
    """Do it, and tell how it went."""
    try:
        if mode == "stat":
            path = absolute(wanted["path"])
            tell(stat=told(path, look(path)[1]))
        elif mode == "get":
            get(wanted)
        else:
            put(wanted)
            tell(done=True)
    except Refused as error:
        tell(error=error.kind, detail=error.detail)
    except BrokenPipeError:
        return  # nobody reads any more
    except OSError as error:
        if mode == "get":
            raise  # a stream that ends early tells it
        reason = os.strerror(error.errno or errno.EIO).lower()
        tell(error="failed", detail=f"{error.filename or wanted['path']}: {reason}", errno=error.errno)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
