"""The host's device nodes, which a privileged container gets all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

# Made by crun itself, or file systems of the container's own.
_SKIPPED_FOLDERS = frozenset({"pts", "shm", "fd", "mqueue", "hugepages"})
_SKIPPED_NODES = frozenset({"console", "ptmx"})

ALLOW_ALL = {"allow": True, "access": "rwm"}


def host_devices(folder: str = "/dev") -> list[dict[str, Any]]:
    """`linux.devices` of the spec: every character and block device below a folder, by path."""
    return sorted(_walk(folder), key=lambda device: str(device["path"]))


def _walk(folder: str) -> Iterator[dict[str, Any]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _SKIPPED_FOLDERS:
                yield from _walk(entry.path)
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # unplugged meanwhile
            continue
        kind = "c" if stat.S_ISCHR(status.st_mode) else "b" if stat.S_ISBLK(status.st_mode) else ""
        if kind and entry.name not in _SKIPPED_NODES:
            yield {
                "path": entry.path,
                "type": kind,
                "major": os.major(status.st_rdev),
                "minor": os.minor(status.st_rdev),
                "fileMode": stat.S_IMODE(status.st_mode),
                "uid": status.st_uid,
                "gid": status.st_gid,
            }
