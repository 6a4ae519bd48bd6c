"""The processes that take in what others send: how their failures are told."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from netloom.images import workers
from netloom.images.conftest import member, tar
from netloom.model.errors import Exhausted, Failed


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def body(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]


LARGE = tar(member("large", bytes(range(256)) * 8192))


async def test_a_full_disk_is_told_as_such(small: Path) -> None:
    for name in ("diff", "spare"):
        (small / name).mkdir()
    with pytest.raises(Exhausted, match="no space left on device"):
        await workers.unpack_body(str(small), body(LARGE))
    with pytest.raises(Exhausted, match="no space left on device"):
        await workers.scan(str(small / "archive"), body(LARGE))


async def test_members_are_where_they_are_told_to_be(tmp_path: Path) -> None:
    file = tmp_path / "archive"
    data = tar(member("a/../b", b"one"), member("c", linkname="b", type=b"2"), member("d/e", linkname="/b", type=b"1"))
    found = (await workers.scan(str(file), body(data))).members
    assert set(found) == {"b", "c", "d/e"}
    for offset, size in found.values():
        assert file.read_bytes()[offset : offset + size] == b"one"


async def test_a_sender_that_fails_is_told(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE[:100_000]
        raise Failed("the client has gone")

    with pytest.raises(Failed, match="the client has gone"):
        await workers.scan(str(tmp_path / "archive"), broken())


async def test_what_is_refused_need_not_be_sent_to_the_end(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"no tar" * 10_000
            await asyncio.sleep(0)

    for name in ("diff", "spare"):
        (tmp_path / name).mkdir()
    with pytest.raises(Failed, match="invalid header"):
        await asyncio.wait_for(workers.unpack_body(str(tmp_path), endless()), 30)
