"""Images: what they say of their containers, and as users see them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from netloom.model.health import HealthConfig


class ImageConfig(Struct, frozen=True, rename="pascal"):
    """`config` of an image (OCI image-spec, config.md, and Docker's additions): defaults of its containers."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    shell: tuple[str, ...] | None = None


class ImageView(Struct, frozen=True, kw_only=True):
    """What image lists and image inspect show."""

    id: str  # sha256:…
    tags: tuple[str, ...]  # host:latest …
    created: int = 0  # ns since the epoch
    size: int = 0  # bytes
    config: ImageConfig = ImageConfig()
    comment: str = ""
