"""Unpacks layers: `python -m netloom.images.unpack FOLDER`, the tar on standard input. With `FOLDER OFFSET SIZE …`
each folder gets a part of the file that standard input is, in turn, and the first that fails is the last.

Each layer has a process of its own, whose root is the layer's folder before it reads the first header: whatever a tar
names, nothing outside of that folder can be written. It ends with the daemon. On standard output it tells, one JSON
object a line, how far it is (`{"read": bytes}`), at last what it has made (`Unpacked`), or why not (`{"error": …}`,
exit status 1).

FOLDER has `diff` (the layer), `spare` (contents that the tar itself overwrites) and `recording` (see recording.py).
Whiteouts become overlayfs's own (kernel: Documentation/filesystems/overlayfs.rst).
"""

from __future__ import annotations

import os
import stat
import sys
import tarfile
import time
from decimal import Decimal, InvalidOperation
from typing import IO

import msgspec
from msgspec import Struct

from netloom.images import confine
from netloom.images.decompress import Compressed, Plain
from netloom.images.recording import Recorder

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_META = ".wh..wh."  # what aufs kept in its layers, of no meaning here
_OPAQUE_XATTR = "trusted.overlay.opaque"
_OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")  # a layer that may set these could show what is not its own
_PAX_XATTR = "SCHILY.xattr."
_TELL_SECONDS = 0.1
_COPY = 1 << 16


class Unpacked(Struct, frozen=True):
    """What was made. `digest` is of the bytes as they came, `diff_id` of the plain tar; `size` is of the files."""

    diff_id: str
    digest: str
    size: int
    tar_size: int


class Refused(ValueError):
    """The tar asks for what no layer may have."""


class Extraction:
    """Entries of a tar into the root folder of this process."""

    def __init__(self, recorder: Recorder, spare: int) -> None:
        self._recorder = recorder
        self._spare = spare
        self._folders: dict[str, str] = {"": ""}  # folders by name in the tar, as they really lie
        self._contents: dict[int, int] = {}  # numbers in the recording, by inode
        self._whiteouts: set[str] = set()
        self._times: list[tuple[str, int]] = []

    def run(self) -> None:
        """All entries. Raises one of confine.FAILURES."""
        try:
            tar = tarfile.TarFile(fileobj=self._recorder, mode="r", encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
        except tarfile.ReadError:
            if self._recorder.tell():
                raise
            return  # nothing at all is an empty tar
        entry = tar.next()
        while entry is not None:
            self._entry(tar, entry)
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
            entry = tar.next()
        if self._recorder.last_block.strip(b"\0"):
            # tarfile takes a header that it cannot read for the end
            raise EOFError("unexpected EOF" if len(self._recorder.last_block) < 512 else "invalid tar header")
        for path, mtime in reversed(self._times):
            _set_time(path, mtime)

    def _entry(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        if entry.size < 0:
            raise tarfile.ReadError("invalid tar header")
        parts = _parts(entry.name)
        if not parts:
            if entry.isdir():
                self._attributes("/", entry)
            return
        name = parts[-1]
        if name.startswith(_META) and name != _OPAQUE:
            return
        parent = self._folder(parts[:-1])
        if name == _OPAQUE:
            os.setxattr(parent or "/", _OPAQUE_XATTR, b"y")
            return
        if name.startswith(_WHITEOUT):
            self._whiteout(f"{parent}/{name.removeprefix(_WHITEOUT)}", name)
            return
        path = f"{parent}/{name}"
        self._make(tar, entry, path)
        if not entry.islnk():
            self._attributes(path, entry)

    def _folder(self, parts: list[str]) -> str:
        """Where a folder of the tar really lies; made where it lacks. Symlinks are followed, inside of this root."""
        name = "/".join(parts)
        if name not in self._folders:
            path = "/" + name
            os.makedirs(path, mode=0o755, exist_ok=True)
            self._folders[name] = os.path.realpath(path)
        return self._folders[name]

    def _whiteout(self, path: str, name: str) -> None:
        """Hide what lower layers have there; what this layer has there itself stays."""
        if name == _WHITEOUT or path.endswith(("/.", "/..")):
            raise Refused(f"invalid whiteout: {name}")
        found = _lstat(path)
        if found is None:
            os.mknod(path, stat.S_IFCHR, 0)
            self._whiteouts.add(path)
        elif stat.S_ISDIR(found.st_mode):
            os.setxattr(path, _OPAQUE_XATTR, b"y")

    def _make(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        hidden = path in self._whiteouts
        found = _lstat(path)
        if found is not None and not (entry.isdir() and stat.S_ISDIR(found.st_mode)):
            if entry.islnk() and self._target(entry) == path:
                return
            self._remove(path, found)
            found = None
        if entry.isdir():
            if found is None:
                os.mkdir(path)
                if hidden:
                    os.setxattr(path, _OPAQUE_XATTR, b"y")
        elif entry.isreg():
            self._write(tar, entry, path)
        elif entry.issym():
            os.symlink(os.fsencode(entry.linkname), path)
        elif entry.islnk():
            os.link(self._target(entry), path, follow_symlinks=False)
        elif entry.ischr() or entry.isblk():
            kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            os.mknod(path, kind | 0o600, os.makedev(entry.devmajor, entry.devminor))
        elif entry.isfifo():
            os.mkfifo(path, 0o600)
        else:
            raise Refused(f"unhandled tar header type {entry.type!r}")

    def _target(self, entry: tarfile.TarInfo) -> str:
        parts = _parts(entry.linkname)
        if not parts:
            raise Refused(f"invalid hardlink {entry.name!r} -> {entry.linkname!r}")
        parent = os.path.realpath("/" + "/".join(parts[:-1]))
        return f"{parent.rstrip('/')}/{parts[-1]}"

    def _write(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            if entry.issparse():
                self._write_sparse(tar, entry, file)
                return
            self._recorder.seek(entry.offset_data)
            if entry.size:
                for data in self._recorder.payload(os.fsencode(path[1:]), entry.size):
                    file.write(data)
                self._contents[os.fstat(file.fileno()).st_ino] = self._recorder.files

    @staticmethod
    def _write_sparse(tar: tarfile.TarFile, entry: tarfile.TarInfo, file: IO[bytes]) -> None:
        source = tar.extractfile(entry)
        assert source is not None
        while data := source.read(_COPY):
            if data.strip(b"\0"):
                file.write(data)
            else:
                file.seek(len(data), os.SEEK_CUR)
        file.truncate(entry.size)

    def _remove(self, path: str, found: os.stat_result) -> None:
        """What the tar itself has overwritten; contents that the recording names are kept aside."""
        if stat.S_ISDIR(found.st_mode):
            for child in os.scandir(path):
                self._remove(child.path, child.stat(follow_symlinks=False))
            os.rmdir(path)
        elif (number := self._contents.get(found.st_ino)) is not None and stat.S_ISREG(found.st_mode):
            if found.st_nlink == 1:
                os.rename(path, str(number), dst_dir_fd=self._spare)
                os.chmod(str(number), 0o600, dir_fd=self._spare)
            else:
                _copy_aside(path, str(number), self._spare)
                os.unlink(path)
        else:
            os.unlink(path)
        self._whiteouts.discard(path)
        if not stat.S_ISREG(found.st_mode):
            self._folders = {"": ""}
            self._times = [one for one in self._times if one[0] != path and not one[0].startswith(f"{path}/")]

    def _attributes(self, path: str, entry: tarfile.TarInfo) -> None:
        """Owner, mode, xattrs, times: in this order, since a change of owner takes set-uid and capabilities away."""
        os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
        if not entry.issym():
            os.chmod(path, entry.mode & 0o7777)
        for key, value in entry.pax_headers.items():
            if key.startswith(_PAX_XATTR):
                _set_xattr(path, key.removeprefix(_PAX_XATTR), value)
        if entry.isdir():
            self._times.append((path, _mtime(entry)))
        else:
            _set_time(path, _mtime(entry))


def _parts(name: str) -> list[str]:
    """The components of a name, `.` and `..` resolved by their text. Raises Refused for one that leads out."""
    if "\0" in name:
        raise Refused("invalid tar header: NUL in a name")
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise Refused(f"{name!r} is outside of the layer")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _mtime(entry: tarfile.TarInfo) -> int:
    """ns since the epoch, with all digits that the header has."""
    try:
        return int(Decimal(entry.pax_headers.get("mtime", entry.mtime)) * 1_000_000_000)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise tarfile.ReadError("invalid tar header: time") from error


def _set_time(path: str, mtime: int) -> None:
    """Times beyond what the file system has are those of the epoch, as Docker has it."""
    if not 0 <= mtime < 1 << 63:
        mtime = 0
    os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


def _set_xattr(path: str, name: str, value: str) -> None:
    if name.startswith(_OVERLAY_XATTRS):
        return
    try:
        os.setxattr(path, name, os.fsencode(value), follow_symlinks=False)
    except OSError as error:
        if error.errno != 95:  # ENOTSUP: this file system has none of that kind; Docker goes on too
            raise


def _copy_aside(path: str, name: str, folder: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open(path, "rb") as source, open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as target:
        while data := source.read(_COPY):
            target.write(data)


def size_of(path: str) -> int:
    """Bytes of all files below a folder, each inode once, as Docker counts a layer."""
    seen: set[int] = set()
    total, folders = 0, [path]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                found = entry.stat(follow_symlinks=False)
                if found.st_nlink > 1:
                    if found.st_ino in seen:
                        continue
                    seen.add(found.st_ino)
                total += found.st_size
    return total


class _Told:
    """The incoming bytes, with word of how many there were from time to time."""

    def __init__(self, source: Compressed) -> None:
        self._source = source
        self._next = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TELL_SECONDS
            _tell({"read": self._source.count})


class _Telling:
    def __init__(self, plain: Plain, told: _Told) -> None:
        self._plain = plain
        self._told = told

    def read(self, size: int) -> bytes:
        self._told()
        return self._plain.read(size)


def _tell(what: object) -> None:
    os.write(1, msgspec.json.encode(what) + b"\n")


def main(arguments: list[str]) -> int:
    """See above; the exit status."""
    if len(arguments) == 1:
        return _unpack(arguments[0])
    confine.end_with_parent()
    parts = iter(arguments)
    for folder, offset, size in zip(parts, parts, parts, strict=True):
        child = os.fork()  # a new interpreter for each of a hundred layers would take longer than all else
        if child == 0:
            os.lseek(0, int(offset), os.SEEK_SET)
            os._exit(_unpack(folder, int(size)))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            return 1
    return 0


def _unpack(folder: str, size: int | None = None) -> int:
    confine.end_with_parent()
    compressed = Compressed(open(0, "rb", buffering=0, closefd=False), size)  # noqa: SIM115
    try:
        with open(f"{folder}/recording", "xb") as recording:
            spare = os.open(f"{folder}/spare", os.O_RDONLY | os.O_DIRECTORY)
            plain = Plain(compressed)
            confine.into(f"{folder}/diff")
            recorder = Recorder(_Telling(plain, _Told(compressed)), recording)
            Extraction(recorder, spare).run()
            diff_id = recorder.finish()
            plain.finish()
        _tell({"read": compressed.count})
        _tell(Unpacked(diff_id, compressed.digest(), size_of("/"), recorder.tell()))
    except confine.FAILURES as error:
        _tell({"error": confine.sentence(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
