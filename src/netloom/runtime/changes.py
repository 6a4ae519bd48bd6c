"""What a container's scratch layer has that its image has not. Blocking."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence

from netloom.model.archive import ADDED, CHANGED, DELETED, Change

_OPAQUE = "trusted.overlay.opaque"  # Documentation/filesystems/overlayfs.rst

# What a start puts into a root that lacks it: places to mount on. Docker keeps them in a layer of their own.
_PLACES = frozenset(("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev", "/proc", "/sys", "/etc"))


def changes(upper: str, lower: Sequence[str]) -> list[Change]:
    """Every path that was added, changed or deleted, sorted."""
    found = {change.path: change for change in _changes(upper, lower, "")} if os.path.isdir(upper) else {}
    hidden = [path for path in sorted(_PLACES & found.keys(), reverse=True) if _only_place(path, upper, found)]
    for path in hidden:  # the deepest first: a folder may be left with nothing below it
        if not any(other.startswith(f"{path}/") for other in found):
            del found[path]
    return sorted(found.values())


def _only_place(path: str, upper: str, found: dict[str, Change]) -> bool:
    change = found[path]
    with contextlib.suppress(OSError):
        told = os.lstat(upper + path)
        return stat.S_ISDIR(told.st_mode) or (change.kind == ADDED and told.st_size == 0)
    return False


def _changes(upper: str, lower: Sequence[str], folder: str) -> Iterator[Change]:
    """Below one folder. `lower` are those layers in which the folder is one, uppermost first."""
    try:
        entries = sorted(os.scandir(f"{upper}{folder}/"), key=lambda entry: entry.name)
    except OSError:
        return  # it has gone meanwhile
    names = {entry.name for entry in entries}
    if _opaque(f"{upper}{folder}") and folder:
        yield from (Change(f"{folder}/{name}", DELETED) for name in _names(lower, folder) if name not in names)
        lower = ()
    for entry in entries:
        path = f"{folder}/{entry.name}"
        try:
            told = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        below = _layers(lower, path)
        if stat.S_ISCHR(told.st_mode) and told.st_rdev == 0:
            if below:
                yield Change(path, DELETED)
            continue
        yield Change(path, CHANGED if below else ADDED)
        if entry.is_dir(follow_symlinks=False):
            folders = [layer for layer in below if stat.S_ISDIR(os.lstat(layer + path).st_mode)]
            yield from _changes(upper, folders, path)


def _layers(lower: Sequence[str], path: str) -> list[str]:
    """Layers that show something at a path, down to the one that hides those below it."""
    found = []
    for layer in (one.rstrip("/") for one in lower):
        try:
            told = os.lstat(layer + path)
        except OSError:
            continue
        if stat.S_ISCHR(told.st_mode) and told.st_rdev == 0:
            break
        found.append(layer)
        if not stat.S_ISDIR(told.st_mode) or _opaque(layer + path):
            break
    return found


def _names(lower: Sequence[str], folder: str) -> list[str]:
    """What the layers show in a folder."""
    names = {name for layer in lower for name in os.listdir(f"{layer}{folder}")}
    return sorted(name for name in names if _layers(lower, f"{folder}/{name}"))


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False
