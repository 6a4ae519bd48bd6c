"""Volumes in memory: implements `engine.ports.VolumeFolders`."""

from __future__ import annotations

from netloom.model.volume import Volume


class FakeVolumes:
    """`volumes` by name, `sizes` of their files, and the paths of the host that there are."""

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}
        self.sizes: dict[str, int] = {}
        self.paths: set[str] = {"/srv"}

    def mountpoint(self, name: str) -> str:
        return f"/nowhere/volumes/{name}/_data"

    async def load(self) -> list[Volume]:
        return list(self.volumes.values())

    async def create(self, volume: Volume) -> None:
        self.volumes[volume.name] = volume

    async def remove(self, name: str) -> None:
        self.volumes.pop(name, None)

    async def size(self, name: str) -> int:
        return self.sizes.get(name, 0)

    async def exists(self, path: str) -> bool:
        return path in self.paths

    async def make_source(self, path: str) -> None:
        self.paths.add(path)
