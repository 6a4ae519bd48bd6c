"""`docker load`, `docker save` and `docker import`: images from and to tars."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from netloom.images import workers
from netloom.images.image import Image, chain_ids, read_document
from netloom.images.pack import Entry, Plan
from netloom.images.reference import LATEST, Reference, parse
from netloom.images.store import ImageStore
from netloom.images.unpack import Unpacked
from netloom.model.errors import Failed, InvalidArgument
from netloom.model.image import Progress

Body = AsyncIterator[bytes]
Tell = Callable[[Progress], None]
Whole = Callable[[Coroutine[Any, Any, Image]], Awaitable[Image]]

_DOCUMENT_LIMIT = 8 << 20  # bytes of a manifest or configuration
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"


class Loaded(Struct, frozen=True):
    """An image of an archive: its configuration, its layers' members with their digests where known, its names."""

    config: bytes
    layers: tuple[tuple[str, str], ...]
    names: tuple[Reference, ...]


class Archive:
    """An archive that was taken in. Everything named in it is looked up among its members."""

    def __init__(self, file: str, members: Mapping[str, tuple[int, int]]) -> None:
        self.file = file
        self._members = members

    def part(self, name: str) -> tuple[int, int]:
        """Offset and size of a member."""
        found = self._members.get(os.path.normpath(name).lstrip("/"))
        if found is None:
            raise InvalidArgument(f"invalid archive: {name} is not in it")
        return found

    def images(self) -> list[Loaded]:
        """What the archive holds. Blocking. Raises InvalidArgument."""
        try:
            if "manifest.json" in self._members:
                return [self._docker(one) for one in self._json("manifest.json")]
            if "index.json" in self._members:
                return list(self._oci(self._json("index.json"), {}))
        except (TypeError, KeyError, AttributeError, msgspec.DecodeError) as error:
            raise InvalidArgument(f"invalid archive: {error}") from error
        raise InvalidArgument(
            "invalid archive: neither manifest.json nor index.json is in it",
            remedy="a file system is taken in by docker import",
        )

    def _docker(self, entry: dict[str, Any]) -> Loaded:
        names = tuple(parse(name).with_default_tag() for name in entry.get("RepoTags") or ())
        return Loaded(self._read(entry["Config"]), tuple((name, "") for name in entry["Layers"] or ()), names)

    def _oci(self, index: dict[str, Any], above: Mapping[str, str]) -> list[Loaded]:
        found: list[Loaded] = []
        for entry in index["manifests"]:
            annotations = {**above, **(entry.get("annotations") or {})}
            manifest = self._json(_blob(entry["digest"]))
            if "manifests" in manifest:
                found += self._oci(manifest, annotations)
            elif manifest["config"].get("mediaType", _OCI_CONFIG).endswith(("config.v1+json", "image.v1+json")):
                layers = tuple((_blob(one["digest"]), str(one["digest"])) for one in manifest["layers"])
                found.append(Loaded(self._read(_blob(manifest["config"]["digest"])), layers, _names(annotations)))
        return found

    def _json(self, name: str) -> Any:
        return msgspec.json.decode(self._read(name))

    def _read(self, name: str) -> bytes:
        offset, size = self.part(name)
        if size > _DOCUMENT_LIMIT:
            raise InvalidArgument(f"invalid archive: {name} is too large")
        with open(self.file, "rb") as file:
            return os.pread(file.fileno(), size, offset)


def _blob(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return f"blobs/{algorithm}/{digits}"


def _names(annotations: Mapping[str, str]) -> tuple[Reference, ...]:
    """containerd gives the whole name, skopeo writes it where the specification has a tag."""
    text = annotations.get("io.containerd.image.name") or annotations.get("org.opencontainers.image.ref.name", "")
    if not set(":/") & set(text):
        return ()
    try:
        return (parse(text).with_default_tag(),)
    except InvalidArgument:
        return ()


class Archives:
    """Loads into, and saves from, one store."""

    def __init__(self, store: ImageStore, now: Callable[[], int], whole: Whole) -> None:
        self._store = store
        self._now = now
        self._whole = whole

    @contextlib.asynccontextmanager
    async def taken_in(self, body: Body) -> AsyncIterator[tuple[Archive, list[Loaded]]]:
        """An archive on disk while the block runs. Raises before anything of it is used."""
        store = self._store
        file = store.disk.temporary()
        try:
            members = await workers.scan(file, body)
            archive = Archive(file, members.members)
            yield archive, await store.on_disk(archive.images)
        finally:
            await store.on_disk(store.disk.discard, file)

    async def load(self, archive: Archive, loaded: Loaded, tell: Tell) -> Image:
        """One image of it. Raises with nothing left."""
        store = self._store
        layers = read_document(loaded.config).layers
        if len(layers) != len(loaded.layers):
            raise InvalidArgument(f"invalid archive: {len(loaded.layers)} layers, but {len(layers)} diff ids")
        async with store.pinned() as pins:
            lacking: dict[str, tuple[str, str]] = {}
            for diff_id, layer in zip(layers, loaded.layers, strict=True):
                if store.has_layer(diff_id):
                    pins.add(diff_id)
                else:
                    lacking.setdefault(diff_id, layer)
            if lacking:
                await self._layers(archive, lacking, pins, tell)
            return await self._whole(store.add(loaded.config, loaded.names, self._now()))

    async def _layers(
        self, archive: Archive, lacking: Mapping[str, tuple[str, str]], pins: set[str], tell: Tell
    ) -> None:
        """Layers of the archive by their digests: the member that has it, and the member's digest where known."""
        parts = [archive.part(member) for member, _ in lacking.values()]

        def told(*, done: bool) -> None:
            for diff_id, (_, size) in zip(lacking, parts, strict=True):
                short = diff_id.removeprefix("sha256:")[:12]
                tell(
                    Progress(status="Loading layer", id=short, current=size if done else min(size, 1 << 15), total=size)
                )

        async def work(folders: Sequence[str]) -> list[Unpacked]:
            windows = [(folder, *part) for folder, part in zip(folders, parts, strict=True)]
            made = await workers.unpack_parts(archive.file, windows)
            for one, (member, digest) in zip(made, lacking.values(), strict=True):
                if digest and one.digest != digest:
                    raise Failed(f"invalid archive: {member} has another digest: {one.digest}")
            return made

        told(done=False)
        await self._store.unpack_all(pins, work, list(lacking))
        told(done=True)

    async def import_layer(self, body: Body, pins: set[str]) -> str:
        """A file system as one layer; its digest."""

        async def work(folder: str) -> Unpacked:
            return await workers.unpack_body(folder, body)

        return (await self._store.unpack(pins, work)).diff_id

    async def save(self, chosen: Sequence[tuple[Image, Sequence[Reference]]]) -> AsyncGenerator[bytes, None]:
        """An archive of images under these names, in pieces. Their layers stay until it is sent."""
        store = self._store
        async with store.pinned() as pins:
            for image, _ in chosen:
                for one in image.layers:
                    pins.add(one)
            configs = {image.id: await store.on_disk(store.disk.config, image.id) for image, _ in chosen}
            async with contextlib.aclosing(workers.pack(self._plan(chosen, configs))) as pieces:
                async for piece in pieces:
                    yield piece

    def _plan(self, chosen: Sequence[tuple[Image, Sequence[Reference]]], configs: Mapping[str, bytes]) -> Plan:
        """Docker's own form, which is an OCI layout too (moby, image/tarexport)."""
        blobs: dict[str, Entry] = {}
        manifest, index, repositories = [], [], dict[str, dict[str, str]]()
        for image, names in chosen:
            layers = [_descriptor(_OCI_LAYER, one, self._store.layer(one).tar_size) for one in image.layers]
            config = configs[image.id]
            own = _encode(
                {
                    "schemaVersion": 2,
                    "mediaType": _OCI_MANIFEST,
                    "config": _descriptor(_OCI_CONFIG, image.id, len(config)),
                    "layers": layers,
                }
            )
            digest = f"sha256:{hashlib.sha256(own).hexdigest()}"
            mtime = image.created // 1_000_000_000
            blobs[digest] = Entry(_blob(digest), 0, own)
            blobs[image.id] = Entry(_blob(image.id), mtime, config)
            for one in image.layers:
                blobs[one] = Entry(
                    _blob(one),
                    mtime,
                    layer=self._store.disk.layer_folder(one),
                    diff_id=one,
                    size=self._store.layer(one).tar_size,
                )
            tags = [name for name in names if name.tag]
            manifest.append(
                {
                    "Config": _blob(image.id),
                    "RepoTags": [name.familiar for name in tags] or None,
                    "Layers": [_blob(one) for one in image.layers],
                    "LayerSources": dict(zip(image.layers, layers, strict=True)),
                }
            )
            described = _descriptor(_OCI_MANIFEST, digest, len(own))
            index += [{**described, "annotations": _annotations(name)} for name in tags] or [described]
            for name in tags:
                top = chain_ids(image.layers)[-1].removeprefix("sha256:") if image.layers else ""
                repositories.setdefault(name.familiar_name, {})[name.tag] = top
        files = {
            "index.json": _encode({"schemaVersion": 2, "mediaType": _OCI_INDEX, "manifests": index}),
            "manifest.json": _encode(manifest),
            "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        }
        if repositories:
            files["repositories"] = _encode(repositories) + b"\n"
        folders = [Entry("blobs/"), Entry("blobs/sha256/")]
        return Plan((*folders, *(blobs[one] for one in sorted(blobs)), *(Entry(n, 0, d) for n, d in files.items())))


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}


def _annotations(name: Reference) -> dict[str, str]:
    return {"io.containerd.image.name": name.whole, "org.opencontainers.image.ref.name": name.tag or LATEST}


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value)
