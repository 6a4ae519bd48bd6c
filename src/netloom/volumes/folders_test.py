"""Volumes on disk: all of one or nothing, whatever an earlier daemon has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netloom.model.errors import Failed
from netloom.model.volume import Volume
from netloom.volumes.folders import VolumeFolders


def volume(folders: VolumeFolders, name: str) -> Volume:
    return Volume(name=name, created=7, mountpoint=folders.mountpoint(name), labels={"a": "b"})


async def test_a_volume_is_found_again(tmp_path: Path) -> None:
    folders = VolumeFolders(str(tmp_path))
    await folders.load()
    await folders.create(volume(folders, "one"))
    assert await VolumeFolders(str(tmp_path)).load() == [volume(folders, "one")]
    assert Path(folders.mountpoint("one")).stat().st_mode & 0o777 == 0o755
    Path(folders.mountpoint("one"), "file").write_text("12345")
    os.symlink("/", Path(folders.mountpoint("one"), "out"))
    assert await folders.size("one") == 6
    await folders.remove("one")
    await folders.remove("one")
    assert os.listdir(tmp_path / "volumes") == []


async def test_what_is_half_made_or_half_removed_is_swept(tmp_path: Path) -> None:
    for name in (".coming-a/_data", ".going-b/_data", "stranger/_data"):
        (tmp_path / "volumes" / name).mkdir(parents=True)
    assert await VolumeFolders(str(tmp_path)).load() == []
    assert os.listdir(tmp_path / "volumes") == ["stranger"]


async def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    folders = VolumeFolders(str(tmp_path))
    await folders.load()
    (tmp_path / "volumes" / "one").mkdir()
    (tmp_path / "volumes" / "one" / "in-the-way").touch()
    with pytest.raises(Failed, match="cannot create volume one"):
        await folders.create(volume(folders, "one"))
    assert os.listdir(tmp_path / "volumes") == ["one"]


async def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    (tmp_path / "volumes" / "one" / "_data").mkdir(parents=True)
    (tmp_path / "volumes" / "one" / "volume.json").write_text("{")
    with pytest.raises(Failed, match=r"volume\.json is damaged"):
        await VolumeFolders(str(tmp_path)).load()


async def test_sources_of_binds(tmp_path: Path) -> None:
    folders = VolumeFolders(str(tmp_path))
    (tmp_path / "file").touch()
    await folders.make_source(str(tmp_path / "file"))
    await folders.make_source(str(tmp_path / "a/b"))
    assert await folders.exists(str(tmp_path / "a/b"))
    with pytest.raises(Failed, match="error while creating mount source path"):
        await folders.make_source(str(tmp_path / "file/x"))
