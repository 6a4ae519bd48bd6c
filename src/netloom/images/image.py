"""An image as the engine starts containers from it, and its configuration as it lies in registries and archives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from netloom.model.errors import InvalidArgument
from netloom.model.image import HistoryEntry, ImageConfig, ImageView

MOST_LAYERS = 125  # as in Docker; overlayfs takes a few more
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)")


class Image(ImageView, frozen=True, kw_only=True):
    """`lower` are the read-only layers of the root, uppermost first."""

    lower: tuple[str, ...] = ()


class _History(Struct, frozen=True):
    created: str | None = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class _RootFs(Struct, frozen=True):
    type: str = "layers"
    diff_ids: tuple[str, ...] | None = ()


class Document(Struct, frozen=True):
    """An image's configuration (OCI image-spec config.md, Docker's image spec 1.3), as far as it is used here."""

    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    created: str | None = ""
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    config: ImageConfig | None = None
    rootfs: _RootFs = _RootFs()
    history: tuple[_History, ...] | None = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """Digests of the layers' tars, lowest first."""
        return self.rootfs.diff_ids or ()


def read_document(raw: bytes) -> Document:
    """Decode and check. Raises InvalidArgument."""
    try:
        document = msgspec.json.decode(raw, type=Document)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid image configuration: {error}") from error
    if not all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in document.layers):
        raise InvalidArgument("invalid image configuration: a layer's digest is no sha256")
    if len(document.layers) > MOST_LAYERS:
        raise InvalidArgument("max depth exceeded", remedy=f"an image has at most {MOST_LAYERS} layers")
    return document


def image_of(raw: bytes, sizes: Mapping[str, int], lower: tuple[str, ...]) -> Image:
    """The image of a configuration; its names are put in later."""
    document = read_document(raw)
    return Image(
        id=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        tags=(),
        created=_nanoseconds(document.created),
        size=sum(sizes[one] for one in document.layers),
        config=document.config or ImageConfig(),
        comment=document.comment or (document.history[-1].comment if document.history else ""),
        author=document.author,
        architecture=document.architecture,
        variant=document.variant,
        os=document.os or "linux",
        os_version=document.os_version,
        docker_version=document.docker_version,
        layers=document.layers,
        history=_history(document, sizes),
        lower=lower,
    )


def chain_ids(layers: tuple[str, ...]) -> tuple[str, ...]:
    """What names each layer together with those below it (OCI image-spec, config.md: Layer ChainID)."""
    chain: list[str] = []
    for layer in layers:
        text = f"{chain[-1]} {layer}" if chain else layer
        chain.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if chain else layer)
    return tuple(chain)


def _history(document: Document, sizes: Mapping[str, int]) -> tuple[HistoryEntry, ...]:
    layers = iter(document.layers)
    return tuple(
        HistoryEntry(
            created=_nanoseconds(one.created),
            created_by=one.created_by,
            comment=one.comment,
            size=0 if one.empty_layer else sizes.get(next(layers, ""), 0),
        )
        for one in document.history or ()
    )


def _nanoseconds(text: str | None) -> int:
    """RFC 3339 in ns since the epoch; 0 for what is none, or before it."""
    match = _TIME.fullmatch(text or "")
    if match is None:
        return 0
    try:
        moment = datetime.fromisoformat(match[1].upper() + match[3].upper().replace("Z", "+00:00"))
    except ValueError:
        return 0
    return max(0, int((moment - _EPOCH).total_seconds()) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0")))
