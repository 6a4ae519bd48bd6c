"""`docker cp`, `docker export` and `docker diff`: the files of containers, running or not.

The root of a running container is its processes' own. That of another is mounted for the copy, and until the copy is
closed nobody starts or removes the container: no root is mounted twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from netloom.containers.mount_specs import with_user_mounts
from netloom.containers.spec import file_mounts
from netloom.engine.core import Core
from netloom.engine.mounting import Mounting
from netloom.engine.sandbox_files import SandboxFiles
from netloom.model.archive import ArchiveReader, ArchiveRoot, ArchiveWriter, Change, PathStat
from netloom.model.container import Container
from netloom.model.errors import Conflict, InvalidArgument, NotFound

T = TypeVar("T")


class HeldReader:
    """A reader, and what is held while it is open."""

    def __init__(self, inner: ArchiveReader, held: AsyncExitStack) -> None:
        self._inner = inner
        self._held = held

    @property
    def stat(self) -> PathStat:
        """See ArchiveReader."""
        return self._inner.stat

    async def read(self) -> bytes:
        """See ArchiveReader."""
        return await self._inner.read()

    async def close(self) -> None:
        """See ArchiveReader."""
        try:
            await self._inner.close()
        finally:
            await self._held.aclose()


class HeldWriter:
    """A writer, and what is held while it is open."""

    def __init__(self, inner: ArchiveWriter, held: AsyncExitStack) -> None:
        self._inner = inner
        self._held = held

    async def write(self, data: bytes) -> None:
        """See ArchiveWriter."""
        await self._inner.write(data)

    async def finish(self) -> None:
        """See ArchiveWriter."""
        await self._inner.finish()

    async def close(self) -> None:
        """See ArchiveWriter."""
        try:
            await self._inner.close()
        finally:
            await self._held.aclose()


class Archiving:
    """Implements the archive part of `api.backend.Backend`."""

    def __init__(self, core: Core, mounting: Mounting, files: SandboxFiles) -> None:
        self._core = core
        self._mounting = mounting
        self._files = files

    async def stat(self, ref: str, path: str) -> PathStat:
        """See Backend."""
        _, found, held = await self._opened(ref, path, lambda r: self._core.runtime.stat_path(r, path))
        await held.aclose()
        return found

    async def read(self, ref: str, path: str) -> ArchiveReader:
        """See Backend."""
        container, reader, held = await self._opened(ref, path, lambda r: self._core.runtime.read_archive(r, path))
        self._core.publish_container("archive-path", container)
        return HeldReader(reader, held)

    async def write(self, ref: str, path: str, *, keep_kinds: bool, own: bool) -> ArchiveWriter:
        """See Backend."""
        user = self._core.tables.container(ref).config.user if own else ""

        async def opened(root: ArchiveRoot) -> ArchiveWriter:
            return await self._core.runtime.write_archive(root, path, keep_kinds=keep_kinds, user=user)

        container, writer, held = await self._opened(ref, path, opened)
        self._core.publish_container("extract-to-dir", container)
        return HeldWriter(writer, held)

    async def export(self, ref: str) -> ArchiveReader:
        """See Backend."""
        container = self._core.tables.container(ref)
        if "/" in self._lower(container):
            raise Conflict(
                f"container {container.name} cannot be exported: its root is this machine's own",
                remedy="copy what you need with docker cp",
            )
        container, reader, held = await self._opened(
            ref, "/", lambda root: self._core.runtime.read_archive(root, "/"), bare=True
        )
        self._core.publish_container("export", container)
        return HeldReader(reader, held)

    async def changes(self, ref: str) -> list[Change]:
        """See Backend."""
        container = self._core.tables.container(ref)
        return await self._core.runtime.changes(container.id, self._lower(container))

    async def _opened(
        self, ref: str, path: str, action: Callable[[ArchiveRoot], Awaitable[T]], *, bare: bool = False
    ) -> tuple[Container, T, AsyncExitStack]:
        """What the action gave, with what is to be held until it is closed."""
        core = self._core
        container = core.tables.container(ref)
        async with AsyncExitStack() as held:
            if not container.state.running:
                await held.enter_async_context(core.lanes.hold(container.id))
                container = core.tables.container(container.id)
                if container.state.running:
                    await held.aclose()  # started meanwhile
            try:
                result = await action(await self._root(container, bare=bare))
            except NotFound as error:
                if error.sentence != "missing":
                    raise
                raise NotFound(f"Could not find the file {path} in container {ref}") from error
            except InvalidArgument as error:
                if error.sentence != "read-only":
                    raise
                raise InvalidArgument(_read_only(container, path)) from error
            return container, result, held.pop_all()

    async def _root(self, container: Container, *, bare: bool) -> ArchiveRoot:
        lower = self._lower(container)
        running = container.state.running
        if running or bare:
            return ArchiveRoot(id=container.id, running=running, lower=lower, bare=bare)
        return ArchiveRoot(
            id=container.id,
            running=False,
            lower=lower,
            mounts=tuple(mount for mount in self._mounts(container) if mount["type"] == "bind"),
            volumes=self._mounting.volumes_of(container),
            read_only=container.host_config.readonly_rootfs,
        )

    def _mounts(self, container: Container) -> list[dict[str, Any]]:
        files = file_mounts(self._files.paths(container), container.host_config)
        return with_user_mounts(container, (), files)

    def _lower(self, container: Container) -> tuple[str, ...]:
        return tuple(self._core.images.by_id(container.image_id).lower)


def _read_only(container: Container, path: str) -> str:
    where = path if path.startswith("/") else f"/{path}"
    on_mount = any(f"{where}/".startswith(f"{point.destination}/") for point in container.mounts)
    return "mounted volume is marked read-only" if on_mount else "container rootfs is marked read-only"
