"""GET /containers/{id}/logs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from netloom.api import web
from netloom.api.call import Call
from netloom.api.frames import content_type, frame
from netloom.api.gotext import parse_timestamp, rfc3339nano_fixed
from netloom.api.routing import Route
from netloom.api.streaming import Stream, closing
from netloom.model.errors import InvalidArgument
from netloom.model.streams import STDERR, STDOUT, LogRecord

_STREAMS = {"stdout": STDOUT, "stderr": STDERR}


async def logs(call: Call) -> web.StreamResponse:
    """Lines as they were written, framed unless the container has a terminal."""
    wanted = [stream for stream in ("stdout", "stderr") if call.flag(stream)]
    if not wanted:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    container = call.backend.container(call.ref)
    records = call.backend.logs(
        container.id,
        follow=call.flag("follow"),
        tail=tail_of(call.query("tail")),
        since=parse_timestamp(call.query("since")),
        until=parse_timestamp(call.query("until")),
    )
    tty = container.config.tty
    stamps, details = call.flag("timestamps"), call.flag("details")
    async with closing(records), Stream(call, content_type(call.version, tty=tty)) as stream:
        async for piece in framed(records, wanted, tty=tty, timestamps=stamps, details=details):
            await stream.write(piece)
    return stream.response


async def framed(
    records: AsyncIterator[LogRecord],
    wanted: list[str],
    *,
    tty: bool,
    timestamps: bool = False,
    details: bool = False,
) -> AsyncGenerator[bytes, None]:
    """The records of the wanted streams as bytes for the client. A terminal's output is all on stdout."""
    line_goes_on = False
    async for record in records:
        if not tty and record.stream not in wanted:
            continue
        data = record.data if record.partial else record.data + b"\n"
        if not line_goes_on:
            data = _prefix(record, timestamps=timestamps, details=details) + data
        line_goes_on = record.partial
        yield data if tty else frame(_STREAMS[record.stream], data)


def tail_of(text: str) -> int | None:
    """How many lines; None for all, as for anything that is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _prefix(record: LogRecord, *, timestamps: bool, details: bool) -> bytes:
    """Time, then the details of the log driver, of which ours has none."""
    text = f"{rfc3339nano_fixed(record.time_nano)} " if timestamps else ""
    return (text + " " if details else text).encode()


ROUTES = (Route("GET", "/containers/{ref}/logs", logs),)
