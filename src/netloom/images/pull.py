"""`docker pull`: manifest, configuration, then the layers that lack, each streamed from the registry into its folder.

A layer is unpacked while it is fetched, in a folder that nobody sees; it becomes one of ours when both its digests are
as they should be. So Docker's "Extracting" is told when a layer has come to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from netloom.images import workers
from netloom.images.image import Image, read_document
from netloom.images.platforms import Platform, choose, own
from netloom.images.reference import Reference, is_digest
from netloom.images.skopeo import Credentials, Proxy, Registry, told_of
from netloom.images.store import ImageStore
from netloom.images.unpack import Unpacked
from netloom.model.errors import Failed, NetloomError, NotFound, Unsupported
from netloom.model.image import Progress

Tell = Callable[[Progress], None]
Whole = Callable[[Coroutine[Any, Any, Image]], Awaitable[Image]]

_STREAMS = 3  # layers at a time, as Docker
_SMALL = 8 << 20  # bytes: less than this comes by one stream, since each one asks for the manifest again
_CONFIG_LIMIT = 8 << 20
_PATIENCE = 5.0  # seconds that skopeo has to say why a stream has ended


class _Blob(Struct, frozen=True):
    digest: str
    size: int

    @property
    def short(self) -> str:
        return self.digest.removeprefix("sha256:")[:12]


class _Manifest(Struct, frozen=True):
    """OCI image-spec manifest.md and Docker's schema 2 are alike in what is needed here."""

    config: _Blob | None = None
    layers: tuple[_Blob, ...] = ()
    manifests: tuple[dict[str, Any], ...] | None = None


class Puller:
    """Pulls into one store. Two pulls of one image, or of one layer, take turns: the later one finds it there."""

    def __init__(self, store: ImageStore, now: Callable[[], int], whole: Whole) -> None:
        self._store = store
        self._now = now
        self._whole = whole
        self._turns: dict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._asking: Counter[object] = Counter()

    async def pull(self, name: Reference, platform: Platform | None, who: Credentials, tell: Tell) -> Image:
        """`name` has a tag or a digest. Cancelled or failed, it leaves nothing. Raises with Docker's sentences."""
        registry = Registry(name.domain, who)
        async with self._turn(name.whole, platform):
            try:
                return await self._pull(registry, name, platform, tell)
            except NetloomError as error:
                told = told_of(error, name)
                raise told from (None if told is error else error)

    async def _pull(self, registry: Registry, name: Reference, platform: Platform | None, tell: Tell) -> Image:
        raw, digest = await self._manifest(registry, name)
        manifest, chosen = _manifest(raw), digest
        if manifest.manifests is not None:
            chosen = choose(manifest.manifests, platform or own())
            raw, _ = await self._manifest(registry, msgspec.structs.replace(name, tag="", digest=chosen))
            manifest = _manifest(raw)
        if manifest.config is None:
            raise Unsupported("manifests of schema 1 are not supported by netloom", remedy="push the image anew")
        tell(Progress(status=f"Pulling from {name.path}", id=name.tag or name.digest, bare=True))
        names = [msgspec.structs.replace(name, tag="", digest=digest)]
        if name.tag and not name.digest:
            names.append(name)
        former = self._store.named(names[-1])
        image = await self._there(name, manifest.config.digest, platform, names)
        if image is None:
            image = await self._image(registry, name, chosen, manifest, platform, names, tell)
        tell(Progress(status=f"Digest: {digest}", bare=True))
        what = "Image is up to date" if former == image.id else "Downloaded newer image"
        tell(Progress(status=f"Status: {what} for {name.familiar}", bare=True))
        return image

    @staticmethod
    async def _manifest(registry: Registry, name: Reference) -> tuple[bytes, str]:
        raw = await registry.manifest(name)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if name.digest and name.digest != digest:
            raise Failed(f"manifest verification failed for digest {name.digest}")
        return raw, digest

    async def _there(
        self, name: Reference, key: str, platform: Platform | None, names: Sequence[Reference]
    ) -> Image | None:
        """An image that is here already, under its new names."""
        try:
            image = self._store.resolve(key)
        except NotFound:
            return None
        _check_platform(name, platform, Platform(image.os, image.architecture, image.variant))
        async with self._store.pinned() as pins:
            for one in image.layers:
                pins.add(one)
            raw = await self._store.on_disk(self._store.disk.config, key)
            return await self._whole(self._store.add(raw, names, self._now()))

    async def _image(
        self,
        registry: Registry,
        name: Reference,
        chosen: str,
        manifest: _Manifest,
        platform: Platform | None,
        names: Sequence[Reference],
        tell: Tell,
    ) -> Image:
        assert manifest.config is not None
        source = msgspec.structs.replace(name, tag="", digest=chosen)
        async with registry.proxy(source) as proxy, self._store.pinned() as pins:
            raw = await _configuration(proxy, manifest.config)
            document = read_document(raw)
            if len(document.layers) != len(manifest.layers):
                raise Failed("the image's configuration and its manifest do not name the same layers")
            if document.os not in ("", "linux"):
                raise Failed(f"image operating system {document.os!r} cannot be used on this platform")
            _check_platform(name, platform, Platform(document.os or "linux", document.architecture, document.variant))
            wanted = {}
            for blob, diff_id in zip(manifest.layers, document.layers, strict=True):
                if self._store.has_layer(diff_id):
                    pins.add(diff_id)
                    tell(Progress(status="Already exists", id=blob.short))
                elif blob.digest not in wanted:
                    wanted[blob.digest] = (blob, diff_id)
                    tell(Progress(status="Pulling fs layer", id=blob.short))
            await self._layers(registry, source, proxy, list(wanted.values()), pins, tell)
            return await self._whole(self._store.add(raw, names, self._now()))

    async def _layers(
        self,
        registry: Registry,
        source: Reference,
        first: Proxy,
        wanted: list[tuple[_Blob, str]],
        pins: set[str],
        tell: Tell,
    ) -> None:
        """Fetch them by several streams; the first failure ends all."""
        queue = iter(wanted)
        large = sum(blob.size for blob, _ in wanted) >= _SMALL

        async def stream(proxy: Proxy) -> None:
            for blob, diff_id in queue:
                await self._layer(proxy, blob, diff_id, pins, tell)

        async def another() -> None:
            async with registry.proxy(source) as proxy:
                await stream(proxy)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(stream(first))
                for _ in range(min(_STREAMS, len(wanted)) - 1 if large else 0):
                    group.create_task(another())
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors

    async def _layer(self, proxy: Proxy, blob: _Blob, diff_id: str, pins: set[str], tell: Tell) -> None:
        async with self._turn(blob.digest):
            if self._store.has_layer(diff_id):  # somebody else's pull has brought it
                pins.add(diff_id)
                tell(Progress(status="Already exists", id=blob.short))
                return

            def read(count: int) -> None:
                tell(Progress(status="Downloading", id=blob.short, current=count, total=blob.size))

            async def work(folder: str) -> Unpacked:
                made = await _streamed(proxy, blob, folder, read)
                tell(Progress(status="Verifying Checksum", id=blob.short))
                if made.digest != blob.digest:
                    raise Failed(f"filesystem layer verification failed for digest {blob.digest}")
                tell(Progress(status="Download complete", id=blob.short))
                tell(Progress(status="Extracting", id=blob.short, current=blob.size, total=blob.size))
                return made

            await self._store.unpack(pins, work, diff_id)
            tell(Progress(status="Pull complete", id=blob.short))

    @contextlib.asynccontextmanager
    async def _turn(self, *key: object) -> AsyncIterator[None]:
        lock = self._turns[key]
        self._asking[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._asking[key] -= 1
            if not self._asking[key]:
                del self._asking[key], self._turns[key]


async def _streamed(proxy: Proxy, blob: _Blob, folder: str, read: Callable[[int], None]) -> Unpacked:
    """From the registry into the folder. What the registry failed of is told before what the layer lacks then."""
    coming = await proxy.blob(blob.digest, blob.size)
    try:
        made = await workers.unpack_pipe(folder, coming.pipe, read)
    except NetloomError as error:
        coming.close()
        if "EOF" not in error.sentence:
            raise  # it is our own: skopeo would only tell that nobody reads any more
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(coming.finished(), _PATIENCE)
        raise
    finally:
        coming.close()
    await coming.finished()
    return made


async def _configuration(proxy: Proxy, blob: _Blob) -> bytes:
    """The image's configuration, as it is."""
    if not 0 < blob.size <= _CONFIG_LIMIT:
        raise Failed("the image's configuration is too large")
    coming = await proxy.blob(blob.digest, blob.size)
    reader = asyncio.StreamReader()
    with os.fdopen(coming.pipe, "rb", buffering=0) as pipe:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            raw = await reader.read(-1)
        finally:
            transport.close()
    await coming.finished()
    if f"sha256:{hashlib.sha256(raw).hexdigest()}" != blob.digest:
        raise Failed(f"image config verification failed for digest {blob.digest}")
    return raw


def _manifest(raw: bytes) -> _Manifest:
    try:
        manifest = msgspec.json.decode(raw, type=_Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Failed(f"the registry's manifest cannot be read: {error}") from error
    for blob in (*manifest.layers, *([manifest.config] if manifest.config else [])):
        if not is_digest(blob.digest) or blob.size < 0:
            raise Failed("the registry's manifest cannot be read: a digest is no sha256")
    for entry in manifest.manifests or ():
        if not is_digest(str(entry.get("digest"))):
            raise Failed("the registry's manifest cannot be read: a digest is no sha256")
    return manifest


def _check_platform(name: Reference, wanted: Platform | None, found: Platform) -> None:
    if wanted is not None and (wanted.os, wanted.architecture) != (found.os, found.architecture):
        raise NotFound(
            f"image with reference {name.familiar} was found but does not provide the specified platform ({wanted})"
        )


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    leaves = list(_leaves(errors))
    return next((one for one in leaves if not isinstance(one, asyncio.CancelledError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
