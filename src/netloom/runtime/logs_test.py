"""conmon's log: parsed, read from its end, followed."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netloom.model.streams import LogRecord
from netloom.runtime.conftest import DEADLINE, Rig, until
from netloom.runtime.logs import Timestamps, parse_line, read_log, tail_offset
from netloom.runtime.processes import Process

NANO = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:01.000000002+00:00", NANO + 2),
        ("1970-01-01T00:00:01.5Z", NANO + NANO // 2),
        ("1970-01-01T02:00:00.000000001+02:00", 1),
        ("1969-12-31T23:00:00.000000001-01:00", 1),
        ("2026-11-24T19:00:00.123456789+00:00", 1795546800 * NANO + 123456789),
    ],
)
def test_timestamps(text: str, moment: int) -> None:
    clock = Timestamps()
    assert [clock.parse(text.encode()) for _ in range(2)] == [moment] * 2


def test_lines() -> None:
    clock = Timestamps()
    prefix = b"1970-01-01T00:00:00.000000007+00:00"
    assert parse_line(prefix + b" stdout F a b  c", clock) == LogRecord(7, "stdout", b"a b  c")
    assert parse_line(prefix + b" stderr P ", clock) == LogRecord(7, "stderr", b"", partial=True)
    assert parse_line(prefix + b" stdout", clock) is None


def write(path: Path, tags: str) -> list[bytes]:
    """A log of the given tags; its lines, with numbers as text."""
    lines = [
        f"1970-01-01T00:00:{n % 60:02}.000000000+00:00 stdout {tag} {n:0{1 + n % 40}}\n".encode()
        for n, tag in enumerate(tags)
    ]
    path.write_bytes(b"".join(lines))
    return lines


@settings(max_examples=200, deadline=None)
@given(st.text("FFFP", max_size=60), st.integers(0, 70), st.integers(1, 300))
def test_tail_is_what_counting_from_the_front_says(tmp_path_factory, tags: str, lines: int, block: int) -> None:
    path = tmp_path_factory.getbasetemp() / "tail.log"
    rows = write(path, tags)
    wanted: list[bytes] = []
    count = 0
    for row, tag in reversed(list(zip(rows, tags, strict=True))):
        if tag == "F" or not wanted:
            count += 1
        if count > lines:
            break
        wanted.insert(0, row)
    with pytest.MonkeyPatch.context() as patch, path.open("rb") as file:
        patch.setattr("netloom.runtime.logs._BLOCK", block)
        offset = tail_offset(file.fileno(), lines)
    assert path.read_bytes()[offset:] == b"".join(wanted)


async def collect(records: AsyncIterator[LogRecord]) -> list[str]:
    return [record.data.decode().lstrip("0") or "0" async for record in records]


async def test_since_until_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, "F" * 10)

    async def read(since: int, until: int, tail: int | None = None) -> list[str]:
        return await collect(read_log(str(path), Process(), follow=False, tail=tail, since=since, until=until))

    assert await read(0, 0) == [str(n) for n in range(10)]
    assert await read(3 * NANO, 5 * NANO) == ["3", "4", "5"]
    assert await read(0, 0, tail=2) == ["8", "9"]
    assert await read(0, 0, tail=0) == []
    path.unlink()
    assert await read(0, 0) == []


async def test_follow_ends_with_the_container(rig: Rig) -> None:
    key = await rig.create(rig.launch("sh", "-c", "echo one; read x; echo two; printf part", open_stdin=True))
    seen: list[LogRecord] = []

    async def follow() -> None:
        async for record in rig.runtime.logs(key, follow=True, tail=None, since=0, until=0):
            seen.append(record)

    following = asyncio.create_task(follow())
    client = await rig.runtime.attach(key)
    await rig.runtime.start(key)
    await until(lambda: seen, "the first line")
    await client.write(b"go\n")
    async with asyncio.timeout(DEADLINE):
        await following
    assert [(r.data, r.partial) for r in seen] == [(b"one", False), (b"two", False), (b"part", True)]
    assert seen[0].time_nano < seen[1].time_nano
    assert [r.data async for r in rig.runtime.logs(key, follow=True, tail=1, since=0, until=0)] == [b"part"]
    await client.close()


async def test_leaving_a_followed_log_closes_what_was_opened(rig: Rig) -> None:
    key = await rig.run("sh", "-c", "echo one; sleep 100")
    before = len(os.listdir("/proc/self/fd"))
    records = rig.runtime.logs(key, follow=True, tail=None, since=0, until=0)
    async for record in records:
        assert record.data == b"one"
        break
    await records.aclose()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_deleted_container_keeps_its_log(rig: Rig) -> None:
    key = await rig.run("echo", "kept")
    await rig.ended(key)
    await rig.runtime.delete(key)
    assert [r.data async for r in rig.runtime.logs(key, follow=True, tail=None, since=0, until=0)] == [b"kept"]
