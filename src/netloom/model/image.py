"""An image as users see it."""

from __future__ import annotations

from msgspec import Struct


class ImageView(Struct, frozen=True, kw_only=True):
    """What image lists and image inspect show."""

    id: str  # sha256:…
    tags: tuple[str, ...]  # host:latest …
    created: int = 0  # ns since the epoch
    size: int = 0  # bytes
    env: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    working_dir: str = ""
    comment: str = ""
