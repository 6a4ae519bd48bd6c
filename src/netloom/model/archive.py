"""Files of containers as tar streams (`docker cp`, `docker export`), and what a container has changed."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

from netloom.model.volume import VolumeMount

CHANGED, ADDED, DELETED = 0, 1, 2  # kinds of a change, as in Docker's API


class PathStat(Struct, frozen=True, kw_only=True):
    """What is at a path of a container; `mode` has the bits of Go's os.FileMode."""

    name: str
    size: int
    mode: int
    mtime_ns: int
    link_target: str = ""  # where a link ends, inside of the container


class Change(Struct, frozen=True, order=True):
    """One path that differs from the image."""

    path: str
    kind: int


class ArchiveRoot(Struct, frozen=True, kw_only=True):
    """The root that is to be read or written. That of a running container is where its processes have it."""

    id: str
    running: bool
    lower: tuple[str, ...]
    mounts: tuple[dict[str, Any], ...] = ()  # of the OCI spec: binds, volumes included
    volumes: tuple[VolumeMount, ...] = ()
    read_only: bool = False
    bare: bool = False  # the image's layers and the container's own, without any mount (`docker export`)


class ArchiveReader(Protocol):
    """A tar stream out of a container. Close it, whatever happens."""

    @property
    def stat(self) -> PathStat: ...
    async def read(self) -> bytes:
        """The next piece; empty at the end. Raises Failed when the stream is cut short."""
        ...

    async def close(self) -> None: ...


class ArchiveWriter(Protocol):
    """A tar stream into a folder of a container. Close it, whatever happens."""

    async def write(self, data: bytes) -> None:
        """Waits while the files are being written."""
        ...

    async def finish(self) -> None:
        """Everything has been sent: returns when it stands. Raises Failed, InvalidArgument or Exhausted."""
        ...

    async def close(self) -> None: ...
