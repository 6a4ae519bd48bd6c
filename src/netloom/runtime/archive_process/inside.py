"""Reaching files below a descriptor as a process would whose root it is, and what a path is told as."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import posixpath
import stat
import struct
from typing import Any

from netloom.runtime.syscalls import open_in_root

Wanted = dict[str, Any]

ROOT, CONTROL = 3, 4
PIECE = 1 << 20
XATTR = "SCHILY.xattr."
_LINKS = 255  # that may be followed on one way, as in Go's

_libc = ctypes.CDLL(None, use_errno=True)

# File systems that only tell of the kernel: what is mounted so is an empty folder here (linux/magic.h).
_KERNEL = {0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x19800202, 0x64626720, 0x74726163, 0xCAFE4A11}


class Refused(Exception):
    """A failure that the caller puts into words: a kind, and the path or reason."""

    def __init__(self, kind: str, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(kind, detail)


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
    fd = open_in_root(folder, path, os.O_PATH | os.O_NOFOLLOW)
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
        fd = open_in_root(ROOT, path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
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


def write_all(fd: int, data: bytes) -> None:
    """However many calls it takes."""
    while data:
        data = data[os.write(fd, data) :]


def of_kernel(fd: int) -> bool:
    """Does the file lie on a file system that only tells of the kernel?"""
    buffer = ctypes.create_string_buffer(256)
    return _libc.fstatfs(fd, buffer) == 0 and struct.unpack_from("l", buffer)[0] in _KERNEL
