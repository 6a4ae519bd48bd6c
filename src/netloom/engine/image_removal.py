"""Removing images by Docker's rules (moby, daemon/images/image_delete.go): untag first, delete what nothing holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netloom.engine.core import Core
from netloom.images.image import Image
from netloom.images.reference import Reference
from netloom.model.container import Container
from netloom.model.errors import Conflict, Forbidden, NetloomError
from netloom.model.image import ImageView, Removed


class ImageRemoval:
    """`docker rmi` and `docker image prune`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._store = core.images

    def used(self, key: str) -> bool:
        """Is any container made of it?"""
        return any(container.image_id == key for container in self._core.tables.containers.values())

    async def remove(self, ref: str, *, force: bool) -> list[Removed]:
        """Raises Conflict with Docker's sentence for what holds it."""
        image, name = self._store.find(ref)
        if image.id == self._store.host.id:
            raise Forbidden("the image 'host' is this machine's own system and cannot be removed")
        names = self._store.references(image.id)
        if name is None:
            if _single(names):
                self._check(image, running=True, named=False, stopped=not force)
                gone = await self._untag(image, names)
                return gone + await self._delete(image)
            self._check(image, running=True, named=not force and bool(names), stopped=not force)
            gone = await self._untag(image, names)
            return gone + await self._delete(image)
        if not force and _single(names) and (container := self._container(image)) is not None:
            raise Conflict(
                f'conflict: unable to remove repository reference "{ref}" (must force) - container '
                f"{container.short_id} is using its referenced image {_short(image.id)}"
            )
        gone = await self._untag(image, self._with_digests(name, names))
        if self._store.references(image.id):
            return gone
        try:
            self._check(image, running=True, named=False, stopped=not force)
        except Conflict:
            return gone  # its name is gone; the image stays for its container
        return gone + await self._delete(image)

    async def prune(self, wanted: Callable[[ImageView], bool], *, dangling: bool) -> tuple[list[Removed], int]:
        """See ImageBackend."""
        before = {layer.diff_id: layer.size for layer in self._store.layers()}
        gone: list[Removed] = []
        for image in self._store.images():
            names = self._store.references(image.id)
            tagged = any(name.tag for name in names)
            if image.id == self._store.host.id or self.used(image.id) or not wanted(image) or (dangling and tagged):
                continue
            if dangling and names:
                continue
            try:
                gone += await self._untag(image, names)
                gone += await self._delete(image)
            except NetloomError as error:
                self._core.complain(f"image {image.id} could not be pruned", error)
        left = {layer.diff_id for layer in self._store.layers()}
        reclaimed = sum(size for one, size in before.items() if one not in left)
        self._core.publish("image", "prune", "", reclaimed=str(reclaimed))
        return gone, reclaimed

    async def _untag(self, image: Image, names: Sequence[Reference]) -> list[Removed]:
        if not names:
            return []
        await self._store.untag(names)
        for _ in [name for name in names if name.tag] or names[:1]:
            self._core.publish_image("untag", image, name=image.id)
        return [Removed(untagged=name.familiar) for name in names]

    async def _delete(self, image: Image) -> list[Removed]:
        chains = await self._store.remove(image.id, self.used)
        self._core.publish("image", "delete", image.id, name=image.id)
        return [Removed(deleted=one) for one in (image.id, *chains)]

    def _with_digests(self, name: Reference, names: Sequence[Reference]) -> list[Reference]:
        """The name, and the digests of its repository where it was the last tag there."""
        if name.digest:
            return [one for one in names if one.digest == name.digest and one.repository == name.repository]
        same = [one for one in names if one.repository == name.repository]
        if any(one.tag and one.tag != name.tag for one in same):
            return [name]
        return [name, *(one for one in same if one.digest)]

    def _check(self, image: Image, *, running: bool, named: bool, stopped: bool) -> None:
        """Docker's conflicts, in its order."""
        for container in self._core.tables.containers.values():
            if running and container.image_id == image.id and container.state.running:
                raise _conflict(
                    image, "cannot be forced", f"image is being used by running container {container.short_id}"
                )
        if named:
            raise _conflict(image, "must be forced", "image is referenced in multiple repositories")
        if stopped and (user := self._container(image)) is not None:
            raise _conflict(image, "must be forced", f"image is being used by stopped container {user.short_id}")

    def _container(self, image: Image) -> Container | None:
        using = (one for one in self._core.tables.containers.values() if one.image_id == image.id)
        return next(using, None)


def _single(names: Sequence[Reference]) -> bool:
    """At most one tag, and all names of one repository: the id then stands for all of them."""
    if len(names) <= 1:
        return True
    return sum(bool(name.tag) for name in names) <= 1 and len({name.repository for name in names}) == 1


def _conflict(image: Image, force: str, why: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {_short(image.id)} ({force}) - {why}")


def _short(key: str) -> str:
    return key.removeprefix("sha256:")[:12]
