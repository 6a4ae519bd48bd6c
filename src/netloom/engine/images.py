"""Images as users handle them: names, removal with Docker's rules, and the events that tell of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from netloom.engine.core import Core
from netloom.engine.image_removal import ImageRemoval
from netloom.engine.work import Work
from netloom.images import platforms
from netloom.images.archive import Archives, Body, Loaded
from netloom.images.changes import apply
from netloom.images.image import Image
from netloom.images.login import log_in
from netloom.images.pull import Puller, Tell
from netloom.images.reference import Reference, check_tag, is_digest, parse
from netloom.images.skopeo import Credentials, Registry, read_credentials, told_of
from netloom.model.errors import Forbidden, InvalidArgument, NetloomError, NotFound, Unsupported
from netloom.model.image import ImageView, LayerView, Progress, Removed

_WAITING = 1024  # lines of progress that wait for a slow reader; figures beyond that are left out


class Images:
    """Implements `api.image_backend.ImageBackend`."""

    def __init__(self, core: Core, work: Work) -> None:
        self._core = core
        self._store = core.images
        self._work = work
        self._removal = ImageRemoval(core)
        self._puller = Puller(core.images, core.clock.now, work.whole)
        self._archives = Archives(core.images, core.clock.now, work.whole)

    def all(self) -> list[ImageView]:
        """See ImageBackend."""
        return [*self._store.images()]

    def find(self, ref: str) -> ImageView:
        """See ImageBackend."""
        return self._store.resolve(ref)

    def layers(self) -> list[LayerView]:
        """See ImageBackend."""
        return self._store.layers()

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        """See ImageBackend."""
        image = self._store.resolve(ref)
        name = self._new_name(repository, tag)
        if image.id == self._store.host.id:
            raise Forbidden("the image 'host' is this machine's own system and has no other name")
        await self._work.whole(self._store.tag(image.id, name, self._core.clock.now()))
        self._core.publish_image("tag", image, name=name.familiar)

    async def remove(self, ref: str, *, force: bool, prune: bool) -> list[Removed]:
        """See ImageBackend."""
        return await self._work.whole(self._removal.remove(ref, force=force))

    async def prune(self, wanted: Callable[[ImageView], bool], *, dangling: bool) -> tuple[list[Removed], int]:
        """See ImageBackend."""
        return await self._work.whole(self._removal.prune(wanted, dangling=dangling))

    async def released(self) -> None:
        """A container has gone: images that were only kept for it go too."""
        await self._store.release(self._removal.used)

    async def pull(self, name: str, tag: str, *, platform: str, credentials: str) -> AsyncGenerator[Progress, None]:
        """See ImageBackend."""
        asked = _pulled(name, tag)
        wanted = platforms.parse(platform) if platform else None
        who = read_credentials(credentials)
        if self._store.is_host(asked):
            if asked.familiar in (asked.familiar_name, *self._store.host.tags):
                yield Progress(status="Status: Image is up to date for host:latest", bare=True)
                return
            raise Forbidden("the name 'host' is reserved for this machine's own system", remedy="choose another name")

        async def work(tell: Tell) -> None:
            names = [asked]
            if not asked.tag and not asked.digest:
                try:
                    tags = await Registry(asked.domain, who).tags(asked)
                except NetloomError as error:
                    raise told_of(error, asked) from error
                names = [msgspec.structs.replace(asked, tag=one) for one in tags]
            for one in names:
                image = await self._puller.pull(one, wanted, who, tell)
                self._core.publish_image("pull", image, key=one.familiar, name=one.familiar_name)

        async with contextlib.aclosing(_told(work)) as lines:
            async for line in lines:
                yield line

    async def load(self, body: Body) -> AsyncGenerator[Progress, None]:
        """See ImageBackend."""

        async def work(tell: Tell) -> None:
            async with self._archives.taken_in(body) as (archive, images):
                for loaded in images:
                    for name in loaded.names:
                        self._refuse_host(name)
                for loaded in images:
                    former = {name.familiar: self._store.named(name) for name in loaded.names}
                    image = await self._archives.load(archive, loaded, tell)
                    self._tell_loaded(loaded, image, former, tell)

        async with contextlib.aclosing(_told(work)) as lines:
            async for line in lines:
                yield line

    def _tell_loaded(self, loaded: Loaded, image: Image, former: dict[str, str], tell: Tell) -> None:
        for name in loaded.names:
            old = former[name.familiar]
            if old and old != image.id:
                text = f"The image {name.familiar} already exists, renaming the old one with ID {old} to empty string\n"
                tell(Progress(stream=text))
            tell(Progress(stream=f"Loaded image: {name.familiar}\n"))
        if not loaded.names:
            tell(Progress(stream=f"Loaded image ID: {image.id}\n"))
        self._core.publish_image("load", image, name=image.id)

    async def take_in(
        self, body: Body, *, repository: str, tag: str, message: str, changes: Sequence[str], platform: str
    ) -> str:
        """See ImageBackend."""
        name = self._new_name(repository, tag) if repository else None
        wanted = platforms.parse(platform) if platform else platforms.own()
        config = apply({}, changes)
        async with self._store.pinned() as pins:
            layer = await self._archives.import_layer(body, pins)
            created = _rfc3339(self._core.clock.now())
            raw = _configuration(wanted, config, created, message or "Imported from -", layer)
            adding = self._store.add(raw, [name] if name else [], self._core.clock.now())
            image = await self._work.whole(adding)
        if name:
            self._core.publish_image("tag", image, name=name.familiar)
        self._core.publish_image("import", image, name=image.id)
        return image.id

    async def save(self, names: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """See ImageBackend."""
        chosen: dict[str, tuple[Image, list[Reference]]] = {}
        for text in names:
            image, tags = self._saved(text)
            if image.id == self._store.host.id:
                raise Unsupported("the image 'host' is this machine's own system and cannot be saved")
            _, known = chosen.setdefault(image.id, (image, []))
            known += [name for name in tags if name not in known]
        for image, _ in chosen.values():
            self._core.publish_image("save", image, name=image.id)
        async with contextlib.aclosing(self._archives.save([*chosen.values()])) as pieces:
            async for piece in pieces:
                yield piece

    def _saved(self, text: str) -> tuple[Image, list[Reference]]:
        """An image and the names under which it is saved: a repository without a tag means all of its tags."""
        try:
            image, name = self._store.find(text)
        except NotFound:
            every = [
                (image, name) for image in self._store.images() for name in _of_repository(self._names(image), text)
            ]
            if not every:
                raise NotFound(f"No such image: {text}") from None
            image = every[0][0]
            return image, [name for one, name in every if one.id == image.id]
        if name is None:
            return image, []
        plain = ":" not in text.rpartition("/")[2] and "@" not in text
        return image, list(_of_repository(self._names(image), text)) if plain else [name] if name.tag else []

    def _names(self, image: Image) -> Sequence[Reference]:
        return self._store.references(image.id)

    async def distribution(self, name: str, credentials: str) -> dict[str, Any]:
        """See ImageBackend."""
        reference = parse(name).with_default_tag()
        registry = Registry(reference.domain, read_credentials(credentials))
        raw = await registry.manifest(reference)
        manifest = json.loads(raw)
        entries = manifest.get("manifests")
        found = [entry.get("platform") for entry in entries] if entries is not None else None
        if found is None:
            found = [{"architecture": platforms.own().architecture, "os": "linux"}]
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        kind = manifest.get("mediaType", "application/vnd.oci.image.manifest.v1+json")
        return {"Descriptor": {"mediaType": kind, "digest": digest, "size": len(raw)}, "Platforms": found}

    async def log_in(self, address: str, credentials: Mapping[str, str]) -> None:
        """See ImageBackend."""
        await log_in(address, msgspec.convert(credentials, Credentials))

    def _new_name(self, repository: str, tag: str) -> Reference:
        """A name that a user gives to an image."""
        if tag:
            check_tag(tag)
        name = parse(f"{repository}:{tag}" if tag else repository)
        if name.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        if name.familiar_name == "sha256":
            raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
        self._refuse_host(name)
        return name.with_default_tag()

    def _refuse_host(self, name: Reference) -> None:
        if self._store.is_host(name):
            raise Forbidden("the name 'host' is reserved for this machine's own system", remedy="choose another name")


def _pulled(name: str, tag: str) -> Reference:
    """What `fromImage` and `tag` of a pull mean together."""
    if is_digest(tag):
        return parse(f"{name}@{tag}")
    if tag:
        check_tag(tag)
        return parse(f"{name}:{tag}")
    return parse(name)


def _of_repository(names: Sequence[Reference], text: str) -> list[Reference]:
    try:
        wanted = parse(text)
    except InvalidArgument:
        return []
    return [one for one in names if one.tag and not wanted.tag and one.repository == wanted.repository]


async def _told(work: Callable[[Tell], Awaitable[None]]) -> AsyncGenerator[Progress, None]:
    """What `work` tells, as it does, then what it raises. Closed early, it cancels the work and waits for its end."""
    lines: asyncio.Queue[Progress | None] = asyncio.Queue()

    def tell(line: Progress) -> None:
        if not line.total or lines.qsize() < _WAITING:
            lines.put_nowait(line)

    task = asyncio.ensure_future(work(tell))
    task.add_done_callback(lambda _: lines.put_nowait(None))
    try:
        while (line := await lines.get()) is not None:
            yield line
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _rfc3339(time_nano: int) -> str:
    seconds, nanos = divmod(time_nano, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def _configuration(
    platform: platforms.Platform, config: dict[str, Any], created: str, comment: str, layer: str
) -> bytes:
    """Of an image of one layer, as `docker import` makes it."""
    document: dict[str, Any] = {
        "architecture": platform.architecture,
        **({"variant": platform.variant} if platform.variant else {}),
        "comment": comment,
        "config": config,
        "created": created,
        "history": [{"created": created, "comment": comment}],
        "os": platform.os,
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    }
    return msgspec.json.encode(document)
