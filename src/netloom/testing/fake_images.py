"""Images in memory, for tests of the API: implements `api.image_backend.ImageBackend`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from netloom.model.errors import NetloomError, NotFound
from netloom.model.image import ImageConfig, ImageView, LayerView, Progress, Removed

HOST_IMAGE = ImageView(id="sha256:" + "ab" * 32, tags=("host:latest",), created=1, config=ImageConfig(cmd=("/bin/sh",)))


class FakeImages:
    """`calls` are what was asked of it; `lines` what pull and load tell, an error among them is raised there."""

    def __init__(self) -> None:
        self.found = [HOST_IMAGE]
        self.shared: list[LayerView] = []
        self.lines: list[Progress | NetloomError] = []
        self.pieces: list[bytes | NetloomError] = []
        self.calls: list[tuple[object, ...]] = []
        self.received = b""

    def all(self) -> list[ImageView]:
        return self.found

    def find(self, ref: str) -> ImageView:
        name = ref.removeprefix("docker.io/").removeprefix("library/")
        tagged = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
        digits = ref.removeprefix("sha256:")
        for image in self.found:
            if tagged in image.tags or (len(digits) >= 4 and image.id.removeprefix("sha256:").startswith(digits)):
                return image
        raise NotFound(f"No such image: {tagged}")

    def layers(self) -> list[LayerView]:
        return self.shared

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        self.calls.append(("tag", self.find(ref).id, repository, tag))

    async def remove(self, ref: str, *, force: bool, prune: bool) -> list[Removed]:
        self.calls.append(("remove", self.find(ref).id, force, prune))
        return [Removed(untagged=ref), Removed(deleted=self.find(ref).id)]

    async def prune(self, wanted: Callable[[ImageView], bool], *, dangling: bool) -> tuple[list[Removed], int]:
        gone = [Removed(deleted=image.id) for image in self.found if wanted(image) and not (dangling and image.tags)]
        return gone, len(gone)

    async def pull(self, name: str, tag: str, *, platform: str, credentials: str) -> AsyncGenerator[Progress, None]:
        self.calls.append(("pull", name, tag, platform, credentials))
        for line in self.lines:
            if isinstance(line, NetloomError):
                raise line
            yield line

    async def load(self, body: AsyncIterator[bytes]) -> AsyncGenerator[Progress, None]:
        self.received = b"".join([piece async for piece in body])
        for line in self.lines:
            if isinstance(line, NetloomError):
                raise line
            yield line

    async def take_in(
        self,
        body: AsyncIterator[bytes],
        *,
        repository: str,
        tag: str,
        message: str,
        changes: Sequence[str],
        platform: str,
    ) -> str:
        self.received = b"".join([piece async for piece in body])
        self.calls.append(("import", repository, tag, message, tuple(changes), platform))
        return HOST_IMAGE.id

    async def save(self, names: Sequence[str]) -> AsyncGenerator[bytes, None]:
        self.calls.append(("save", tuple(self.find(name).id for name in names)))
        for piece in self.pieces:
            if isinstance(piece, NetloomError):
                raise piece
            yield piece

    async def distribution(self, name: str, credentials: str) -> dict[str, Any]:
        self.calls.append(("distribution", name, credentials))
        return {}

    async def log_in(self, address: str, credentials: Mapping[str, str]) -> None:
        self.calls.append(("log in", address, dict(credentials)))
