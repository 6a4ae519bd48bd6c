"""What the API needs of images. References are names, ids or unambiguous beginnings of ids, as users type them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from netloom.model.image import ImageView, LayerView, Progress, Removed

Body = AsyncIterator[bytes]


class ImageBackend(Protocol):
    """Reads are plain calls; changes are awaited until they stand on disk."""

    def all(self) -> list[ImageView]:
        """All, newest first."""
        ...

    def find(self, ref: str) -> ImageView:
        """Raises NotFound `No such image: REF:TAG`, InvalidArgument for a beginning that several share."""
        ...

    def layers(self) -> list[LayerView]:
        """Every layer on disk, its size, and the images that have it."""
        ...

    async def tag(self, ref: str, repository: str, tag: str) -> None: ...
    async def remove(self, ref: str, *, force: bool, prune: bool) -> list[Removed]:
        """What was untagged and deleted, in order."""
        ...

    async def prune(self, wanted: Callable[[ImageView], bool], *, dangling: bool) -> tuple[list[Removed], int]:
        """Remove those that no container uses: only nameless ones, or all. What was removed, and the bytes."""
        ...

    def pull(self, name: str, tag: str, *, platform: str, credentials: str) -> AsyncGenerator[Progress, None]:
        """Pull while it is listened to; closing the iterator ends it. `tag` empty: all tags of the repository."""
        ...

    def load(self, body: Body) -> AsyncGenerator[Progress, None]:
        """The same for an archive."""
        ...

    async def take_in(
        self, body: Body, *, repository: str, tag: str, message: str, changes: Sequence[str], platform: str
    ) -> str:
        """`docker import`: the new image's id."""
        ...

    def save(self, names: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """An archive of these images. Raises before its first piece when one is not there."""
        ...

    async def distribution(self, name: str, credentials: str) -> dict[str, Any]:
        """Descriptor and platforms of what a registry has under that name."""
        ...

    async def log_in(self, address: str, credentials: Mapping[str, str]) -> None:
        """Try a registry's name and password (`username`, `password` or a token). Raises Failed as it refuses."""
        ...
