"""Names and ids of images, layers shared by them, and what a kill leaves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from netloom.images import workers
from netloom.images.conftest import digest, member, tar
from netloom.images.host import ID, host_image
from netloom.images.reference import Reference, parse
from netloom.images.store import ImageStore
from netloom.images.unpack import Unpacked
from netloom.model.errors import Failed, InvalidArgument, NotFound

ONE, TWO = tar(member("one", b"1" * 1000)), tar(member("two", b"22"))


def config(*layers: bytes, **fields: object) -> bytes:
    return json.dumps({"rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]}, **fields}).encode()


def names(*texts: str) -> list[Reference]:
    return [parse(text).with_default_tag() for text in texts]


async def add(store: ImageStore, raw: bytes, layers: tuple[bytes, ...], *texts: str) -> str:
    async with store.pinned() as pins:
        for layer in layers:
            if store.has_layer(digest(layer)):
                pins.add(digest(layer))
                continue

            async def work(folder: str, layer: bytes = layer) -> Unpacked:
                return await workers.unpack_body(folder, pieces(layer))

            await store.unpack(pins, work, digest(layer))
        return (await store.add(raw, names(*texts), 5)).id


async def pieces(data: bytes):
    yield data


def unused(key: str) -> bool:
    return False


def on_disk(store: ImageStore) -> dict[str, list[str]]:
    folder = Path(store.disk.folder)
    return {one: sorted(p.name for p in (folder / one).iterdir()) for one in ("configs", "layers", "l", "tmp")}


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(str(tmp_path / "images"))


@pytest.mark.parametrize(
    "ref", ["one", "one:latest", "docker.io/library/one", "one:2", "reg.test:5000/one", "{id}", "{short}", "{short4}"]
)
async def test_resolves(store: ImageStore, ref: str) -> None:
    key = await add(store, config(ONE), (ONE,), "one", "one:2", "reg.test:5000/one")
    digits = key.removeprefix("sha256:")
    assert store.resolve(ref.format(id=key, short=digits[:12], short4=digits[:4])).id == key


@pytest.mark.parametrize(
    ("ref", "named"), [("nosuch:1", "nosuch:1"), ("one:3", "one:3"), ("x", "x:latest"), ("abc", "abc:latest")]
)
async def test_unknown_is_told_with_its_tag(store: ImageStore, ref: str, named: str) -> None:
    await add(store, config(ONE), (ONE,), "one")
    with pytest.raises(NotFound) as caught:
        store.resolve(ref)
    assert caught.value.sentence == f"No such image: {named}"


def test_the_host_is_there_without_a_registry() -> None:
    image = ImageStore().resolve("host")
    assert image.lower == ("/",)
    assert ImageStore().images()[0].tags == ("host:latest",)


def test_the_host_keeps_its_id_when_its_system_changes(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    release = tmp_path / "etc/os-release"
    release.write_text('PRETTY_NAME="Some Linux 1"\n')
    before = host_image(str(tmp_path))
    assert "Some Linux 1" in before.comment
    release.write_text('PRETTY_NAME="Some Linux 2"\n')
    after = host_image(str(tmp_path))
    assert (before.id, after.id) == (ID, ID)
    assert "Some Linux 2" in after.comment


async def test_layers_are_unpacked_once_and_go_with_the_last_image(store: ImageStore) -> None:
    base = await add(store, config(ONE), (ONE,), "base")
    child = await add(store, config(ONE, TWO), (ONE, TWO), "child")
    assert store.resolve("child").lower == (store.disk.lower(digest(TWO)), store.disk.lower(digest(ONE)))
    assert (Path(store.resolve("child").lower[1]) / "one").read_bytes() == b"1" * 1000
    assert (store.resolve("base").size, store.resolve("child").size) == (1000, 1002)
    assert {one.diff_id: one.images for one in store.layers()} == {digest(ONE): (base, child), digest(TWO): (child,)}
    assert len(await store.remove(child, unused)) == 1
    assert on_disk(store)["layers"] == [digest(ONE).removeprefix("sha256:")]
    assert await store.remove(base, unused) == [digest(ONE)]
    assert on_disk(store) == {"configs": [], "layers": [], "l": [], "tmp": []}


async def test_what_a_container_is_made_of_stays_until_it_goes(store: ImageStore, tmp_path: Path) -> None:
    key = await add(store, config(ONE), (ONE,), "one")
    assert await store.remove(key, lambda _: True) == []
    with pytest.raises(NotFound):
        store.resolve("one")
    with pytest.raises(NotFound):
        store.resolve(key)
    again = ImageStore(str(tmp_path / "images"))
    for one in (store, again):
        assert (Path(one.by_id(key).lower[0]) / "one").exists()
        assert [image.id for image in one.images()] == [ID]
    await again.release(lambda _: True)
    assert again.by_id(key)
    await again.release(unused)
    assert on_disk(again) == {"configs": [], "layers": [], "l": [], "tmp": []}


async def test_an_image_that_comes_again_while_it_was_kept(store: ImageStore) -> None:
    key = await add(store, config(ONE), (ONE,), "one")
    await store.remove(key, lambda _: True)
    assert await add(store, config(ONE), (ONE,), "two") == key
    assert store.resolve(key).tags == ("two:latest",)


async def test_a_name_moves(store: ImageStore) -> None:
    old = await add(store, config(ONE), (ONE,), "one")
    new = await add(store, config(TWO), (TWO,), "one")
    assert store.resolve("one").id == new
    assert store.resolve(old).tags == ()
    await store.tag(old, parse("one:old"), 6)
    assert (store.resolve(old).tags, store.resolve(old).tagged) == (("one:old",), 6)


async def test_a_wrong_layer_leaves_nothing(store: ImageStore) -> None:
    async def work(folder: str) -> Unpacked:
        return await workers.unpack_body(folder, pieces(TWO))

    with pytest.raises(Failed, match="wrong diff id"):
        async with store.pinned() as pins:
            await store.unpack(pins, work, digest(ONE))
    assert on_disk(store) == {"configs": [], "layers": [], "l": [], "tmp": []}


async def test_unpacking_that_is_given_up_leaves_nothing(store: ImageStore) -> None:
    begun = asyncio.Event()

    async def slow():
        yield ONE[:600]
        begun.set()
        await asyncio.Event().wait()

    async def work(folder: str) -> Unpacked:
        return await workers.unpack_body(folder, slow())

    async def unpacking() -> None:
        async with store.pinned() as pins:
            await store.unpack(pins, work)

    task = asyncio.ensure_future(unpacking())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert on_disk(store) == {"configs": [], "layers": [], "l": [], "tmp": []}


async def test_what_is_half_is_swept(store: ImageStore, tmp_path: Path) -> None:
    """A daemon that was killed before, between and after its steps: only what the index leads to counts."""
    key = await add(store, config(ONE), (ONE,), "one")
    whole = on_disk(store)
    folder = Path(store.disk.temporary())
    store.disk.begin(str(folder))
    (folder / "diff/half").write_text("half")
    await store.on_disk(store.disk.write_config, digest(b"no image"), config(TWO))
    stray = Path(store.disk.temporary())
    store.disk.begin(str(stray))
    await workers.unpack_body(str(stray), pieces(TWO))
    store.disk.commit(str(stray), Unpacked(digest(TWO), digest(TWO), 2, len(TWO)))
    Path(store.disk.temporary()).write_text("an index that was being written")
    assert on_disk(store) != whole
    again = ImageStore(str(tmp_path / "images"))
    assert on_disk(again) == whole
    assert again.resolve("one").id == key


async def test_an_image_whose_layer_was_lost_is_not_there(store: ImageStore, tmp_path: Path) -> None:
    await add(store, config(ONE), (ONE,), "one")
    await add(store, config(TWO), (TWO,), "two")
    store.disk.remove_layer(digest(ONE))
    again = ImageStore(str(tmp_path / "images"))
    assert [image.tags for image in again.images() if image.id != ID] == [("two:latest",)]


async def test_a_shared_beginning_is_ambiguous(store: ImageStore) -> None:
    seen: dict[str, str] = {}
    for number in range(2000):  # until two ids begin with the same four digits
        raw = config(comment=str(number))
        beginning = digest(raw)[7:11]
        if beginning in seen:
            await add(store, raw, ())
            await add(store, config(comment=seen[beginning]), ())
            break
        seen[beginning] = str(number)
    with pytest.raises(InvalidArgument, match="ambiguous"):
        store.resolve(beginning)


async def test_more_layers_than_overlayfs_takes(store: ImageStore) -> None:
    with pytest.raises(InvalidArgument, match="max depth exceeded"):
        await add(store, config(*([b""] * 126)), (b"",))


async def test_the_same_layer_twice(store: ImageStore) -> None:
    await add(store, config(ONE, ONE), (ONE,), "twice")
    assert len(store.resolve("twice").lower) == 2
