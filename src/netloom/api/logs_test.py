import struct

import pytest

from netloom.api.frames import frame
from netloom.model.streams import LogRecord
from netloom.testing.api_client import Client, read_chunk, read_head, request
from netloom.testing.fake_backend import FakeBackend

T = 1795480048 * 10**9


async def container(api: Client, backend: FakeBackend, *, tty: bool = False) -> str:
    body = {"Image": "host", "Cmd": ["sleep"], "Tty": tty}
    key = str((await api("POST", "/containers/create?name=c", body)).json["Id"])
    backend.records[key] = [
        LogRecord(T, "stdout", b"out"),
        LogRecord(T + 10**9, "stderr", b"err"),
        LogRecord(T + 2 * 10**9, "stdout", b"par", partial=True),
        LogRecord(T + 3 * 10**9, "stdout", b"tial"),
    ]
    return key


def split(body: bytes) -> list[tuple[int, bytes]]:
    pieces = []
    while body:
        kind, size = struct.unpack(">BxxxI", body[:8])
        pieces.append((kind, body[8 : 8 + size]))
        body = body[8 + size :]
    return pieces


async def test_framed(api: Client, backend: FakeBackend) -> None:
    await container(api, backend)
    answer = await api("GET", "/containers/c/logs?stdout=1&stderr=1")
    assert answer.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert split(answer.body) == [(1, b"out\n"), (2, b"err\n"), (1, b"par"), (1, b"tial\n")]
    assert split((await api("GET", "/containers/c/logs?stderr=1")).body) == [(2, b"err\n")]
    answer = await api("GET", "/v1.41/containers/c/logs?stdout=1")
    assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"


async def test_a_terminals_log_is_raw(api: Client, backend: FakeBackend) -> None:
    await container(api, backend, tty=True)
    answer = await api("GET", "/containers/c/logs?stdout=1")
    assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"
    assert answer.body == b"out\nerr\npartial\n"


async def test_times_once_a_line(api: Client, backend: FakeBackend) -> None:
    await container(api, backend)
    answer = await api("GET", "/containers/c/logs?stdout=1&timestamps=1&tail=2")
    assert split(answer.body) == [(1, b"2026-11-24T00:27:30.000000000Z par"), (1, b"tial\n")]
    answer = await api("GET", "/containers/c/logs?stderr=1&timestamps=1&details=1")
    assert split(answer.body) == [(2, b"2026-11-24T00:27:29.000000000Z  err\n")]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("tail=0", 0),
        ("tail=1", 1),
        ("tail=all", 4),
        ("tail=x", 4),
        ("tail=-1", 4),
        (f"since={T // 10**9 + 2}", 2),
        (f"until={T // 10**9}.5", 1),
        ("since=2026-11-24T00:27:29Z", 3),
    ],
)
async def test_selection(api: Client, backend: FakeBackend, query: str, count: int) -> None:
    await container(api, backend)
    answer = await api("GET", f"/containers/c/logs?stdout=1&stderr=1&{query}")
    assert len(split(answer.body)) == count


async def test_follow_ends_with_the_container(api: Client, backend: FakeBackend) -> None:
    await container(api, backend)
    await api("POST", "/containers/c/start")
    reader, writer = await api.connect()
    writer.write(request("GET", "/containers/c/logs?stdout=1&follow=1&tail=1"))
    assert (await read_head(reader))[0] == 200
    assert await read_chunk(reader) == frame(1, b"tial\n")
    await api("POST", "/containers/c/kill")
    assert await read_chunk(reader) == b""
    writer.close()


async def test_refused(api: Client, backend: FakeBackend) -> None:
    await container(api, backend)
    answer = await api("GET", "/containers/c/logs")
    assert (answer.status, answer.message) == (400, "Bad parameters: you must choose at least one stream")
    answer = await api("GET", "/containers/nope/logs?stdout=1")
    assert (answer.status, answer.message) == (404, "No such container: nope")
    answer = await api("GET", "/containers/c/logs?stdout=1&since=x")
    assert (answer.status, answer.message) == (400, 'strconv.ParseInt: parsing "x": invalid syntax')
