"""What the API needs of the engine about volumes; reached as `Backend.volumes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from netloom.model.volume import Volume, VolumeRequest, VolumeUsage


class VolumeBackend(Protocol):
    """Volumes by their full names."""

    def all(self) -> list[Volume]: ...
    def get(self, name: str) -> Volume:
        """NotFound `get NAME: no such volume`."""
        ...

    def users(self, name: str) -> list[str]:
        """Ids of the containers that name it, running or not."""
        ...

    async def create(self, request: VolumeRequest) -> Volume:
        """One that is there already is what was asked for, whatever its labels and options."""
        ...

    async def remove(self, name: str, *, force: bool) -> None:
        """Conflict while it is in use; by force, one that is not there is success."""
        ...

    async def prune(self, candidates: Sequence[str]) -> tuple[list[str], int]:
        """Remove those of the candidates that nobody uses; their names and the bytes of their files."""
        ...

    async def usage(self) -> list[VolumeUsage]:
        """Every volume with its size: reads the whole of each."""
        ...
