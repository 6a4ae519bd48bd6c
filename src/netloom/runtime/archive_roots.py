"""The root of a container, for a program that reads or writes it. Blocking: in a thread of the wrapper.

That of a running container is `/proc/PID/root`. That of another is mounted for the program alone, in a mount namespace
that it inherits: whatever ends the program ends the mounts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence

from netloom.containers.identity import Identity
from netloom.containers.masks import mask_host
from netloom.model.archive import ArchiveRoot
from netloom.model.errors import Conflict
from netloom.runtime import syscalls
from netloom.runtime.paths import Paths
from netloom.runtime.processes import Process
from netloom.runtime.root import host_mounts, identity_in, mount_layers, mount_overlay
from netloom.runtime.volume_mounts import VolumeMounts
from netloom.runtime.wrapper import Wrapper, spawn

ROOT, CONTROL = 3, 4  # descriptors of the program
_HIGH = 64  # beyond the descriptors that the program gets


class ArchiveRoots:
    """Starts programs that have a container's root as a descriptor."""

    def __init__(self, paths: Paths, wrapper: Wrapper, volumes: VolumeMounts) -> None:
        self._paths = paths
        self._wrapper = wrapper
        self._volumes = volumes

    def run(self, root: ArchiveRoot, init: Process | None, argv: Sequence[str], fds: dict[int, int]) -> int:
        """Start a program on a root; its pid. `fds` maps its descriptors to ours."""
        if root.running and not root.bare:
            return self._beside(root, init, argv, fds)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        try:
            return self._start(self._mounted(root), argv, fds)
        finally:
            self._wrapper.home()

    def identity(self, root: ArchiveRoot, init: Process | None, user: str) -> Identity:
        """Whom a user's name means in a root."""
        if root.running and init is not None:
            return identity_in(f"/proc/{init.pid}/root", user)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        try:
            return identity_in(self._mounted(root), user)
        finally:
            self._wrapper.home()
            self.sweep(root.id)

    def sweep(self, container: str = "") -> None:
        """Remove the mount points of one, or of all that an earlier daemon has left."""
        shutil.rmtree(self._folder(container), ignore_errors=True)

    def _folder(self, container: str) -> str:
        return f"{self._paths.run}/archives/{container}"

    def _beside(self, root: ArchiveRoot, init: Process | None, argv: Sequence[str], fds: dict[int, int]) -> int:
        try:
            fd = os.open(f"/proc/{init.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if init else -1
        except OSError:
            fd = -1
        try:
            if fd < 0 or init is None or not init.alive:
                raise Conflict(f"container {root.id} is not running")
            return _spawned(argv, {ROOT: fd, **fds})
        finally:
            if fd >= 0:
                os.close(fd)

    def _start(self, path: str, argv: Sequence[str], fds: dict[int, int]) -> int:
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _spawned(argv, {ROOT: fd, **fds})
        finally:
            os.close(fd)

    def _mounted(self, root: ArchiveRoot) -> str:
        """In the calling thread's own mount namespace."""
        target = f"{self._folder(root.id)}/root"
        upper, work = self._paths.upper(root.id), self._paths.work(root.id)
        for folder in (target, upper, work):
            os.makedirs(folder, mode=0o711, exist_ok=True)
        if root.bare:
            mount_layers(target, (upper, *root.lower))
            return target
        os.chmod(upper, 0o755)
        mount_overlay(target, root.lower, upper, work)
        if "/" in root.lower:
            self._mask(target)
        spec = {"mounts": [dict(mount) for mount in root.mounts]}
        self._volumes.prepare(root.id, target, spec, root.volumes, folder=self._folder(root.id))
        for mount in spec["mounts"]:
            _bind(
                target,
                mount["source"],
                mount["destination"],
                read_only="ro" in mount["options"] or "rro" in mount["options"],
            )
        if root.read_only:
            flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY
            syscalls.mount("", target, flags=flags)
        return target

    def _mask(self, target: str) -> None:
        """Of a root that is the host's own: what its containers do not see, nobody gets out of it."""
        hidden = mask_host({"mounts": [], "linux": {}}, (self._paths.state, self._paths.run), host_mounts())
        for mount in hidden["mounts"]:
            if mount["type"] == "bind":
                _bind(target, mount["source"], mount["destination"], read_only=True)
        tmpfs = [mount["destination"] for mount in hidden["mounts"] if mount["type"] == "tmpfs"]
        for path in (*tmpfs, *hidden["linux"]["maskedPaths"]):
            if os.path.isdir(path):
                # What stands on another filesystem than / is not in the overlay, and needs no mask.
                with contextlib.suppress(FileNotFoundError), _place(target, path) as place:
                    syscalls.mount("tmpfs", place, "tmpfs", data="mode=755,size=64k")
            elif os.path.exists(path):
                _bind(target, "/dev/null", path, read_only=False)


@contextlib.contextmanager
def _place(root: str, path: str) -> Iterator[str]:
    """Something inside of a root as a target of mount(2)."""
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = syscalls.open_in_root(base, path, os.O_PATH)
    finally:
        os.close(base)
    try:
        yield f"/proc/thread-self/fd/{fd}"
    finally:
        os.close(fd)


def _bind(root: str, source: str, destination: str, *, read_only: bool) -> None:
    """Mount inside of a root, where no link leads out; a missing place is made, as a start does."""
    if not os.path.lexists(source):
        return  # of a bind that its start would refuse, or make
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        place = syscalls.make_in_root(base, destination, folder=os.path.isdir(source))
    finally:
        os.close(base)
    try:
        path = f"/proc/thread-self/fd/{place}"
        syscalls.mount(source, path, flags=syscalls.MS_BIND | syscalls.MS_REC)
    finally:
        os.close(place)
    if read_only:
        with _place(root, destination) as mounted:
            syscalls.mount("", mounted, flags=syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY)


def _spawned(argv: Sequence[str], fds: dict[int, int]) -> int:
    """A descriptor that is replaced must not be one that is still needed."""
    high = {theirs: fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, _HIGH) for theirs, ours in fds.items()}
    try:
        return spawn(argv, fds=high)
    finally:
        for fd in high.values():
            os.close(fd)
