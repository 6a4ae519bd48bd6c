"""Volumes as the runtime mounts them: file systems of their own, parts of a volume, first content from the image.

A volume with a device is mounted in the private mount namespace of each container that uses it, and nowhere else: it
goes with its last user, whatever becomes of the daemon. That all users see one and the same file system, a later one
gets its mount from the namespace of an earlier one, which that one's conmon holds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from netloom.containers.volume_options import LocalMount, local_mount
from netloom.model.errors import Failed, InvalidArgument
from netloom.model.volume import VolumeMount
from netloom.runtime import syscalls
from netloom.runtime.copying import copy_content, is_empty
from netloom.runtime.paths import Paths
from netloom.runtime.processes import Process
from netloom.runtime.root import folder_in

_MARK = ".filling"  # beside a volume's files while its first content is copied


class VolumeMounts:
    """Used from the wrapper's threads, in a mount namespace made for one container."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._holders: dict[str, list[tuple[str, Process]]] = defaultdict(list)  # container and its conmon, by volume
        self._mutex = threading.Lock()

    @contextlib.contextmanager
    def held(self, volumes: Sequence[VolumeMount]) -> Iterator[None]:
        """While one container is created, no other mounts or fills the same volumes."""
        with contextlib.ExitStack() as stack:
            for name in sorted({volume.name for volume in volumes if volume.copy or local_mount(volume.options)}):
                with self._mutex:
                    lock = self._locks[name]
                stack.enter_context(lock)
            yield

    def mounted(self, container: str, names: Sequence[str], conmon: Process) -> None:
        """A container has been created: its conmon holds the mounts of these volumes."""
        with self._mutex:
            for name in names:
                self._holders[name].append((container, conmon))

    def prepare(
        self, container: str, root: str, spec: dict[str, Any], volumes: Sequence[VolumeMount], *, folder: str = ""
    ) -> list[str]:
        """Put the right sources into the spec's mounts; the names of volumes that were mounted.

        `folder` is where they are mounted, by default the container's bundle.
        """
        folder = folder or self._paths.bundle(container)
        held = []
        for number, volume in enumerate(volumes):
            source = volume.source
            options = local_mount(volume.options)
            if options is not None:
                source = self._mount(folder, volume, options)
                held.append(volume.name)
            if volume.subpath:
                source = self._part(folder, source, volume, number)
            if volume.copy:
                _fill(root, source, volume)
            for mount in spec["mounts"]:
                if mount["destination"] == volume.destination and mount["type"] == "bind":
                    mount["source"] = source
        return held

    def _mount(self, folder: str, volume: VolumeMount, options: LocalMount) -> str:
        target = f"{folder}/volumes/{volume.name}"
        if os.path.isdir(target):
            return target  # mounted twice in one container
        os.makedirs(target, mode=0o700)
        for holder, conmon in self._living(volume.name):
            if _shared(conmon, f"{self._paths.bundle(holder)}/volumes/{volume.name}", target):
                return target
        try:
            syscalls.mount(options.device, target, options.kind, options.flags, options.data)
        except OSError as error:
            what = f"mount {options.device}:{volume.source}"
            what += f", flags: {options.flags:#x}" if options.flags else ""
            what += f", data: {options.data}" if options.data else ""
            reason = os.strerror(error.errno or errno.EIO).lower()
            raise Failed(
                f"error while mounting volume '{volume.source}': failed to mount local volume: {what}: {reason}"
            ) from error
        return target

    def _living(self, name: str) -> list[tuple[str, Process]]:
        with self._mutex:
            living = [(container, conmon) for container, conmon in self._holders[name] if conmon.alive]
            self._holders[name] = living
            return list(living)

    def _part(self, folder: str, source: str, volume: VolumeMount, number: int) -> str:
        """A part of a volume, held by a mount: what its users do to the volume's links meanwhile does not move it."""
        path = f"{source}/{volume.subpath}"
        base = os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            part = syscalls.open_beneath(base, volume.subpath)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.ELOOP):
                raise Failed(
                    "failed to populate volume: path concatenation escapes the base directory, "
                    f"base: {volume.source}, subpath: {volume.subpath}"
                ) from error
            reason = os.strerror(error.errno or errno.EIO).lower()
            raise InvalidArgument(f"cannot access path {path}: lstat {path}: {reason}") from error
        finally:
            os.close(base)
        try:
            target = f"{folder}/parts/{number}"
            if os.path.isdir(f"/proc/self/fd/{part}"):
                os.makedirs(target, mode=0o700)
            else:
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            syscalls.mount(f"/proc/thread-self/fd/{part}", target, flags=syscalls.MS_BIND | syscalls.MS_REC)
            return target
        finally:
            os.close(part)


def _shared(conmon: Process, path: str, target: str) -> bool:
    """Mount what another mount namespace has at `path`; False when it has gone."""
    try:
        theirs = os.open(f"/proc/{conmon.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not conmon.alive:  # the number is somebody else's by now
            return False
        own = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(theirs, syscalls.CLONE_NEWNS)
            try:
                tree = syscalls.open_tree(path) if os.path.ismount(path) else -1
            except OSError:
                tree = -1
            finally:
                syscalls.setns(own, syscalls.CLONE_NEWNS)
        finally:
            os.close(own)
    finally:
        os.close(theirs)
    if tree < 0:
        return False
    try:
        syscalls.move_mount(tree, target)
    finally:
        os.close(tree)
    return True


def _fill(root: str, source: str, volume: VolumeMount) -> None:
    """An empty volume gets what the image has at its destination. One whose filling was cut short is filled anew."""
    mark = f"{os.path.dirname(volume.source)}/{_MARK}"
    if not os.path.isdir(source):
        return
    target = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not is_empty(target) and not os.path.exists(mark):
            return
        inside = folder_in(root, volume.destination)
        if inside < 0:
            return
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            copy_content(inside, target)
            os.unlink(mark)
        except OSError as error:
            reason = os.strerror(error.errno or errno.EIO).lower()
            raise Failed(f"failed to populate volume: {volume.source}: {reason}") from error
        finally:
            os.close(inside)
    finally:
        os.close(target)
