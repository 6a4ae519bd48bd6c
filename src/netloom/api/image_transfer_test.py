"""Streams of pull, load and save: what the docker CLI reads."""

import pytest

from netloom.api.image_transfer import human_size, progress_bar, progress_line
from netloom.model.errors import Failed, NotFound
from netloom.model.image import Progress
from netloom.testing.api_client import Client, read_answer, request
from netloom.testing.fake_backend import FakeBackend
from netloom.testing.fake_images import HOST_IMAGE


async def test_a_pull_tells_its_progress(api: Client, backend: FakeBackend) -> None:
    backend.images.lines = [
        Progress(status="Pulling from web", id="1", bare=True),
        Progress(status="Pulling fs layer", id="60be1de745d9"),
        Progress(status="Status: done", bare=True),
    ]
    answer = await api(
        "POST", "/images/create?fromImage=web&tag=1&platform=linux/arm64", headers={"X-Registry-Auth": "e30="}
    )
    assert answer.status == 200
    assert answer.body == (
        b'{"status":"Pulling from web","id":"1"}\r\n'
        b'{"status":"Pulling fs layer","progressDetail":{},"id":"60be1de745d9"}\r\n'
        b'{"status":"Status: done"}\r\n'
    )
    assert backend.images.calls == [("pull", "web", "1", "linux/arm64", "e30=")]


async def test_a_pull_that_fails_at_once_has_a_status(api: Client, backend: FakeBackend) -> None:
    backend.images.lines = [NotFound("manifest for web:1 not found")]
    answer = await api("POST", "/images/create?fromImage=web&tag=1")
    assert (answer.status, answer.message) == (404, "manifest for web:1 not found")


async def test_a_pull_that_fails_later_tells_it_in_its_stream(api: Client, backend: FakeBackend) -> None:
    backend.images.lines = [Progress(status="Pulling from web", id="1", bare=True), Failed("unexpected EOF")]
    answer = await api("POST", "/images/create?fromImage=web&tag=1")
    assert answer.status == 200
    assert answer.body.endswith(b'{"errorDetail":{"message":"unexpected EOF"},"error":"unexpected EOF"}\r\n')


async def test_import(api: Client, backend: FakeBackend) -> None:
    query = "fromSrc=-&repo=web&tag=1&message=hello&changes=CMD+a&changes=ENV+b=c&platform=linux"
    answer = await api("POST", f"/images/create?{query}", b"a tar")
    assert answer.body == b'{"status":"%s"}\r\n' % HOST_IMAGE.id.encode()
    assert backend.images.received == b"a tar"
    assert backend.images.calls == [("import", "web", "1", "hello", ("CMD a", "ENV b=c"), "linux")]
    assert (await api("POST", "/images/create?fromSrc=http://x")).status == 501


@pytest.mark.parametrize(("quiet", "lines"), [("0", 2), ("1", 1)])
async def test_load(api: Client, backend: FakeBackend, quiet: str, lines: int) -> None:
    backend.images.lines = [
        Progress(status="Loading layer", id="a", current=1, total=2),
        Progress(stream="Loaded image: a\n"),
    ]
    answer = await api("POST", f"/images/load?quiet={quiet}", b"an archive")
    assert answer.body.count(b"\r\n") == lines
    assert answer.body.endswith(b'{"stream":"Loaded image: a\\n"}\r\n')
    assert backend.images.received == b"an archive"


async def test_save(api: Client, backend: FakeBackend) -> None:
    backend.images.pieces = [b"one", b"two"]
    answer = await api("GET", "/images/get?names=host&names=host:latest")
    assert (answer.body, answer.headers["content-type"]) == (b"onetwo", "application/x-tar")
    assert backend.images.calls == [("save", (HOST_IMAGE.id, HOST_IMAGE.id))]
    assert (await api("GET", "/images/host/get")).body == b"onetwo"


async def test_an_archive_that_is_not_whole_does_not_look_so(api: Client, backend: FakeBackend) -> None:
    backend.images.pieces = [b"one", Failed("a layer is no longer what it was")]
    reader, writer = await api.connect()
    writer.write(request("GET", "/images/get?names=host"))
    with pytest.raises((EOFError, ValueError)):
        await read_answer(reader)
    writer.close()


def test_bars_are_those_of_docker() -> None:
    assert progress_bar(36445, 3001784) == "[>" + " " * 50 + "]  36.45kB/3.002MB"
    assert progress_bar(3001784, 3001784) == "[" + "=" * 50 + ">]  3.002MB/3.002MB"
    assert human_size(0) == "0B"
    assert b"\\u003e" in progress_line(Progress(status="a", current=1, total=2))
