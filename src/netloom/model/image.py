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


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One step of how an image was made, the oldest first. `size` is of the layer that it made."""

    created: int = 0  # ns since the epoch
    created_by: str = ""
    comment: str = ""
    size: int = 0


class ImageView(Struct, frozen=True, kw_only=True):
    """What image lists and image inspect show."""

    id: str  # sha256:…
    tags: tuple[str, ...]  # host:latest …
    digests: tuple[str, ...] = ()  # web@sha256:…
    created: int = 0  # ns since the epoch
    size: int = 0  # bytes
    config: ImageConfig = ImageConfig()
    comment: str = ""
    author: str = ""
    architecture: str = ""  # this machine's where it is empty
    variant: str = ""
    os: str = "linux"
    os_version: str = ""
    docker_version: str = ""
    layers: tuple[str, ...] = ()  # digests of the layers' tars, lowest first
    history: tuple[HistoryEntry, ...] = ()
    tagged: int = 0  # ns since the epoch, when it last was given a name


class LayerView(Struct, frozen=True, kw_only=True):
    """A layer on disk, and the images that have it."""

    diff_id: str
    size: int  # bytes
    images: tuple[str, ...]


class Progress(Struct, frozen=True, kw_only=True):
    """One line of what a pull or a load tells while it works. `total` 0: no figures belong to it."""

    status: str = ""
    id: str = ""
    current: int = 0
    total: int = 0
    bare: bool = False  # without details
    stream: str = ""  # instead of all else


class Removed(Struct, frozen=True):
    """What a removal has done: one of the two."""

    untagged: str = ""
    deleted: str = ""
