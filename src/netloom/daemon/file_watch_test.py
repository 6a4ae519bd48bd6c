"""Every way in which programs change a file is heard of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netloom.daemon.file_watch import FileWatch


def _written(path: Path) -> None:
    path.write_text("two")


def _renamed_over(path: Path) -> None:
    fresh = path.with_name("fresh")
    fresh.write_text("two")
    fresh.rename(path)


def _linked_elsewhere(path: Path) -> None:
    other = path.parent / "other"
    other.mkdir()
    (other / "file").write_text("two")
    path.unlink()
    path.symlink_to(other / "file")


def _gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [_written, _renamed_over, _linked_elsewhere, _gone])
async def test_a_change_is_heard_of_and_so_is_the_next(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path, heard = tmp_path / "file", asyncio.Event()
    path.write_text("one")
    watch = FileWatch((str(path), str(tmp_path / "absent" / "file")), heard.set)
    try:
        await asyncio.to_thread(change, path)
        await asyncio.wait_for(heard.wait(), 30)
        heard.clear()
        real = Path(os.path.realpath(path))
        await asyncio.to_thread(real.write_text, "three")
        await asyncio.wait_for(heard.wait(), 30)
    finally:
        watch.close()
        watch.close()


async def test_a_file_that_is_linked_to_elsewhere_is_followed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    target, path, heard = tmp_path / "run" / "real", tmp_path / "file", asyncio.Event()
    target.write_text("one")
    path.symlink_to(target)
    watch = FileWatch((str(path),), heard.set)
    try:
        await asyncio.to_thread(_renamed_over, target)
        await asyncio.wait_for(heard.wait(), 30)
    finally:
        watch.close()
