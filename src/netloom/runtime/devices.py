"""The host's device nodes: all for a privileged container, those asked for by path, and block devices' numbers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any

from netloom.model.errors import Failed
from netloom.model.host_config import DeviceMapping

# Made by crun itself, or file systems of the container's own.
_SKIPPED_FOLDERS = frozenset({"pts", "shm", "fd", "mqueue", "hugepages"})
_SKIPPED_NODES = frozenset({"console", "ptmx"})


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
        if _kind(status) and entry.name not in _SKIPPED_NODES:
            yield _node(entry.path, status)


def _kind(status: os.stat_result) -> str:
    return "c" if stat.S_ISCHR(status.st_mode) else "b" if stat.S_ISBLK(status.st_mode) else ""


def _node(path: str, status: os.stat_result) -> dict[str, Any]:
    return {
        "path": path,
        "type": _kind(status),
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def mapped(mappings: Iterable[DeviceMapping]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """`linux.devices` for devices asked for by path, and the rules that allow them; a folder stands for all in it.

    Raises Failed with Docker's sentence for a path that is no device and holds none.
    """
    nodes = []
    rules = []
    for mapping in mappings:
        for node in _mapped(mapping.path_on_host, mapping.path_in_container or mapping.path_on_host):
            nodes.append(node)
            numbers = {key: node[key] for key in ("type", "major", "minor")}
            rules.append({"allow": True, **numbers, "access": mapping.cgroup_permissions})
    return nodes, rules


def _mapped(path: str, inside: str) -> list[dict[str, Any]]:
    try:
        status = os.stat(path)
        if _kind(status):
            return [_node(inside, status)]
        found = [
            {**node, "path": inside + node["path"].removeprefix(path.rstrip("/"))}
            for node in (host_devices(path) if stat.S_ISDIR(status.st_mode) else ())
        ]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failed(f'error gathering device information while adding custom device "{path}": {reason}') from error
    if not found:
        raise Failed(f'error gathering device information while adding custom device "{path}": not a device node')
    return found


def numbered(block_io: dict[str, Any]) -> dict[str, Any]:
    """`linux.resources.blockIO` with the numbers of the devices that it names by path. Raises Failed as Docker does."""
    found = {}
    for name, value in block_io.items():
        if not isinstance(value, list):
            found[name] = value
            continue
        rows = found[name] = []
        for row in value:
            try:
                device = os.stat(row["path"]).st_rdev
            except OSError as error:
                raise Failed(f"stat {row['path']}: {(error.strerror or str(error)).lower()}") from error
            rest = {key: number for key, number in row.items() if key != "path"}
            rows.append({"major": os.major(device), "minor": os.minor(device), **rest})
    return found
