"""The root of a container: read-only layers under a scratch layer, mounted where nobody else sees it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from netloom.containers.identity import Identity, resolve
from netloom.model.errors import KernelError, Unavailable
from netloom.runtime import syscalls

# Folders of the host that are often file systems of their own: a lower layer shows only the one it lies on.
_OWN_FILESYSTEMS = ("/usr", "/opt", "/nix", "/gnu")
_TEXT_LIMIT = 1 << 22  # characters
_OPTIONS_LIMIT = 4095  # bytes: mount(2) takes one page


def mount_overlay(target: str, lower: Sequence[str], upper: str, work: str) -> None:
    """Mount on `target` in the calling thread's mount namespace; the thread has a working directory of its own."""
    options = _options(lower, upper, work)
    try:
        if len(os.fsencode(options)) <= _OPTIONS_LIMIT:
            syscalls.mount("overlay", target, "overlay", data=options)
        else:
            _mount_from(os.path.commonpath([os.path.dirname(layer) for layer in lower]), target, lower, upper, work)
    except OSError as error:
        if syscalls.filesystem_magic(upper) == syscalls.OVERLAYFS_MAGIC:
            raise Unavailable(
                f"no scratch layer can be mounted in {os.path.dirname(upper)}, which is on an overlay itself",
                remedy="choose a --state-dir on ext4, xfs, btrfs or tmpfs",
            ) from error
        raise KernelError(error.errno or errno.EIO, "mount the container's root", detail=options) from error


def mount_layers(target: str, layers: Sequence[str]) -> None:
    """Mount layers to be read only, uppermost first; threads as of `mount_overlay`."""
    folder = os.path.commonpath([os.path.dirname(layer) for layer in layers])
    options = f"lowerdir={':'.join(_escaped(os.path.relpath(layer, folder)) for layer in layers)}"
    os.chdir(folder)
    try:
        syscalls.mount("overlay", target, "overlay", flags=syscalls.MS_RDONLY, data=options)
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, "mount the container's layers", detail=options) from error
    finally:
        os.chdir("/")


def _options(lower: Sequence[str], upper: str, work: str) -> str:
    layers = ":".join(_escaped(layer) for layer in lower)
    return f"lowerdir={layers},upperdir={_escaped(upper)},workdir={_escaped(work)}"


def _mount_from(folder: str, target: str, lower: Sequence[str], upper: str, work: str) -> None:
    """The same with the layers' paths as they are seen from a folder: so many do not fit otherwise."""
    os.chdir(folder)
    try:
        options = _options([os.path.relpath(layer, folder) for layer in lower], upper, work)
        syscalls.mount("overlay", target, "overlay", data=options)
    finally:
        os.chdir("/")


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def host_mounts() -> tuple[str, ...]:
    """Those parts of the host's system that its root layer lacks, being mounted on it."""
    return tuple(path for path in _OWN_FILESYSTEMS if os.path.ismount(path))


def folder_in(root: str, path: str, flags: int = os.O_RDONLY) -> int:
    """A folder below a root folder, or -1 where there is none. No link leads out of the root."""
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return syscalls.open_in_root(base, path, flags | os.O_DIRECTORY)
    except OSError:
        return -1
    finally:
        os.close(base)


def folder_mode(root: str, path: str) -> int:
    """The mode's bits of a folder below a root folder; 0 where there is none."""
    fd = folder_in(root, path, os.O_PATH)
    if fd < 0:
        return 0
    try:
        return stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def identity_in(root: str, user: str, groups: Sequence[str] = ()) -> Identity:
    """Resolve a `--user`, and `--group-add`, against the files below a root folder, never outside it."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return resolve(user, _text(fd, "etc/passwd"), _text(fd, "etc/group"), groups)
    finally:
        os.close(fd)


def _text(root: int, path: str) -> str:
    """What its user made of the file may be a pipe that nobody writes, or endless: it must not hold us."""
    try:
        fd = syscalls.open_in_root(root, path)
    except FileNotFoundError:
        return ""
    with open(fd, encoding="utf-8", errors="replace") as file:
        return file.read(_TEXT_LIMIT) if stat.S_ISREG(os.fstat(fd).st_mode) else ""
