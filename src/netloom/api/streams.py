"""Attaching to a process: the HTTP connection becomes a pipe in both directions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, Protocol

from netloom.api.call import Call
from netloom.api.connection import Hijack
from netloom.api.detach import Watch, parse_keys
from netloom.api.frames import RAW, content_type, frames
from netloom.api.logs import framed
from netloom.api.respond import Taken
from netloom.api.routing import Route
from netloom.api.websocket import WebSocketEnd, accept
from netloom.model.streams import STDERR, STDOUT, Attachment, LogRecord

_BOTH = (STDOUT, STDERR)  # a terminal has but one


class Client(Protocol):
    """The client's end of a connection that has been taken over."""

    @property
    def gone(self) -> asyncio.Event: ...
    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


class Wiring(NamedTuple):
    """Which streams are connected and how."""

    stdin: bool
    streams: tuple[int, ...]  # STDOUT, STDERR
    tty: bool  # raw, else framed
    close_stdin: bool  # the client's end of file is the process's, else the end of the attachment
    detach_keys: bytes  # empty: none


class Asked(NamedTuple):
    """What a request to attach asks for."""

    wanted: list[str]  # of stdout, stderr
    attachment: Attachment | None  # None: the log alone
    records: AsyncIterator[LogRecord] | None  # None: without the log
    wiring: Wiring
    tty: bool  # the container has a terminal


async def attach(call: Call) -> Taken:
    """POST /containers/{id}/attach. Errors are told as HTTP; once taken over, the connection is the process's."""
    asked = await _asked(call)
    client = await take_over(call, asked.attachment, tty=asked.tty)
    return await _attached(client, client, asked)


async def attach_websocket(call: Call) -> Taken:
    """GET /containers/{id}/attach/ws: the same, in messages. Stdout and stderr are not told apart, as with Docker."""
    call.backend.container(call.ref)  # one that is not there is told before a wrong header
    head = accept(call.request.headers)
    asked = await _asked(call)
    connection = await take_over(call, asked.attachment, tty=True, head=head)
    client = WebSocketEnd(connection)
    records = None if asked.records is None else _chosen(asked.records, asked.wanted, tty=asked.tty)
    asked = asked._replace(records=records, wiring=asked.wiring._replace(tty=True))
    return await _attached(connection, client, asked, farewell=client.close)


async def _asked(call: Call) -> Asked:
    container = call.backend.container(call.ref)
    config = container.config
    keys = parse_keys(call.query("detachKeys"))
    wanted = [name for name in ("stdout", "stderr") if call.flag(name)]
    attachment = await call.backend.attach(container.id) if call.flag("stream") else None
    records = None
    if call.flag("logs"):
        records = call.backend.logs(container.id, follow=False, tail=None, since=0, until=0)
    wiring = Wiring(
        stdin=call.flag("stdin") and config.open_stdin,
        streams=_BOTH if config.tty else tuple({"stdout": STDOUT, "stderr": STDERR}[name] for name in wanted),
        tty=config.tty,
        close_stdin=config.stdin_once and not config.tty,
        detach_keys=keys if config.tty else b"",
    )
    return Asked(wanted, attachment, records, wiring, config.tty)


async def _attached(
    connection: Hijack, client: Client, asked: Asked, *, farewell: Callable[[], Awaitable[None]] | None = None
) -> Taken:
    """First the log, then what the process does, until one of both ends; then everything is let go."""
    try:
        if asked.records is not None:
            await _send_logs(client, asked.records, asked.wanted, tty=asked.wiring.tty)
        if asked.attachment is not None:
            await carry(client, asked.attachment, asked.wiring)
        if farewell is not None:
            await farewell()
    except ConnectionError:
        pass  # the client has gone; its process lives on
    finally:
        connection.close()
        if asked.attachment is not None:
            await asked.attachment.close()
    return Taken()


async def _chosen(records: AsyncIterator[LogRecord], wanted: list[str], *, tty: bool) -> AsyncIterator[LogRecord]:
    async for record in records:
        if tty or record.stream in wanted:
            yield record


async def take_over(call: Call, attachment: Attachment | None, *, tty: bool, head: bytes = b"") -> Hijack:
    """Answer (with `head`, where that is given), and make the connection ours. On failure the attachment is closed."""
    try:
        client = Hijack(call.connection)
        if head:
            text = head.decode()
        elif call.request.headers.get("Upgrade"):
            kind = content_type(call.version, tty=tty)
            text = f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        else:
            text = f"HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\n\r\n"
        await client.write(text.encode())
    except BaseException:
        if attachment is not None:
            await attachment.close()
        raise
    return client


async def carry(client: Client, attachment: Attachment, wiring: Wiring) -> None:
    """Carry bytes both ways until the process's output ends, the client goes, or it detaches."""
    output = asyncio.create_task(_output(client, attachment, wiring))
    typing = asyncio.create_task(_input(client, attachment, wiring))
    gone = asyncio.create_task(client.gone.wait())
    running = {output, typing, gone}
    try:
        while True:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if output in done or gone in done or (typing in done and typing.result()):
                break
            running -= done
    finally:
        for task in (output, typing, gone):
            task.cancel()
        results = await asyncio.gather(output, typing, gone, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionError):
            raise result


async def _output(client: Client, attachment: Attachment, wiring: Wiring) -> None:
    while pieces := await attachment.read_many():
        if wiring.tty:
            if data := b"".join([data for stream, data in pieces if stream in wiring.streams]):
                await client.write(data)
        elif data := frames(pieces, wiring.streams):
            await client.write(data)


async def _input(client: Client, attachment: Attachment, wiring: Wiring) -> bool:
    """Carry the client's input; True when that ends the attachment: by the detach keys, or where the input ends and the
    process must not see that. Input that nobody wants is dropped."""
    watch = Watch(wiring.detach_keys) if wiring.detach_keys else None
    while data := await client.read():
        if not wiring.stdin:
            continue
        detached = False
        if watch is not None:
            data, detached = watch.feed(data)
        if data:
            await attachment.write(data)
        if detached:
            return True
    if not wiring.stdin:
        return False
    if wiring.close_stdin:
        await attachment.close_stdin()
    return not wiring.close_stdin


async def _send_logs(client: Client, records: AsyncIterator[LogRecord], wanted: list[str], *, tty: bool) -> None:
    async with contextlib.aclosing(framed(records, wanted, tty=tty)) as pieces:
        async for piece in pieces:
            await client.write(piece)


ROUTES = (
    Route("POST", "/containers/{ref}/attach", attach),
    Route("GET", "/containers/{ref}/attach/ws", attach_websocket),
)
