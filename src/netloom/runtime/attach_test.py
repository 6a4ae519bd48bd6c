"""Streams of a container: output by stream, half-close, terminals, several clients."""

import asyncio
import hashlib
import os
from typing import Any

import pytest

from netloom.model.errors import Conflict
from netloom.model.host_config import HostConfig
from netloom.model.streams import STDERR, STDOUT, Attachment
from netloom.runtime import inflow
from netloom.runtime.conftest import DEADLINE, Rig, until

WAIT_FOR_SIZE = 'until [ "$(stty size)" = "44 88" ]; do sleep 0.01; done; echo resized'


async def drain(attachment: Attachment) -> dict[int, bytes]:
    """All output to the end, by stream."""
    found: dict[int, bytes] = {STDOUT: b"", STDERR: b""}
    async with asyncio.timeout(DEADLINE):
        while piece := await attachment.read():
            found[piece[0]] += piece[1]
    return found


async def read_until(attachment: Attachment, wanted: bytes) -> bytes:
    """Output up to and with what is wanted."""
    text = b""
    async with asyncio.timeout(DEADLINE):
        while wanted not in text:
            piece = await attachment.read()
            assert piece, f"the output ended with {text!r}"
            text += piece[1]
    return text


async def started(rig: Rig, *command: str, **config: Any) -> tuple[str, Attachment]:
    """A running container whose output is read from its first byte."""
    key = await rig.create(rig.launch(*command, **config))
    attachment = await rig.runtime.attach(key)
    await rig.runtime.start(key)
    return key, attachment


async def test_streams_are_told_apart(rig: Rig) -> None:
    key, attachment = await started(rig, "sh", "-c", "printf out; printf err >&2; exit 5")
    assert await drain(attachment) == {STDOUT: b"out", STDERR: b"err"}
    assert (await rig.ended(key)).code == 5
    await attachment.close()
    await attachment.close()
    assert await attachment.read() is None


async def test_half_close_reaches_the_program_and_output_goes_on(rig: Rig) -> None:
    text = os.urandom(1 << 19).hex().encode()
    key, attachment = await started(rig, "sh", "-c", "cat; echo end", open_stdin=True, stdin_once=True)

    async def feed() -> None:
        await attachment.write(text)
        await attachment.close_stdin()
        await attachment.write(b"never read")

    feeding = asyncio.create_task(feed())
    assert (await drain(attachment))[STDOUT] == text + b"end\n"
    await feeding
    assert (await rig.ended(key)).code == 0


async def test_stdin_stays_open_for_the_next_client_unless_it_is_for_one(rig: Rig) -> None:
    key, first = await started(rig, "sh", "-c", "read a; read b; echo $a-$b", open_stdin=True, stdin_once=False)
    await first.write(b"one\n")
    await first.close()
    second = await rig.runtime.attach(key)
    await second.write(b"two\n")
    assert (await drain(second))[STDOUT] == b"one-two\n"


async def test_a_client_that_reads_slowly_loses_nothing(rig: Rig) -> None:
    key, attachment = await started(rig, "sh", "-c", "head -c 4000000 /dev/zero | tr '\\0' x; echo; echo end >&2")
    await until(lambda: os.stat(rig.runtime.log_path(key)).st_size > 30_000, "a part of the output")
    found = await drain(attachment)
    assert len(found[STDOUT]) == 4000001
    assert found[STDERR] == b"end\n"


async def test_several_clients_see_the_same(rig: Rig) -> None:
    key = await rig.create(rig.launch("echo", "hello"))
    clients = [await rig.runtime.attach(key) for _ in range(3)]
    await rig.runtime.start(key)
    assert [(await drain(client))[STDOUT] for client in clients] == [b"hello\n"] * 3


async def test_terminal_and_its_size(rig: Rig) -> None:
    script = f"stty size; {WAIT_FOR_SIZE}; read x; echo got $x; test -t 0 && test -t 1 && exit 3"
    size = HostConfig(console_size=(41, 132))
    key = await rig.create(rig.launch("sh", "-c", script, host_config=size, tty=True, open_stdin=True, stdin_once=True))
    attachment = await rig.runtime.attach(key)
    assert attachment.tty
    await rig.runtime.start(key)
    await read_until(attachment, b"41 132\r\n")
    await rig.runtime.resize(key, 44, 88)
    await read_until(attachment, b"resized\r\n")
    await attachment.write(b"it\r")
    rest = (await drain(attachment))[STDOUT]
    assert rest.endswith(b"got it\r\n")
    assert (await rig.ended(key)).code == 3


async def test_closing_leaves_the_program_alone(rig: Rig) -> None:
    key, attachment = await started(rig, "sh", "-c", "read x; echo $x", open_stdin=True, stdin_once=False)
    reading = asyncio.create_task(attachment.read())
    await asyncio.sleep(0)
    await attachment.close()
    assert await reading is None
    assert not rig.exits[key].done()


async def test_who_comes_back_to_a_terminal_is_heard(rig: Rig) -> None:
    script = "echo ready; read x; echo got $x"
    key, first = await started(rig, "sh", "-c", script, tty=True, open_stdin=True, stdin_once=True)
    await read_until(first, b"ready\r\n")
    await first.close()
    second = await rig.runtime.attach(key)
    await second.write(b"it\r")
    await read_until(second, b"got it\r\n")
    await second.close()
    assert (await rig.ended(key)).code == 0


async def test_nobody_to_attach_to(rig: Rig) -> None:
    with pytest.raises(Conflict):
        await rig.runtime.attach("f" * 64)
    await rig.runtime.resize("f" * 64, 1, 1)


SIZE = 6_000_000


async def test_a_client_that_does_not_read_holds_up_nobody(rig: Rig) -> None:
    """What it has left is there when it reads at last, in order; another client sees all meanwhile."""
    script = f"seq 1 999999 | head -c {SIZE}; echo done >&2"
    key = await rig.create(rig.launch("sh", "-c", script))
    idle = await rig.runtime.attach(key)
    other = await rig.runtime.attach(key)
    await rig.runtime.start(key)
    first = await idle.read()
    assert first is not None
    seen = await drain(other)
    assert (len(seen[STDOUT]), seen[STDERR]) == (SIZE, b"done\n")
    assert (await rig.ended(key)).code == 0
    late = await drain(idle)
    assert first[1] + late[STDOUT] == seen[STDOUT]
    assert late[STDERR] == b"done\n"
    await idle.close()
    await other.close()


async def test_one_that_never_reads_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflow, "IN_FILE", 1 << 20)
    monkeypatch.setattr(inflow, "GIVEN_UP", 0.1)
    key = await rig.create(rig.launch("sh", "-c", f"head -c {SIZE} /dev/zero"))
    idle = await rig.runtime.attach(key)
    await rig.runtime.start(key)
    first = await idle.read()
    assert first is not None
    assert (await rig.ended(key)).code == 0
    found = await drain(idle)
    assert found[STDERR] == inflow.LOST
    assert (1 << 20) < len(found[STDOUT]) < SIZE
    await idle.close()


async def test_one_that_is_slow_gets_everything(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program goes at its pace, and no file is used."""
    monkeypatch.setattr(inflow, "IN_MEMORY", 1 << 16)
    monkeypatch.setattr(inflow.Spool, "add", None)
    key = await rig.create(rig.launch("sh", "-c", f"seq 1 999999 | head -c {1 << 20}"))
    slow = await rig.runtime.attach(key)
    await rig.runtime.start(key)
    size = 0
    while pieces := await slow.read_many():
        size += sum(len(data) for _, data in pieces)
        await asyncio.sleep(0.002)
    assert size == 1 << 20
    await slow.close()


async def test_large_input_arrives_whole(rig: Rig) -> None:
    data = os.urandom(3_000_001)
    key, attachment = await started(rig, "sha256sum", open_stdin=True, stdin_once=True)
    await attachment.write(data)
    await attachment.close_stdin()
    assert (await drain(attachment))[STDOUT].split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert (await rig.ended(key)).code == 0
    await attachment.close()
