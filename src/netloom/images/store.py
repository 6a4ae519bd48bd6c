"""Images by name or id. So far there is one, the reserved image `host`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netloom.images.host import host_image
from netloom.images.image import Image
from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.image import ImageView

_SHORTEST_ID = 4


def with_tag(ref: str) -> str:
    """`host` as `host:latest`; a tag or digest that was given stays."""
    return ref if ":" in ref.rpartition("/")[2] or "@" in ref else f"{ref}:latest"


class ImageStore:
    """What can be started. Images are looked up, never fetched."""

    def __init__(self, images: Sequence[Image] | None = None) -> None:
        self._images = tuple(images) if images is not None else (host_image(),)

    def resolve(self, ref: str) -> Image:
        """By name with or without tag, by id, or by an unambiguous beginning of one.

        Raises NotFound, or InvalidArgument for a beginning that several share.
        """
        wanted = with_tag(ref)
        for image in self._images:
            if wanted in image.tags or ref == image.id:
                return image
        matches = self._by_prefix(ref.removeprefix("sha256:"))
        if len(matches) > 1:
            raise InvalidArgument(f"ambiguous reference: {ref}")
        if not matches:
            remedy = "netloom runs the image 'host' so far, which is this machine's own system"
            raise NotFound(f"No such image: {wanted}", remedy=remedy if ref else "")
        return matches[0]

    def _by_prefix(self, text: str) -> list[Image]:
        if len(text) < _SHORTEST_ID or not re.fullmatch(r"[0-9a-f]+", text):
            return []
        return [image for image in self._images if image.id.removeprefix("sha256:").startswith(text)]

    def images(self) -> list[ImageView]:
        """All, newest first."""
        return [image.view() for image in sorted(self._images, key=lambda one: one.created, reverse=True)]
