"""Volumes as users handle them, and as containers need them. A volume is in use as long as a container names it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from netloom.containers.volume_options import check_driver, check_name, check_options
from netloom.engine.core import Core
from netloom.model.container import Container
from netloom.model.errors import Conflict, NetloomError, NotFound
from netloom.model.volume import ANONYMOUS, LOCAL, Volume, VolumeRequest, VolumeUsage


class Volumes:
    """Implements `api.volume_backend.VolumeBackend`. What is done to one volume takes its turn in its lane."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._volumes: dict[str, Volume] = {}

    async def recover(self) -> None:
        """Read what is on disk."""
        self._volumes = {volume.name: volume for volume in await self._core.volumes.load()}

    async def complete_all(self) -> None:
        """Containers are known: one whose creation was cut short gets its volumes."""
        for container in list(self._core.tables.containers.values()):
            await self.complete(container)

    async def complete(self, container: Container) -> None:
        """Volumes that a container names and that are not there are made."""
        points = [point for point in container.mounts if point.type == "volume" and point.name not in self._volumes]
        own = [point.name for point in points if point.owned]
        await self.ensure([VolumeRequest(name=point.name) for point in points], own)

    def all(self) -> list[Volume]:
        """See VolumeBackend."""
        return list(self._volumes.values())

    def get(self, name: str) -> Volume:
        """See VolumeBackend."""
        try:
            return self._volumes[name]
        except KeyError:
            raise NotFound(f"get {name}: no such volume") from None

    def users(self, name: str) -> list[str]:
        """See VolumeBackend."""
        return [
            container.id
            for container in self._core.tables.containers.values()
            if any(point.name == name and point.type == "volume" for point in container.mounts)
        ]

    async def create(self, request: VolumeRequest) -> Volume:
        """See VolumeBackend."""
        anonymous = not request.name
        name = request.name or self._core.new_id()
        check_driver(name, request.driver)
        check_name(name)
        check_options(name, request.options)
        labels = {**(request.labels or {}), ANONYMOUS: ""} if anonymous else request.labels
        return await self._ensure(name, labels, request.options)

    async def ensure(self, requests: Iterable[VolumeRequest], anonymous: Sequence[str] = ()) -> None:
        """Volumes that a container needs are there: those that lack are made. Their options are checked already.

        When one cannot be made, those made here that have no name of their own are gone again.
        """
        made: list[str] = []
        try:
            for request in requests:
                known = request.name in self._volumes
                labels = {**(request.labels or {}), ANONYMOUS: ""} if request.name in anonymous else request.labels
                await self._ensure(request.name, labels, request.options)
                if not known and request.name in anonymous:
                    made.append(request.name)
        except BaseException:
            for name in made:
                await self._gone(name)
            raise

    async def remove(self, name: str, *, force: bool) -> None:
        """See VolumeBackend."""
        if force and name not in self._volumes:
            return
        async with self._core.lanes.hold(_lane(name)):
            self.get(name)
            users = self.users(name)
            if users:
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
            await self._gone(name)

    async def prune(self, candidates: Sequence[str]) -> tuple[list[str], int]:
        """See VolumeBackend."""
        deleted: list[str] = []
        reclaimed = 0
        for name in candidates:
            async with self._core.lanes.hold(_lane(name)):
                if name not in self._volumes or self.users(name):
                    continue
                size = await self._core.volumes.size(name)
                try:
                    await self._gone(name)
                except NetloomError as error:
                    self._core.complain(f"volume {name} could not be pruned", error)
                    continue
            deleted.append(name)
            reclaimed += size
        self._core.publish("volume", "prune", "", reclaimed=str(reclaimed))
        return deleted, reclaimed

    async def usage(self) -> list[VolumeUsage]:
        """See VolumeBackend."""
        volumes = self.all()
        sizes = await asyncio.gather(*(self._core.volumes.size(volume.name) for volume in volumes))
        return [VolumeUsage(v, size, len(self.users(v.name))) for v, size in zip(volumes, sizes, strict=True)]

    async def leave(self, container: Container) -> None:
        """The container goes: so do its own volumes, but for those that others use by now.

        One that cannot be removed stays for `volume rm`: it does not hold its container back.
        """
        for point in container.mounts:
            if not point.owned or point.name not in self._volumes:
                continue
            async with self._core.lanes.hold(_lane(point.name)):
                if point.name not in self._volumes or self.users(point.name) not in ([], [container.id]):
                    continue
                try:
                    await self._gone(point.name)
                except NetloomError as error:
                    self._core.complain(
                        f"volume {point.name} of container {container.name} could not be removed", error
                    )

    async def _ensure(self, name: str, labels: dict[str, str] | None, options: dict[str, str] | None) -> Volume:
        core = self._core
        async with core.lanes.hold(_lane(name)):
            known = self._volumes.get(name)
            if known is not None:
                return known
            volume = Volume(
                name=name,
                created=core.clock.now(),
                mountpoint=core.volumes.mountpoint(name),
                labels=labels,
                options=options,
            )
            await core.volumes.create(volume)
            self._volumes[name] = volume
            core.publish("volume", "create", name, driver=LOCAL)
            return volume

    async def _gone(self, name: str) -> None:
        await self._core.volumes.remove(name)
        self._volumes.pop(name, None)
        self._core.publish("volume", "destroy", name, driver=LOCAL)


def _lane(name: str) -> str:
    return f"volume {name}"
