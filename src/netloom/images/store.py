"""Images by name or id: what is there, kept in memory and on disk alike. Belongs to the event loop.

Disk work runs in one thread, in the order in which it was asked for: a layer that goes is out of the way before the
same layer comes again. A change of the index stands on disk before anybody sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import msgspec

from netloom.images.host import host_image
from netloom.images.image import Image, chain_ids, image_of
from netloom.images.layers import Disk, ImageEntry, Index, Layer
from netloom.images.reference import Reference, parse
from netloom.images.unpack import Unpacked
from netloom.model.errors import Exhausted, Failed, InvalidArgument, NotFound
from netloom.model.image import LayerView

P = ParamSpec("P")
T = TypeVar("T")

_SHORTEST_ID = 4
_IN_MEMORY = "/nowhere/images"


class ImageStore:
    """What can be started. Without a folder there is the image `host` alone."""

    def __init__(self, folder: str = "", *, host: Image | None = None) -> None:
        self.host = host or host_image()
        self.disk = Disk(folder or _IN_MEMORY)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="netloom-images")
        self._lock = asyncio.Lock()
        self._pins: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._images: dict[str, Image] = {}
        self._index, self._layers = Index(), dict[str, Layer]()
        if folder:
            self.disk.make()
            self._index, self._layers = self.disk.load()
            self._read()
            self.disk.sweep(self._images, self._needed())
            self._layers = {one: self._layers[one] for one in self._needed()}

    def close(self) -> None:
        """Let disk work finish."""
        self._thread.shutdown()

    # what is there

    def images(self) -> list[Image]:
        """All that users see, newest first."""
        shown = [self.host, *(one for key, one in self._images.items() if self._visible(key))]
        return sorted(shown, key=lambda one: one.created, reverse=True)

    def by_id(self, key: str) -> Image:
        """Also one that was removed while containers are made of it. Raises NotFound."""
        image = self.host if key == self.host.id else self._images.get(key)
        if image is None:
            raise NotFound(f"No such image: {key}")
        return image

    def resolve(self, ref: str) -> Image:
        """By name with or without tag, by id, or by an unambiguous beginning of one.

        Raises NotFound, or InvalidArgument for a beginning that several share.
        """
        return self.find(ref)[0]

    def find(self, ref: str) -> tuple[Image, Reference | None]:
        """The same, and the name where it was found by one."""
        digits = ref.removeprefix("sha256:")
        if re.fullmatch(r"[0-9a-f]{64}", digits):
            for image in self.images():
                if image.id.endswith(digits):
                    return image, None
            raise NotFound(f"No such image: {ref}")
        name = self._parsed(ref)
        if name is not None and (found := self._named(name)) is not None:
            return found, name
        matches = self._by_prefix(digits)
        if len(matches) > 1:
            raise InvalidArgument(f"ambiguous reference: {ref}")
        if not matches:
            raise NotFound(f"No such image: {name.familiar if name else ref}")
        return matches[0], None

    def references(self, key: str) -> list[Reference]:
        """The names of an image: tags, then digests."""
        return [
            parse(text)
            for names in (self._index.tags, self._index.digests)
            for text in sorted(names)
            if names[text] == key
        ]

    def named(self, name: Reference) -> str:
        """The id that a name stands for now, empty for none."""
        found = self._named(name)
        return found.id if found else ""

    def is_host(self, name: Reference) -> bool:
        """Is it the reserved name?"""
        return name.familiar_name == "host"

    def has_layer(self, diff_id: str) -> bool:
        """Is it unpacked?"""
        return diff_id in self._layers

    def layer(self, diff_id: str) -> Layer:
        """One that is unpacked."""
        return self._layers[diff_id]

    def layers(self) -> list[LayerView]:
        """Every layer with the images that have it, for the disk's usage."""
        users: dict[str, list[str]] = {one: [] for one in self._layers}
        for key, image in self._images.items():
            for one in dict.fromkeys(image.layers):
                users[one].append(key)
        return [LayerView(diff_id=one, size=self._layers[one].size, images=tuple(keys)) for one, keys in users.items()]

    # what changes it

    async def on_disk(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in the store's thread. It runs to its end though the caller be cancelled."""
        try:
            return await asyncio.shield(asyncio.wrap_future(self._thread.submit(function, *args, **kwargs)))
        except OSError as error:
            kind = Exhausted if error.errno in (28, 122) else Failed  # ENOSPC, EDQUOT
            raise kind(f"the image store: {(error.strerror or str(error)).lower()}") from error

    @contextlib.asynccontextmanager
    async def pinned(self) -> AsyncIterator[set[str]]:
        """Layers that the block names in the set are there until it ends; those that nobody took up go then."""
        pins = _Pins(self._pins)
        try:
            yield pins
        finally:
            self._pins.subtract(list(pins))
            self._pins += Counter()
            await self._collect()

    async def unpack(self, pins: set[str], work: Callable[[str], Awaitable[Unpacked]], diff_id: str = "") -> Unpacked:
        """Make a layer by `work`, which is given the folder; nothing is left when it fails. The layer is pinned.

        Raises Failed when it is not the layer that was expected.
        """

        async def one(folders: Sequence[str]) -> list[Unpacked]:
            return [await work(folders[0])]

        return (await self.unpack_all(pins, one, [diff_id]))[0]

    async def unpack_all(
        self, pins: set[str], work: Callable[[Sequence[str]], Awaitable[list[Unpacked]]], diff_ids: Sequence[str]
    ) -> list[Unpacked]:
        """The same for several: all of them, or none."""
        folders: list[str] = []
        try:
            for _ in diff_ids:
                folders.append(self.disk.temporary())
                await self.on_disk(self.disk.begin, folders[-1])
            made = await work(folders)
            for one, diff_id in zip(made, diff_ids, strict=True):
                if diff_id and one.diff_id != diff_id:
                    raise Failed(f"wrong diff id calculated on extraction {one.diff_id!r}")
            for one in made:
                pins.add(one.diff_id)
            committing = asyncio.ensure_future(self._committed(folders, made))
            try:
                await asyncio.shield(committing)
            finally:
                await asyncio.wait([committing])  # known to be there before the pins go
        finally:
            for folder in folders:
                await self.on_disk(self.disk.discard, folder)
        return made

    async def _committed(self, folders: Sequence[str], made: Sequence[Unpacked]) -> None:
        for folder, one in zip(folders, made, strict=True):
            self._layers[one.diff_id] = await self.on_disk(self.disk.commit, folder, one)

    async def add(self, raw: bytes, names: Iterable[Reference], now: int) -> Image:
        """An image whose layers are pinned, and its names. Those of another image with the same names move."""
        key = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        document = image_of(raw, {one: layer.size for one, layer in self._layers.items()}, ())
        async with self._lock:
            if key not in self._images:
                await self.on_disk(self.disk.write_config, key, raw)
            index = self._copy()
            index.images[key] = ImageEntry(now)
            for name in names:
                (index.digests if name.digest else index.tags)[name.whole] = key
            await self._commit(index, {key: document})
        return self._images[key]

    async def tag(self, key: str, name: Reference, now: int) -> None:
        """One more name; it leaves the image that had it."""
        async with self._lock:
            if key not in self._index.images:
                raise NotFound(f"No such image: {key}")
            index = self._copy()
            index.tags[name.whole] = key
            index.images[key].tagged = now
            await self._commit(index)

    async def untag(self, names: Collection[Reference]) -> None:
        """Take names away. Unknown is success."""
        async with self._lock:
            index = self._copy()
            for name in names:
                (index.digests if name.digest else index.tags).pop(name.whole, None)
            await self._commit(index)

    async def remove(self, key: str, used: Callable[[str], bool]) -> list[str]:
        """Forget an image and its names; the layers that go with it, by their chain ids, uppermost first.

        While a container is made of it, only its names go, and it is no longer shown.
        """
        if key not in self._images:
            return []
        self._leaving.add(key)
        try:
            image = self._images[key]
            async with self._lock:
                index = self._copy()
                index.tags = {name: one for name, one in index.tags.items() if one != key}
                index.digests = {name: one for name, one in index.digests.items() if one != key}
                kept = used(key)
                if kept:
                    index.images[key].kept = True
                else:
                    del index.images[key]
                await self._commit(index)
                if not kept:
                    await self.on_disk(self.disk.remove_config, key)
            await self._collect()
            return [] if kept else self._gone(image)
        finally:
            self._leaving.discard(key)

    async def release(self, used: Callable[[str], bool]) -> None:
        """Forget the kept images of which no container is made any more."""
        for key, entry in list(self._index.images.items()):
            if entry.kept and not used(key):
                await self.remove(key, used)

    def _gone(self, image: Image) -> list[str]:
        """Chains that no other image has."""
        left = {chain for one in self._images.values() for chain in chain_ids(one.layers)}
        return [one for one in reversed(chain_ids(image.layers)) if one not in left]

    async def _commit(self, index: Index, new: dict[str, Image] | None = None) -> None:
        """Write the index, then show it."""
        await self.on_disk(self.disk.write_index, msgspec.json.encode(index))
        self._index = index
        known = {**(new or {}), **self._images}
        self._images = {key: self._dressed(known[key]) for key in index.images}

    async def _collect(self) -> None:
        """Remove the layers that nobody needs."""
        while one := next(iter(self._layers.keys() - self._needed()), ""):
            del self._layers[one]
            await self.on_disk(self.disk.remove_layer, one)

    def _needed(self) -> set[str]:
        return {one for image in self._images.values() for one in image.layers} | set(self._pins)

    def _read(self) -> None:
        """Images of the index. One whose parts lack (a disk that lost them) is not there."""
        sizes = {one: layer.size for one, layer in self._layers.items()}
        for key in list(self._index.images):
            try:
                image = image_of(self.disk.config(key), sizes, ())
            except (OSError, KeyError, InvalidArgument):
                continue
            if image.id == key:
                self._images[key] = self._dressed(image)
        self._index = msgspec.structs.replace(
            self._index,
            images={key: one for key, one in self._index.images.items() if key in self._images},
            tags={name: key for name, key in self._index.tags.items() if key in self._images},
            digests={name: key for name, key in self._index.digests.items() if key in self._images},
        )
        self._images = {key: self._dressed(image) for key, image in self._images.items()}

    def _dressed(self, image: Image) -> Image:
        """With its names, and where its layers lie."""
        names = self.references(image.id)
        lower = tuple(self.disk.lower(one) for one in reversed(image.layers)) or (f"{self.disk.folder}/empty",)
        return msgspec.structs.replace(
            image,
            tags=tuple(name.familiar for name in names if not name.digest),
            digests=tuple(name.familiar for name in names if name.digest),
            tagged=self._index.images[image.id].tagged,
            lower=lower,
        )

    def _copy(self) -> Index:
        images = {key: msgspec.structs.replace(one) for key, one in self._index.images.items()}
        return Index(images, dict(self._index.tags), dict(self._index.digests))

    def _visible(self, key: str) -> bool:
        return not self._index.images[key].kept and key not in self._leaving

    def _parsed(self, ref: str) -> Reference | None:
        try:
            return parse(ref).with_default_tag()
        except InvalidArgument:
            return None

    def _named(self, name: Reference) -> Image | None:
        if name.familiar in self.host.tags:
            return self.host
        if name.digest:
            name = msgspec.structs.replace(name, tag="")
        key = (self._index.digests if name.digest else self._index.tags).get(name.whole, "")
        return self._images[key] if key and self._visible(key) else None

    def _by_prefix(self, text: str) -> list[Image]:
        if len(text) < _SHORTEST_ID or not re.fullmatch(r"[0-9a-f]+", text):
            return []
        return [image for image in self.images() if image.id.removeprefix("sha256:").startswith(text)]


class _Pins(set[str]):
    """A set of layers, each of which is counted as pinned."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts

    def add(self, one: str) -> None:
        if one not in self:
            super().add(one)
            self._counts[one] += 1
