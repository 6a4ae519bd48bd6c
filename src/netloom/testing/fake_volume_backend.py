"""Volumes of the API's fake engine: implements `api.volume_backend.VolumeBackend`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netloom.model.errors import Conflict, NotFound
from netloom.model.volume import ANONYMOUS, Volume, VolumeRequest, VolumeUsage


class FakeVolumeBackend:
    """`used` are ids of containers by the name of the volume that they name."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.volumes: dict[str, Volume] = {}
        self.used: dict[str, list[str]] = {}
        self._now = now

    def all(self) -> list[Volume]:
        return list(self.volumes.values())

    def get(self, name: str) -> Volume:
        if name not in self.volumes:
            raise NotFound(f"get {name}: no such volume")
        return self.volumes[name]

    def users(self, name: str) -> list[str]:
        return self.used.get(name, [])

    async def create(self, request: VolumeRequest) -> Volume:
        name = request.name or f"{len(self.volumes):064x}"
        labels = request.labels if request.name else {**(request.labels or {}), ANONYMOUS: ""}
        volume = Volume(
            name=name, created=self._now(), mountpoint=f"/v/{name}/_data", labels=labels, options=request.options
        )
        return self.volumes.setdefault(name, volume)

    async def remove(self, name: str, *, force: bool) -> None:
        if force and name not in self.volumes:
            return
        self.get(name)
        if self.users(name):
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(self.users(name))}]")
        del self.volumes[name]

    async def prune(self, candidates: Sequence[str]) -> tuple[list[str], int]:
        deleted = [name for name in candidates if not self.users(name)]
        for name in deleted:
            del self.volumes[name]
        return deleted, len(deleted)

    async def usage(self) -> list[VolumeUsage]:
        return [VolumeUsage(volume, 1, len(self.users(volume.name))) for volume in self.all()]
