"""The mounts of a container, from what was asked for to what its start finds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from netloom.containers.mounts import Wanted, wanted_mounts
from netloom.engine.core import Core
from netloom.engine.volumes import Volumes
from netloom.model.container import Container, ContainerRequest
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.mount import MountPoint
from netloom.model.volume import VolumeMount


class Mounting:
    """Resolves at create, looks at create and at start, tells everybody of mounts and unmounts."""

    def __init__(self, core: Core, volumes: Volumes) -> None:
        self._core = core
        self._volumes = volumes

    async def resolve(self, request: ContainerRequest) -> list[Wanted]:
        """What a request asks for, with the host's paths. Nothing is made yet."""
        found = wanted_mounts(request.config, request.host_config, self._of, self._core.new_id)
        resolved = [msgspec.structs.replace(one, point=self._with_source(one.point)) for one in found]
        for one in resolved:
            if one.point.type == "bind" and not one.point.create_source:
                await self._check_source(one.point)
        return resolved

    async def make(self, wanted: Sequence[Wanted]) -> None:
        """The volumes of a container that is recorded by now."""
        anonymous = [one.point.name for one in wanted if one.point.owned]
        await self._volumes.ensure([one.volume for one in wanted if one.volume is not None], anonymous)

    async def ready(self, container: Container) -> tuple[VolumeMount, ...]:
        """Everything is there that the start needs; what the runtime does with the volumes."""
        for point in container.mounts:
            if point.type == "bind" and point.create_source:
                await self._core.volumes.make_source(point.source)
            elif point.type == "bind":
                await self._check_source(point)
        return self.volumes_of(container)

    def volumes_of(self, container: Container) -> tuple[VolumeMount, ...]:
        """The volumes of a container, for the runtime. Raises NotFound for one that has gone."""
        return tuple(
            VolumeMount(
                name=point.name,
                source=point.source,
                destination=point.destination,
                subpath=point.subpath,
                copy=point.copy,
                options=self._volumes.get(point.name).options,
            )
            for point in self._points(container)
        )

    def mounted(self, container: Container) -> None:
        """Its volumes have come into use."""
        for point in self._points(container):
            self._core.publish(
                "volume",
                "mount",
                point.name,
                container=container.id,
                destination=point.destination,
                driver=point.driver,
                propagation=point.propagation,
                **{"read/write": "true" if point.rw else "false"},
            )

    def unmounted(self, container: Container) -> None:
        """It has ended, and uses them no more."""
        for point in self._points(container):
            self._core.publish("volume", "unmount", point.name, container=container.id, driver=point.driver)

    @staticmethod
    def _points(container: Container) -> list[MountPoint]:
        return [point for point in container.mounts if point.type == "volume"]

    def _of(self, ref: str) -> Sequence[MountPoint]:
        """Those of another container that can be shared: a tmpfs is its container's alone."""
        try:
            container = self._core.tables.container(ref)
        except NotFound as error:
            raise InvalidArgument(error.sentence) from error
        return [point for point in container.mounts if point.type != "tmpfs"]

    def _with_source(self, point: MountPoint) -> MountPoint:
        if point.type != "volume":
            return point
        return msgspec.structs.replace(point, source=self._core.volumes.mountpoint(point.name))

    async def _check_source(self, point: MountPoint) -> None:
        if not await self._core.volumes.exists(point.source):
            raise InvalidArgument(
                f'invalid mount config for type "bind": bind source path does not exist: {point.source}'
            )
