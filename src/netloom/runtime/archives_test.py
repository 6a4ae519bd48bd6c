"""Roots of real containers, running and not: copied out, copied into, and nothing left of it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netloom.containers.mount_specs import user_mounts
from netloom.model.archive import ArchiveReader, ArchiveRoot
from netloom.model.container import Container, ContainerConfig
from netloom.model.errors import Failed, InvalidArgument, NotFound
from netloom.model.host_config import HostConfig
from netloom.model.launch import Launch
from netloom.model.mount import MountPoint
from netloom.model.volume import VolumeMount
from netloom.runtime.conftest import Rig


@pytest.fixture
def layers(tmp_path: Path) -> tuple[str, ...]:
    """An image of its own; the machine's programs are mounted into it."""
    top = tmp_path / "top"
    (top / "data" / "sub").mkdir(parents=True)
    (top / "data" / "one").write_text("one")
    os.chown(top / "data" / "one", 7, 8)
    (top / "data").chmod(0o2750)
    os.symlink("/../../data", top / "out")
    (top / "usr").mkdir()
    (top / "tmp").mkdir()
    for name in ("bin", "lib", "lib64"):
        os.symlink(f"usr/{name}", top / name)
    return (str(top),)


@pytest.fixture
def volume(tmp_path: Path) -> VolumeMount:
    source = tmp_path / "volumes" / "v1" / "_data"
    source.mkdir(parents=True)
    return VolumeMount(name="v1", source=str(source), destination="/data", copy=True)


_PROGRAMS = {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}


def points(volume: VolumeMount, **fields: Any) -> tuple[dict[str, Any], ...]:
    point = MountPoint(type="volume", name=volume.name, source=volume.source, destination=volume.destination, **fields)
    container = Container(
        id="a", name="a", created=1, image_id="", config=ContainerConfig(), host_config=HostConfig(), mounts=(point,)
    )
    return tuple(user_mounts(container))


def with_volume(launch: Launch, lower: tuple[str, ...], volume: VolumeMount) -> Launch:
    spec = {**launch.spec, "mounts": [*launch.spec["mounts"], _PROGRAMS, *points(volume)]}
    return msgspec.structs.replace(launch, lower=lower, volumes=(volume,), spec=spec)


async def members(reader: ArchiveReader) -> dict[str, bytes]:
    """Names and contents of a whole archive."""
    data = b""
    while piece := await reader.read():
        data += piece
    await reader.close()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {m.name: data[m.offset_data : m.offset_data + m.size] for m in archive}


def archive_of(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


async def put(rig: Rig, root: ArchiveRoot, path: str, data: bytes, user: str = "") -> None:
    writer = await rig.runtime.write_archive(root, path, keep_kinds=False, user=user)
    try:
        await writer.write(data)
        await writer.finish()
    finally:
        await writer.close()


async def test_an_empty_volume_gets_what_the_image_has(rig: Rig, layers: tuple[str, ...], volume: VolumeMount) -> None:
    key = await rig.create(with_volume(rig.launch("sleep", "100"), layers, volume))
    told = os.stat(f"{volume.source}/one")
    assert (told.st_uid, told.st_gid, os.stat(volume.source).st_mode & 0o7777) == (7, 8, 0o2750)
    assert os.path.isdir(f"{volume.source}/sub")
    assert os.listdir(os.path.dirname(volume.source)) == ["_data"], "no mark is left"
    await rig.runtime.start(key)
    await rig.runtime.delete(key)
    os.unlink(f"{volume.source}/one")
    key = await rig.create(with_volume(rig.launch("true"), layers, volume))
    assert os.listdir(volume.source) == ["sub"], "one that holds anything stays as it is"
    await rig.runtime.delete(key)
    Path(volume.source).parent.joinpath(".filling").touch()
    key = await rig.create(with_volume(rig.launch("true"), layers, volume))
    assert sorted(os.listdir(volume.source)) == ["one", "sub"], "a filling that was cut short begins anew"
    await rig.runtime.delete(key)
    assert not rig.left()


async def test_a_container_that_does_not_run(rig: Rig, layers: tuple[str, ...], volume: VolumeMount) -> None:
    root = ArchiveRoot(id="f" * 64, running=False, lower=layers, mounts=points(volume), volumes=(volume,))
    await put(rig, root, "/data/sub", archive_of("new", b"into the volume"), user="5:6")
    assert os.stat(f"{volume.source}/sub/new").st_uid == 5
    await put(rig, root, "/out/..", archive_of("made", b"into the root"))
    reader = await rig.runtime.read_archive(root, "/out/.")
    assert reader.stat.name == "."
    assert await members(reader) == {".": b"", "./one": b"one", "./sub": b"", "./sub/new": b"into the volume"}
    assert (await rig.runtime.stat_path(root, "/out")).link_target == "/data"
    with pytest.raises(NotFound, match="missing"):
        await rig.runtime.read_archive(root, "/nosuch")
    bare = await members(await rig.runtime.read_archive(msgspec.structs.replace(root, bare=True), "/"))
    assert {"made", "data/one"} <= set(bare)
    assert "data/sub/new" not in bare, "a volume is no part of the container's own files"
    readonly = msgspec.structs.replace(root, mounts=points(volume, rw=False))
    with pytest.raises(InvalidArgument, match="read-only"):
        await put(rig, readonly, "/data", b"")
    with pytest.raises(InvalidArgument, match="read-only"):
        await put(rig, msgspec.structs.replace(root, read_only=True), "/tmp", b"")
    changed = [change.path for change in await rig.runtime.changes(root.id, layers)]
    assert changed == ["/made"]
    await rig.runtime.purge(root.id)
    assert not rig.left()


async def test_the_machines_secrets_stay_hidden(rig: Rig) -> None:
    root = ArchiveRoot(id="e" * 64, running=False, lower=("/",))
    shadow = await members(await rig.runtime.read_archive(root, "/etc/shadow"))
    assert shadow == {"shadow": b""}
    assert await members(await rig.runtime.read_archive(root, "/root/.")) == {".": b""}
    assert await members(await rig.runtime.read_archive(root, f"{rig.state}/.")) == {".": b""}
    await rig.runtime.purge(root.id)
    assert not rig.left()


async def test_a_copy_ends_with_the_container_that_it_reads(rig: Rig) -> None:
    key = await rig.run("sh", "-c", "head -c 50000000 /dev/zero > /big; echo ready > /ready; sleep 100")
    root = ArchiveRoot(id=key, running=True, lower=("/",))
    while True:
        try:
            await rig.runtime.stat_path(root, "/ready")
        except NotFound:
            continue
        break
    await put(rig, root, "/tmp", archive_of("new", b"x"))
    assert await members(await rig.runtime.read_archive(root, "/tmp/new")) == {"new": b"x"}
    reader = await rig.runtime.read_archive(root, "/big")
    assert await reader.read()
    await rig.runtime.delete(key)
    with pytest.raises(Failed, match="ended before its time"):
        await members(reader)
    await reader.close()
    assert not rig.left()
