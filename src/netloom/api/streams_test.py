import asyncio
import struct
from typing import Any

import pytest

from netloom.testing.api_client import Client, eventually, read_head, request
from netloom.testing.fake_backend import FakeBackend

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


async def made(api: Client, name: str, *command: str, **config: Any) -> str:
    body = {"Image": "host", "Cmd": command, **config}
    answer = await api("POST", f"/containers/create?name={name}", body)
    assert answer.status == 201, answer
    return str(answer.json["Id"])


async def started(api: Client, name: str, *command: str, **config: Any) -> str:
    key = await made(api, name, *command, **config)
    assert (await api("POST", f"/containers/{name}/start")).status == 204
    return key


async def hijack(api: Client, path: str, body: Any = None, *, upgrade: bool = True) -> tuple[Streams, dict[str, str]]:
    """Take the connection over as the CLI does."""
    reader, writer = await api.connect()
    writer.write(request("POST", path, body, UPGRADE if upgrade else {}))
    status, headers = await read_head(reader)
    assert status == (101 if upgrade else 200)
    return (reader, writer), headers


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, size = struct.unpack(">BxxxI", await asyncio.wait_for(reader.readexactly(8), 10))
    return kind, await asyncio.wait_for(reader.readexactly(size), 10)


async def ended(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.read(), 10)


@pytest.mark.parametrize(
    ("version", "tty", "upgrade", "kind"),
    [
        ("1.41", False, True, "raw"),
        ("1.42", False, True, "multiplexed"),
        ("1.51", True, True, "raw"),
        ("1.51", False, False, "raw"),
    ],
)
async def test_content_type_by_version(api: Client, version: str, tty: bool, upgrade: bool, kind: str) -> None:
    await started(api, "c", "sleep", Tty=tty)
    path = f"/v{version}/containers/c/attach?stream=1&stdout=1"
    (_, writer), headers = await hijack(api, path, upgrade=upgrade)
    assert headers["content-type"] == f"application/vnd.docker.{kind}-stream"
    assert headers.get("upgrade") == ("tcp" if upgrade else None)
    writer.close()


async def test_attach_before_the_start_sees_everything(api: Client) -> None:
    await made(api, "c", "err", "to", "stderr")
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdout=1&stderr=1")
    await api("POST", "/containers/c/start")
    assert await read_frame(reader) == (2, b"to stderr\n")
    assert await ended(reader) == b""
    writer.close()


async def test_only_the_streams_asked_for(api: Client) -> None:
    await made(api, "c", "err", "x")
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdout=1")
    await api("POST", "/containers/c/start")
    assert await ended(reader) == b""
    writer.close()


async def test_half_close_is_the_programs_end_of_file(api: Client) -> None:
    await started(api, "c", "cat", OpenStdin=True, StdinOnce=True)
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdin=1&stdout=1")
    writer.write(b"hello")
    assert await read_frame(reader) == (1, b"hello")
    writer.write_eof()
    assert await ended(reader) == b""
    writer.close()


async def test_without_stdin_once_the_end_of_input_ends_only_the_attachment(api: Client, backend: FakeBackend) -> None:
    key = await started(api, "c", "cat", OpenStdin=True)
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdin=1&stdout=1")
    writer.write(b"a")
    assert await read_frame(reader) == (1, b"a")
    writer.write_eof()
    assert await ended(reader) == b""
    writer.close()
    assert not backend.processes[key].stopped


async def test_a_client_that_goes_after_its_end_of_file_is_noticed(api: Client, backend: FakeBackend) -> None:
    """The CLI half-closes at once when it has no input to send; a silent program must not keep its connection."""
    key = await started(api, "c", "sleep")
    (_, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdout=1")
    writer.write_eof()
    assert (await api("GET", "/_ping")).status == 200
    assert backend.processes[key].closes == 0
    writer.close()
    await eventually(lambda: backend.processes[key].closes == 1)


async def test_input_of_a_container_without_stdin_is_dropped(api: Client, backend: FakeBackend) -> None:
    key = await started(api, "c", "cat")
    (_, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdin=1&stdout=1")
    writer.write(b"a" * 1000)
    writer.close()
    await writer.wait_closed()
    assert bytes(backend.processes[key].received) == b""


async def test_a_terminal_is_raw_and_left_by_its_keys(api: Client, backend: FakeBackend) -> None:
    key = await started(api, "c", "cat", OpenStdin=True, Tty=True)
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdin=1&stdout=1&stderr=1")
    writer.write(b"ab\x10")
    assert await asyncio.wait_for(reader.readexactly(2), 10) == b"ab"
    writer.write(b"c")  # not the second key: the first one was meant for the program
    assert await asyncio.wait_for(reader.readexactly(2), 10) == b"\x10c"
    writer.write(b"\x10\x11lost")
    assert await ended(reader) == b""
    writer.close()
    assert not backend.processes[key].stopped
    assert bytes(backend.processes[key].received) == b"ab\x10c"


async def test_other_detach_keys(api: Client) -> None:
    await started(api, "c", "cat", OpenStdin=True, Tty=True)
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x")
    writer.write(b"\x01x")
    assert await ended(reader) == b""
    writer.close()
    answer = await api("POST", "/containers/c/attach?stream=1&detachKeys=zz")
    assert (answer.status, answer.message) == (400, "Invalid detach keys (zz) provided")


async def test_attach_errors_are_http(api: Client) -> None:
    answer = await api("POST", "/containers/nope/attach?stream=1", headers=UPGRADE)
    assert (answer.status, answer.message) == (404, "No such container: nope")


async def test_logs_then_stream(api: Client) -> None:
    await started(api, "c", "echo", "before")
    await api("POST", "/containers/c/wait")
    (reader, writer), _ = await hijack(api, "/containers/c/attach?logs=1&stdout=1")
    assert await read_frame(reader) == (1, b"before\n")
    assert await ended(reader) == b""
    writer.close()


async def test_a_client_that_reads_nothing_stops_the_program_not_us(api: Client, backend: FakeBackend) -> None:
    key = await started(api, "c", "flood")
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdout=1")
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    process = backend.processes[key]
    seen = -1
    while seen != process.reads:  # until nothing more is read of it
        seen = process.reads
        await asyncio.sleep(0.05)
        assert (await api("GET", "/_ping")).status == 200
    assert process.reads * 65536 < 8 << 20
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    await eventually(lambda: process.reads > seen + 50)
    writer.close()
    await eventually(lambda: process.closes == 1)


async def test_a_program_that_reads_nothing_stops_the_client_not_us(api: Client, backend: FakeBackend) -> None:
    key = await started(api, "c", "deaf", OpenStdin=True)
    (_, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdin=1&stdout=1")
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send(), 0.5)
    assert 65536 < sent < 16 << 20
    assert len(backend.processes[key].received) <= 1 << 18  # one piece
    writer.transport.abort()


async def test_exec(api: Client) -> None:
    key = await started(api, "c", "sleep")
    body = {"Cmd": ["echo", "hi"], "AttachStdout": True, "AttachStderr": True}
    answer = await api("POST", "/containers/c/exec", body)
    assert answer.status == 201
    ref = answer.json["Id"]
    before = (await api("GET", f"/exec/{ref}/json")).json
    assert (before["Running"], before["ExitCode"]) == (False, None)
    (reader, writer), headers = await hijack(api, f"/exec/{ref}/start", {"Detach": False, "Tty": False})
    assert headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert await read_frame(reader) == (1, b"hi\n")
    assert await ended(reader) == b""
    writer.close()
    assert (await api("GET", f"/exec/{ref}/json")).json == {
        "ID": ref,
        "Running": False,
        "ExitCode": 0,
        "ProcessConfig": {"tty": False, "entrypoint": "echo", "arguments": ["hi"], "privileged": False},
        "OpenStdin": False,
        "OpenStderr": True,
        "OpenStdout": True,
        "CanRemove": False,
        "ContainerID": key,
        "DetachKeys": "",
        "Pid": 0,
    }
    answer = await api("POST", f"/exec/{ref}/start", {})
    assert (answer.status, answer.message) == (409, f"exec command {ref} has already run")


async def test_exec_input_ends_with_the_client(api: Client) -> None:
    await started(api, "c", "sleep")
    body = {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}
    ref = (await api("POST", "/containers/c/exec", body)).json["Id"]
    (reader, writer), _ = await hijack(api, f"/exec/{ref}/start", {})
    big = b"0123456789abcdef" * 4096
    writer.write(big)
    writer.write_eof()
    got = b""
    while len(got) < len(big):
        got += (await read_frame(reader))[1]
    assert got == big
    assert await ended(reader) == b""
    writer.close()


async def test_exec_with_a_terminal(api: Client, backend: FakeBackend) -> None:
    await started(api, "c", "sleep")
    body = {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True, "Tty": True, "DetachKeys": "q"}
    ref = (await api("POST", "/containers/c/exec", body)).json["Id"]
    (reader, writer), headers = await hijack(api, f"/exec/{ref}/start", {"Tty": True, "ConsoleSize": [24, 80]})
    assert headers["content-type"] == "application/vnd.docker.raw-stream"
    assert backend.sizes[ref] == (24, 80)
    assert (await api("POST", f"/exec/{ref}/resize?h=30&w=90")).status == 200
    assert backend.sizes[ref] == (30, 90)
    writer.write(b"a")
    assert await asyncio.wait_for(reader.readexactly(1), 10) == b"a"
    answer = await api("POST", f"/exec/{ref}/start", {})
    assert (answer.status, answer.message) == (409, f"exec command {ref} is already running")
    writer.write(b"q")
    assert await ended(reader) == b""
    assert backend.exec(ref).running
    writer.close()


async def test_exec_that_cannot_start_says_so_in_its_output(api: Client) -> None:
    await started(api, "c", "sleep")
    ref = (await api("POST", "/containers/c/exec", {"Cmd": ["nosuch"], "AttachStdout": True})).json["Id"]
    (reader, writer), _ = await hijack(api, f"/exec/{ref}/start", {})
    kind, text = await read_frame(reader)
    assert (kind, text.endswith(b"executable file not found in $PATH\r\n")) == (1, True)
    assert (await api("GET", f"/exec/{ref}/json")).json["ExitCode"] == 127
    writer.close()


async def test_exec_detached(api: Client, backend: FakeBackend) -> None:
    await started(api, "c", "sleep")
    ref = (await api("POST", "/containers/c/exec", {"Cmd": ["sleep"]})).json["Id"]
    answer = await api("POST", f"/exec/{ref}/start", {"Detach": True})
    assert (answer.status, answer.body) == (200, b"")
    assert backend.exec(ref).running


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/containers/c/exec", {}, 400, "No exec command specified"),
        ("/containers/c/exec", None, 400, "No exec command specified"),
        ("/containers/nope/exec", {"Cmd": ["x"]}, 404, "No such container: nope"),
        ("/containers/c/exec", {"Cmd": ["x"], "DetachKeys": "zz"}, 400, "Invalid escape keys (zz) provided"),
        ("/exec/nope/start", {}, 404, "No such exec instance: nope"),
        ("/exec/nope/resize?h=1&w=1", None, 404, "No such exec instance: nope"),
    ],
)
async def test_exec_refused(api: Client, path: str, body: object, status: int, sentence: str) -> None:
    await started(api, "c", "sleep")
    answer = await api("POST", path, body)
    assert (answer.status, answer.message) == (status, sentence)


async def test_stop_closes_hijacked_connections(api: Client, server: Any) -> None:
    await started(api, "c", "sleep")
    (reader, writer), _ = await hijack(api, "/containers/c/attach?stream=1&stdout=1")
    await server.stop()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 10)
    writer.close()
