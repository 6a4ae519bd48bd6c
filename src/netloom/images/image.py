"""An image as the engine starts containers from it."""

from __future__ import annotations

from msgspec import Struct

from netloom.model.image import ImageConfig, ImageView


class Image(Struct, frozen=True, kw_only=True):
    """`lower` are the read-only layers of the root, uppermost first."""

    id: str  # sha256:…
    tags: tuple[str, ...]
    created: int = 0  # ns since the epoch
    size: int = 0  # bytes that it takes of its own
    config: ImageConfig = ImageConfig()
    lower: tuple[str, ...] = ()
    comment: str = ""

    def view(self) -> ImageView:
        """What users see of it."""
        return ImageView(
            id=self.id,
            tags=self.tags,
            created=self.created,
            size=self.size,
            config=self.config,
            comment=self.comment,
        )
