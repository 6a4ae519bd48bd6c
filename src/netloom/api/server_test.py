import asyncio
import socket
import stat
from pathlib import Path

import pytest

from netloom.api.server import _GRACE, ApiServer
from netloom.model.errors import Conflict
from netloom.testing.api_client import Client, read_answer, request
from netloom.testing.fake_backend import FakeBackend

TOO_OLD = "is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"


async def test_ping_as_the_cli_asks(api: Client) -> None:
    answer = await api("HEAD", "/_ping")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["api-version"] == "1.51"
    assert answer.headers["ostype"] == "linux"
    assert answer.headers["content-length"] == "0"
    assert (await api("GET", "/v1.24/_ping")).body == b"OK"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "/v1.23/version",
            f"client version 1.23 {TOO_OLD}",
        ),
        ("/v1.99/_ping", "client version 1.99 is too new. Maximum supported API version is 1.51"),
        ("/v2/networks", "client version 2 is too new. Maximum supported API version is 1.51"),
    ],
)
async def test_versions_out_of_range(api: Client, path: str, sentence: str) -> None:
    answer = await api("GET", path)
    assert (answer.status, answer.message) == (400, sentence)


@pytest.mark.parametrize("path", ["/nosuch", "/v1.51/nosuch", "/vx/_ping", "//version", "/networks/../version", "/"])
async def test_unknown_route(api: Client, path: str) -> None:
    answer = await api("GET", path)
    assert (answer.status, answer.message) == (404, "page not found")


@pytest.mark.parametrize(
    "line",
    [
        "GET /swarm",
        "POST /build",
        "POST /commit",
    ],
)
async def test_routes_that_netloom_lacks_name_themselves(api: Client, line: str) -> None:
    method, path = line.split()
    answer = await api(method, f"/v1.44{path}")
    assert answer.status == 501
    assert "not supported by netloom" in answer.message
    assert line in answer.message


async def test_requests_on_one_connection_are_answered_in_order(api: Client) -> None:
    reader, writer = await api.connect()
    writer.write(request("GET", "/_ping") + request("GET", "/networks/nope") + request("GET", "/version"))
    assert (await read_answer(reader)).body == b"OK"
    assert (await read_answer(reader)).message == "network nope not found"
    assert (await read_answer(reader)).json["ApiVersion"] == "1.51"
    writer.close()


async def test_a_client_that_wants_no_keep_alive_gets_the_end(api: Client) -> None:
    reader, writer = await api.connect()
    writer.write(request("GET", "/_ping", headers={"Connection": "close"}))
    assert (await read_answer(reader)).headers["connection"] == "close"
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_socket_mode_and_removal(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "run" / "s.sock"
    server = ApiServer(backend)
    await server.listen_unix(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    await server.stop()
    assert not path.exists()


async def test_a_dead_daemons_socket_is_replaced_a_live_ones_refused(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.listen()
    dead.close()
    server = ApiServer(backend)
    await server.listen_unix(path)
    second = ApiServer(backend)
    with pytest.raises(Conflict, match="a daemon listens on"):
        await second.listen_unix(path)
    assert (await Client(path)("GET", "/_ping")).status == 200
    await server.stop()


async def test_a_file_that_is_no_socket_is_kept(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("x")
    with pytest.raises(Conflict, match="is not a socket"):
        await ApiServer(backend).listen_unix(path)
    assert path.read_text() == "x"


async def test_stop_ends_streams_and_finishes_requests(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    server = ApiServer(backend)
    await server.listen_unix(path)
    reader, writer = await Client(path).connect()
    writer.write(request("GET", "/events"))
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.wait_for(server.stop(), _GRACE - 0.5)  # it does not wait for streams as it does for requests
    await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert backend.bus.subscribers == 0


async def test_a_defect_is_a_500_that_says_so(
    api: Client, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[object]:
        raise ZeroDivisionError("oops")

    backend.networks = broken  # type: ignore[method-assign,assignment]
    answer = await api("GET", "/networks")
    assert (answer.status, answer.message) == (500, "internal error: ZeroDivisionError: oops")
    assert "ZeroDivisionError" in caplog.text
